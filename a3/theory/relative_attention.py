r"""Attention with a score for each distance, and what it can be made to compute.

The score of key :math:`j` for query :math:`i` has a part :math:`p_{i-j}` that depends on the
distance alone. The index is *query minus key*: the neighbour on the left has distance +1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from scipy.special import lambertw
from torch import Tensor

from a3.theory._arguments import check_floating, whole, within_range

__all__ = [
    "as_convolution", "as_max_pooling", "convolution_error_bound", "distance_scores",
    "max_pooling_error_bound", "relative_attention", "relative_attention_layer",
]  # fmt: skip


def relative_attention(Q: Tensor, K: Tensor, V: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    r"""Scaled dot-product attention whose scores also depend on the distance.

    .. math::
        \tilde\alpha_{ij} = \frac{Q_i \cdot K_j}{\sqrt{d}} + p_{i-j}, \qquad
        Y = \operatorname{softmax}(\tilde\alpha) \, V

    Equation :eq:`relative-attention` of the book; Section 1.3 (2025). Shaw et al. (2018) learn
    vectors in place of the scalars p.

    Parameters
    ----------
    Q, K : Tensor, shape (..., n, d)
    V : Tensor, shape (..., n, m)
    p : Tensor, shape (2 n - 1,)
        Scores of the distances from ``-(n - 1)`` to ``n - 1``, brought to the type of ``Q``. Minus
        infinity hides a distance. A query from which all are hidden gets the weights and the
        output 0, as in :func:`a3.translation.attention.scaled_dot_attention`.

    Returns
    -------
    output : Tensor, shape (..., n, m)
    weights : Tensor, shape (..., n, n)

    Raises
    ------
    ValueError
        If the shapes do not match, an axis is empty, ``p`` holds nan or plus infinity, or the
        scores overflow.
    """
    check_floating(Q=Q, K=K, V=V)
    check_floating(p=p)
    n, d = Q.shape[-2:] if Q.dim() > 1 else (0, 0)
    if not n * d or K.shape[-2:] != (n, d) or V.dim() < 2 or V.shape[-2] != n:
        raise ValueError(
            f"expected queries and keys (..., n, d) and values (..., n, m), got {tuple(Q.shape)}, "
            f"{tuple(K.shape)} and {tuple(V.shape)}"
        )
    try:
        torch.broadcast_shapes(Q.shape[:-2], K.shape[:-2], V.shape[:-2])
    except RuntimeError:
        raise ValueError(
            f"the leading axes {tuple(Q.shape[:-2])}, {tuple(K.shape[:-2])} and "
            f"{tuple(V.shape[:-2])} cannot be broadcast"
        ) from None
    if p.shape != (2 * n - 1,):
        raise ValueError(f"expected {2 * n - 1} scores of distances, got shape {tuple(p.shape)}")
    p = p.to(Q.dtype)
    if not (p < math.inf).all():
        raise ValueError("the scores of distances must be numbers or minus infinity")
    i = torch.arange(n, device=p.device)
    scores = within_range("the scores are", Q @ K.transpose(-2, -1) / math.sqrt(d))  # (..., n, n)
    of_distance = p[i[:, None] - i + n - 1]  # (n, n)
    blind = (of_distance == -math.inf).all(-1, keepdim=True)  # (n, 1)
    scores = (scores + of_distance).masked_fill(blind, 0.0)
    within_range("the scores are", scores.amax(-1))
    weights = scores.softmax(dim=-1).masked_fill(blind, 0.0)
    return weights @ V, weights


def relative_attention_layer(
    x: Tensor, W_Q: float, W_K: float, W_V: float, p: Tensor
) -> tuple[Tensor, Tensor]:
    """The layer of the handout: :func:`relative_attention` of a sequence of numbers to itself.

    The sequence is of shape (..., n), its weights of queries, keys and values are numbers.

    Returns
    -------
    output : Tensor, shape (..., n)
    weights : Tensor, shape (..., n, n)

    Raises
    ------
    ValueError
        If ``x`` is a single number, ``x`` or a weight is inf or nan, or ``p`` does not fit.
    """
    check_floating(x=x)
    if not x.dim() or not x.isfinite().all():
        raise ValueError("expected finite numbers of shape (..., n)")
    weights = (torch.as_tensor(W, dtype=torch.float64) for W in (W_Q, W_K, W_V))
    if not all(W.isfinite().all() for W in weights):
        raise ValueError(f"the weights must be finite, got {W_Q}, {W_K} and {W_V}")
    x = x.unsqueeze(-1)  # (..., n, 1)
    output, weights = relative_attention(W_Q * x, W_K * x, W_V * x, p)
    return output.squeeze(-1), weights


def distance_scores(scores: Mapping[int, float], n: int, elsewhere: float = -math.inf) -> Tensor:
    """The float64 table ``p`` of :func:`relative_attention` from the few distances that matter.

    ``scores`` maps distances, query minus key, to scores; ``n`` is the length of the sequence.

    Raises
    ------
    ValueError
        If a distance does not occur in a sequence of length ``n``, or ``n`` is less than 1.
    """
    if whole("the length of a sequence", n) < 1:
        raise ValueError(f"a sequence must have at least 1 place, got {n}")
    p = torch.full((2 * n - 1,), elsewhere, dtype=torch.float64)
    for distance, score in scores.items():
        if abs(whole("a distance", distance)) >= n:
            raise ValueError(f"no two of {n} places are at distance {distance}")
        p[distance + n - 1] = score
    return p


def as_convolution(
    kernel: Sequence[float], n: int, elsewhere: float = -math.inf
) -> tuple[float, Tensor]:
    r"""The ``W_V`` and ``p`` with which the layer convolves, if its other weights are 0.

    The kernel's entry for :math:`x_{i+r}`, :math:`-k \le r \le k`, becomes the score :math:`p_{-r}
    = \ln w_r`, and :math:`W_V = \sum_r w_r`. Equation :eq:`convolution-weights` of the book, for
    :eq:`convolution`; question 1.3.1 (2025).

    Parameters
    ----------
    kernel : sequence of float, length 2 k + 1
        Not negative, not all 0; the first entry belongs to :math:`x_{i-k}`.
    n : int
        Length of the sequence; at least that of the kernel.
    elsewhere : float
        Score of all distances of weight 0: minus infinity, or a large negative number; at most 0.

    Raises
    ------
    ValueError
        If an argument is not as above, or the kernel wider than the sequence.
    """
    if not all(w >= 0 for w in kernel) or not 0 < sum(kernel) < math.inf:
        raise ValueError(
            "one head takes weighted means, so the kernel must be finite, not negative and not "
            f"all zero; got {list(kernel)}"
        )
    k = _half_width(len(kernel), n)
    if not elsewhere <= 0:
        raise ValueError(f"the score elsewhere must be at most 0, got {elsewhere}")
    scores = {k - m: math.log(w) for m, w in enumerate(kernel) if w > 0}
    return math.fsum(kernel), distance_scores(scores, n, elsewhere)


def convolution_error_bound(kernel: Sequence[float], n: int, M: float, largest: float) -> float:
    r"""The most by which :func:`as_convolution` with ``elsewhere=-M`` can miss the convolution.

    .. math:: \delta\, W_V \max_j x_j, \qquad
        \delta = \frac{(n-m)\,e^{-M}}{W_V + (n-m)\,e^{-M}},

    where :math:`W_V` is the sum and :math:`m` the number of the positive entries of the kernel:
    equation :eq:`convolution-error` of the book. It holds away from the edges.

    ``kernel`` and ``n`` are those of :func:`as_convolution`. The sequence, of which ``largest`` is
    the largest entry, is not negative, nor is ``M``, which may be infinite.

    Raises
    ------
    ValueError
        If an argument is not as above.
    """
    if not M >= 0:
        raise ValueError(f"M must be at least 0, got {M}")
    as_convolution(kernel, n, -M)  # raises
    if not 0 <= largest < math.inf:
        raise ValueError(
            f"the sequence must be finite and not negative, but its largest entry is {largest}"
        )
    s, m = math.fsum(kernel), sum(w > 0 for w in kernel)
    leak = (n - m) * math.exp(-M)
    return leak / (s + leak) * s * largest


def as_max_pooling(k: int, n: int, beta: float) -> tuple[float, float, float, Tensor]:
    r"""The layer's W_Q, W_K, W_V and p to take nearly the largest of :math:`2k+1` neighbours.

    Equation :eq:`max-pooling-weights` of the book, for :eq:`max-pooling`; what the layer then gives
    is :eq:`soft-maximum`. Question 1.3.2 (2025).

    Parameters
    ----------
    k : int
        Neighbours on each side.
    n : int
        Length of the sequence; at least 2 k + 1.
    beta : float
        :math:`\beta = W_Q W_K > 0`; the larger, the closer to the maximum.

    Raises
    ------
    ValueError
        If an argument is not as above.
    """
    _half_width(2 * k + 1, n)
    if not 0 < beta < math.inf:
        raise ValueError(f"beta must be positive and finite, got {beta}")
    return beta, 1.0, 1.0, distance_scores(dict.fromkeys(range(-k, k + 1), 0.0), n)


def max_pooling_error_bound(x: Tensor, k: int, beta: float) -> Tensor:
    r"""The most by which :func:`as_max_pooling` can fall short of the maximum at each place.

    .. math:: \max_{|r| \le k} x_{i+r} - y_i \le \frac{W_0(2k/e)}{\beta x_i}

    with :math:`W_0` the Lambert function. No smaller number will do: the bound is met when all
    others of the window lie :math:`(1 + W_0(2k/e)) / (\beta x_i)` below the largest. Equation
    :eq:`max-pooling-error` of the book.

    Of the shape of the sequence ``x``, (..., n), which is not negative; infinite where it is 0 and
    ``k`` is not: there the layer takes the mean of the window.

    Raises
    ------
    ValueError
        If an entry of ``x`` is negative or not finite, or ``k`` or ``beta`` is out of range.
    """
    _half_width(2 * k + 1, 2 * k + 1)
    check_floating(x=x)
    if not ((x >= 0) & x.isfinite()).all() or not 0 < beta < math.inf:
        raise ValueError("expected finite x, not negative, and a positive, finite beta")
    worst = lambertw(2 * k / math.e).real
    return (worst / beta / x.double()).to(x.dtype) if k else torch.zeros_like(x)


def _half_width(width: int, n: int) -> int:
    """``k`` of a window of ``2 k + 1``."""
    if whole("a window", width) < 1 or width % 2 == 0:
        raise ValueError(f"a window must have a positive, odd number of places, got {width}")
    if width > whole("the length of a sequence", n):
        raise ValueError(f"a window of {width} places is wider than the sequence of {n}")
    return width // 2
