"""The handouts' simplified transformer for translation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a3.translation.attention import (
    CausalScaledDotAttention,
    ScaledDotAttention,
    SinusoidalPositions,
)
from a3.translation.pig_latin import ALPHABET
from a3.translation.word_pairs import IGNORE, Batch, WordPairs

__all__ = ["AttentionMaps", "Decoder", "DecoderLayer", "Encoder", "EncoderDecoder", "EncoderLayer"]


class AttentionMaps(NamedTuple):
    """Attention weights of every layer, first to last, for one batch.

    Source positions looking at the source, (B, S, S); target positions at the target up to
    themselves, (B, T, T); and target positions at the source, (B, T, S).
    """

    encoder: list[Tensor]
    decoder: list[Tensor]
    cross: list[Tensor]


def _mlp(hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(inplace=True))


class EncoderLayer(nn.Module):
    """Self-attention, then an MLP, each added to its input. No norm, no dropout."""

    def __init__(self, hidden: int):
        super().__init__()
        self.self_attention = ScaledDotAttention(hidden)
        self.mlp = _mlp(hidden)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``x`` of shape (B, S, H) to the same shape, and weights (B, S, S)."""
        context, weights = self.self_attention(x, x, x, mask)
        x = x + context
        return x + self.mlp(x), weights


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, then an MLP, each added to its input."""

    def __init__(self, hidden: int):
        super().__init__()
        self.self_attention = CausalScaledDotAttention(hidden)
        self.cross_attention = ScaledDotAttention(hidden)
        self.mlp = _mlp(hidden)

    def forward(
        self,
        x: Tensor,
        source: tuple[Tensor, Tensor],
        source_mask: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """One layer on the last ``k`` target positions.

        Parameters
        ----------
        x : Tensor, shape (B, k, H)
        source : pair of Tensor, shape (B, S, H)
            Keys and values of the source, already projected by ``cross_attention.project``.
        source_mask : Tensor of bool, shape (B, 1, S), optional
        past : pair of Tensor, shape (B, T - k, H), optional
            Projected keys and values of the positions before these.

        Returns
        -------
        x : Tensor, shape (B, k, H)
        weights : pair of Tensor, shapes (B, k, T) and (B, k, S)
        present : pair of Tensor, shape (B, T, H)
            ``past`` with these positions added, for the next call.
        """
        K, V = self.self_attention.project(x, x)
        if past is not None:
            K, V = torch.cat([past[0], K], dim=1), torch.cat([past[1], V], dim=1)
        context, self_weights = self.self_attention.attend(x, K, V)
        x = x + context
        context, cross_weights = self.cross_attention.attend(x, *source, source_mask)
        x = x + context
        return x + self.mlp(x), (self_weights, cross_weights), (K, V)


class Encoder(nn.Module):
    """Embedding, positions, and a stack of :class:`EncoderLayer`; see :class:`EncoderDecoder`."""

    def __init__(self, hidden: int, layers: int, vocabulary: int, max_length: int):
        super().__init__()
        self.positions = SinusoidalPositions(hidden, max_length)
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(EncoderLayer(hidden) for _ in range(layers))

    def forward(self, source: Tensor, mask: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Tokens (B, S) to annotations (B, S, H), and each layer's weights (B, S, S)."""
        x = self.positions(self.embedding(source))  # (B, S, H)
        maps = []
        for layer in self.layers:
            x, weights = layer(x, mask)
            maps.append(weights)
        return x, maps


class Decoder(nn.Module):
    """Embedding, positions, a stack of :class:`DecoderLayer`, and a linear map to logits."""

    def __init__(self, hidden: int, layers: int, vocabulary: int, max_length: int):
        super().__init__()
        self.positions = SinusoidalPositions(hidden, max_length)
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(DecoderLayer(hidden) for _ in range(layers))
        self.to_logits = nn.Linear(hidden, vocabulary)

    def project(self, annotations: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each layer's keys and values of the source (B, S, H): needed once a word."""
        return [layer.cross_attention.project(annotations, annotations) for layer in self.layers]

    def forward(
        self,
        inputs: Tensor,
        source: list[tuple[Tensor, Tensor]],
        source_mask: Tensor | None = None,
        cache: list[tuple[Tensor, Tensor]] | None = None,
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
        """Logits (B, k, V) of the token after each of ``inputs`` (B, k).

        ``source`` comes from :meth:`project`. ``cache`` holds each layer's keys and values of the
        target positions before these; the grown cache is the last thing returned, after each
        layer's weights.
        """
        start = 0 if cache is None else cache[0][0].shape[1]
        x = self.positions(self.embedding(inputs), start)  # (B, k, H)
        maps, grown = [], []
        for i, layer in enumerate(self.layers):
            x, weights, present = layer(x, source[i], source_mask, cache and cache[i])
            maps.append(weights)
            grown.append(present)
        return self.to_logits(x), maps, grown


class EncoderDecoder(nn.Module):
    """The handouts' encoder-decoder transformer: one head, no norm, no dropout.

    Section 2.1 of the 2025 handout, 3.1 of the 2023 one. Vectors have the width ``hidden``, H,
    which is even; encoder and decoder have so many layers each. The vocabulary is 29 tokens: the
    letters, the hyphen, ``<SOS>`` and ``<EOS>``. The position tables cover sequences of
    ``max_length`` tokens.

    Raises
    ------
    ValueError
        If the width is odd or not positive, or there is no layer or no token.
    """

    def __init__(
        self,
        hidden: int = 32,
        layers: int = 4,
        vocabulary: int = len(ALPHABET) + 2,
        max_length: int = 128,
        seed: int = 0,
    ):
        super().__init__()
        if layers < 1:
            raise ValueError(f"there must be at least one layer, got {layers}")
        if vocabulary < 1:
            raise ValueError(f"there must be at least one token, got {vocabulary}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = Encoder(hidden, layers, vocabulary, max_length)
            self.decoder = Decoder(hidden, layers, vocabulary, max_length)

    def forward(
        self, source: Tensor, inputs: Tensor, source_mask: Tensor | None = None
    ) -> tuple[Tensor, AttentionMaps]:
        """Logits of every next target token, with the true ones before it given.

        Parameters
        ----------
        source : Tensor of int64, shape (B, S)
        inputs : Tensor of int64, shape (B, T)
            ``<SOS>`` and the translation.
        source_mask : Tensor of bool, shape (B, 1, S), optional
            ``True`` on tokens. The target needs no mask: its padding comes last.

        Returns
        -------
        logits : Tensor, shape (B, T, V)
        maps : AttentionMaps
        """
        annotations, encoder = self.encoder(source, source_mask)
        logits, maps, _ = self.decoder(inputs, self.decoder.project(annotations), source_mask)
        decoder, cross = zip(*maps, strict=True)
        return logits, AttentionMaps(encoder, list(decoder), list(cross))

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Cross-entropy of the batch's target tokens in nats, summed, and their number.

        Equation :eq:`translation-loss` of the book, before it is divided by that number. A
        ``TypeError`` if the batch is not one of :class:`~a3.translation.word_pairs.WordPairs`.
        """
        if not isinstance(batch, Batch):
            raise TypeError(
                f"an encoder-decoder is trained on batches of WordPairs, got {type(batch).__name__}"
            )
        logits, _ = self(batch.source, batch.inputs, batch.source_mask)
        total = F.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        return total, batch.tokens

    def flops(self, pairs: WordPairs) -> float:
        r"""Floating-point operations of one forward pass over ``pairs``, padding left out.

        Counted as the handouts count: two a multiply-add, three a softmax entry. With ``s`` source
        and ``t`` target tokens, a layer of the encoder takes ``8sH² + 4s²H + 3s²`` and one of the
        decoder ``10tH² + 4sH² + 4t²H + 3t² + 4tsH + 3ts``; the logits take ``2tVH``. A
        ``TypeError`` if they are not :class:`~a3.translation.word_pairs.WordPairs`.
        """
        if not isinstance(pairs, WordPairs):
            raise TypeError(
                f"an encoder-decoder is trained on WordPairs, got {type(pairs).__name__}"
            )
        s, t = pairs.source_lengths.double(), pairs.target_lengths.double()
        V, H = self.decoder.to_logits.weight.shape
        encoder = 8 * s * H**2 + 4 * s**2 * H + 3 * s**2
        decoder = 10 * t * H**2 + 4 * s * H**2 + 4 * t**2 * H + 3 * t**2 + 4 * t * s * H + 3 * t * s
        return float((len(self.encoder.layers) * (encoder + decoder) + 2 * t * V * H).sum())
