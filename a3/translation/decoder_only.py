"""Decoder-only translation: one stack of causal layers reads the word and writes on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a3.translation.attention import CausalScaledDotAttention, SinusoidalPositions
from a3.translation.pig_latin import ALPHABET
from a3.translation.prompts import PromptBatch, Prompts

__all__ = ["DecoderOnlyLayer", "DecoderOnlyTransformer"]


class DecoderOnlyLayer(nn.Module):
    """Causal self-attention, then an MLP, each added to its input. No norm, no dropout."""

    def __init__(self, hidden: int):
        super().__init__()
        self.self_attention = CausalScaledDotAttention(hidden)
        self.mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(inplace=True))

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """``x`` (B, k, H) to the same shape, weights (B, k, T), and keys and values (B, T, H)."""
        K, V = self.self_attention.project(x, x)
        if past is not None:
            K, V = torch.cat([past[0], K], dim=1), torch.cat([past[1], V], dim=1)
        context, weights = self.self_attention.attend(x, K, V)
        x = x + context
        return x + self.mlp(x), weights, (K, V)


class DecoderOnlyTransformer(nn.Module):
    """The handouts' decoder-only transformer: one head, no norm, no dropout.

    Equation :eq:`decoder-forward` of the book; questions 2.2-2 (2025) and 3.2-2 (2023). Arguments
    are those of :class:`a3.translation.encoder_decoder.EncoderDecoder`, with one token more,
    ``<EOP>``.

    Raises
    ------
    ValueError
        If the width is odd or not positive, or there is no layer or no token.
    """

    def __init__(
        self,
        hidden: int = 128,
        layers: int = 4,
        vocabulary: int = len(ALPHABET) + 3,
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
            self.positions = SinusoidalPositions(hidden, max_length)
            self.embedding = nn.Embedding(vocabulary, hidden)
            self.layers = nn.ModuleList(DecoderOnlyLayer(hidden) for _ in range(layers))
            self.to_logits = nn.Linear(hidden, vocabulary)

    def forward(
        self, inputs: Tensor, cache: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Logits of the token after each of ``inputs``.

        Parameters
        ----------
        inputs : Tensor of int64, shape (B, k)
            The last ``k`` tokens of sequences of ``T``.
        cache : list of pairs of Tensor, shape (B, T - k, H), optional
            Each layer's keys and values of the tokens before these.

        Returns
        -------
        logits : Tensor, shape (B, k, V)
        maps : list of Tensor, shape (B, k, T)
            Attention weights of each layer.
        cache : list of pairs of Tensor, shape (B, T, H)
        """
        x, maps, grown = self._states(inputs, cache)
        return self.to_logits(x), maps, grown

    def _states(self, inputs: Tensor, cache: list[tuple[Tensor, Tensor]] | None = None):
        start = 0 if cache is None else cache[0][0].shape[1]
        x = self.positions(self.embedding(inputs), start)  # (B, k, H)
        maps, grown = [], []
        for i, layer in enumerate(self.layers):
            x, weights, present = layer(x, cache and cache[i])
            maps.append(weights)
            grown.append(present)
        return x, maps, grown

    def loss(self, batch: PromptBatch) -> tuple[Tensor, int]:
        """Cross-entropy of the translations in nats, summed, and their number of tokens.

        Equation :eq:`decoder-loss` of the book, before it is divided by the number of tokens.
        Padding comes last, and causal attention never looks ahead, so no mask is needed. Logits
        are computed where they are scored. A ``TypeError`` if the batch is not one of
        :class:`~a3.translation.prompts.Prompts`.
        """
        if not isinstance(batch, PromptBatch):
            raise TypeError(
                f"a decoder-only model is trained on batches of Prompts, got {type(batch).__name__}"
            )
        x, _, _ = self._states(batch.inputs)
        logits = self.to_logits(x.flatten(0, 1)[batch.scored])  # (tokens, V)
        return F.cross_entropy(logits, batch.targets, reduction="sum"), batch.tokens

    @property
    def params(self) -> int:
        """Number of parameters, the embedding table left out: ``N`` of the scaling laws.

        Equation :eq:`decoder-parameters` of the book.
        """
        return sum(p.numel() for p in self.parameters()) - self.embedding.weight.numel()

    def flops(self, prompts: Prompts) -> float:
        """Floating-point operations of one forward pass over ``prompts``, padding left out.

        A ``TypeError`` if they are not :class:`~a3.translation.prompts.Prompts`.
        """
        if not isinstance(prompts, Prompts):
            raise TypeError(
                "a decoder-only model is trained on Prompts, got "
                f"{type(prompts).__name__}; write Prompts(WordPairs(words))"
            )
        return float(self.sequence_flops(prompts.lengths).sum())

    def sequence_flops(self, s: Tensor) -> Tensor:
        r"""Floating-point operations of a forward pass over sequences of ``s`` tokens.

        Counted as the handouts count: ``L (8sH² + 4s²H + 3s²) + 2sVH``, equation
        :eq:`decoder-flops` of the book.
        """
        s = s.double()
        V, H = self.to_logits.weight.shape
        return len(self.layers) * (8 * s * H**2 + 4 * s**2 * H + 3 * s**2) + 2 * s * V * H
