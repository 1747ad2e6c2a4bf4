r"""The best size for each compute budget, and how it grows: IsoFLOP profiles.

At each budget the loss is a parabola in log N; its lowest point is the best size. The best sizes
and numbers of tokens of all budgets are then fitted by :math:`N^* \propto C^a` and
:math:`D^* \propto C^b`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from a3.lab.intervals import check_options, interval, resampling_counts
from a3.scaling.lines import Scatter, fit_lines
from a3.scaling.parabola import no_parabola, optimum, parabola, vertices
from a3.scaling.run_table import Column, LeftOut, run_table

__all__ = ["IsoFLOPFit", "fit_isoflop", "resample"]


@dataclass(frozen=True, eq=False)
class IsoFLOPFit:
    """Best sizes and tokens by budget, and the lines :math:`N^* = k C^a`, :math:`D^* = m C^b`."""

    a: float
    b: float
    k: float
    m: float
    intervals: dict[str, tuple[float, float]]
    """Low and high end for a, b, k and m; NaN without a bootstrap."""
    budgets: pd.DataFrame
    """A row a budget: ``flops``, ``runs``, ``sizes``; best ``params`` and its ``tokens`` and
    ``loss``, each with ``_low`` and ``_high``; ``bound``, such as "> 4e+06", where the optimum lies
    outside the sizes tried. Budgets that the lines do not use have NaN."""
    left_out: tuple[LeftOut, ...]
    scatter: Scatter
    """How far the optima lie from the line."""
    parabolas: np.ndarray = field(repr=False)
    """Loss by powers 0, 1, 2 of log N at each budget; NaN where there is none."""
    runs: pd.DataFrame = field(repr=False)
    """The runs used: ``params``, ``tokens``, ``flops``, ``loss``, ``budget`` (row of budgets)."""
    samples: np.ndarray = field(repr=False)
    """From each resample log k, a, log m and b; shape (bootstrap, 4)."""
    resampled: np.ndarray = field(repr=False)
    """From each resample log N, log D and loss at the K optima; shape (bootstrap, K, 3)."""
    level: float
    spread: dict[str, float] = field(repr=False)
    """How :func:`a3.lab.intervals.interval` is to be called."""
    corrected: bool = False
    """Whether the optima are moved, and the losses straightened, for the parabolas' bias:
    :func:`a3.scaling.checks.corrected_by`."""

    def table(self) -> pd.DataFrame:
        """The lines' numbers with their intervals, a row each."""
        rows = {name: (getattr(self, name), *ends) for name, ends in self.intervals.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["fit", "low", "high"])


def fit_isoflop(
    params: Column,
    tokens: Column,
    flops: Column,
    loss: Column,
    *,
    data: pd.DataFrame | None = None,
    group: Column | None = None,
    budgets: Sequence[float] | None = None,
    tolerance: float = 0.1,
    scatter: bool = True,
    bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> IsoFLOPFit:
    r"""Fit a parabola in log N at each budget, and lines through the optima.

    Section 3.2 of Hoffmann et al. (2022); questions 2.3-2 to 2.3-4 (2025).

    Parameters
    ----------
    params, tokens, loss, data, group, bootstrap, level, seed
        As for :func:`a3.scaling.parametric.fit_parametric`. Without groups the sizes stay as they
        are, and the residuals of all budgets, relative to the mean loss there and scaled to their
        full variance, are drawn anew. (Few runs a budget make resampled runs far too uncertain:
        some resamples have only two or three sizes.) With six or seven runs a budget such
        intervals of 95 % cover about 92 % of planted truths.
    flops : array, tensor or name of a column, n runs
        Training compute C of each run.
    budgets : sequence of float, optional
        Runs belong to a budget if their flops differ from it by at most the tolerance, which is
        relative. Without it, runs are grouped where neighbouring flops are that close.
    scatter : bool
        Whether the intervals of the lines carry the scatter of the optima, by
        :func:`a3.scaling.lines.fit_lines`; else they are those of other seeds or runs alone.

    Returns
    -------
    IsoFLOPFit
        A budget is left out of the lines, and named in ``left_out``, if it has fewer than three
        sizes, all losses equal, a parabola that opens downward, or its optimum
        (:eq:`isoflop-vertex`) outside the sizes that were tried: then only a bound is known. Runs
        that belong to no budget are one entry there, with their number.

    Raises
    ------
    ValueError
        If a column or an option is wrong, or fewer than two budgets have an optimum.

    Warns
    -----
    RuntimeWarning
        If there are no more runs than coefficients, so that there can be no intervals, or if more
        than a twentieth of the resampled optima were outside the sizes.
    """
    check_options(bootstrap, level)
    counts = {"params": params, "tokens": tokens, "flops": flops}
    runs, left_out = run_table(data, counts, loss, group, positive=False)
    number, centers = _by_budget(runs["flops"].to_numpy(), budgets, tolerance)
    if between := int((number < 0).sum()):
        what = f"{between} run{'s' * (between > 1)}"
        left_out.append(LeftOut(what, f"FLOPs within {tolerance:.0%} of no budget"))
    runs = runs.assign(budget=number)[number >= 0]

    table = pd.DataFrame({"flops": centers, "runs": 0, "sizes": 0, "bound": ""})
    optima = np.full((len(table), 3), np.nan)  # log N, log D and loss
    parabolas = np.full((len(table), 3), np.nan)
    for i, center in enumerate(centers):
        x, log_D, y = _columns(runs[runs["budget"] == i])
        bound, reason = "", no_parabola(x, y)
        if not reason:
            parabolas[i] = parabola(x)(y)
            optima[i], bound, reason = optimum(parabolas[i], x, log_D)
        if reason:
            left_out.append(LeftOut(f"budget {center:.4g}", reason))
        table.loc[i, ["runs", "sizes", "bound"]] = len(x), len(np.unique(x)), bound
    used = np.flatnonzero(np.isfinite(optima[:, 0]))
    if len(used) < 2:
        reasons = "".join(f"; {what}: {why}" for what, why in left_out[:5])
        reasons += f"; {len(left_out) - 5} more" if len(left_out) > 5 else ""
        raise ValueError(
            f"a line needs two budgets with an optimum, got {len(used)} of {len(table)}{reasons}"
        )
    log_C = np.log(centers[used])
    resampled, spread = resample(runs, parabolas, used, bootstrap, seed)  # (bootstrap, K, 3)
    low, high = np.full((2, *optima.shape), np.nan)
    low[used], high[used] = interval(resampled, optima[used], level, **spread)
    for column, name in enumerate(("params", "tokens", "loss")):
        for suffix, values in (("", optima), ("_low", low), ("_high", high)):
            value = values[:, column]
            table[name + suffix] = value if name == "loss" else np.exp(value)
    lines = fit_lines(log_C, optima[used], resampled, level, spread, seed, carry=scatter)
    return IsoFLOPFit(
        **lines.fitted,
        intervals=lines.intervals,
        budgets=table,
        left_out=tuple(left_out),
        scatter=lines.scatter,
        parabolas=parabolas,
        runs=runs,
        samples=lines.samples,
        resampled=resampled,
        level=level,
        spread=spread,
    )


def _by_budget(
    flops: np.ndarray, budgets: Sequence[float] | None, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Number of each run's budget, -1 for none, and the budgets in ascending order."""
    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance must be positive and finite, got {tolerance}")
    x, near = np.log(flops), math.log1p(tolerance)
    if budgets is None:
        order = np.argsort(x, kind="stable")
        number = np.empty(len(x), dtype=int)
        number[order] = np.append(0, np.cumsum(np.diff(x[order]) > near))
        grouped = pd.Series(x).groupby(number)
        wide = grouped.max() - grouped.min() > 2 * near
        if wide.any():
            low, high = flops[number == wide.idxmax()].min(), flops[number == wide.idxmax()].max()
            raise ValueError(
                f"flops between {low:.4g} and {high:.4g} fall into no groups at a tolerance of "
                f"{tolerance:g}: give budgets or a smaller tolerance"
            )
        return number, np.exp(grouped.mean().to_numpy())
    centers = np.unique(np.asarray(budgets, dtype=float))
    if not len(centers) or not ((centers > 0) & np.isfinite(centers)).all():
        raise ValueError(f"budgets must be positive and finite, got {budgets}")
    distance = np.abs(x[:, None] - np.log(centers))
    return np.where(distance.min(1) <= near, distance.argmin(1), -1), centers


def _columns(runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log N, log D and loss."""
    n, d = np.log(runs[["params", "tokens"]].to_numpy().T)
    return n, d, runs["loss"].to_numpy()


def resample(
    runs: pd.DataFrame, parabolas: np.ndarray, used: np.ndarray, bootstrap: int, seed: int
) -> tuple[np.ndarray, dict[str, float]]:
    """log N, log D and loss at the optima of resampled runs, (bootstrap, K, 3), and their spread.

    NaN where the optimum of a resample is outside the sizes.
    """
    runs = runs[runs["budget"].isin(used)]
    found = np.full((bootstrap, len(used), 3), np.nan)
    budget = runs["budget"].to_numpy()
    freedom = len(runs) - 3 * len(used)
    if not bootstrap:
        return found, {}
    if "group" in runs:
        counts = resampling_counts(len(runs), bootstrap, seed, runs["group"].to_numpy())
        for i, own in enumerate(budget == k for k in used):
            x, log_D, y = _columns(runs[own])
            weights = counts[:, own]
            sizes = (weights @ (x[:, None] == np.unique(x)) > 0).sum(-1)
            enough = sizes >= 3
            found[enough, i] = vertices(parabola(x, weights[enough])(y), x, log_D)
        spread = {"groups": runs["group"].nunique()}
    elif freedom > 0:
        parts, errors = [], []
        for k in used:
            x, log_D, y = _columns(runs[budget == k])
            fitted, scale = np.vander(x, 3, increasing=True) @ parabolas[k], np.abs(y).mean()
            Q, _ = np.linalg.qr(np.vander(x - x.mean(), 3))
            left = 1 - (Q**2).sum(1)  # share of its variance that a residual keeps
            free = left > 1e-9
            errors.append(((y - fitted)[free] / np.sqrt(left[free])) / scale)
            parts.append((x, log_D, fitted, scale))
        pool = np.concatenate(errors)
        pool -= pool.mean()
        generator = np.random.default_rng(seed)
        for i, (x, log_D, fitted, scale) in enumerate(parts):
            y = fitted + scale * generator.choice(pool, (bootstrap, len(x)))
            found[:, i] = vertices(parabola(x)(y), x, log_D)
        spread = {"freedom": freedom}
    else:
        warnings.warn(
            "no intervals: there are as many coefficients as runs; more sizes or seeds are needed",
            RuntimeWarning,
            3,
        )
        return found, {}
    lost = np.isnan(found[..., 0]).mean()
    if lost > 0.05:
        warnings.warn(
            f"{lost:.0%} of the resampled optima lie outside the sizes tried and are left out: the "
            "intervals are too narrow",
            RuntimeWarning,
            3,
        )
    return found, spread
