"""Fine-tuning many small classifiers side by side, as one programme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from a3.bert.classifier import BertForSentenceClassification
from a3.bert.schedule import warm_up_then_decay
from a3.bert.vocabulary import PAD

__all__ = ["SideBySide", "dealt", "fine_tune_side_by_side"]

_AT_ONCE = 16  # inputs that are labelled together


@dataclass(frozen=True)
class SideBySide:
    """How the models are fine-tuned; the same for every corpus and number of sentences.

    The learning rate is the one of 3e-4, 5e-4 and 1e-3 with the best accuracy, averaged over the
    corpora and the numbers of sentences, on fold and seed 4, which the results leave out.

    Raises
    ------
    ValueError
        If a value is outside the range given beside it.
    """

    steps: int = 200  # of AdamW, however few the sentences; >= 1
    batch_size: int = 16  # >= 1
    learning_rate: float = 5e-4  # at its highest; > 0
    warmup: float = 0.1  # share of the steps in which it rises; then it falls to 0; in [0, 1)
    weight_decay: float = 0.01  # of weights, not of biases or LayerNorm; >= 0
    draws: int = 3  # of the sentences, the classifier and the batches; >= 1

    def __post_init__(self):
        for name in ("steps", "batch_size", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be in [0, 1), got {self.warmup}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be finite and at least 0, got {self.weight_decay}")


def dealt(rows: Tensor, settings: SideBySide, generator: torch.Generator) -> Tensor:
    """Random batches of rows, (steps, B), each row once before any comes again."""
    needed = settings.steps * settings.batch_size
    passes = math.ceil(needed / len(rows))
    orders = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(passes)]
    return torch.cat(orders)[:needed].view(settings.steps, settings.batch_size)


def fine_tune_side_by_side(
    models: Sequence[BertForSentenceClassification],
    inputs: Tensor,
    labels: Tensor,
    batches: Tensor,
    settings: SideBySide,
) -> tuple[Tensor, Tensor]:
    """Train each model on its own batches, and let it label every input.

    The products are batched over the models; each learns as if it were alone. Only the vectors of
    words that occur are trained.

    Parameters
    ----------
    models : sequence of BertForSentenceClassification
        ``K`` of one shape, without dropout; not changed.
    inputs, labels : Tensor of int64, shapes (n, T) and (n,)
    batches : Tensor of int64, shape (steps, K, B)
        Rows of the inputs, for each step and model.

    Returns
    -------
    predictions : Tensor of uint8, shape (K, n)
    losses : Tensor, shape (steps, K)
        Mean cross-entropy of each batch, in nats.
    """
    weights, _ = stack_module_state(list(models))
    used = torch.cat([torch.tensor([PAD]), inputs.unique()])
    inputs, table = torch.searchsorted(used, inputs), "embeddings.word_embeddings.weight"
    weights[table] = weights[table].detach()[:, used].requires_grad_()

    def logits(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(models[0], weights, (x,)).logits

    matrices = [weight for weight in weights.values() if weight.dim() > 2]  # (K, in, out)
    others = [weight for weight in weights.values() if weight.dim() == 2]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    losses = []
    for step, rows in enumerate(batches):  # (K, B)
        rising = settings.warmup * settings.steps
        factor = warm_up_then_decay(step, settings.steps, rising, ahead=1)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor
        scores = vmap(logits)(weights, inputs[rows])  # (K, B, 3)
        each = F.cross_entropy(scores.mT, labels[rows], reduction="none").mean(dim=1)  # (K,)
        optimizer.zero_grad()
        each.sum().backward()
        optimizer.step()
        losses.append(each.detach())
    with torch.no_grad():
        # a few inputs at a time stay in the processor's cache
        parts = [vmap(logits, in_dims=(0, None))(weights, x) for x in inputs.split(_AT_ONCE)]
    scores = torch.cat(parts, dim=1)  # (K, n, 3)
    return scores.argmax(dim=-1).to(torch.uint8), torch.stack(losses)
