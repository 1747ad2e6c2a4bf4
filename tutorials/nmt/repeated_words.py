r"""
Data repetition: what is the hundredth pass worth?
==================================================

After this page you can say when the best number of tokens means many passes over the same data,
what such passes are worth by a published law, and what they did in the longest run of this part.
"""

import numpy as np
import pandas as pd

from a3.lab import figures
from a3.lab.elsewhere import elsewhere
from a3.lab.environment import profile
from a3.lab.intervals import interval
from a3.lab.page import in_short, show
from a3.runs.scaling import sweep
from a3.runs.translation import EXPERIMENTS, translators
from a3.scaling import compute_optimal, fit_isoflop
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.pig_latin import norvig_words, small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
runs = sweep("six widths to fit")
budgets = runs["budget"].max() / 2.0 ** np.arange(4, -1, -1)
narrow, wide = (64, 128) if full else (32, 64)

(long_runs,) = translators(EXPERIMENTS["a hundred passes"].settings).values()
histories = [run.history for run in long_runs]
held_out = [h.valid_loss for h in histories]
by_pass = [np.split(h.train_loss, h.iterations[:-1]) for h in histories]
on_training = [[losses.mean() for losses in of_seed] for of_seed in by_pass]

figure, ax = figures.subplots(
    figsize=(8, 3.3),
    alt="""Losses against compute, log scales. On held-out words the narrower model
    is ahead of the wider for as long as it is trained. The loss of the wider one,
    trained for longer, ends far lower on training words than on held-out ones.""",
)
curves = runs.pivot(index="budget", columns=["hidden", "seed"], values="loss")
for hidden, style in ((narrow, "-"), (wide, "--")):
    of_seeds = curves[hidden].T.to_numpy()
    figures.band(ax, curves.index, of_seeds, f"width {hidden}, sweep", ls=style)
flops = np.median([h.flops for h in histories], axis=0)
figures.band(ax, flops, held_out, "width 128, 100 passes", ls="-.")
figures.band(ax, flops, on_training, "the same on its training words", ls=":")
ax.set(xscale="log", yscale="log", xlabel="compute (FLOPs)")
ax.set_ylabel("loss (nats per token)")
ax.legend(loc="lower left")
assert not full or (curves[narrow].median(axis=1) < curves[wide].median(axis=1)).all()

# %% tags=["hide-input"]
# **The longest run of this part,** the handouts' :doc:`decoder-only run <one_or_two>` of width 128,
# through its 100 passes over one list of words. Beside it are runs of the sweep, of the same width
# and of half of it, to the compute where the sweep ends. Lines are medians over the seeds, bands
# their range. Where the sweep ends, the narrower model is ahead by the median, and so it is all the
# way. The longer run ends lower than either on held-out words, and far lower on its own.
#
# The question
# ------------
#
# .. exercise-start:: What are the passes worth? (after 2025, 2.3-4; 2023, 3.3-4)
#    :label: repeated-words
#
# The line :math:`D^* = m C^b` through the best numbers of tokens counts each token as new
# :cite:p:`handout2025,handout2023`. How many passes over the small list does it ask for, at the
# sweep's budgets, at that of the run in the figure and at :math:`10^{15}` FLOPs? What are they
# worth? How many words would it take to need only four?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Four passes over a text: are they worth four texts of that length? Are forty worth forty?
#
# .. solution-start:: repeated-words
#    :label: repeated-words-answer
#    :class: dropdown

at = runs[runs["budget"].isin(budgets)]
columns = ("params", "tokens", "flops", "loss")
fit = fit_isoflop(*columns, data=at, budgets=budgets, group="seed", scatter=False)
training, _ = Prompts(WordPairs(small_words())).split(seed=0)
D_pass = int(training.lengths.sum())  # tokens of one pass
(epochs,) = {run.history.epochs for run in long_runs}
C = epochs * 3 * long_runs[0].model.flops(training)  # backward is two forward passes
R, FAR = elsewhere("passes over the same text")["value"]["R"], 1e15


def worth(p):
    return 1 - R * np.expm1(-(p - 1) / R)


table = pd.DataFrame({"FLOPs": [*budgets, C, FAR]})
best = compute_optimal(fit, table["FLOPs"])
table["best tokens"] = best.tokens
table["passes"] = table["best tokens"] / D_pass
table["worth"] = worth(table["passes"])
passes_far = table["passes"].iloc[-1]
needed, known = len(training) * passes_far / 4, len(norvig_words())
low, high = (needed * end[-1] / table["best tokens"].iloc[-1] for end in best.intervals["tokens"])
if full:
    assert table["passes"].min() > 4 and worth(4) > 3.7
    assert worth(passes_far) > 0.99 * (1 + R) and low < known < needed
in_short(
    """At the sweep's budgets the line asks for {first:.0f} to {last:.0f} passes, for the run's
    compute {at_run:.0f}, and for $10^{{15}}$ FLOPs {far:,.0f}. By the law of Muennighoff and others
    for language models, the last are worth {worth:.1f} passes over fresh words, which is nearly the
    most that any number can be. Four passes there would take {needed:,.0f} words
    ({low:,.0f} to {high:,.0f}); the list from which ours are drawn has {known:,}.""",
    **dict(first=table["passes"][0], last=table["passes"][4], at_run=table["passes"][5]),
    **dict(far=passes_far, worth=worth(passes_far), needed=needed, low=low, high=high, known=known),
)

# %% tags=["hide-input"]
# **What repetition does to the line.** :math:`D^*` soon exceeds the list, and from there on counts
# passes, :math:`p = D^* / D_1` with :math:`D_1` the tokens of one. For language models on repeated
# text :cite:t:`muennighoff2023` found that :math:`p` passes are worth
#
# .. math:: p' = 1 + R\,\bigl(1 - e^{-(p - 1)/R}\bigr)
#    :label: passes-worth
#
# passes over fresh text, with the :math:`R` printed below. Four are nearly as good as fresh text,
# no number is worth more than :math:`1 + R`, and for our words the constant may be another.

print(f"R = {R:.2f}; four passes are worth {worth(4):.2f}")
print(f"four passes at 1e15 FLOPs: {needed:,.0f} words [{low:,.0f}, {high:,.0f}]")
print(f"Norvig's list has {known:,}")
style = table.style.hide().format("{:.2g}", subset=["FLOPs", "best tokens"])
show(style.format("{:,.1f}", subset=["passes", "worth"]))

# %% tags=["hide-input"]
# Every point of the line is beyond four passes. At :math:`10^{15}` FLOPs it asks for so many that
# they are worth all that passes can be, :eq:`passes-worth`. Four would take more words than the
# list has from which ours are drawn, though the interval does not exclude that it has enough. The
# far end of the line says what would be best if the last pass taught as much as the first.
# :doc:`fresh_words` measures what changes when words come only once.
#
# **What the passes did.** The lowest held-out loss of each of the long runs, where it was reached,
# and the loss on its training words over its last ten passes. Each knows its own words by heart:
# its loss on them is less than a tenth of that on others.

lowest = pd.DataFrame({"lowest": [h.best_loss for h in histories]})
lowest["after passes"] = [h.best_epoch for h in histories]
lowest["TFLOPs"] = [h.flops[h.best_epoch - 1] / 1e12 for h in histories]
lowest["training words"] = [np.mean(losses[-10:]) for losses in on_training]
if full:
    assert (lowest["lowest"] > 10 * lowest["training words"]).all()
    assert lowest["lowest"].median() < curves[narrow].iloc[-1].median()
show(lowest.style.hide().format(precision=3).format("{:.4f}", subset=["training words"]))

# %%
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* their line counts every token as new. *From the papers:*
#    :cite:t:`hoffmann2022` train for less than one pass; the law for passes is of language models.
#
# Summary
# -------
#
# A line for the best number of tokens does not know how many words there are. On a short list it
# soon asks for passes, whose worth falls and has a limit. The long run knows its words by heart.
#
# Exercises
# ---------
#
# .. exercise-start:: Tokens for each parameter
#    :label: passes-tokens
#
# *Easy.* A rule of thumb for language models is twenty tokens a parameter. What is the ratio along
# the two lines :math:`N^* = k C^a` and :math:`D^* = m C^b`, at the ends of the sweep and at
# :math:`10^{15}` FLOPs? Does it grow?
#
# .. exercise-end::
#
# .. solution-start:: passes-tokens
#    :label: passes-tokens-answer
#    :class: dropdown
#
# It is :math:`D^*/N^* = (m/k)\, C^{\,b - a}`, between ten and forty at all three. The interval of
# :math:`b - a` has zero inside, so we cannot tell whether it grows or falls.

for compute in (budgets[0], budgets[-1], FAR):
    best = compute_optimal(fit, compute)
    ratio = best.tokens / best.params
    print(f"{compute:.2g} FLOPs: {ratio:.0f} tokens a parameter")
    assert not full or 10 < ratio < 40
_, a, _, b = fit.samples.T
low, high = interval(b - a, fit.b - fit.a, fit.level, **fit.spread)
print(f"b - a = {fit.b - fit.a:.2f} [{low:.2f}, {high:.2f}]")
assert not full or low < 0 < high

# %%
# .. solution-end::
#
# .. exercise-start:: Two slopes that share the compute
#    :label: passes-slopes
#
# *Medium.* What must :math:`a + b` be if a run costs :math:`C = 6ND`? What if it costs
# :math:`\kappa N D`, with :math:`\kappa` counted from the layers? Compare with the two lines.
#
# .. exercise-end::
#
# .. solution-start:: passes-slopes
#    :label: passes-slopes-answer
#    :class: dropdown
#
# Along the best sizes :math:`\ln N^* + \ln D^* = \ln C - \ln \kappa`. With :math:`\kappa = 6` the
# slopes add up to one, and otherwise to
#
# .. math:: a + b = 1 - \frac{\mathrm{d} \ln \kappa}{\mathrm{d} \ln C} .
#    :label: passes-sum
#
# A token also pays for attention, a share that is smaller in wider models. So :math:`\kappa` falls,
# and the sum is above one.

models = [DecoderOnlyTransformer(hidden) for hidden in runs["hidden"].unique()]
log_N = np.log([model.params for model in models])
log_C = np.log([3 * model.flops(training) for model in models])  # of one pass
kappa = np.exp(log_C - log_N - np.log(D_pass))
x, y = np.log(fit.budgets[["flops", "params"]].dropna().to_numpy().T)
fall, _ = np.polyfit(x, np.interp(y, log_N, np.log(kappa)), 1)
print(f"κ from {kappa[0]:.1f} down to {kappa[-1]:.1f}")
print(f"a + b = {fit.a + fit.b:.3f}, by the count of κ {1 - fall:.3f}")
assert fall < 0 and abs(fit.a + fit.b - (1 - fall)) < (0.01 if full else 0.1)

# %%
# .. solution-end::
#
# .. exercise-start:: The cheapest width for a loss
#    :label: passes-target
#
# *Hard.* Turn the question round: fix the loss, and look for the width that reaches it with the
# least compute. Use the medians over the seeds. How much more does width 128 pay than the cheapest?
#
# .. exercise-end::
#
# .. solution-start:: passes-target
#    :label: passes-target-answer
#    :class: dropdown
#
# For the two low losses the cheapest width is larger than for the three high ones, as the line
# says. The widest pays about twice as much for each. Between points of the grid we interpolate.

median = runs.groupby(["budget", "hidden"])["loss"].median().unstack()
lowest, x = -median.cummin(), np.log(median.index)  # rising, for np.interp
cheapest, extra = [], []
for loss in (1.5, 1.0, 0.5, 0.25, 0.2) if full else (2.0, 1.9):
    log_C = [np.interp(-loss, lowest[H], x, right=np.inf) for H in median]
    cheapest.append(median.columns[np.argmin(log_C)])
    extra.append(np.exp(log_C[-1] - min(log_C)))
    print(f"loss {loss}: width {cheapest[-1]}; the widest x {extra[-1]:.2f}")
if full:
    assert max(cheapest[:3]) < min(cheapest[3:])
    assert 1.5 < min(extra) and max(extra) < 2.5

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
