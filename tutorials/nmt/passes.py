r"""
A larger model, more passes, or more words?
===========================================

After this page you can say whether a training run was worth its compute: by the lines of best size
and best number of tokens, and by what was measured. And you can see when neither line is what the
run is short of.

The figure follows :doc:`the decoder-only run <one_or_two>` of the handouts, width 128, through its
100 passes over one list of words. Beside it are runs of the sweep, of the same width and of half of
it, to the compute where the sweep ends. Lines are medians over the seeds, bands their range.
"""

import numpy as np
import pandas as pd

from a3.lab import figures
from a3.lab.elsewhere import elsewhere
from a3.lab.environment import profile
from a3.lab.intervals import interval
from a3.runs.scaling import sweep
from a3.runs.translation import EXPERIMENTS, translators
from a3.scaling import compute_optimal, fit_isoflop
from a3.scaling.figures import optimal_lines
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
    figsize=(7, 4),
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

# %%
# The question
# ------------
#
# .. exercise-start:: Was it compute-optimal? (2025, 2.3-4; 2023, 3.3-4)
#    :label: s4
#
# Draw the best number of tokens against compute, beside the best size. By these two lines, was the
# handouts' decoder-only run compute-optimal, width 128 and four layers for 100 passes over the
# training words :cite:p:`handout2025,handout2023`? If not, what should change: the size, the
# number of passes, the words?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    :doc:`Count <counting>` the run's :math:`N`, :math:`D` and :math:`C` before you look at any
#    line. Then ask what a line for :math:`D^*` takes for granted about its tokens.
#
# .. solution-start:: s4
#    :label: s4-answer
#    :class: dropdown
#
# **Two lines**, :math:`N^* = k C^a` and :math:`D^* = m C^b`, through the lowest points of the
# parabolas. How far such lines can be trusted is the subject of :doc:`extrapolation`.

at = runs[runs["budget"].isin(budgets)]
columns = ("params", "tokens", "flops", "loss")
fit = fit_isoflop(*columns, data=at, budgets=budgets, group="seed")
figure = optimal_lines(fit)

# %%
# **By the lines.** The run's place, and what they advise for its compute:

training, _ = Prompts(WordPairs(small_words())).split(seed=0)
D_pass = int(training.lengths.sum())  # tokens of one pass
model = long_runs[0].model
(epochs,) = {run.history.epochs for run in long_runs}
C = epochs * 3 * model.flops(training)  # backward is two forward passes
best = compute_optimal(fit, C)
ours = {"params": model.params, "tokens": epochs * D_pass}
print(f"{C:.2e} FLOPs, {C / budgets[-1]:.1f} times the sweep's largest budget")
for name, number in ours.items():
    (low, high), advice = best.intervals[name], getattr(best, name)
    print(f"{number:.2e} {name}; advised {advice:.2e} [{low:.2e}, {high:.2e}]")
    assert not full or low < number < high

# %%
# So the handouts' method says yes: size and tokens lie in the intervals of the lines.
#
# **By measurement.** For each seed, which also fixes the words that are held out: the narrower and
# the wider model where the sweep ends, then the lowest loss of the long run, where it was reached,
# and the loss on training words over its last ten passes.

end = curves.iloc[-1].unstack("hidden")  # a row a seed
first = histories[: len(end)]
table = end[: len(first)][[narrow, wide]].add_prefix("width ").reset_index()
table["100 passes, lowest"] = [h.best_loss for h in first]
table["at TFLOPs"] = [h.flops[h.best_epoch - 1] / 1e12 for h in first]
last_ten = [np.mean(losses[-10:]) for losses in on_training]
table["training words"] = last_ten[: len(first)]
lead = np.log(end[narrow] / end[wide])
print(f"width {narrow} is ahead for {(lead < 0).sum()} of {len(lead)} seeds")
if full:
    gap = table["100 passes, lowest"] / table["training words"]
    assert (lead < 0).sum() > len(lead) / 2 and end[narrow].median() < end[wide].median()
    assert 6.5 < C / budgets[-1] < 7 and gap.min() > 10
    assert table["100 passes, lowest"].median() < table["width 64"].median()
table.style.hide().format({"training words": "{:.4f}"}, precision=3)

# %%
# Where the sweep ends, the narrower model is ahead for most seeds, and by the medians. The long
# runs have nearly seven times the compute, and the median of their lowest losses is below that of
# the narrower model. The loss of each on words that it has trained on is less than a tenth of that
# on others.
#
# **How to change it.** To spend less: half the width, up to where the sweep ends. To spend as much:
# leave it, as the lines say. Whether half the width would end lower still, no run here says. To end
# lower: more words. Once the training words are known by heart, size and passes have little left to
# learn from. On the large list the gap of the encoder--decoder was :doc:`less than a third
# <four_runs>` of that on the small one.
#
# **What repetition does to the answer.** The lines count every token as new. But :math:`D^*` soon
# exceeds the list, and then it counts passes, :math:`p = D^* / D_1` with :math:`D_1` the tokens of
# one. For language models on repeated text :cite:t:`muennighoff2023` found that :math:`p` passes
# are worth
#
# .. math:: p' = 1 + R\,\bigl(1 - e^{-(p - 1)/R}\bigr)
#    :label: passes-worth
#
# passes over fresh text, with the :math:`R` printed below. Four are nearly as good as fresh text,
# no number is worth more than :math:`1 + R`, and for our words the constant may be another.

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
print(f"R = {R:.2f}; four passes are worth {worth(4):.2f}")
print(f"four passes at 1e15 FLOPs: {needed:,.0f} words [{low:,.0f}, {high:,.0f}]")
print(f"Norvig's list has {known:,}")
if full:
    assert table["passes"].min() > 4 and worth(4) > 3.7
    assert worth(passes_far) > 0.99 * (1 + R) and low < known < needed
style = table.style.hide().format("{:.2g}", subset=["FLOPs", "best tokens"])
style.format("{:,.1f}", subset=["passes", "worth"])

# %%
# Every point of the line is beyond four passes. At :math:`10^{15}` FLOPs it asks for so many that
# they are worth all that passes can be, :eq:`passes-worth`. Four would take more words than the
# list has from which ours are drawn, though the interval does not exclude that it has enough. The
# far end of the line says what would be best if the last pass taught as much as the first.
# :doc:`fresh_words` measures what changes when words come only once.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* to the verdict of their two lines we add that of the runs. *From the
#    paper:* :cite:t:`hoffmann2022` train for less than one pass. *From practice:* a model that is
#    used much is made smaller than the lines advise, because every use costs :math:`N` again.
#
# Summary
# -------
#
# By the two lines the decoder-only run is compute-optimal. By the medians half the width is ahead
# of it wherever the sweep can tell, up to a seventh of its compute. What it is short of is words,
# since it knows its own by heart. The lines cannot see that.
#
# Exercises
# ---------
#
# .. exercise-start:: Tokens for each parameter
#    :label: passes-tokens
#
# *Easy.* A rule of thumb for language models is twenty tokens a parameter. What is the ratio along
# our two lines, at the ends of the sweep and at :math:`10^{15}` FLOPs? Does it grow?
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
