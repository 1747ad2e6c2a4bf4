"""Retrieval: the best of a gallery, and the rank of what was looked for."""

from __future__ import annotations

from torch import Tensor

__all__ = ["ranks", "top_k"]


def top_k(similarities: Tensor, k: int = 5) -> tuple[Tensor, Tensor]:
    """Values and columns, (..., min(k, m)), of the k best of each row of (..., m), the best first.

    Raises
    ------
    ValueError
        If k is not positive.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return similarities.topk(min(k, similarities.shape[-1]), dim=-1)


def ranks(similarities: Tensor, targets: Tensor) -> Tensor:
    """Where each row of (n, m) has its target, the column that it ought to find, (n,): 1 is best.

    Of columns that tie, the target comes last, so that features which are all the same find
    nothing.

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
