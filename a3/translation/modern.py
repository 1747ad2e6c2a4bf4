"""The handouts' decoder-only model and six changes that made today's models of it.

Each change can be had by itself: more heads, layer norm behind or before each part, a wider MLP,
rotary positions, tied embeddings. With none of them the model is
:class:`a3.translation.decoder_only.DecoderOnlyTransformer`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a3.translation.attention import SinusoidalPositions, causal_mask, scaled_dot_attention
from a3.translation.pig_latin import ALPHABET
from a3.translation.prompts import PromptBatch, Prompts

__all__ = ["LayerNorm", "ModernTransformer", "MultiHeadAttention", "Parts", "rotate"]


@dataclass(frozen=True)
class Parts:
    """What a model has of the six changes; the defaults are the handouts'.

    Raises
    ------
    ValueError
        If a value is outside the range given beside it.
    """

    heads: int = 1  # of attention; two or more come with an output projection
    norm: str = "none"  # or "post": of each sum; or "pre": of what each part reads
    mlp: int = 1  # width of the MLP over that of the model; above 1 it has a second linear map
    rotary: bool = False  # queries and keys turned by their positions; else sinusoids are added
    tied: bool = False  # logits by the embedding table; else by a map of their own

    def __post_init__(self):
        if self.norm not in ("none", "post", "pre"):
            raise ValueError(f"norm must be 'none', 'post' or 'pre', got {self.norm!r}")
        for name in ("heads", "mlp"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class LayerNorm(nn.Module):
    r"""Each vector with its mean taken off, over its standard deviation; then a gain and a bias.

    .. math::
        y = g \odot \hat x + b, \qquad \hat x = \frac{x - \bar x}{\sqrt{s^2 + \epsilon}}

    with the mean and the variance over the ``width`` entries of the vector. Equation
    :eq:`layer-norm` of the book; Ba, Kiros and Hinton (2016).
    """

    def __init__(self, width: int, epsilon: float = 1e-5):
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` of shape (..., width) to the same shape."""
        x = x - x.mean(dim=-1, keepdim=True)
        variance = x.square().mean(dim=-1, keepdim=True)
        return x * (variance + self.epsilon).rsqrt() * self.gain + self.bias


def rotate(x: Tensor, start: int = 0) -> Tensor:
    r"""Turn each pair of entries of the vector at position ``t`` by the angle :math:`t\theta_i`.

    .. math::
        (R_t x)_{2i} + \mathrm{i}\,(R_t x)_{2i+1}
        = e^{\mathrm{i} t \theta_i} \, (x_{2i} + \mathrm{i}\, x_{2i+1}),
        \qquad \theta_i = 10000^{-2i/d}

    Equation :eq:`rotary` of the book; Su et al. (2021).

    Parameters
    ----------
    x : Tensor, shape (..., T, d)
        Vectors of even width at positions ``start … start + T - 1``.

    Returns
    -------
    Tensor, shape (..., T, d)

    Raises
    ------
    ValueError
        If the width is odd.
    """
    T, d = x.shape[-2:]
    if d % 2:
        raise ValueError(f"rotary positions turn pairs of entries; the width {d} is odd")
    theta = 10000.0 ** (-torch.arange(0, d, 2, device=x.device, dtype=torch.float64) / d)
    angle = torch.arange(start, start + T, device=x.device).unsqueeze(1) * theta  # (T, d / 2)
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., T, d / 2)
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2)


class MultiHeadAttention(nn.Module):
    r"""Causal self-attention in several heads, each on its own part of the projections.

    .. math::
        \operatorname{head}_j = \operatorname{softmax}\!\left(
        \frac{Q_j K_j^\top}{\sqrt{H/h}}\right) V_j, \qquad
        C = [\operatorname{head}_1, \dots, \operatorname{head}_h]\, W_o

    Equation :eq:`multi-head` of the book; Section 3.2.2 of Vaswani et al. (2017). One head has no
    output projection, as in the handouts. With ``rotary``, queries and keys are turned by
    :func:`rotate`.

    Raises
    ------
    ValueError
        If the width, ``hidden``, is not a multiple of the number of heads.
    """

    def __init__(self, hidden: int, heads: int = 1, rotary: bool = False):
        super().__init__()
        if hidden % heads:
            raise ValueError(f"a width of {hidden} cannot be shared by {heads} heads")
        self.heads, self.rotary = heads, rotary
        self.W_q, self.W_k, self.W_v = (nn.Linear(hidden, hidden) for _ in range(3))
        self.W_o = nn.Linear(hidden, hidden) if heads > 1 else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (B, T, H) to the same shape, and weights (B, h, T, T)."""
        Q, K, V = (
            W(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, h, T, H / h)
            for W in (self.W_q, self.W_k, self.W_v)
        )
        if self.rotary:
            Q, K = rotate(Q), rotate(K)
        mask = causal_mask(x.shape[1], x.shape[1], x.device)
        context, weights = scaled_dot_attention(Q, K, V, mask)
        return self.W_o(context.transpose(1, 2).flatten(-2)), weights


class _Layer(nn.Module):
    """Attention, then an MLP, each added to its input; norms before or behind, if any."""

    def __init__(self, hidden: int, parts: Parts):
        super().__init__()
        self.self_attention = MultiHeadAttention(hidden, parts.heads, parts.rotary)
        if parts.mlp == 1:
            self.mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU())
        else:
            wide = parts.mlp * hidden
            self.mlp = nn.Sequential(nn.Linear(hidden, wide), nn.GELU(), nn.Linear(wide, hidden))
        pre, post = parts.norm == "pre", parts.norm == "post"
        self.before = nn.ModuleList(LayerNorm(hidden) if pre else nn.Identity() for _ in range(2))
        self.behind = nn.ModuleList(LayerNorm(hidden) if post else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B, T, H) to the same shape."""
        x = self.behind[0](x + self.self_attention(self.before[0](x))[0])
        return self.behind[1](x + self.mlp(self.before[1](x)))


class ModernTransformer(nn.Module):
    """The handouts' decoder-only transformer with some of six changes.

    Vectors have the width ``hidden``, H. A tied table is drawn with variance 1/H. Where sinusoids
    are added to its rows, these are read times √H, as in Section 3.4 of Vaswani et al. (2017).

    Raises
    ------
    ValueError
        If the width does not suit the parts.
    """

    def __init__(
        self,
        parts: Parts,
        hidden: int = 64,
        layers: int = 2,
        vocabulary: int = len(ALPHABET) + 3,
        max_length: int = 128,
        seed: int = 0,
    ):
        super().__init__()
        self.parts, self.hidden = parts, hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.positions = SinusoidalPositions(hidden, max_length)
            self.embedding = nn.Embedding(vocabulary, hidden)
            self.layers = nn.ModuleList(_Layer(hidden, parts) for _ in range(layers))
            self.norm = LayerNorm(hidden) if parts.norm == "pre" else nn.Identity()
            self.to_logits = nn.Linear(hidden, vocabulary, bias=not parts.tied)
        if parts.tied:
            with torch.no_grad():
                self.embedding.weight /= math.sqrt(hidden)
            self.to_logits.weight = self.embedding.weight

    def states(self, inputs: Tensor) -> Tensor:
        """Tokens (B, T) to the vectors (B, T, H) of which the logits are made."""
        x = self.embedding(inputs)  # (B, T, H)
        if not self.parts.rotary:
            x = self.positions(x * math.sqrt(self.hidden) if self.parts.tied else x)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, T, V) of the token after each of ``inputs`` (B, T)."""
        return self.to_logits(self.states(inputs))

    def loss(self, batch: PromptBatch) -> tuple[Tensor, int]:
        """Cross-entropy of the translations in nats, summed, and their number of tokens."""
        logits = self.to_logits(self.states(batch.inputs).flatten(0, 1)[batch.scored])
        return F.cross_entropy(logits, batch.targets, reduction="sum"), batch.tokens

    def flops(self, prompts: Prompts) -> float:
        """Floating-point operations of one forward pass over ``prompts``, padding left out.

        Counted as the handouts count, two a multiply-add and three a softmax entry; a norm takes
        seven an entry, a rotation three.
        """
        s, H, parts = prompts.lengths.double(), self.hidden, self.parts
        attention = 6 * s * H**2 + 4 * s**2 * H + 3 * parts.heads * s**2
        attention += 2 * s * H**2 * (parts.heads > 1) + 6 * s * H * parts.rotary
        mlp = 2 * s * H**2 * (1 if parts.mlp == 1 else 2 * parts.mlp)
        norms = 7 * s * H * (parts.norm != "none")
        layers = len(self.layers) * (attention + mlp + 2 * norms)
        logits = 2 * s * self.to_logits.weight.shape[0] * H
        return float((layers + norms * (parts.norm == "pre") + logits).sum())
