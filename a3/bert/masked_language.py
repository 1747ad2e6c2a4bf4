"""Masked-language modelling: the masking, and pretraining a small BERT."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM
from transformers.masking_utils import create_bidirectional_mask

from a3.bert.schedule import warm_up_then_decay
from a3.bert.vocabulary import CLS, MASK, PAD, SEP, SPECIAL, Vocabulary
from a3.lab.saved_runs import SavedRun, restore, state_of

__all__ = ["Pretraining", "batches", "bert_config", "hidden_at", "mask", "pretrain"]


@dataclass(frozen=True)
class Pretraining:
    """How a model is pretrained.

    Raises
    ------
    ValueError
        If a value is outside the range given beside it.
    """

    steps: int = 2500  # of the optimiser; >= 1
    tokens: int = 384  # of a step's sentences, about; >= 1
    learning_rate: float = 1e-3  # of AdamW at its highest; > 0
    warmup: float = 0.1  # share of the steps on which it rises from 0; in [0, 1)
    weight_decay: float = 0.01  # of matrices, not of biases or LayerNorm; >= 0
    seed: int = 0  # of the initial weights, the order of the text and the masks

    def __post_init__(self):
        for name in ("steps", "tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be in [0, 1), got {self.warmup}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be finite and at least 0, got {self.weight_decay}")


def bert_config(words: int, **changes: Any) -> BertConfig:
    """A tiny BERT's shape: two layers, width 128, four heads, no dropout.

    ``words`` is the size of the vocabulary, ``changes`` are other fields of the configuration.
    """
    shape = {
        "vocab_size": words,
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "max_position_embeddings": 32,
        "type_vocab_size": 1,
        "initializer_range": 0.06,  # BERT's 0.02 is for six times the width
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": PAD,
    }
    return BertConfig(**shape | changes)


def mask(inputs: Tensor, words: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hide some of the words, for a model to guess.

    Each word is chosen with probability 0.15. Of the chosen, 80 % become ``[MASK]``, 10 % one of
    ``words`` drawn at random, and 10 % stay as they are. Devlin et al. (2019), Section 3.1 and
    Appendix A.1.

    Returns
    -------
    masked : Tensor of int64, shape (B, T)
    chosen : Tensor of bool, shape (B, T)
        Where to guess; never a special token.
    """
    chosen = (torch.rand(inputs.shape, generator=generator) < 0.15) & (inputs >= len(SPECIAL))
    fate = torch.rand(inputs.shape, generator=generator)
    drawn = torch.randint(len(SPECIAL), words, inputs.shape, generator=generator)
    masked = torch.where(chosen & (fate < 0.8), MASK, inputs)
    return torch.where(chosen & (fate >= 0.9), drawn, masked), chosen


def batches(
    sentences: Sequence[Sequence[int]], tokens: int, generator: torch.Generator
) -> list[Tensor]:
    """All sentences once, in random batches of equal length: nothing is padded.

    A batch has about ``tokens`` tokens; a longer sentence is a batch by itself. Its rows are
    ``[CLS] words [SEP]``: int64, shape (B, T).
    """
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    order = torch.randperm(len(sentences), generator=generator)
    groups = []
    for length in lengths.unique():
        same = order[lengths[order] == length]
        groups += same.split(max(1, tokens // (int(length) + 2)))
    whole = [[[CLS, *sentences[i], SEP] for i in group.tolist()] for group in groups]
    shuffled = torch.randperm(len(whole), generator=generator).tolist()
    return [torch.tensor(whole[i]) for i in shuffled]


def hidden_at(
    model: nn.Module,
    places: Any,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    token_type_ids: Tensor | None = None,
) -> Tensor:
    """The encoder's last hidden states at some places; elsewhere its last layer is not worked out.

    ``places`` is an index of tensors of shape (B, T), such as the others are, of int64:
    ``last_hidden_state[places]``.
    """
    x = model.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)  # (B, T, H)
    mask = create_bidirectional_mask(model.config, x, attention_mask)
    *layers, last = model.encoder.layer
    for layer in layers:
        x = layer(x, mask)
    attended, _ = last.attention.self(x, mask)
    x = last.attention.output(attended[places], x[places])
    return last.output(last.intermediate(x), x)


def pretrain(
    text: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    settings: Pretraining | None = None,
    *,
    checkpoint: Path | None = None,
    **shape: Any,
) -> dict[str, Any]:
    """Train a small BERT to guess the masked words of a text.

    The sentences are gone through again and again in new orders. The last layer and the logits are
    worked out where a word was chosen, and nowhere else. ``shape`` is as for :func:`bert_config`.
    The checkpoint is written as training goes on; if it exists, training goes on from it and ends
    as if it had never been interrupted.

    Returns
    -------
    dict
        ``weights`` of the :class:`transformers.BertForMaskedLM`, ``losses`` (steps,), the mean
        cross-entropy at the chosen places in nats, and ``seconds``.

    Raises
    ------
    ValueError
        If there is no sentence, or a word is not in the vocabulary.
    CheckpointError
        If the checkpoint cannot be written or read, or is of another run.
    """
    settings = settings or Pretraining()
    run = _Run(text, vocabulary, settings, shape)
    identity = {**asdict(settings), **shape, "words": len(vocabulary), "text": run.digest}
    saved = SavedRun(checkpoint, identity)
    if state := saved.read():
        run.restore(state)
    while len(run.losses) < settings.steps:
        run.step()
        saved.write_at_times(run.state)
    weights = {name: weight.detach() for name, weight in run.model.state_dict().items()}
    seconds = time.perf_counter() - run.started
    return {"weights": weights, "losses": torch.tensor(run.losses), "seconds": seconds}


class _Run:
    """A model on its way: its text, its optimiser, and what it has gone through."""

    def __init__(
        self,
        text: Sequence[Sequence[str]],
        vocabulary: Vocabulary,
        settings: Pretraining,
        shape: dict[str, Any],
    ):
        self.settings, self.words = settings, len(vocabulary)
        self.sentences = [vocabulary.encode(sentence) for sentence in text]
        if not self.sentences:
            raise ValueError("there is no sentence to pretrain on")
        config = bert_config(self.words, **shape)
        longest = max(map(len, self.sentences)) + 2
        if longest > config.max_position_embeddings:
            raise ValueError(
                f"a sentence has {longest} tokens with [CLS] and [SEP], the model only "
                f"{config.max_position_embeddings} positions"
            )
        self.digest = hashlib.sha256(repr(self.sentences).encode()).hexdigest()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = BertForMaskedLM(config)
        matrices = [p for p in self.model.parameters() if p.dim() > 1]
        others = [p for p in self.model.parameters() if p.dim() < 2]  # biases and LayerNorm's
        groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.batches: list[Tensor] = []  # of the present pass, those still to come
        self.losses: list[float] = []
        self.started = time.perf_counter()

    def step(self) -> None:
        """One step on the next rows of the text."""
        hp, step = self.settings, len(self.losses)
        if not self.batches:
            self.batches = batches(self.sentences, hp.tokens, self.generator)
        inputs = self.batches.pop()  # (B, T)
        chosen = torch.zeros(0)
        while not chosen.any():  # a very small batch may have no word chosen
            masked, chosen = mask(inputs, self.words, self.generator)
        hidden = hidden_at(self.model.bert, chosen, masked)  # (n, H)
        loss = F.cross_entropy(self.model.cls(hidden), inputs[chosen])
        factor = warm_up_then_decay(step, hp.steps, hp.warmup * hp.steps, ahead=1)
        for group in self.optimizer.param_groups:
            group["lr"] = hp.learning_rate * factor
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def parts(self) -> dict[str, Any]:
        """What changes as it goes on and can restore itself."""
        return {"model": self.model, "optimizer": self.optimizer, "generator": self.generator}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return state_of(**self.parts()) | {
            "batches": self.batches,
            "losses": self.losses,
            "seconds": time.perf_counter() - self.started,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        restore(state, **self.parts())
        self.batches, self.losses = state["batches"], state["losses"]
        self.started = time.perf_counter() - state["seconds"]
