r"""Lines through the optima of budgets, and what their scatter adds to the noise of the runs.

A line :math:`\log N^* = \log k + a \log C` is fitted to K optima. Resampled runs say how far noise
moves each. If the optima lie further from the line than that, the line is not the whole truth, and
its interval must say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from a3.lab.intervals import interval

__all__ = ["Lines", "Scatter", "fit_lines"]


class Scatter(NamedTuple):
    """How far the optima lie from their line, beside what the noise of runs explains."""

    ratio: float
    """Mean square of log N about the line, over the one that resampled runs have about theirs; NaN
    with fewer than three budgets or without resamples."""
    p: float
    """Chance of such a ratio, by F, if optima lie on the line but for noise."""
    draws: np.ndarray
    """What is left, drawn for each resample and for one more optimum; (bootstrap, K + 1, 2)."""
    noise_alone: tuple[float, float]
    """Interval of the exponent a from the noise of runs alone."""
    larger: str
    """What makes more of the interval of a: "noise" or "scatter"."""

    @property
    def size(self) -> float:
        """Standard deviation of the draws of log N."""
        return float(self.draws[..., 0].std()) if self.draws.size else 0.0


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines :math:`N^* = k C^a` and :math:`D^* = m C^b` through some optima."""

    fitted: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    samples: np.ndarray
    """From each resample log k, a, log m and b; shape (bootstrap, 4)."""
    scatter: Scatter


def fit_lines(
    log_C: np.ndarray,
    optima: np.ndarray,
    resampled: np.ndarray,
    level: float,
    spread: dict[str, float],
    seed: int,
    *,
    carry: bool = True,
) -> Lines:
    """Least squares through log N and log D, (K, 2 or more), of optima, and of resampled ones.

    ``level`` and ``spread`` are those of :func:`a3.lab.intervals.interval`; ``carry`` says whether
    the intervals carry the scatter of the optima.
    """
    best = _lines(log_C, optima)
    samples = _lines(log_C, resampled)
    alone = interval(samples, best, level, **spread)[:, 1]
    scatter = _scatter(log_C, optima[:, :2], resampled[..., :2], alone, level, spread, seed)
    if carry and scatter.draws.size:
        samples = _lines(log_C, resampled[..., :2] + scatter.draws[:, :-1])
    ends = np.array([best, *interval(samples, best, level, **spread)]).T  # of log k, a, log m, b
    ends[::2] = np.exp(ends[::2])
    rows = dict(zip("kamb", ends.tolist(), strict=True))
    return Lines(
        fitted={name: rows[name][0] for name in "abkm"},
        intervals={name: tuple(rows[name][1:]) for name in "abkm"},
        samples=samples,
        scatter=scatter,
    )


def _lines(log_C: np.ndarray, optima: np.ndarray) -> np.ndarray:
    """log k, a, log m and b of lines through log N and log D of optima, (..., K, 2 or more)."""
    return np.stack([*_line(log_C, optima[..., 0]), *_line(log_C, optima[..., 1])], axis=-1)


def _line(log_C: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope of least squares over the budgets, the last axis, without NaN."""
    there = np.isfinite(values)
    count = there.sum(-1)
    x, y = np.where(there, log_C, 0.0), np.where(there, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_mean, y_mean = x.sum(-1) / count, y.sum(-1) / count
        dx = np.where(there, x - x_mean[..., None], 0.0)
        slope = (dx * y).sum(-1) / (dx**2).sum(-1)
    return y_mean - slope * x_mean, slope


def _scatter(
    log_C: np.ndarray,
    optima: np.ndarray,
    resampled: np.ndarray,
    alone: np.ndarray,
    level: float,
    spread: dict[str, float],
    seed: int,
) -> Scatter:
    r"""The variance :math:`\tau^2` of optima about their line that the noise of runs leaves over.

    As between the studies of DerSimonian and Laird (1986): the sum of squares about the line, less
    what it is in resamples, over K - 2, or nothing. The draws are normal, and as wide as Student's
    t with K - 2 degrees of freedom makes an interval of them. ``alone``, (2,), is the interval of a
    without scatter.
    """
    freedom, groups = len(log_C) - 2, spread.get("groups", 0)
    whole = resampled[np.isfinite(resampled).all((1, 2))]
    ends = tuple(alone.tolist())
    if freedom < 1 or not len(whole):
        return Scatter(math.nan, math.nan, np.empty((0, len(log_C) + 1, 2)), ends, "noise")
    too_small = groups / (groups - 1) if groups else 1.0  # the spread of few resampled groups
    theirs = groups - 1 if groups else spread["freedom"]
    found = _products(log_C, optima)
    noise = _products(log_C, whole - optima).mean(0) * too_small
    least = 1e-18 * freedom  # about the rounding of an optimum
    ratio = float((found[0, 0] + least) / (noise[0, 0] + least))
    variance, directions = np.linalg.eigh((found - noise) / freedom)
    variance = np.where(variance > 1e-9 * np.trace(found + noise) / freedom, variance, 0.0)
    root = directions * np.sqrt(variance)  # (2, 2), times its transpose the covariance
    reach, as_if = (stats.t.ppf((1 + level) / 2, each) for each in (freedom, theirs))
    error = math.sqrt(root[0] @ root[0] / ((log_C - log_C.mean()) ** 2).sum())
    normal = np.random.default_rng([seed, 1]).standard_normal((len(resampled), len(log_C) + 1, 2))
    return Scatter(
        ratio=ratio,
        p=float(stats.f.sf(ratio, freedom, theirs)),
        draws=reach / as_if / math.sqrt(too_small) * normal @ root.T,
        noise_alone=ends,
        larger="scatter" if reach * error > (alone[1] - alone[0]) / 2 else "noise",
    )


def _products(log_C: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of squares and products about their lines of values, (..., K, 2): (..., 2, 2)."""
    intercept, slope = _line(log_C, np.swapaxes(values, -1, -2))  # (..., 2)
    left = values - intercept[..., None, :] - slope[..., None, :] * log_C[:, None]
    return np.swapaxes(left, -1, -2) @ left
