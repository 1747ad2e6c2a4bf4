"""Decoder-only transformers of one shape, trained side by side: each weight has a model's axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import stack_module_state
from torch.nn import functional as F

from a3.translation.attention import causal_mask
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.prompts import PromptBatch
from a3.translation.word_pairs import EOS, IGNORE

__all__ = ["Ensemble", "StackedBatch"]


@dataclass(frozen=True)
class StackedBatch:
    """A batch of each of ``K`` models, padded to the longest; all int64."""

    inputs: Tensor  # (K, B, T)
    scored: Tensor  # (K, n): places of the flattened inputs that are scored; filled up with any
    targets: Tensor  # (K, n): the next token at each, IGNORE where scored is filled up
    tokens: Tensor  # (K,): scored tokens of each model

    @classmethod
    def of(cls, batches: Sequence[PromptBatch]) -> StackedBatch:
        """Stack a batch of each model, all of as many words."""
        T = max(batch.inputs.shape[1] for batch in batches)
        n = max(batch.tokens for batch in batches)
        inputs, scored, targets = [], [], []
        for i, batch in enumerate(batches):
            B, own = batch.inputs.shape
            inputs.append(F.pad(batch.inputs, (0, T - own), value=EOS))
            row = batch.scored // own
            place = (i * B + row) * T + batch.scored % own
            scored.append(F.pad(place, (0, n - batch.tokens)))
            targets.append(F.pad(batch.targets, (0, n - batch.tokens), value=IGNORE))
        tokens = torch.tensor([batch.tokens for batch in batches])
        return cls(torch.stack(inputs), torch.stack(scored), torch.stack(targets), tokens)


class Ensemble:
    """Several models of one shape as one programme, so that narrow ones fill the processor.

    What it computes is what :class:`a3.translation.decoder_only.DecoderOnlyTransformer` computes,
    ``K`` times; only the products are batched over the models, which are not changed. ``weights``
    are (K, ...) by the names of the models' own.

    Raises
    ------
    ValueError
        If there is no model, or their shapes differ.
    """

    def __init__(self, models: Sequence[DecoderOnlyTransformer]):
        shapes = {tuple(p.shape for p in model.parameters()) for model in models}
        if len(shapes) != 1:
            raise ValueError(f"expected models of one shape, got {len(shapes)} shapes")
        self.weights, buffers = stack_module_state(list(models))
        self._positions = buffers["positions.table"][0]
        self._layers = len(models[0].layers)

    def losses(self, batch: StackedBatch) -> Tensor:
        """Mean cross-entropy of each model on its own batch, in nats a token, shape (K,)."""
        K, B, T = batch.inputs.shape
        embedding = self.weights["embedding.weight"]  # (K, V, H)
        V, H = embedding.shape[1:]
        own = torch.arange(K).view(K, 1, 1) * V  # where a model's tokens begin among all
        x = F.embedding(batch.inputs + own, embedding.flatten(0, 1)) + self._positions[:T]
        x = x.view(K, B * T, H)
        hidden = torch.zeros(T, T).masked_fill(~causal_mask(T, T).mT, -math.inf)
        for i in range(self._layers):
            layer = f"layers.{i}."
            q, k, v = (
                self._linear(f"{layer}self_attention.W_{name}", x).view(K * B, T, H)
                for name in "qkv"
            )
            scores = torch.baddbmm(hidden, k, q.mT, alpha=1 / math.sqrt(H))  # (K B, T, T)
            # Keys before all else, as in scaled_dot_attention.
            weights = scores.transpose(0, 1).softmax(dim=0).transpose(0, 1)
            context = torch.bmm(weights.mT, v)
            x = x + context.view(K, B * T, H)
            x = x + self._linear(f"{layer}mlp.0", x).relu_()
        logits = self._linear("to_logits", x.view(K * B * T, H)[batch.scored])  # (K, n, V)
        each = F.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="none"
        )
        return each.view(K, -1).sum(dim=1) / batch.tokens

    def _linear(self, name: str, x: Tensor) -> Tensor:
        """Each model's linear layer of its own ``x``, (K, n, in) to (K, n, out)."""
        bias, weight = self.weights[f"{name}.bias"], self.weights[f"{name}.weight"]
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
