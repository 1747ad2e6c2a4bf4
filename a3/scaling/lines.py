r"""Lines through the optima of budgets, and what their scatter adds to the noise of the runs.

A line :math:`\log N^* = \log k + a \log C` is fitted to K optima. Resampled runs say how far noise
moves each. If the optima lie further from the line than that, the line is not the whole truth, and
its interval must say so.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Scatter", "add_scatter", "line"]


class Scatter(NamedTuple):
    """How far the optima lie from their line, beside what the noise of runs explains."""

    ratio: float
    """Mean square of log N about the line, over the one that resampled runs have about theirs."""
    p: float
    """Chance of such a ratio, by F, if optima lie on the line but for noise."""
    size: float
    """Standard deviation in log N, and in log D, that noise does not explain: the larger."""
    noise_alone: tuple[float, float]
    """Interval of the exponent a from the noise of runs alone."""
    larger: str
    """What makes more of the interval of a: "noise" or "scatter"."""


def line(log_C: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope of least squares over the budgets, the last axis, without NaN."""
    there = np.isfinite(values)
    count = there.sum(-1)
    x, y = np.where(there, log_C, 0.0), np.where(there, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_mean, y_mean = x.sum(-1) / count, y.sum(-1) / count
        dx = np.where(there, x - x_mean[..., None], 0.0)
        slope = (dx * y).sum(-1) / (dx**2).sum(-1)
    return y_mean - slope * x_mean, slope


def add_scatter(
    log_C: np.ndarray,
    optima: np.ndarray,
    resampled: np.ndarray,
    alone: np.ndarray,
    level: float,
    spread: dict[str, float],
    seed: int,
) -> tuple[np.ndarray, Scatter]:
    r"""Move resampled optima as much further as the optima scatter about their line.

    Between optima there is a variance :math:`\tau^2` that the runs do not explain, as between the
    studies of DerSimonian and Laird (1986): what is left of the sum of squares about the line when
    that of resampled runs is taken off, over K - 2, or nothing. The draws are normal and as wide as
    Student's t with K - 2 degrees of freedom makes an interval of them.

    Parameters
    ----------
    log_C : array, shape (K,)
    optima, resampled : arrays, shapes (K, 2) and (bootstrap, K, 2)
        log N and log D, NaN where a resample has no optimum.
    alone : array, shape (2,)
        Interval of a without scatter.
    level, spread
        Of the interval to come; as for :func:`a3.lab.intervals.interval`.

    Returns
    -------
    array, shape (bootstrap, K, 2)
    Scatter
        Of NaN, and the resamples as they were, if there are fewer than three budgets or no
        resample has them all.
    """
    freedom, groups = len(log_C) - 2, spread.get("groups", 0)
    whole = resampled[np.isfinite(resampled).all((1, 2))]
    if freedom < 1 or not len(whole):
        return resampled, Scatter(math.nan, math.nan, math.nan, tuple(alone.tolist()), "noise")
    too_small = groups / (groups - 1) if groups else 1.0  # the spread of few resampled groups
    found = _products(log_C, optima[None])[0]  # (2, 2)
    noise = _products(log_C, whole - optima).mean(0) * too_small
    least = 1e-18 * freedom  # about the rounding of an optimum
    ratio = float((found[0, 0] + least) / (noise[0, 0] + least))
    p = float(stats.f.sf(ratio, freedom, groups - 1 if groups else spread["freedom"]))
    variance, directions = np.linalg.eigh((found - noise) / freedom)
    variance = np.where(variance > 1e-9 * np.trace(found + noise) / freedom, variance, 0.0)
    root = directions * np.sqrt(variance)  # (2, 2), times its transpose the covariance
    error = math.sqrt((root[0] @ root[0]) / ((log_C - log_C.mean()) ** 2).sum())
    reach = stats.t.ppf((1 + level) / 2, freedom)
    larger = "scatter" if reach * error > (alone[1] - alone[0]) / 2 else "noise"
    size = math.sqrt((root**2).sum(1).max())
    scatter = Scatter(ratio, p, size, tuple(alone.tolist()), larger)
    theirs = stats.t.ppf((1 + level) / 2, groups - 1 if groups else spread["freedom"])
    normal = np.random.default_rng([seed, 1]).standard_normal(resampled.shape)
    wider = reach / theirs / math.sqrt(too_small)
    return resampled + wider * normal @ root.T, scatter


def _products(log_C: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of squares and products about their lines of values, (..., K, 2): (..., 2, 2)."""
    intercept, slope = line(log_C, np.swapaxes(values, -1, -2))  # (..., 2)
    left = values - intercept[..., None, :] - slope[..., None, :] * log_C[:, None]
    return np.swapaxes(left, -1, -2) @ left
