r"""
Repeated or fresh training words in a scaling sweep
===================================================

After this page you can say how often each model of a scaling sweep has read each word, and what
changes when every word is fresh.
"""

import warnings

import numpy as np
import pandas as pd

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.scaling import BUDGETS, sweep
from a3.scaling import compute_optimal, fit_isoflop
from a3.translation.pig_latin import norvig_words, small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
repeated, fresh = sweep("six widths"), sweep("fresh words")
budgets = BUDGETS[:4] if full else sorted(set(fresh["budget"]))[::7]
last = max(budgets)
widths = sorted(set(fresh["hidden"]))


def near(runs, budget):
    """The rows of one budget, whatever the rounding of their grid."""
    return runs[np.isclose(runs["budget"], budget)]


shown = [width for width in widths if width in (16, 32, 64, 128)]
figure, axes = figures.subplots(
    1, len(shown), figsize=(8, 2.8), sharey=True,
    alt="""Validation loss against compute for four widths, log scales, on repeated
    and on fresh words. The two curves of each width fall together at first; at the
    end they have parted, by an amount that differs from width to width.""",
)  # fmt: skip
for ax, width in zip(axes, shown, strict=True):
    for runs, label, style in ((repeated, "repeated", "-"), (fresh, "fresh", "--")):
        of_width = runs[(runs["hidden"] == width) & (runs["budget"] <= 1.001 * last)]
        table = of_width.pivot_table(index="seed", columns="budget", values="loss")
        figures.band(ax, table.columns / 1e12, table.to_numpy(), label, ls=style)
    ax.set(xscale="log", yscale="log", title=f"width {width}", xlabel="TFLOPs")
    ax.set_xticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"])
    ax.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    ax.minorticks_off()
axes[0].set_ylabel("validation loss")
axes[0].legend()

# %% tags=["hide-input"]
# The subject of this page, which is not in the handouts, is the D in a scaling law. Their sweep
# counts a token each time it is read, and reads the same few thousand words again and again. Here
# are four widths, trained on the small list in circles (solid) and on words that do not come twice
# (dashed), and judged on the same held-out words. Lines are medians over seeds, bands their range.
#
# The question
# ------------
#
# .. exercise-start:: What is a token worth the tenth time? (after 2025, 2.3-4; 2023, 3.3-4)
#    :label: fresh-words
#
# The small list has 3,198 words, four fifths of them for training
# :cite:p:`handout2025,handout2023`. How often does each width read each word on its way to a
# budget? Train the same widths on words that come only once, and compare the losses on the same
# held-out words, the best sizes, and the exponents. Which of the handouts' answers were about
# repetition?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Which width reads the words most often at a given budget, the narrowest or the widest? For
#    which would you expect fresh words to help most? In which direction should the best size move?
#
# .. solution-start:: fresh-words
#    :label: fresh-words-answer
#    :class: dropdown

training = Prompts(WordPairs(small_words())).split()[0]
epoch_tokens = int(training.lengths.sum())
read = [near(repeated, C).groupby("hidden")["tokens"].median() for C in budgets]
passes = pd.concat(read, axis="columns") / epoch_tokens
passes.columns = [f"{C / 1e12:.2g} TFLOPs" for C in budgets]
assert passes.iloc[:, -1].is_monotonic_decreasing
gain, MOST = [], 1.7
for C in budgets:
    new, old = (near(runs, C).groupby("hidden") for runs in (fresh, repeated))
    ratio = new["loss"].median() / old["loss"].median()
    gain.append(np.exp(np.log(ratio).mean()))


def line(runs):
    """IsoFLOP optima of runs at the budgets, and the lines through them."""
    at_budgets = pd.concat([near(runs, budget) for budget in budgets])
    columns = ("params", "tokens", "flops", "loss")
    with warnings.catch_warnings(record=True, action="always") as caught:
        fit = fit_isoflop(*columns, data=at_budgets, budgets=budgets, scatter=False)
    said.extend(str(each.message) for each in caught)
    return fit


if full:
    assert 0.9 < gain[0] < 1.1
    assert gain[-1] < 0.95 and gain[-1] < min(gain[:2])
    said = []
    fits = {"repeated": line(repeated), "fresh": line(fresh)}
    moved = fits["fresh"].budgets["params"] / fits["repeated"].budgets["params"]
    assert moved.between(0.6, MOST).all()
    (low, high), (other_low, other_high) = (fit.intervals["a"] for fit in fits.values())
    assert low < other_high and other_low < high
in_short(
    """On its way to {last:.2f} TFLOPs width {narrow} reads each word {many:.0f} times, and width
    {wide} only {few:.0f} times. On fresh words the losses there are {less:.0%} lower, averaged over
    widths; at the first budget the two are within a tenth of each other. Whether repetition has a
    part in the handouts' best sizes and slope, these runs cannot tell: the sizes move by less than
    a factor of {most:.1f} either way, and the intervals of the exponents overlap.""",
    **dict(last=last / 1e12, narrow=widths[0], wide=widths[-1], less=1 - gain[-1]),
    **dict(many=passes.iloc[0, -1], few=passes.iloc[-1, -1], most=MOST),
)

# %% tags=["hide-input"]
# **How often.** A narrow model's token is cheap, so it reads many. The table has the number of
# passes over the training words by the end of each budget.

show(passes.style.format("{:.0f}"))

# %% tags=["hide-input"]
# :cite:t:`muennighoff2023` find for language models that about four passes are nearly as good as
# fresh text, and that the worth of further passes decays (:doc:`repeated_words`). By that measure
# all but the widest models are deep in repetition.
#
# **Fresh words** are the most frequent of Norvig's that the small list does not have, in random
# order, as many as a run can use :cite:p:`norvig2009`. The held-out words, the schedule and the
# batches are as before. The list ends, so the narrowest model comes round to its beginning.

tokens = near(fresh, last).groupby("hidden")["tokens"].median()
others = len(norvig_words()) - len(small_words())
rounds = tokens / epoch_tokens * len(training) / others
print("times round all of Norvig's words, by width:")
print(rounds.round(2).to_string())
assert not full or (rounds < 1).sum() == len(widths) - 1

# %% tags=["hide-input"]
# **What fresh words change**, at the last budget: the median loss on repeated and on fresh words,
# and their ratio.

ends = pd.DataFrame(
    {
        name: near(runs, last).groupby("hidden")["loss"].median()
        for name, runs in (("repeated", repeated), ("fresh", fresh))
    }
)
ends["fresh / repeated"] = ends["fresh"] / ends["repeated"]
ends["passes"] = passes.iloc[:, -1]
show(ends.style.format("{:.3f}").format("{:.0f}", subset="passes"))

# %% tags=["hide-input"]
# By then most widths have gained, though not all by as much, and the seeds of one width lie as far
# apart as the two kinds of words. Averaged over the widths, the gain grows with the budget:

for C, ratio in zip(budgets, gain, strict=True):
    print(f"{C / 1e12:.3g} TFLOPs: fresh over repeated loss {ratio:.2f}")

# %% tags=["hide-input"]
# At the first budget the two averages lie within a tenth of each other, at the last fresh words are
# ahead. One reading is that early on the models are still finding out *how* to copy, which any word
# teaches, and only later learn their words by heart. Two seeds are no test of it.
#
# **The exponents of both**, from the budgets that both have reached, with intervals from the
# residuals of the parabolas (two seeds are too few to be resampled). They take the points of one
# run at several budgets for independent ones, and are too narrow; the fit names a second reason.

if full:
    print(*said, sep="\n")
    for words, fit in fits.items():
        for name, (low, high) in list(fit.intervals.items())[:2]:
            print(f"{words}: {name} = {getattr(fit, name):.2f} ({low:.2f} to {high:.2f})")
        best = compute_optimal(fit, 1e15)
        low, high = best.intervals["params"]
        print(f"{words}: best N at 1e15 FLOPs {best.params:.1e} ({low:.0e} to {high:.0e})")
    print("best sizes, fresh over old:", *(f"{each:.2f}" for each in moved))

# %%
# The best sizes move by less than a factor of 1.7 either way, and the intervals of the exponents
# overlap. That is no proof that nothing changes. Whether repetition has a part in the handouts'
# slope these runs cannot tell; :doc:`tuned_widths` finds something that has.
#
# .. solution-end::
#
# Where this stops being true: at larger budgets. Every pass teaches less than the last, and the
# widest models have made only a few. A budget of 1e15 FLOPs would be spent on the passes that the
# first exercise counts. No line through these points knows what they are worth.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* they train on the small list only. *From Norvig's list:* we take its most
#    frequent words and join short ones with hyphens, as many as in the small list. A model that has
#    never seen a hyphen pays for it on the held-out words, and that would pass for the price of
#    fresh words. *From common practice:* large models see most of their text once.
#
# Summary
# -------
#
# The narrow models of the sweep read each word hundreds of times, the wide ones a few times. At the
# last budget fresh words lower the loss, averaged over the widths. Whether they change it at the
# first, or the best sizes, or the exponents, two seeds cannot tell.
#
# Exercises
# ---------
#
# .. exercise-start:: Passes at the optimum
#    :label: fresh-words-passes
#
# *Easy.* How many passes over the small list are the best numbers of tokens at each budget, and the
# one that the line gives for 1e15 FLOPs?
#
# .. exercise-end::
#
# .. solution-start:: fresh-words-passes
#    :label: fresh-words-passes-answer
#    :class: dropdown
#
# The best number of tokens over the tokens of an epoch.

if full:
    fit = fits["repeated"]
    for C, tokens in fit.budgets[["flops", "tokens"]].to_numpy():
        print(f"{C / 1e12:.2f} TFLOPs: {tokens / epoch_tokens:.0f} passes")
    at_1e15 = compute_optimal(fit, 1e15).tokens / epoch_tokens
    print(f"1e15 FLOPs: {at_1e15:,.0f} passes")
    assert at_1e15 > 100

# %%
# .. solution-end::
#
# .. exercise-start:: How fresh is fresh?
#    :label: fresh-words-alike
#
# *Medium.* A fresh word can still look like an old one. What share of Norvig's 20,000 most frequent
# words that are not in the small list differ from a word in it by one letter at the end?
#
# .. exercise-end::
#
# .. solution-start:: fresh-words-alike
#    :label: fresh-words-alike-answer
#    :class: dropdown
#
# Add a letter to the end, take one away, or change it. Many pairs are a singular and its plural.

small = set(small_words())
stems = {word[:-1] for word in small}
unseen = [word for word in norvig_words()[:20_000] if word not in small]
near_small = small | stems
alike = np.mean([word[:-1] in near_small or word in stems for word in unseen])
print(f"{alike:.0%} of them")
assert 0.05 < alike < 0.95

# %%
# .. solution-end::
#
# .. exercise-start:: What a seed is worth
#    :label: fresh-words-seeds
#
# *Hard.* At the last budget, is the difference between fresh and repeated words larger than that
# between seeds? Compare it with the standard deviation over seeds, width by width.
#
# .. exercise-end::
#
# .. solution-start:: fresh-words-seeds
#    :label: fresh-words-seeds-answer
#    :class: dropdown
#
# The difference of the mean log losses, over its standard error from the spread of the seeds. Few
# widths alone are beyond two standard errors; that is why the text averages over them.

log_losses = [
    np.log(near(runs, last).set_index("hidden")["loss"]).groupby("hidden")
    for runs in (fresh, repeated)
]
error = np.sqrt(sum(each.var() / each.size() for each in log_losses))
beyond = (log_losses[0].mean() - log_losses[1].mean()) / error
print(beyond.round(1).to_string())
assert not full or (abs(beyond) > 2).sum() < len(widths) / 2

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
