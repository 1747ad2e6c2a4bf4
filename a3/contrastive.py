"""What makes CLIP: cosine similarities, the contrastive loss, zero-shot weights, ranks, recall."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "Share",
    "contrastive_loss",
    "cosine_similarity",
    "ranks",
    "recall_at",
    "share",
    "top_k",
    "zero_shot_weights",
]


def cosine_similarity(X: Tensor, Y: Tensor) -> Tensor:
    r"""Cosine of the angle between every row of X and every row of Y.

    .. math:: s_{ij} = \frac{x_i^\top y_j}{\lVert x_i \rVert_2 \, \lVert y_j \rVert_2}

    Parameters
    ----------
    X : Tensor, shape (n, d)
        Such as features of images.
    Y : Tensor, shape (m, d)
        Such as features of captions.

    Returns
    -------
    Tensor, shape (n, m)

    Raises
    ------
    ValueError
        If the shapes do not match.

    References
    ----------
    Equation :eq:`cosine-similarity` of the book.
    """
    if X.dim() != 2 or Y.dim() != 2 or X.shape[1] != Y.shape[1]:
        raise ValueError(f"expected shapes (n, d) and (m, d), got {(*X.shape,)} and {(*Y.shape,)}")
    return F.normalize(X, dim=1) @ F.normalize(Y, dim=1).T  # (n, m)


def contrastive_loss(X: Tensor, Y: Tensor, scale: Tensor | float) -> Tensor:
    r"""Each image picks its caption among all of the batch, and each caption its image.

    .. math::

        L = -\frac{1}{2n} \sum_{i=1}^n \left( \log \frac{e^{\tau s_{ii}}}{\sum_j e^{\tau s_{ij}}}
            + \log \frac{e^{\tau s_{ii}}}{\sum_j e^{\tau s_{ji}}} \right)

    with the cosine similarities :math:`s_{ij}` and the logit scale :math:`\tau`, the inverse of a
    temperature.

    Parameters
    ----------
    X : Tensor, shape (n, d)
        Features of images.
    Y : Tensor, shape (n, d)
        Features of their captions, in the same order.
    scale : Tensor or float
        :math:`\tau`.

    Returns
    -------
    Tensor, shape ()
        In nats: log n for features that tell nothing.

    Raises
    ------
    ValueError
        If the shapes do not match, or the batch is empty.

    References
    ----------
    Equation :eq:`contrastive-loss` of the book; Radford et al. (2021), figure 3.
    """
    if X.shape != Y.shape or not len(X):
        raise ValueError(f"expected two of one shape (n, d), got {(*X.shape,)} and {(*Y.shape,)}")
    logits = scale * cosine_similarity(X, Y)  # (n, n)
    own = torch.arange(len(X), device=X.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def zero_shot_weights(
    encode_text: Callable[[list[str]], Tensor],
    names: Sequence[str],
    templates: Sequence[str] = ("a picture of a {}",),
) -> Tensor:
    """A linear classifier made of words: for each class the mean direction of its prompts.

    Parameters
    ----------
    encode_text : callable
        From C captions to features of shape (C, d).
    names : sequence of str
        Of the K classes.
    templates : sequence of str
        One prompt, or several for an ensemble, each with ``{}`` where the name goes.

    Returns
    -------
    Tensor, shape (K, d)
        Of length 1 each.

    Raises
    ------
    ValueError
        If there is no name or no template, or a template has no ``{}``.

    References
    ----------
    Radford et al. (2021), section 3.1.4.
    """
    if not names or not templates:
        raise ValueError(
            f"expected names and templates, got {len(names)} names, {len(templates)} templates"
        )
    for template in templates:
        if "{}" not in template:
            raise ValueError(f"a template has {{}} where the name goes, got {template!r}")
    prompts = [template.format(name) for name in names for template in templates]
    features = F.normalize(encode_text(prompts), dim=1)
    mean = features.unflatten(0, (len(names), len(templates))).mean(dim=1)  # (K, d)
    return F.normalize(mean, dim=1)


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
