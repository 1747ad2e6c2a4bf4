r"""
IsoFLOP profiles: the best model size for each budget
=====================================================

After this page you can find the best size for a budget of compute from a handful of runs, with an
interval, and say what that interval leaves out.
"""

import numpy as np
import pandas as pd
from scipy import stats

from a3 import scaling
from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.live import Arrays
from a3.lab.page import show
from a3.runs.scaling import sweep
from a3.scaling.figures import isoflop_profiles

full = profile() == "full"
curves = sweep("six widths for profiles")
budgets = curves["budget"].max() / 2.0 ** np.arange(4, -1, -1)
runs = curves[curves["budget"].isin(budgets)]

names = ("params", "tokens", "budget", "loss")
fit = scaling.fit_isoflop(*names, data=runs, group="seed", budgets=budgets, scatter=False)
best = fit.budgets
figure = isoflop_profiles(fit)
figure.set_size_inches(8, 3.3)
figure.set_label(figure.get_label() + " Bars are intervals over the seeds.")
figure.axes[0].errorbar(
    best["params"], best["loss"], fmt="none", color=figures.COLORS[1], capsize=3,
    xerr=abs(best[["params_low", "params_high"]].T - best["params"]),
)  # fmt: skip
show(Arrays("isoflop", {"runs": runs[["hidden", "seed", "params", "budget", "loss"]]}))

# %%
# .. live-figure:: isoflop
#
# The runs are those of :doc:`the page before <equal_compute>`: six widths, five seeds, cut at five
# budgets. At each budget a parabola is fitted to all runs, in the logarithm of the number of
# parameters. Stars are the lowest points; a table has their 95 % intervals over the seeds.
#
# The question
# ------------
#
# .. exercise-start:: The best size for a budget (2025, 2.3-2; 2023, 3.3-2)
#    :label: s2
#
# Cut the loss curves at the handouts' five budgets, 0.08 to 1.28 TFLOPs. Write
# ``find_optimal_params``: fit the losses at one budget by a quadratic in the logarithm of the
# number of parameters, and return the size at its lowest point :cite:p:`handout2025,handout2023`.
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Why should there be a lowest point at all? Why the logarithm? Which sign must the leading
#    coefficient have, and where may the lowest point lie for the answer to mean anything?
#
# .. solution-start:: s2
#    :label: s2-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short with-code
#
#    Fit :math:`p_0 z^2 + p_1 z + p_2` to the losses by least squares, with
#    :math:`z = \log_{10} N`. Its derivative is zero at :math:`z = -p_1 / (2 p_0)`, which is the
#    lowest point if :math:`p_0 \gt 0`. In the notebook ``x`` has the numbers of parameters and
#    ``y`` the losses of all models at one budget.


def find_optimal_params(x, y):
    p = np.polyfit(np.log10(x), y, 2)
    optimal_params = 10 ** (-p[1] / (2 * p[0]))
    return p, optimal_params


# %%
# **Why there is a lowest point.** Suppose that the loss is a floor, a price of few parameters and a
# price of few tokens, :math:`E + A N^{-\alpha} + B D^{-\beta}` with positive constants
# :cite:p:`hoffmann2022`, and that :math:`D` is proportional to :math:`C / N`, as it
# :doc:`nearly is <counting>`. At fixed :math:`C`, with :math:`x = \ln N` and a constant :math:`B'`,
#
# .. math::
#    :label: isoflop-valley
#
#    \ell(x) = E + A e^{-\alpha x} + B' e^{\beta x}, \qquad
#    \ell''(x) = \alpha^2 A e^{-\alpha x} + \beta^2 B' e^{\beta x} \gt 0 .
#
# One price falls, the other rises, and the sum is convex, so it has exactly one lowest point
# :math:`x^*`. There the first derivative is zero, and Taylor's series
# :math:`\ell(x^*) + \tfrac12 \ell''(x^*)\,(x - x^*)^2 + \dots` begins as a parabola. In :math:`N`
# itself it would, too; we take the logarithm because sizes are spaced by factors.
#
# **Where it is.** Choose :math:`c_0, c_1, c_2` by least squares over all runs of one budget, and
# complete the square:
#
# .. math::
#    :label: isoflop-parabola
#
#    \ell \approx c_0 + c_1 x + c_2 x^2
#    = c_2 \Bigl(x + \frac{c_1}{2 c_2}\Bigr)^2 + c_0 - \frac{c_1^2}{4 c_2} .
#
# If :math:`c_2 \gt 0` the square is best made zero:
#
# .. math::
#    :label: isoflop-vertex
#
#    N^* = \exp\Bigl(-\frac{c_1}{2 c_2}\Bigr), \qquad
#    \ell^* = c_0 - \frac{c_1^2}{4 c_2} .
#
# If :math:`c_2 \le 0` there is no lowest point, and one beyond the sizes tried is only a bound;
# :func:`a3.scaling.find_optimal_params` refuses both. Otherwise it agrees with the lines above:
# another base of the logarithm stretches the axis and does not move the size.
# :func:`a3.scaling.fit_isoflop` fits all budgets, and draws whole seeds anew for intervals:

sizes = runs.groupby("hidden")["params"].first()
for C, at in runs.groupby("budget"):
    p, N = find_optimal_params(at["params"], at["loss"])
    of_fit = best["params"][best["flops"] == C].item()
    ours = scaling.find_optimal_params(at["params"], at["loss"])
    assert p[0] > 0 and np.allclose([ours, of_fit], N, rtol=1e-9, atol=0)
    below, above = sizes.index[sizes.searchsorted(N) + [-1, 0]]
    print(f"{C / 1e12:.3g} TFLOPs: N* = {N:,.0f}, between widths {below} and {above}")
low, high = fit.intervals["a"]
print(f"N* grows as C to the power {fit.a:.2f}, over the seeds {low:.2f} to {high:.2f}")
assert not full or (best["params"].is_monotonic_increasing and low > 0.2)

# %%
# .. solution-end::
#
# Is it a parabola?
# -----------------
#
# At one budget let :math:`\ell_{wi}` be the loss of seed :math:`i` of
# :math:`S` at width :math:`w` of :math:`W`, :math:`\bar\ell_w` the mean over the seeds, and
# :math:`\hat\ell_w` the parabola. The seeds' *scatter* :math:`\hat\sigma` and the *misfit*
# :math:`F` are
#
# .. math::
#    :label: isoflop-misfit
#
#    \hat\sigma^2 = \frac{\sum_{w,i} (\ell_{wi} - \bar\ell_w)^2}{W(S-1)}, \qquad
#    F = \frac{S \sum_w (\bar\ell_w - \hat\ell_w)^2}{(W - 3)\, \hat\sigma^2} .
#
# If the parabola is true, both parts of :math:`F` estimate one variance and :math:`F` is about 1;
# :math:`p` is the chance of one as large or larger. *Rise* is how far the parabola climbs from its
# lowest point to the nearer end. The last column leaves out one width at a time.


def optimum(at):
    try:
        return scaling.find_optimal_params(at["params"], at["loss"])
    except ValueError:  # it says which
        return np.nan


rows, moved = [], []
for i, at in fit.runs.groupby("budget"):
    of_width = at.groupby("params")["loss"]
    mean, W, S = of_width.mean(), len(of_width), len(at) / len(of_width)
    parabola = np.polyval(fit.parabolas[i, ::-1], np.log(mean.index))
    scatter = np.sqrt(of_width.var().mean())
    F = S * ((mean - parabola) ** 2).sum() / (W - 3) / scatter**2
    ends = np.log(mean.index[[0, -1]] / best["params"][i])
    moved.append([optimum(at[at["params"] != N]) for N in mean.index])
    over = of_width.max() < parabola  # above every seed of the width
    row = {"TFLOPs": best["flops"][i] / 1e12, "rise": fit.parabolas[i, 2] * min(ends**2)}
    row |= {"scatter": scatter, "F": F, "p": stats.f.sf(F, W - 3, W * (S - 1))}
    row |= dict(zip(("N*", "low", "high"), best.filter(like="params").loc[i], strict=True))
    less = f"{np.nanmin(moved[i]):,.0f} to {np.nanmax(moved[i]):,.0f}"
    rows.append(row | {"one width less": less})
table, whole = pd.DataFrame(rows), dict.fromkeys(("N*", "low", "high"), "{:,.0f}")
show(table.style.hide().format(whole, precision=3))

# %% tags=["hide-input"]
# A number for each budget: how far leaving out a width moves the best size, over the width of its
# interval (both as logarithms of a ratio), and how far the parabola rises over the seeds' scatter.

wide = np.log(table["high"] / table["low"])
spread = np.log(np.nanmax(moved, axis=1) / np.nanmin(moved, axis=1)) / wide
star, depth = best["loss"].iloc[-1], table["rise"] / table["scatter"]
print(f"loss of the last star {star:.3f}, lowest mean {mean.min():.3f}")
print("one width less over interval:", *(f"{each:.1f}" for each in spread))
print("rise over scatter:", *(f"{each:.1f}" for each in depth))
if full:
    assert depth[0] < min(1.5, depth[1:].min())
    assert (table["p"][:3] > 0.05).all() and (table["p"][3:] < 0.05).all()
    assert over.iloc[1] and star < mean.min()  # width 32
    assert np.ptp(mean[1:]) < 0.5 * (mean.iloc[0] - mean[1:].max())
    assert spread[4] > 1

# %%
# **At the small budgets the seeds decide.** The misfit is of the size that their scatter would give
# by itself, which is no proof of a parabola. And the first valley is shallow beside the scatter,
# which makes its lowest point uncertain.
#
# **At the largest budget the parabola is wrong.** By the misfit it is doubtful one budget before.
# The narrowest width lies high above the others, which are close together in comparison. To reach
# it, the parabola passes above every seed of width 32 and then dips too low: the star promises a
# loss that no width has on average.
#
# **The intervals know of seeds only.** Leaving out one of the six widths moves the last optimum
# further than its interval is wide. Read a star as the best size *for this grid of widths*.
#
# **Losses between epochs.** The course's notebook has one loss an epoch, and puts a polynomial of
# degree 5 in the FLOPs through each curve to read it at the budgets. Put through ours, it moves no
# optimum by more than a tenth:


def polynomial(curve):
    return np.polynomial.Polynomial.fit(curve["flops"], curve["loss"], 5)(budgets)


smooth = [polynomial(curve) for _, curve in curves.groupby(["params", "seed"])]
on_sizes = curves.groupby(["params", "seed"]).first().index.get_level_values("params")
read = [find_optimal_params(on_sizes, loss)[1] for loss in np.transpose(smooth)]
print("by the polynomial:", *(f"{each:,.0f}" for each in read))
assert not full or np.abs(read / best["params"] - 1).max() < 0.1

# %%
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* five seeds and an interval in place of one run, every width at every
#    budget, and losses measured there. *From the paper:* a run here serves all budgets, with the
#    same learning rates; there each had a schedule that ended at its budget
#    :cite:p:`hoffmann2022`. *From common practice:* which parameters and FLOPs are counted moves
#    such optima, too :cite:p:`porian2024,pearce2024`.
#
# Summary
# -------
#
# At equal compute the loss is a valley in :math:`\ln N`, and near its bottom a parabola,
# :eq:`isoflop-parabola`, with the lowest point :eq:`isoflop-vertex`. Here the best size grows with
# the budget. Seeds make the first optima uncertain; the last parabola does not fit.
#
# Exercises
# ---------
#
# .. exercise-start:: One seed
#    :label: isoflop-one-seed
#
# *Easy.* Find the optima from each seed alone. How far apart are they at each budget?
#
# .. exercise-end::
#
# .. solution-start:: isoflop-one-seed
#    :label: isoflop-one-seed-answer
#    :class: dropdown
#
# By more than a factor of two at the smallest budget, by more than a tenth at every other.

one_each = runs.groupby(["seed", "budget"])[["params", "loss"]]
alone = one_each.apply(optimum).unstack().rename_axis("seed")
apart = alone.max() / alone.min()
assert not full or (apart.iloc[0] > 2 and apart.min() > 1.1)
alone.columns = [f"{C / 1e12:.3g} TFLOPs" for C in budgets]
show(alone.reset_index().style.hide().format(precision=0, thousands=","))

# %%
# .. solution-end::
#
# .. exercise-start:: Part of the grid
#    :label: isoflop-window
#
# *Hard.* A parabola has one lowest point, whichever part of it is seen. Fit to the narrowest four
# widths, and to the widest four, in the live figure or in Python. What do you conclude?
#
# .. exercise-end::
#
# .. solution-start:: isoflop-window
#    :label: isoflop-window-answer
#    :class: dropdown
#
# That the optimum leans towards the sizes tried. At the largest budget the narrowest four give a
# far smaller one than all six. At the smallest the widest four have none.

parts = {"narrowest four": sizes[:4], "widest four": sizes[-4:], "all": sizes}
found = pd.DataFrame(index=alone.columns)
for name, part in parts.items():
    some = runs[runs["params"].isin(part)]
    found[name] = [optimum(at) for _, at in some.groupby("budget")]
four, _, six = found.iloc[-1]
assert not full or (four < 0.8 * six and np.isnan(found["widest four"].iloc[0]))
show(found.style.format("{:,.0f}", na_rep="none"))

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
