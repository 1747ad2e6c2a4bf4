"""Retrieval: the best of a gallery, the rank of what was looked for, and shares with intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats
from torch import Tensor

__all__ = ["Share", "ranks", "recall_at", "share", "top_k"]


def top_k(similarities: Tensor, k: int = 5) -> tuple[Tensor, Tensor]:
    """The k best columns of each row, the best first.

    Parameters
    ----------
    similarities : Tensor, shape (..., m)
    k : int
        No more than m are given.

    Returns
    -------
    values, columns : Tensor, shape (..., min(k, m))

    Raises
    ------
    ValueError
        If k is not positive.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return similarities.topk(min(k, similarities.shape[-1]), dim=-1)


def ranks(similarities: Tensor, targets: Tensor) -> Tensor:
    """Where each row has its target: 1 if no other column is as similar.

    Parameters
    ----------
    similarities : Tensor, shape (n, m)
    targets : Tensor, long, shape (n,)
        The column that each row ought to find.

    Returns
    -------
    Tensor, long, shape (n,)
        From 1 to m. Of columns that tie, the target comes last, so that features which are all the
        same find nothing.

    Raises
    ------
    ValueError
        If the shapes do not match, or there is no such column.
    """
    n, m = similarities.shape
    if targets.shape != (n,):
        raise ValueError(f"expected a target for each of {n} rows, got shape {(*targets.shape,)}")
    if n and not (0 <= targets.min() and targets.max() < m):
        raise ValueError(f"targets must be columns, 0 to {m - 1}, got {targets.tolist()}")
    own = similarities.gather(1, targets[:, None])  # (n, 1)
    return (similarities >= own).sum(dim=1)


class Share(NamedTuple):
    """A share of n trials with its interval.

    Attributes
    ----------
    value, low, high : float
        The share, and the ends of its interval.
    n : int
        Trials.
    chance : float
        What guessing would reach.
    """

    value: float
    low: float
    high: float
    n: int
    chance: float


def share(hits: Tensor, chance: float, level: float = 0.95) -> Share:
    """The share of hits, with the interval of Wilson (1927).

    Parameters
    ----------
    hits : Tensor of bool, shape (n,) or (S, n)
        Of n trials, or of S seeds on the same trials: a trial then counts by its mean, and the
        interval is that of n trials, however many seeds there are.
    chance : float
    level : float

    Returns
    -------
    Share

    Raises
    ------
    ValueError
        If there is no trial, or the level is not between 0 and 1.
    """
    if not hits.numel():
        raise ValueError("expected at least one trial, got none")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    n, value = hits.shape[-1], hits.float().mean().item()
    z = stats.norm.ppf((1 + level) / 2)
    middle = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return Share(value, middle - reach, middle + reach, n, chance)


def recall_at(ranks: Tensor, k: int, gallery: int) -> Share:
    """The share of targets among the k best, beside that of a guess.

    Parameters
    ----------
    ranks : Tensor, shape (n,)
        As :func:`ranks` gives them.
    k : int
    gallery : int
        Columns to choose from.

    Returns
    -------
    Share

    Raises
    ------
    ValueError
        If k is not positive, or a rank is beyond the gallery.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if len(ranks) and ranks.max() > gallery:
        raise ValueError(f"a rank of {int(ranks.max())} in a gallery of {gallery}")
    return share(ranks <= k, min(1.0, k / gallery))
