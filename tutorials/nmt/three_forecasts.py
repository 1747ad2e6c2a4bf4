r"""
Three scaling-law fits, three forecasts
=======================================

After this page you can extend a set of runs by three methods, and say what the interval of such a
forecast holds and what it leaves out.
"""

import warnings

import numpy as np
import pandas as pd
from scipy import stats

from a3.lab import figures
from a3.lab.elsewhere import elsewhere
from a3.lab.environment import profile
from a3.lab.intervals import student
from a3.lab.page import in_short, show
from a3.runs.scaling import sweep
from a3.scaling import compute_optimal, fit_isoflop, fit_parametric

full = profile() == "full"
runs = sweep("six widths to fit")
budgets = runs["budget"].max() / 2.0 ** np.arange(4, -1, -1)
at = runs[runs["budget"].isin(budgets)]
FAR = 1e15
C = np.geomspace(budgets[0], FAR, 200)
kappa = stats.gmean(at["flops"] / (at["params"] * at["tokens"]))  # C = kappa N D


def parabolas_of(data, **options):
    options |= {"budgets": budgets, "scatter": False}  # intervals over the seeds alone
    return fit_isoflop("params", "tokens", "flops", "loss", data=data, **options)


def envelope_of(data):
    """Slope and intercept of the line through the lowest curves, a row a seed."""
    lowest = data.loc[data.groupby(["seed", "budget"])["loss"].idxmin()]
    logs = np.log(lowest[["budget", "params"]]).groupby(lowest["seed"])
    return np.array([np.polyfit(*own.to_numpy().T, 1) for _, own in logs])


def over_seeds(values):
    """Mean of the values of all seeds, and its interval by Student's t."""
    mean, reach = np.mean(values, axis=0), student(len(values)) * np.std(values, axis=0, ddof=1)
    return mean, mean - reach, mean + reach


parabolas = parabolas_of(at, group="seed")
with warnings.catch_warnings(record=True, action="always") as complaints:
    law = fit_parametric("params", "tokens", "loss", data=at, group="seed", bootstrap=200)
envelope = envelope_of(runs[runs["budget"] >= budgets[0]])  # (seeds, 2)

a, N = {}, {}  # of each method: estimate, low end, high end; of N at all C
for name, fit in {"parabolas": parabolas, "fitted law": law}.items():
    best = compute_optimal(fit, C, per_token=kappa)
    a[name] = fit.a, *fit.intervals["a"]
    N[name] = best.params, *best.intervals["params"]
a["envelope"] = over_seeds(envelope[:, 0])
N["envelope"] = np.exp(over_seeds(envelope @ [np.log(C), np.ones_like(C)]))

figure, ax = figures.subplots(
    figsize=(8, 3.3),
    alt="""Best number of parameters against compute by three methods, log scales.
    They are within a factor of two where the runs are. Far beyond, the parabolas' line
    is more than twice the fitted law's and outside its band; the envelope's holds both.""",
)
ax.axvspan(budgets[0], budgets[-1], color="#888888", alpha=0.2, lw=0)
for (name, (best, low, high)), style in zip(N.items(), ("-", "--", ":"), strict=True):
    (line,) = ax.loglog(C, best, style, lw=2, label=name)
    edges = dict(fc="none", ls=":") if name == "envelope" else dict(alpha=0.25, lw=0)
    ax.fill_between(C, low, high, **{"color": line.get_color()} | edges)
found = parabolas.budgets[["flops", "params"]].dropna().to_numpy().T
ax.plot(*found, "o", color=figures.COLORS[0])
ax.set(xlabel="compute (FLOPs)", ylabel="best number of parameters", ylim=(5e3, 3e7))
ax.legend(loc="upper left")

# %% tags=["hide-input"]
# One set of runs, six widths and five seeds, and three ways to extend it to :math:`10^{15}` FLOPs.
# The runs end where the grey strip ends. The points are the lowest points of parabolas in
# :math:`\ln N`, one a budget. Bands, the envelope's within dotted edges, are 95 % intervals over
# the seeds.
#
# The question
# ------------
#
# .. exercise-start:: Another method (after 2025, 2.3-3; 2023, 3.3-3)
#    :label: three-forecasts
#
# The handouts draw a line through the lowest points of parabolas, and :doc:`extrapolation` reads it
# at :math:`10^{15}` FLOPs :cite:p:`handout2025,handout2023`. It is one of the three approaches of
# :cite:t:`hoffmann2022`. What do the other two say of the same runs, and which is right?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Which of the three methods uses the loss only to find which size is lowest? Which of them can
#    notice that it does not fit?
#
# .. solution-start:: three-forecasts
#    :label: three-forecasts-answer
#    :class: dropdown

ends = [[values[-1] for values in of_method] for of_method in N.values()]
names = ["a", "a, low", "a, high", "N at 1e15", "N, low", "N, high"]
table = pd.DataFrame(np.hstack([list(a.values()), ends]), list(N), names)
residual = law.runs["residual"].groupby(at["budget"].to_numpy()).mean()
if full:
    (N_line, low, high), (N_law, _, high_law), (_, lowest, highest) = ends
    assert N_law < N_line / 2 and N_law < 1.2 * low and high_law < N_line
    assert highest / lowest > 2 * high / low  # the envelope promises less
    assert lowest < N_law < N_line < highest
    assert any("E vanishes" in str(each.message) for each in complaints)
    lines = np.array([best for best, _, _ in N.values()])[:, budgets[-1] >= C]
    assert (lines.max(axis=0) < 2 * lines.min(axis=0)).all()
    assert law.rms > 0.2 and residual.iloc[0] < -0.1 < 0.1 < residual.iloc[-1]
    kaplan, hoffmann = elsewhere("exponent a of the best size")["value"]
    assert a["parabolas"][1] < hoffmann and abs(a["parabolas"][2] - kaplan) < 0.1
    assert a["fitted law"][2] < hoffmann < kaplan
in_short(
    """The parabolas give {line:.1f} million parameters and the fitted law {law:.1f} million, less
    than half; the envelope's interval, from {low:.1f} to {high:.1f} million, holds both. None of
    our runs can say which is right: the intervals are over seeds, and none covers the choice of
    method. The law at least says that it does not fit, since its losses are too low at small
    budgets and too high at large ones.""",
    **dict(
        line=ends[0][0] / 1e6, law=ends[1][0] / 1e6, low=ends[2][1] / 1e6, high=ends[2][2] / 1e6
    ),
)

# %% tags=["hide-input"]
# **The methods.** *Parabolas* are those of :doc:`isoflop`. The *envelope* takes, at each compute,
# the size whose curve is lowest, seed by seed, and fits a line to their logarithms. The *fitted
# law* is :math:`L = E + A/N^\alpha + G/D^\beta`, with the best split that
# :doc:`/resources/size_and_data` derives from it.

print("fitted law:", *(each.message for each in complaints))
print("law minus run, by budget:", *(f"{each:+.2f}" for each in residual))
if full:
    print(f"Published exponents: {kaplan:.2f}, {hoffmann:.2f}")
show(table.style.format(precision=3).format("{:.1e}", subset=names[3:]))

# %%
# The forecasts of the first two lie near or beyond the ends of each other's intervals: these speak
# of seeds, and neither knows of the other method. The envelope promises little.
#
# **The law itself says that it does not fit.** Its losses are too low at small budgets and too high
# at large ones: the curves fall slowly at first and then all at once, which a sum of two powers
# cannot. Where a law does not hold, its interval :doc:`often misses the truth <planted_methods>`.
# And the last parabola promises a loss that :doc:`no width has <isoflop>`.
#
# So the answer to the handouts' question is the number of their own method, with a wide interval
# that seeds alone account for, and less than half of it by the fitted law. So far from the data
# none of our runs can say which is right. Nor do they decide between the exponents of
# :cite:t:`kaplan2020`, the larger, and :cite:t:`hoffmann2022`: the parabolas' interval holds the
# smaller and ends near the larger, and the law finds both too high.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* they have one of the three methods, and one seed. *From the papers:*
#    theirs are language models, on fresh text. :cite:t:`hoffmann2022` find that the approaches
#    nearly agree, :cite:t:`besiroglu2024` that the third had not converged. *From practice:*
#    before a large run, a forecast is checked on runs in between.
#
# Summary
# -------
#
# The interval of a forecast knows of seeds only: another method gave another forecast from the same
# runs, near the end of that interval or beyond it. Residuals say where a law does not fit. Nothing
# within the runs says how a line goes on.
#
# Exercises
# ---------
#
# .. exercise-start:: How many seeds?
#    :label: isoflop-seeds
#
# *Medium.* The mean losses of two widths are :math:`\delta` apart, and seeds scatter by
# :math:`\sigma`. How many seeds of each does it take to find the difference, at the 5 % level, in
# four cases of five? How many to tell width 32 from 48?
#
# .. exercise-end::
#
# .. solution-start:: isoflop-seeds
#    :label: isoflop-seeds-answer
#    :class: dropdown
#
# The difference of two means of :math:`n` seeds has the standard error :math:`\sigma\sqrt{2/n}`. It
# is found if it exceeds :math:`z_{0.975}` of these, which happens in four cases of five if
# :math:`\delta` is :math:`z_{0.975} + z_{0.8}` of them. So
# :math:`n = 2\,(z_{0.975} + z_{0.8})^2\, \sigma^2 / \delta^2`, which five seeds give only roughly.

z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
pair, needed = (32, 48) if full else (8, 16), []
for budget, own in at.groupby("budget"):
    one, other = (own["loss"][own["hidden"] == width] for width in pair)
    variance, delta = (one.var() + other.var()) / 2, one.mean() - other.mean()
    needed.append(2 * z**2 * variance / delta**2)
    print(f"{budget / 1e12:.3g} TFLOPs: {np.ceil(needed[-1]):,.0f} seeds of each")
assert not full or max(needed) > 10

# %%
# .. solution-end::
#
# .. exercise-start:: One seed
#    :label: extrapolation-seed
#
# *Medium.* The handouts train each width once. What would each of the five seeds alone have
# forecast? Is the spread what the interval from all of them promises?
#
# .. exercise-end::
#
# .. solution-start:: extrapolation-seed
#    :label: extrapolation-seed-answer
#    :class: dropdown
#
# No. Single seeds differ by more than a factor of five, and the mean of the five logarithms has a
# wider interval than the line. So pool the seeds before you look for the lowest point.

by_seed = [parabolas_of(own, bootstrap=0) for _, own in at.groupby("seed")]
single = np.array([compute_optimal(fit, FAR).params for fit in by_seed])
mean, low_mean, high_mean = np.exp(over_seeds(np.log(single)))
print("parameters:", *(f"{each:.1e}" for each in single))
print(f"mean of the logarithms: {mean:.1e} [{low_mean:.1e}, {high_mean:.1e}]")
assert not full or (single.max() > 5 * single.min() and high_mean / low_mean > high / low)

# %%
# .. solution-end::
#
# .. exercise-start:: More seeds, or one more budget?
#    :label: extrapolation-budget
#
# *Hard.* Twice the compute buys ten seeds in place of five, or one more budget, twice the largest.
# Let the errors of the points be independent and equal. Which narrows the forecast more? And with
# four or eight times the compute? What does the comparison miss?
#
# .. exercise-end::
#
# .. solution-start:: extrapolation-budget
#    :label: extrapolation-budget-answer
#    :class: dropdown
#
# Only the largest budget is paid for: the smaller ones are on the way. Seeds divide the error by
# the square root of their number; a budget lengthens the line and brings its end nearer. Seeds are
# ahead by less than a third, but narrow only what the interval holds. A longer line has less to go.
# The error of the forecast is :math:`\sqrt{\sum_i w_i^2}` times that of a point, with the weights
# of :eq:`extrapolation-weights`.


def error(x):
    d, far = x - x.mean(), np.log(FAR) - x.mean()
    return np.sqrt(1 / len(x) + far**2 / (d @ d))


x = np.log(found[0])
for k in (1, 2, 3):
    longer = np.append(x, x[-1] + np.log(2) * np.arange(1, k + 1))
    line, seeds = error(longer) / error(x), 2 ** (-k / 2)
    print(f"{2**k} times the compute: {line:.2f} or {seeds:.2f} by seeds")
    assert seeds < line < 1.3 * seeds

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
