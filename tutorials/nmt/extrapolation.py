r"""
Scaling laws: compute-optimal parameters and tokens
===================================================

After this page you can put lines through the best sizes and numbers of tokens of a few budgets,
read off what is best for one hundreds of times larger, and judge a training run by them.
"""

import numpy as np
import pandas as pd

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.scaling import sweep
from a3.runs.translation import EXPERIMENTS, translators
from a3.scaling import compute_optimal, fit_isoflop
from a3.translation.pig_latin import small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
runs = sweep("six widths to fit")
budgets = runs["budget"].max() / 2.0 ** np.arange(4, -1, -1)
at = runs[runs["budget"].isin(budgets)]
FAR = 1e15


def lines_through(data, **options):
    return fit_isoflop("params", "tokens", "flops", "loss", data=data, budgets=budgets, **options)


fit = lines_through(at, group="seed", scatter=False)
best = fit.budgets.dropna(subset="params")

(long_runs,) = translators(EXPERIMENTS["a hundred passes"].settings).values()
training, _ = Prompts(WordPairs(small_words())).split(seed=0)
(epochs,) = {run.history.epochs for run in long_runs}
D_pass = int(training.lengths.sum())  # tokens of one pass
C_run = epochs * 3 * long_runs[0].model.flops(training)  # backward is two forward passes
run = {"params": long_runs[0].model.params, "tokens": epochs * D_pass}

figure, axes = figures.subplots(
    1, 2, figsize=(8, 3.3),
    alt="""Two log-log plots against compute. Left, best number of parameters, right, best
    number of tokens: five points on a rising line, extended with a widening band to
    1e15 FLOPs. The decoder-only run of the handouts lies on both lines.""",
)  # fmt: skip
on_line = compute_optimal(fit, C := np.geomspace(budgets[0], FAR, 100))
for ax, name, words in zip(axes, run, ("parameters", "tokens"), strict=True):
    ax.axvspan(budgets[0], budgets[-1], color="#888888", alpha=0.2, lw=0)
    ax.loglog(C, getattr(on_line, name), label="line")
    ax.fill_between(C, *on_line.intervals[name], alpha=0.25, lw=0, color=figures.COLORS[0])
    ax.plot(best["flops"], best[name], "o", ms=4, label="lowest points")
    ax.plot(C_run, run[name], "*", ms=11, label="decoder-only run")
    ax.set(xlabel="compute (FLOPs)", ylabel=f"best number of {words}")
axes[0].legend(loc="upper left")

# %% tags=["hide-input"]
# The runs are those of the pages before, six widths and five seeds; they end where the grey strip
# ends. Points are the lowest points of the :doc:`parabolas <isoflop>`, and the tokens bought there.
# Lines go on to :math:`10^{15}` FLOPs, with 95 % intervals over the seeds. The star is the
# handouts' :doc:`decoder-only run <one_or_two>`.
#
# The best size for a quadrillion FLOPs
# -------------------------------------
#
# .. exercise-start:: The best size for a quadrillion FLOPs (2025, 2.3-3; 2023, 3.3-3)
#    :label: s3
#
# Draw the best size of each of the five budgets against compute, on logarithmic scales. Fit a line
# in ``fit_linear_log``, and read off the best size for :math:`10^{15}` FLOPs
# :cite:p:`handout2025,handout2023`. How sure can you be of it?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Lay a ruler along the points. Move the last up by its own height. How far does its end move?
#
# .. solution-start:: s3
#    :label: s3-answer
#    :class: dropdown

far = compute_optimal(fit, FAR)
low, high = far.intervals["params"]
m, c = np.polyfit(*np.log10(best[["flops", "params"]].to_numpy().T), 1)
assert not full or (1e6 < far.params < 1e7 and 2.8 < far.extrapolation < 3 and high / low > 4)
in_short(
    r"""The best size for $10^{{15}}$ FLOPs is {N:.1f} million parameters by the line, with a
    {level:.0%} interval over the seeds from {low:.1f} to {high:.1f} million. The line
    $\log_{{10}} N^* = m \log_{{10}} C + c$ was fitted to the lowest points of the parabolas by
    least squares, which gave $m = {m:.4f}$ and $c = {c:.3f}$, and read at $10^{{15}}$ FLOPs, as
    $10^{{15m + c}}$. This is {orders:.1f} orders of magnitude beyond the largest budget trained,
    and the interval does not cover the chance that the line bends on the way.""",
    **dict(N=far.params / 1e6, low=low / 1e6, high=high / 1e6, level=fit.level),
    **dict(m=m, c=c, orders=far.extrapolation),
)

# %%
# The notebook's function, with ``x`` the budgets and ``y`` the best sizes or numbers of tokens:


def fit_linear_log(x, y):
    m, c = np.polyfit(np.log10(x), np.log10(y), 1)
    return m, c


assert np.allclose(fit_linear_log(best["flops"], best["params"]), (m, c))
assert np.allclose((m, 10 ** (15 * m + c)), (fit.a, far.params), rtol=1e-9)

# %%
# **What the forecast hangs on.** With :math:`x = \ln C` and :math:`y = \ln N^*`, a power law
# :math:`N^* = k C^a` is the line :math:`y = \ln k + a x`. Least squares over the :math:`n` budgets
# gives :math:`a = \sum_i (x_i - \bar x)\,y_i / S` with :math:`S = \sum_i (x_i - \bar x)^2`, and
# :math:`\ln k = \bar y - a \bar x`. So the forecast at :math:`x` is a weighted sum of what was
# measured:
#
# .. math::
#    :label: extrapolation-weights
#
#    \ln k + a x = \bar y + a (x - \bar x) = \sum_i w_i y_i, \qquad
#    w_i = \frac{1}{n} + \frac{(x - \bar x)(x_i - \bar x)}{S} .


def weights(x, there):
    d = x - x.mean()
    return 1 / len(x) + (there - x.mean()) * d / (d @ d)


x, y = np.log(best[["flops", "params"]].to_numpy().T)
w = weights(x, np.log(FAR))
assert abs(np.exp(w @ y) / far.params - 1) < 1e-9
assert not full or min(-w[0], w[-1]) > 2
print("weights of the points:", *(f"{each:.2f}" for each in w))
print(f"the last point 10 % larger: the forecast {1.1 ** w[-1] - 1:.0%} larger")

# %%
# The two ends of the line count more than twice each. A weight is a power: it says how a change of
# one point comes through to the forecast.
#
# **What the interval holds** is other seeds: another split of the words, other first weights and
# another order of the batches. **What it leaves out** is all that the seeds have in common. Some of
# it can be tried with the runs at hand: to leave out one budget, to leave out one width, or to fit
# parabolas to the logarithm of the loss. Here is what each makes of the forecast.


def forecast(data):
    return compute_optimal(lines_through(data, bootstrap=0), FAR).params


tried = {"the logarithm of the loss": [forecast(at.assign(loss=np.log(at["loss"])))]}
for column, name in (("budget", "one budget less"), ("hidden", "one width less")):
    values = at[column].unique() if full else ()
    tried[name] = [forecast(at[at[column] != value]) for value in values] or [far.params]
table = pd.DataFrame({name: (min(N), max(N)) for name, N in tried.items()}, ["from", "to"]).T
table.loc["the interval over the seeds"] = low, high
assert not full or low <= table["from"].min() <= table["to"].max() <= high
fifth, more = np.exp(weights(x[:-1], x[-1]) @ y[:-1] - y[-1]), np.log2(FAR / budgets[-1])
print(f"fifth point by the line through four: {fifth:.2f} times its size, one doubling on")
print(f"1e15 FLOPs: {more:.1f} doublings on")
show((table / 1e6).style.format("{:.1f} million"))

# %% tags=["hide-input"]
# All of these lie inside the interval over the seeds. None of them tries whether the line goes on.
# The sweep allows a test of that over one doubling only, which is printed above.
#
# .. solution-end::
#
# The learning rate, its schedule and the words are varied on later pages. Other methods of fitting
# give other numbers from the same runs: see :doc:`three_forecasts`.
#
# Was the decoder-only run compute-optimal?
# -----------------------------------------
#
# .. exercise-start:: Was it compute-optimal? (2025, 2.3-4; 2023, 3.3-4)
#    :label: s4
#
# Draw the best number of tokens against compute, beside the best size. By these two lines, was the
# handouts' decoder-only run compute-optimal, width 128 and four layers for 100 passes over the
# training words :cite:p:`handout2025,handout2023`? If not, what should change?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    :doc:`Count <counting>` the run's :math:`N`, :math:`D` and :math:`C` before you look at a
#    line. Then ask what a line for :math:`D^*` takes for granted about its tokens.
#
# .. solution-start:: s4
#    :label: s4-answer
#    :class: dropdown

advised = compute_optimal(fit, C_run)
(N_low, N_high), (D_low, D_high) = (advised.intervals[name] for name in run)
narrow, wide = (64, 128) if full else (32, 64)
curves = runs.pivot(index="budget", columns=["seed", "hidden"], values="loss")
end = curves.iloc[-1].unstack("hidden")[[narrow, wide]]  # a row a seed
ahead = end[narrow] < end[wide]
histories = [each.history for each in long_runs[: len(end)]]
table = end.add_prefix("width ")[: len(histories)].reset_index()
table["100 passes, lowest"] = [h.best_loss for h in histories]
table["training words"] = [np.mean(h.train_loss[-10 * h.iterations[0] :]) for h in histories]
if full:
    assert N_low < run["params"] < N_high and D_low < run["tokens"] < D_high
    assert (table["100 passes, lowest"] > 10 * table["training words"]).all()
    assert ahead.sum() > len(ahead) / 2 and end[narrow].median() < end[wide].median()
    assert table["100 passes, lowest"].median() < table["width 64"].median()
    assert 6.5 < C_run / budgets[-1] < 7  # nearly seven times
in_short(
    """Yes, by the two plots: for its {TFLOPs:.2f} TFLOPs they advise {N:,.0f} parameters
    ({N_low:,.0f} to {N_high:,.0f}) and {D:.1f} million tokens ({D_low:.1f} to {D_high:.1f}), and
    the run's {n:,.0f} and {d:.1f} million lie within these intervals. To spend less, halve the
    width: where our sweep ends, at {end:.2f} TFLOPs, that model has the lower loss for {lead} of
    {seeds} seeds. To spend as much and end lower, add words: the run reads the same ones {passes}
    times, and its loss on them is less than a tenth of that on others.""",
    **dict(TFLOPs=C_run / 1e12, N=advised.params, N_low=N_low, N_high=N_high, n=run["params"]),
    **dict(D=advised.tokens / 1e6, D_low=D_low / 1e6, D_high=D_high / 1e6, d=run["tokens"] / 1e6),
    **dict(end=budgets[-1] / 1e12, lead=ahead.sum(), seeds=len(ahead), passes=epochs),
)

# %% tags=["hide-input"]
# So the handouts' method says yes. **By measurement,** for each seed of the long run, with its own
# held-out words: the losses of the narrower and the wider model where the sweep ends, the lowest of
# the long run, and that on its training words over its last ten passes.

show(table.style.hide().format(precision=3).format("{:.4f}", subset=["training words"]))

# %% tags=["hide-input"]
# Where the sweep ends, the narrower model is ahead for most seeds, and by the medians; the table
# has the seeds that the long run shares. The long runs have nearly seven times the compute, and the
# median of their lowest losses is below that of the narrower model. Whether half the width would
# end lower still, no run here says. Once training words are known by heart, size and passes have
# little left to learn from: so more words. On the large list the gap of the encoder--decoder was
# :doc:`less than a third <four_runs>` of that on the small one.
#
# .. solution-end::
#
# The lines count every token as new. :doc:`repeated_words` asks what later passes are worth.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* an interval from five seeds, and the verdict of the runs beside that of
#    the lines. Their notebook gets tokens from the size, through its width and the FLOPs of a mean
#    example, ours are those read; they differ by less than three per cent. *From the paper:*
#    :cite:t:`hoffmann2022` train for less than one pass. *From practice:* forecasts are checked on
#    runs in between, and a model that is used much is made smaller than the lines advise, because
#    every use costs :math:`N` again.

H = (np.sqrt(46**2 + 64 * (best["params"] - 30)) - 46) / 32  # N = 16 H² + 46 H + 30
s = 19.55  # tokens
example = 3 * (4 * (8 * s * H**2 + 4 * s**2 * H + 3 * s**2) + 60 * s * H)
ratio = best["flops"] / example * s / best["tokens"]
print("tokens by the notebook over ours:", *(f"{each:.3f}" for each in ratio))
assert not full or np.abs(ratio - 1).max() < 0.03

# %%
# Summary
# -------
#
# A line through logarithms extends to any budget. Its end is a weighted sum of the points, by
# :eq:`extrapolation-weights`, in which the outermost count several times over, and its interval
# knows of seeds only. By the two lines the decoder-only run is compute-optimal. It knows its own
# words by heart, which the lines cannot see.
#
# Exercises
# ---------
#
# .. exercise-start:: Where is the line surest?
#    :label: extrapolation-lever
#
# *Easy.* Let the points have independent errors of one standard deviation :math:`\sigma`. What is
# that of the forecast at :math:`x`? Where is it least? How large is it at :math:`10^{15}` FLOPs?
#
# .. exercise-end::
#
# .. solution-start:: extrapolation-lever
#    :label: extrapolation-lever-answer
#    :class: dropdown
#
# It is :math:`\sigma` times :math:`\sqrt{\sum_i w_i^2} = \sqrt{1/n + (x - \bar x)^2 / S}`: the
# cross term vanishes. It is least at :math:`\bar x`, the middle budget, and far off grows linearly.

for there in np.log([budgets[2], budgets[-1], 1e13, 1e14, FAR]):
    lever, far_off = np.linalg.norm(weights(x, there)), (there - x.mean()) ** 2
    assert abs(lever**2 - (1 + far_off / x.var()) / len(x)) < 1e-9
    print(f"{np.exp(there):.1e} FLOPs: {lever:.2f} σ")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
