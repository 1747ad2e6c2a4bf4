r"""
Tuning the learning rate of each width: scaling or tuning?
==========================================================

After this page you can tell what a best size measures: how models grow, or how well one shared
:term:`learning rate` happens to suit each of them.
"""

import warnings

import numpy as np
import pandas as pd

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.scaling import BUDGETS, sweep
from a3.scaling import find_optimal_params, fit_isoflop

full = profile() == "full"
budgets = [C if full else C / 128 for C in BUDGETS[:3]]
LOW, MIDDLE, HIGH = RATES = (5e-4, 2e-3, 8e-3)

runs = pd.concat([sweep("six widths"), sweep("higher rates")])  # the first at LOW
runs = runs.rename(columns={"learning_rate": "rate"})
runs = runs[runs["budget"].isin(budgets)].reset_index(drop=True)
shared = runs[runs["seed"].isin((0, 1))]  # the seeds that all rates have
widths = shared["hidden"].unique()

mean = shared.pivot_table("loss", ["budget", "hidden"], "rate")
best = mean.idxmin(axis="columns").rename("best rate")
tuned = shared.join(best, on=["budget", "hidden"]).query("rate == `best rate`")

figure, ax = figures.subplots(
    figsize=(8, 3.3),
    alt="""Validation loss against width at 0.32 TFLOPs, log scales, a line for each of three
    learning rates. At the lowest rate the narrowest model is worst. At the highest the two
    narrowest are best, and the two widest far worst. The lower envelope rises with width.""",
)
ax.plot(
    widths, mean.loc[budgets[-1]].min(axis="columns"), color="#888888", alpha=0.4,
    lw=9, solid_capstyle="round", label="best rate of each width",
)  # fmt: skip
at_last = runs[runs["budget"] == budgets[-1]]
for rate, style, mark in zip(RATES, ("-", "--", ":"), "os^", strict=True):
    own = at_last[at_last["rate"] == rate]
    median = own.groupby("hidden")["loss"].median()
    (line,) = ax.plot(median, style, label=f"rate {rate:g}")
    ax.plot(own["hidden"], own["loss"], mark, ms=4, alpha=0.6, color=line.get_color())
ax.set(xscale="log", yscale="log", xlabel="width", ylabel="loss (nats per token)")
ax.set_xticks(widths, widths)
ax.minorticks_off()
ax.legend()

# %% tags=["hide-input"]
# Decoder-only models of six widths, trained on the small word list until each has spent
# 0.32 TFLOPs, at the handouts' learning rate and at four and sixteen times that rate. Lines are
# medians over the seeds, marks are single seeds. The grey line follows the best of the three rates
# for each width. At the handouts' rate the narrowest model is the worst of the six.
#
# The question
# ------------
#
# .. exercise-start:: A rate for each width (after 2025, 2.3-2, 2.3-3; 2023, 3.3-2, 3.3-3)
#    :label: tuned-widths-rate
#
# The handouts find the best size for each budget with one learning rate for all sizes, and read
# off how the best size grows :cite:p:`handout2025,handout2023`. Give each width the best of three
# rates. Which sizes are best now, and what is left of the slope?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Read the lowest point of each line off the figure. Which size would be best if all models
#    shared the middle rate? Which widths does the handouts' rate happen to suit?
#
# .. solution-start:: tuned-widths-rate
#    :label: tuned-widths-rate-answer
#    :class: dropdown

first = tuned.groupby(["budget", "seed"])["loss"].idxmin()
median = at_last.pivot_table("loss", "rate", "hidden", aggfunc="median")
last = shared[shared["budget"] == budgets[-1]]
last = last.pivot_table("loss", ["hidden", "seed"], "rate")
if full:
    assert (mean[MIDDLE] < mean[LOW]).all()
    assert (last[HIGH] < last[MIDDLE]).loc[:48].all()  # both seeds
    assert (last[HIGH] > last[MIDDLE]).loc[96:].all()
    assert median.loc[LOW].idxmax() == 16  # of five seeds
    assert median.loc[HIGH].rank()[16] <= 2
    assert tuned.loc[first, "hidden"].isin([16, 32]).all()

sets = {"handouts, five seeds": runs[runs["rate"] == LOW]}
sets |= {f"rate {rate:g}": shared[shared["rate"] == rate] for rate in RATES}
sets |= {"best rates": tuned}
names = ("params", "tokens", "flops", "loss")
fits, rows, warned = {}, {}, []
for name, data in sets.items() if full else ():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = fits[name] = fit_isoflop(*names, data=data, budgets=budgets, scatter=False)
    last = fit.budgets[["params_low", "params_high"]].iloc[-1]
    rows[name] = [*fit.budgets["params"], *last, fit.a, *fit.intervals["a"]]
    warned += [f"{name}: {warning.message}" for warning in caught]
columns = ["N* at 0.08", "at 0.16", "at 0.32", "low", "high"]
columns += ["slope a", "a low", "a high"]
sizes = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
if full:
    optima = fits["best rates"].budgets
    at_last, low = sizes["at 0.32"], sizes["a low"]
    assert sizes["low"]["rate 0.0005"] > 1.5 * sizes["high"]["best rates"]
    assert at_last["rate 0.0005"] > 1.5 * at_last["rate 0.002"]
    assert low["handouts, five seeds"] > 0 > low["rate 0.002":].max()
    assert sizes["a high"]["rate 0.002":].min() > 0
    assert not optima["bound"].str.contains(">").any()  # where a size is missing, it is too small
    assert optima["params"].max() < runs.loc[runs["hidden"] == 32, "params"].iloc[0]
    assert fits["rate 0.008"].budgets["loss"].min() < 0
moved = rows["rate 0.0005"][2] / rows["best rates"][2] if full else np.nan
in_short(
    """With the best of three rates for each width, one of the two narrowest models leads at every
    budget, in either seed, and the best size at the last budget is {moved:.1f} times smaller than
    at the handouts' rate. Of the slope little is left: its interval holds zero at each of the
    higher rates and with the best of the three, so no exponent can be given.""",
    moved=moved,
)

# %% tags=["hide-input"]
# **The best rates** by the mean loss over two seeds, and what they are worth: the loss at the
# handouts' rate divided by the loss at the best.

parts = {"best rate": best, "gain": mean[LOW] / mean.min(axis="columns")}
table = pd.concat(parts, axis="columns").unstack("budget")
table.index = [f"width {H}" for H in table.index]
table = table.rename(columns=lambda C: f"{C / 1e12:.3g}", level=1)
table = table.rename_axis([None, "TFLOPs"], axis="columns")
show(table.style.format("{:g}").format("{:.1f}", subset=["gain"]))

# %% tags=["hide-input"]
# The handouts' rate is never the best. It costs the narrow models most, and that reorders the
# field: at 0.32 TFLOPs width 16 moves from last place to one of the first two. With the best rates
# one of the two narrowest leads at every budget, in either seed.
#
# **The best sizes** at 0.08, 0.16 and 0.32 TFLOPs, from each rate alone and from the best rates.
# Intervals redraw the residuals of the parabolas as if they were independent. Those of one run at
# several budgets are not, so the intervals are too narrow.

print(*warned, sep="\n")
show(sizes.style.format("{:,.0f}", na_rep="too small").format("{:.2f}", subset=columns[-3:]))

# %%
# At 0.32 TFLOPs tuning makes the best size several times smaller, and the two intervals are far
# apart. The middle rate, shared by all, does nearly as much. Of the slope little is left. With five
# seeds at the handouts' rate its interval lies above 0. At each of the higher rates, and with the
# best of the three, it holds 0. **No exponent can be given.**
#
# Even the best sizes of the last row are hardly more than bounds. They lie below the second
# narrowest width, and in some resamples, if not in all, below the narrowest. Fitted to the
# logarithms of the losses, some fall below all sizes: :ref:`an exercise <tuned-widths-bound>` shows
# it. At the highest rate a parabola even reaches a *negative* loss, which no model has: over so
# wide a range the profile is no parabola. To bracket the optimum, the grid needs widths below 16,
# and for narrow models rates above the highest.
#
# The rates were chosen by the very losses that we report, which is optimistic.
# :ref:`Another exercise <tuned-widths-luck>` bounds by how much: less than a tenth. Not all that
# the narrow models lose at the handouts' rate is due to where it starts. That it falls with every
# epoch takes its share, as :doc:`schedules` shows.
#
# .. solution-end::
#
# Why a wide model wants a lower rate than a narrow one is the subject of :doc:`wide_steps`.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* three rates in place of one, the new ones with two seeds; models, data and
#    decay are theirs. *From Hoffmann et al.:* their rates fall with size :cite:p:`hoffmann2022`.
#    *From common practice:* the rate is tuned on a finer grid for each size, or carried from size
#    to size. Porian et al. find tuning to be one of three causes of the gap between two published
#    scaling laws :cite:p:`porian2024,kaplan2020`.
#
# Summary
# -------
#
# At the handouts' learning rate the narrow models are tuned worst, so the best size looks larger
# than it is. With the best of three rates for each width the two narrowest lead at every budget,
# and no exponent can be given. A fair comparison of sizes tunes the rate of each, and its grid
# holds the optimum, of size and of rate, well inside.
#
# Exercises
# ---------
#
# .. exercise-start:: A bound for a number
#    :label: tuned-widths-bound
#
# *Easy.* Losses that differ by a factor of ten pull at a parabola unevenly. Fit the logarithms of
# the losses at the best rates instead. What does :func:`a3.scaling.fit_isoflop` say?
#
# .. exercise-end::
#
# .. solution-start:: tuned-widths-bound
#    :label: tuned-widths-bound-answer
#    :class: dropdown
#
# It names each budget whose lowest point is below the smallest size. There only a bound is known.
# If fewer than two budgets are left, it refuses to draw a line.

try:
    logs = tuned.assign(loss=np.log(tuned["loss"]))
    fit = fit_isoflop(*names, data=logs, budgets=budgets)
    left_out = [f"{what}: {why}" for what, why in fit.left_out]
except ValueError as error:
    left_out = str(error).split("; ")
print("\n".join(left_out))
assert not full or "outside the sizes tried: <" in "".join(left_out)

# %%
# .. solution-end::
#
# .. exercise-start:: Was the choice of rates luck?
#    :label: tuned-widths-luck
#
# *Medium.* The lowest of three losses on held-out words is low partly by chance. The two seeds hold
# out different words. Use that to measure how much too low it is.
#
# .. exercise-end::
#
# .. solution-start:: tuned-widths-luck
#    :label: tuned-widths-luck-answer
#    :class: dropdown
#
# Choose the rate with one seed and read the loss of the other, which had no part in the choice. The
# seeds nearly always agree, because rates differ by far more than seeds do.

by_seed = shared.pivot_table("loss", ["budget", "hidden"], ["seed", "rate"])
choice = {seed: by_seed[seed].idxmin(axis=1) for seed in (0, 1)}
lowest = {seed: by_seed[seed].min(axis=1) for seed in (0, 1)}
logs = [
    np.log(by_seed[seed].loc[cell, rate] / lowest[seed][cell])
    for seed in (0, 1)
    for cell, rate in choice[1 - seed].items()
]
optimism, agree = np.expm1(np.mean(logs)), (choice[0] == choice[1]).sum()
apart = float(np.exp(np.log(lowest[0] / lowest[1]).abs().median()))
ratio = float((mean.max(axis=1) / mean.min(axis=1)).median())
print(
    f"both seeds choose one rate in {agree} of {len(mean)} cases\n"
    f"losses at the other seed's choice are {optimism:.1%} higher on average\n"
    f"in the median, seeds differ by a factor of {apart:.2f}, "
    f"rates by {ratio:.1f}"
)
assert not full or (optimism < 0.1 and apart < ratio / 2)

# %%
# .. solution-end::
#
# .. exercise-start:: Between the rates
#    :label: tuned-widths-between
#
# *Hard.* Three rates a factor of four apart are a coarse grid. Put a parabola in the log rate
# through the log losses of each width at the last budget. Where is its lowest point, and at which
# widths is that known?
#
# .. exercise-end::
#
# .. solution-start:: tuned-widths-between
#    :label: tuned-widths-between-answer
#    :class: dropdown
#
# :func:`a3.scaling.find_optimal_params` does not mind whether it is given sizes or rates; its
# message takes them for sizes. The best rate of the two narrowest models is above the highest
# tried: known as a bound. Those of the two widest are several times lower.

found = {}
for hidden, losses in mean.loc[budgets[-1]].iterrows():
    try:
        found[hidden] = find_optimal_params(RATES, np.log(losses))
        print(f"width {hidden}: {found[hidden]:.4f}")
    except ValueError as error:
        print(f"width {hidden}: {error}")
if full:
    assert not {16, 32} & set(found)
    assert max(found[96], found[128]) < 0.4 * HIGH

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
