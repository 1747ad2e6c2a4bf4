"""Intervals: of shares (Wilson), of means (Student) and of fits (bootstrap)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["Share", "check_options", "interval", "resampling_counts", "share", "student"]


def check_options(bootstrap: int, level: float) -> None:
    """Raise ``ValueError`` unless a fit can have so many resamples and such a level."""
    if bootstrap < 0:
        raise ValueError(f"bootstrap must be at least 0, got {bootstrap}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")


def resampling_counts(
    runs: int, number: int, seed: int, group: np.ndarray | None = None
) -> np.ndarray:
    """How often each run is drawn, with replacement, in each resample: (number, runs).

    Runs of one ``group``, (runs,), such as one seed, are drawn together: their errors may be
    related.

    Raises
    ------
    ValueError
        If all runs are of one group.
    """
    generator = np.random.default_rng(seed)
    if group is None:
        return generator.multinomial(runs, np.full(runs, 1 / runs), size=number).astype(float)
    names, member = np.unique(group, return_inverse=True)
    groups = len(names)
    if groups < 2:
        raise ValueError(f"groups are resampled, which needs two or more, got only {names[0]}")
    counts = generator.multinomial(groups, np.full(groups, 1 / groups), size=number)
    return counts[:, member].astype(float)


def interval(
    samples: np.ndarray,
    estimate: np.ndarray,
    level: float,
    *,
    freedom: float = math.inf,
    groups: int = 0,
) -> np.ndarray:
    r"""Lower and upper ends of intervals, (2, ...), from what resamples gave; NaN without any.

    Resampled runs: percentiles. The plain ones are those of a normal distribution at plus and
    minus 1.96, for 95 %; few residuals need Student's t instead, so percentiles further out.

    Resampled groups, of which there are few: the estimate plus and minus t standard errors. The
    spread of resampled means of S values is too small by :math:`\sqrt{(S-1)/S}`, which is put
    right, and the percentiles of so few values would be no more than their range.

    Expanded percentile and t intervals of Hesterberg (2015), What teachers should know about the
    bootstrap.

    ``samples``, (number, ...), are of each resample, NaN where a fit failed, which is passed over;
    ``estimate``, (...), is from all runs. ``freedom`` is the number of degrees of freedom that the
    residuals of resampled runs have, ``groups`` that of groups, if they were resampled.
    """
    some = np.isfinite(samples).any(axis=0)
    if not some.any():
        return np.full((2, *np.shape(estimate)), np.nan)
    known = np.where(some, samples, 0.0)
    if groups:
        error = np.nanstd(known, axis=0) * math.sqrt(groups / (groups - 1))
        reach = error * stats.t.ppf((1 + level) / 2, groups - 1)
        ends = np.array([estimate - reach, estimate + reach])
    else:
        tail = stats.norm.cdf(-stats.t.ppf((1 + level) / 2, freedom))
        ends = np.nanquantile(known, [tail, 1 - tail], axis=0)
    return np.where(some, ends, np.nan)


def student(n: int, level: float = 0.95) -> float:
    """What times the standard deviation of n values gives half the interval of their mean.

    The values are independent: one a seed or a thing, not one a repetition of it.

    Raises
    ------
    ValueError
        If there are fewer than two, or the level is not between 0 and 1.
    """
    if n < 2:
        raise ValueError(f"an interval needs two values, got {n}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return float(stats.t.ppf((1 + level) / 2, n - 1)) / math.sqrt(n)


class Share(NamedTuple):
    """A share of n trials, the ends of its interval, and ``chance``, what guessing would reach."""

    value: float
    low: float
    high: float
    n: int
    chance: float


def share(
    hits: ArrayLike, chance: float, level: float = 0.95, group: ArrayLike | None = None
) -> Share:
    """The share of hits, with the interval of Wilson (1927).

    ``hits`` are of n trials, (n,), or of S seeds on the same trials, (S, n): a trial then counts by
    its mean, and the interval is that of n trials, however many seeds there are.

    Trials of one ``group``, (n,), may succeed together. The interval is then that of fewer trials:
    as many as, if independent, would give the share the variance that it has between groups, after
    Korn and Graubard (1998).

    Raises
    ------
    ValueError
        If there is no trial, all are of one group, or the level is not between 0 and 1.
    """
    hits = np.asarray(hits)
    if not hits.size:
        raise ValueError("expected at least one trial, got none")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    n, value = hits.shape[-1], float(hits.mean())
    z, m = stats.norm.ppf((1 + level) / 2), float(n)
    if group is not None:
        names, member = np.unique(np.asarray(group), return_inverse=True)
        groups = len(names)
        if groups < 2:
            raise ValueError(f"expected trials of two groups or more, got only {names[0]}")
        z = stats.t.ppf((1 + level) / 2, groups - 1)
        off = np.bincount(member, hits.reshape(-1, n).mean(axis=0) - value)
        variance = groups / (groups - 1) * (off**2).sum() / n**2
        # all alike: nothing tells trials of a group apart
        m = min(m, value * (1 - value) / variance) if variance > 0 else float(groups)
    middle = (value + z**2 / (2 * m)) / (1 + z**2 / m)
    reach = z / (1 + z**2 / m) * math.sqrt(value * (1 - value) / m + z**2 / (4 * m**2))
    return Share(value, middle - reach, middle + reach, n, chance)
