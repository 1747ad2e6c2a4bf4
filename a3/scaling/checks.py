r"""What a fit can be asked before it is trusted: does it foretell, is it bent, who moves it?

Each function takes fits and gives numbers; :func:`a3.scaling.diagnosis.diagnose` puts them into
words.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from a3.lab.intervals import interval
from a3.scaling.isoflop import IsoFLOPFit, resample
from a3.scaling.lines import fit_lines
from a3.scaling.loss_law import fit_laws, huber_objective, log_terms, logsumexp
from a3.scaling.parabola import parabola, vertices
from a3.scaling.parametric import ParametricFit

__all__ = [
    "Backtest", "between_sizes", "corrected_by", "isoflop_backtest", "isoflop_influence",
    "law_backtest", "law_influence", "law_over_parabolas", "parabola_bias", "spoilers",
]  # fmt: skip


@dataclass(frozen=True)
class Backtest:
    """The top of the data as foretold by what lies below it."""

    of: str
    """"params", the best size of the top budget, or "loss", the mean of the top runs."""
    flops: float
    foretold: float
    interval: tuple[float, float]
    """Of what was to be expected, noise of the measurement included."""
    measured: float

    @property
    def held(self) -> bool:
        """Whether the interval holds what was measured; no interval holds nothing."""
        low, high = self.interval
        slack = 1e-6 * abs(self.measured)  # without noise the interval has no width
        return bool(low - slack <= self.measured <= high + slack)

    @property
    def far(self) -> bool:
        """Whether it was missed by as much again as the interval reaches."""
        low, high = self.interval
        middle, measured = self.foretold, self.measured
        reach = high / middle if measured > middle else middle / low
        return not self.held and bool(max(measured / middle, middle / measured) > reach**2)


def _used(fit: IsoFLOPFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the budgets that the lines use, their log C and optima, (K, 2)."""
    rows = np.flatnonzero(fit.budgets["params"].notna())
    table = fit.budgets.iloc[rows]
    return rows, np.log(table["flops"].to_numpy()), np.log(table[["params", "tokens"]].to_numpy())


def isoflop_backtest(fit: IsoFLOPFit) -> Backtest | None:
    """The best size of the top budget by a line through the others; None with two budgets.

    The interval is of the difference of both: of the line, with scatter, of the scatter of one more
    optimum, and of the noise of the runs at the top.
    """
    _, log_C, optima = _used(fit)
    if len(log_C) < 3 or not len(fit.resampled):
        return None
    below = fit_lines(log_C[:-1], optima[:-1], fit.resampled[:, :-1], fit.level, fit.spread, seed=0)
    foretold = math.log(below.fitted["k"]) + below.fitted["a"] * log_C[-1]
    differences = below.samples[:, 0] + below.samples[:, 1] * log_C[-1]
    differences = differences - (fit.resampled[:, -1, 0] - optima[-1, 0])
    if below.scatter.draws.size:
        differences = differences + below.scatter.draws[:, -1, 0]
    low, high = np.exp(interval(differences, foretold, fit.level, **fit.spread)).tolist()
    C, N = np.exp([log_C[-1], optima[-1, 0]]).tolist()
    return Backtest("params", C, math.exp(foretold), (low, high), N)


def law_backtest(below: ParametricFit, top: pd.DataFrame, clustered: bool) -> Backtest:
    """The mean loss of the runs of most compute by a law fitted to the others.

    ``clustered`` says that the runs of one size err together, which leaves as many errors as sizes.
    """
    n, d = np.log(top[["params", "tokens"]].to_numpy().T)
    foretold = np.log(below.predict(top["params"], top["tokens"])).mean()
    samples = _log_losses(below.samples, n, d).mean(-1)
    errors = top["params"].nunique() if clustered else len(top)
    low, high = interval(samples, foretold, below.level, **below.spread)
    freedom = max(len(below.runs) - 5, 1)
    rms = below.rms * math.sqrt(len(below.runs) / freedom)
    noise = stats.t.ppf((1 + below.level) / 2, freedom) * rms / math.sqrt(errors)
    reach = np.hypot([foretold - low, high - foretold], noise) * [-1, 1]
    C = float((6 * top["params"] * top["tokens"]).max())
    measured = float(np.exp(np.log(top["loss"]).mean()))
    ends = np.exp(foretold + reach).tolist()
    return Backtest("loss", C, float(np.exp(foretold)), tuple(ends), measured)


def _log_losses(laws: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Log losses of laws, (..., 5), for runs, (r,): (..., r)."""
    e, a, b, alpha, beta = np.moveaxis(laws[..., None], -2, 0)
    return np.logaddexp(np.logaddexp(e, a - alpha * n), b - beta * d)


def parabola_bias(fit: IsoFLOPFit, laws: np.ndarray) -> np.ndarray:
    r"""How far parabolas would miss the best sizes on this very grid, if laws were true.

    What the book's page on a planted law derives, :eq:`planted-bias`, but exactly: losses of the
    law, without noise, at the runs of each budget; the parabola through them; its lowest point less
    that of the law, :eq:`optimal-split`, at the compute that the runs have.

    Parameters
    ----------
    laws : array, shape (..., 5)
        log E, log A, log B, alpha, beta.

    Returns
    -------
    array, shape (..., K, 2)
        In log N and log D at the budgets that the lines use; NaN where the law has no best size or
        its parabola no lowest point within the sizes.
    """
    _, a, b, alpha, beta = np.moveaxis(laws, -1, 0)
    bias = []
    for i in _used(fit)[0]:
        x, log_D = np.log(fit.runs.loc[fit.runs["budget"] == i, ["params", "tokens"]].to_numpy().T)
        at = vertices(parabola(x)(np.exp(_log_losses(laws, x, log_D))), x, log_D)[..., :2]
        log_ND = (x + log_D).mean()
        with np.errstate(invalid="ignore", divide="ignore"):
            log_N = (np.log(alpha / beta) + a - b + beta * log_ND) / (alpha + beta)
        bias.append(at - np.stack([log_N, log_ND - log_N], -1))
    return np.stack(bias, axis=-2)


def law_over_parabolas(fit: IsoFLOPFit, law: ParametricFit) -> float:
    """Standard deviation of the losses about the law over that about the parabolas, relative."""
    shares, freedom = 0.0, 0
    for i in _used(fit)[0]:
        own = fit.runs[fit.runs["budget"] == i]
        curve = np.vander(np.log(own["params"]), 3, increasing=True) @ fit.parabolas[i]
        shares += (((own["loss"] - curve) / own["loss"].mean()) ** 2).sum()
        freedom += len(own) - 3
    if freedom < 1 or len(law.runs) < 6:
        return math.nan
    by_law = law.rms * math.sqrt(len(law.runs) / (len(law.runs) - 5))
    return by_law / max(math.sqrt(shares / freedom), 1e-9)


def corrected_by(fit: IsoFLOPFit, law: ParametricFit) -> IsoFLOPFit | None:
    """The fit with its optima moved by what the law says of the bias of its parabolas.

    What a parabola leaves of the law's losses is taken off those of the runs too: it is no noise.
    The law's own resamples give the correction its error. None if the law gives no correction.
    """
    rows, log_C, optima = _used(fit)
    whole = np.array([*np.log([law.E, law.A, law.B]), law.alpha, law.beta])
    bias = parabola_bias(fit, whole)  # (K, 2)
    if not np.isfinite(bias).all():
        return None
    runs = fit.runs.copy()
    for i in rows:
        own = runs["budget"] == i
        x, log_D = np.log(runs.loc[own, ["params", "tokens"]].to_numpy().T)
        of_law = np.exp(_log_losses(whole, x, log_D))
        runs.loc[own, "loss"] -= of_law - np.vander(x, 3, increasing=True) @ parabola(x)(of_law)
    bootstrap = len(fit.resampled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit has given them
        resampled, spread = resample(runs, fit.parabolas, rows, bootstrap, seed=0)
    spreads = np.broadcast_to(bias, (bootstrap, *bias.shape))
    if len(law.samples):
        spreads = parabola_bias(fit, np.resize(law.samples, (bootstrap, 5)))
    resampled[..., :2] -= spreads
    lines = fit_lines(log_C, optima - bias, resampled, fit.level, spread, seed=0)
    table = fit.budgets.copy()
    for column, name in enumerate(("params", "tokens")):
        for suffix in ("", "_low", "_high"):
            place = table.columns.get_loc(name + suffix)
            table.iloc[rows, place] *= np.exp(-bias[:, column])
    return replace(
        fit, **lines.fitted, intervals=lines.intervals, samples=lines.samples,
        scatter=lines.scatter, resampled=resampled, spread=spread, budgets=table, runs=runs,
        corrected=True,
    )  # fmt: skip


def isoflop_influence(fit: IsoFLOPFit) -> pd.DataFrame:
    """What each run does to the exponent a: without it the parabola of its budget is another.

    Leaving a run out changes the coefficients by its residual times its row of
    :math:`(X^T X)^{-1} X^T`, over one less its leverage.

    Returns
    -------
    DataFrame
        A row a run of the budgets used: ``budget``, ``without``, the exponent a without the run,
        and ``outlying``, its residual relative to the mean loss of its budget, over its standard
        error by the other runs: Student's t, if it is like them.
    """
    rows, log_C, _ = _used(fit)
    weights = (log_C - log_C.mean()) / ((log_C - log_C.mean()) ** 2).sum()
    parts = []
    for place, i in enumerate(rows):
        own = fit.runs[fit.runs["budget"] == i]
        moved, left, keeps = _without_each(own)
        vertex = -fit.parabolas[i, 1] / (2 * fit.parabolas[i, 2])
        parts.append(pd.DataFrame({
            "budget": i, "without": fit.a + weights[place] * (moved - vertex),
            "left": left / own["loss"].mean(), "keeps": keeps,
        }, index=own.index))  # fmt: skip
    table = pd.concat(parts)
    left, keeps, freedom = table["left"], table["keeps"], len(table) - 3 * len(rows)
    if freedom > 1:
        others = ((left**2).sum() - left**2 / keeps).clip(lower=0) / (freedom - 1)
        table["outlying"] = left / np.sqrt(keeps * others)
    else:
        table["outlying"] = math.nan
    return table[["budget", "without", "outlying"]]


def _without_each(runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest log N without each run; its residual; the share of its variance that this keeps."""
    x, y = np.log(runs["params"].to_numpy()), runs["loss"].to_numpy()
    c = x.mean()
    X = np.vander(x - c, 3, increasing=True)
    solve = np.linalg.pinv(X)  # (3, n)
    beta = solve @ y
    left = y - X @ beta
    keeps = 1 - np.einsum("ij,ji->i", X, solve)
    keeps = np.where(keeps > 1e-9, keeps, np.nan)  # who alone determines it
    without = beta[:, None] - solve * (left / keeps)  # (3, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = c - without[1] / (2 * without[2])
    inside = (without[2] > 0) & (x.min() <= moved) & (moved <= x.max())
    return np.where(inside, moved, np.nan), left, keeps


def spoilers(fit: IsoFLOPFit) -> list[tuple[float, Hashable]]:
    """Budgets that were left out for one run's sake: FLOPs and the run without which they serve.

    It is the run whose loss is furthest from the parabola through the others, if it is far: three
    quarters of the sum of squares go with it.
    """
    found = []
    for i in np.flatnonzero(fit.budgets["params"].isna() & (fit.budgets["sizes"] > 4)):
        own = fit.runs[fit.runs["budget"] == i]
        moved, left, keeps = _without_each(own)
        saved = np.nan_to_num(left**2 / keeps)  # of the sum of squares
        worst = int(np.argmax(saved))
        if np.isfinite(moved[worst]) and saved[worst] > 0.75 * (left**2).sum():
            found.append((float(fit.budgets["flops"][i]), own.index[worst]))
    return found


def law_influence(law: ParametricFit, most: int = 12, together: int = 5) -> pd.DataFrame:
    r"""What runs do to the law's exponents, alone and the few together that pull hardest.

    To first order, leaving run i out moves the law by :math:`H^{-1} g_i`, with the Hessian of the
    objective and the gradient of the run's part (Cook and Weisberg, 1982). Those who move a or beta
    most are left out one by one, and ``together`` at once on either side, and the law is fitted
    again.

    Returns
    -------
    DataFrame
        A row a refit: ``runs``, a tuple of labels, and ``alpha``, ``beta`` and ``a`` without them.
    """
    n, d, y = np.log(law.runs[["params", "tokens", "loss"]].to_numpy().T)
    whole = np.array([*np.log([law.E, law.A, law.B]), law.alpha, law.beta])
    start = (whole - [0, law.alpha * n.mean(), law.beta * d.mean(), 0, 0])[None]
    n, d = n - n.mean(), d - d.mean()
    one = np.ones((1, len(y)))
    _, _, hessian = huber_objective(start, n, d, y, one, law.delta)
    terms = log_terms(start, n, d)[:, 0]  # (3, r)
    shares = np.exp(terms - logsumexp(terms))
    J = np.stack([*shares, -shares[1] * n, -shares[2] * d])  # (5, r)
    pull = (logsumexp(terms) - y).clip(-law.delta, law.delta)
    move = np.linalg.lstsq(hessian[0], J * pull)[0].T  # (r, 5)
    total = law.alpha + law.beta
    by = {"beta": move[:, 4], "a": (law.alpha * move[:, 4] - law.beta * move[:, 3]) / total**2}
    chosen = [(int(i),) for i in np.argsort(-np.abs(by["a"]))[:most]]
    if len(y) > 10 + together:
        for values in by.values():
            chosen += [tuple(np.argsort(side)[:together].tolist()) for side in (values, -values)]
    weights = np.repeat(one, len(chosen), axis=0)
    for row, out in enumerate(chosen):
        weights[row, list(out)] = 0
    start = np.repeat(start, len(chosen), axis=0)
    found, _ = fit_laws(start, n, d, y, weights, law.delta, easing=(10, 3))
    alpha, beta = found[:, 3:].T
    labels = law.runs.index
    return pd.DataFrame({
        "runs": [tuple(labels[list(out)]) for out in chosen],
        "alpha": alpha, "beta": beta, "a": beta / (alpha + beta),
    })  # fmt: skip


def between_sizes(law: ParametricFit) -> tuple[float, float, float]:
    """Whether the runs of one size err together: F, p, and the share of the variance between sizes.

    One-way analysis of variance of the law's residuals; the share is the intraclass correlation of
    Shrout and Fleiss (1979), ICC(1). NaN if no size has two runs.
    """
    residual = law.runs["residual"]
    grouped = residual.groupby(np.log(law.runs["params"]).round(2))
    count, mean = grouped.size(), grouped.mean()
    G, n = len(count), len(residual)
    if n <= G or G < 2:
        return math.nan, math.nan, math.nan
    between = (count * (mean - residual.mean()) ** 2).sum() / (G - 1)
    within = (residual.var(ddof=0) * n - (count * (mean - residual.mean()) ** 2).sum()) / (n - G)
    size = (n - (count**2).sum() / n) / (G - 1)  # of a group, on average
    within = max(float(within), 1e-30)
    F = float(between) / within
    share = (F - 1) / (F - 1 + float(size))
    return F, float(stats.f.sf(F, G - 1, n - G)), max(share, 0.0)
