"""Scaled dot-product attention, its causal form, and sinusoidal positions.

Every function here is one equation of the book. Shapes are written
``(B, T, H)``: a batch of ``B`` sequences of ``T`` vectors of width ``H``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = [
    "CausalScaledDotAttention", "ScaledDotAttention", "SinusoidalPositions", "causal_mask",
    "positional_encoding", "scaled_dot_attention",
]  # fmt: skip


def scaled_dot_attention(
    Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Average the values by how well each key matches the query.

    .. math:: C = \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt{H}}\right) V

    Equation :eq:`scaled-dot-attention` of the book; Eq. (1) of Vaswani et al. (2017).

    Parameters
    ----------
    Q : Tensor, shape (..., k, H)
    K, V : Tensor, shape (..., T, H)
    mask : Tensor of bool, optional
        Broadcast to (..., k, T); ``True`` where a query may look. A query that may look nowhere
        gets the weights and the context 0, and gives no gradient.

    Returns
    -------
    context : Tensor, shape (..., k, H)
    weights : Tensor, shape (..., k, T)
        Each row sums to one, or is 0 where the mask hides every key.

    Raises
    ------
    TypeError
        If ``Q``, ``K`` and ``V`` are not tensors of one floating-point type, or the mask is not a
        tensor of bools.
    ValueError
        If the widths or the numbers of keys and values do not agree, or the mask does not fit.
    """
    _check_types(Q, K, V)
    if Q.shape[-1] != K.shape[-1]:
        raise ValueError(f"queries have width {Q.shape[-1]} but keys have width {K.shape[-1]}")
    if K.shape[-2] != V.shape[-2]:
        raise ValueError(f"there are {K.shape[-2]} keys but {V.shape[-2]} values")
    scores = K @ (Q / math.sqrt(Q.shape[-1])).mT  # (..., T, k)
    if mask is not None:
        hidden = _hidden(mask, (*scores.shape[:-2], Q.shape[-2], K.shape[-2])).mT
        scores = scores.masked_fill(hidden, -math.inf)
    # Keys before all else: torch's softmax is many times slower along a short inner axis.
    weights = scores.movedim(-2, 0).softmax(dim=0).movedim(0, -2)  # (..., T, k)
    if mask is not None:
        weights = weights.masked_fill(hidden, 0.0)  # nan where a query may look nowhere
    weights = weights.mT  # (..., k, T)
    return weights @ V, weights


def causal_mask(k: int, T: int, device: torch.device | None = None) -> Tensor:
    """Which of ``T`` keys the last ``k`` positions may look at: those not after them.

    Query ``i`` stands at position ``T - k + i``, the keys at ``0 … T - 1``: bools of shape (k, T).

    Raises
    ------
    ValueError
        If there are more queries than keys: the first would see none.
    """
    if k > T:
        raise ValueError(f"{k} queries cannot be the last of {T} keys' positions")
    return torch.ones(k, T, dtype=torch.bool, device=device).tril(T - k)


class ScaledDotAttention(nn.Module):
    r"""Scaled dot-product attention on learned projections of width ``hidden``, one head.

    .. math::
        \tilde\alpha_{ti} = \frac{(W_q q_t)^\top (W_k k_i)}{\sqrt{H}}, \qquad
        \alpha_{t\cdot} = \operatorname{softmax}(\tilde\alpha_{t\cdot}), \qquad
        c_t = \sum_{i=1}^{T} \alpha_{ti}\, W_v v_i

    Each projection has a bias; there is no output projection. Equation :eq:`projected-attention` of
    the book; questions 2.1-1 (2025) and 3.1-1 (2023).
    """

    def __init__(self, hidden: int):
        super().__init__()
        _check_width(hidden)
        self.hidden = hidden
        self.W_q = nn.Linear(hidden, hidden)
        self.W_k = nn.Linear(hidden, hidden)
        self.W_v = nn.Linear(hidden, hidden)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Context and attention weights for each query.

        Parameters
        ----------
        queries : Tensor, shape (B, H) or (B, k, H)
        keys, values : Tensor, shape (B, T, H)
        mask : Tensor of bool, broadcast to (B, k, T), optional
            ``True`` where a query may look.

        Returns
        -------
        context : Tensor, shape (B, H) or (B, k, H)
        weights : Tensor, shape (B, T) or (B, k, T)

        Raises
        ------
        TypeError
            As :func:`scaled_dot_attention`.
        ValueError
            If a shape is not one of those above.
        """
        _check_types(queries, keys, values)
        for name, x in (("queries", queries), ("keys", keys), ("values", values)):
            if x.shape[-1] != self.hidden:
                raise ValueError(
                    f"{name} must have width {self.hidden}, but their shape is {tuple(x.shape)}"
                )
        batch = {x.shape[0] for x in (queries, keys, values)}
        if queries.dim() not in (2, 3) or keys.dim() != 3 or values.dim() != 3 or len(batch) > 1:
            raise ValueError(
                "expected queries (B, H) or (B, k, H) and keys and values (B, T, H), got "
                f"{tuple(queries.shape)}, {tuple(keys.shape)} and {tuple(values.shape)}"
            )
        if queries.dim() == 2:  # one query a sequence: k = 1
            context, weights = self(queries.unsqueeze(1), keys, values, mask)
            return context.squeeze(1), weights.squeeze(1)
        return self.attend(queries, *self.project(keys, values), mask)

    def project(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """``W_k k`` and ``W_v v``: what a decoder keeps instead of computing it again."""
        return self.W_k(keys), self.W_v(values)

    def attend(
        self, queries: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """:func:`scaled_dot_attention` of queries to keys and values already projected."""
        return scaled_dot_attention(self.W_q(queries), K, V, mask)


class CausalScaledDotAttention(ScaledDotAttention):
    r"""Scaled dot-product attention in which no position looks at a later one.

    .. math:: \tilde\alpha_{ti} = -\infty \quad\text{for } i > t

    Equation :eq:`causal-attention` of the book; questions 2.1-2 (2025) and 3.1-2 (2023).
    """

    def attend(
        self, queries: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attention of the last ``k`` positions to the ``T`` positions up to themselves."""
        causal = causal_mask(queries.shape[-2], K.shape[-2], queries.device)
        return super().attend(queries, K, V, causal if mask is None else causal & mask)


def positional_encoding(length: int, hidden: int) -> Tensor:
    r"""Sines and cosines of each position, at wavelengths from :math:`2\pi` to :math:`20000\pi`.

    .. math::
        P_{t,2i} = \sin\frac{t}{10000^{2i/H}}, \qquad P_{t,2i+1} = \cos\frac{t}{10000^{2i/H}}

    A table of shape (length, hidden). Equation :eq:`sinusoidal-positions` of the book; Section 3.5
    of Vaswani et al. (2017).

    Raises
    ------
    ValueError
        If ``length`` is negative or the width, ``hidden``, is not a positive even number.
    """
    _check_width(hidden)
    if hidden % 2:
        raise ValueError(f"the width must be even (sines and cosines come in pairs), got {hidden}")
    if length < 0:
        raise ValueError(f"the number of positions must be at least 0, got {length}")
    t = torch.arange(length, dtype=torch.float64).unsqueeze(1)  # (T, 1)
    rate = 10000.0 ** (-torch.arange(0, hidden, 2, dtype=torch.float64) / hidden)  # (H / 2,)
    table = torch.stack([(t * rate).sin(), (t * rate).cos()], dim=-1)  # (T, H / 2, 2)
    return table.reshape(length, hidden).float()


class SinusoidalPositions(nn.Module):
    """Add :func:`positional_encoding` to a sequence of vectors.

    Parameters
    ----------
    hidden : int
        Width ``H``; even.
    max_length : int
        Number of positions in the table, made once.
    """

    def __init__(self, hidden: int, max_length: int = 128):
        super().__init__()
        self.register_buffer("table", positional_encoding(max_length, hidden), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """``x`` of shape (B, T, H) plus the encodings of positions ``start … start + T - 1``.

        Raises
        ------
        ValueError
            If the last of these positions is beyond the table.
        """
        end = start + x.shape[-2]
        if end > len(self.table):
            raise ValueError(
                f"a sequence of {end} tokens is longer than the position table "
                f"({len(self.table)}); build the model with a larger max_length"
            )
        return x + self.table[start:end]


def _check_width(hidden: int) -> None:
    if hidden < 1:
        raise ValueError(f"the hidden width must be a positive number, got {hidden}")


def _check_types(*tensors: Tensor) -> None:
    """A ``TypeError`` unless queries, keys and values are tensors of one floating-point type."""
    kinds = [x.dtype if isinstance(x, Tensor) else type(x).__name__ for x in tensors]
    if kinds.count(kinds[0]) < len(kinds) or not getattr(kinds[0], "is_floating_point", False):
        raise TypeError(
            "queries, keys and values must be tensors of one floating-point type, got "
            + ", ".join(map(str, kinds))
        )


def _hidden(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What the mask hides, in the full shape."""
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        found = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"a mask must be a tensor of bools, True where to look, got {found}")
    try:
        return (~mask).expand(shape)
    except RuntimeError:
        raise ValueError(f"a mask of shape {tuple(mask.shape)} must broadcast to {shape}") from None
