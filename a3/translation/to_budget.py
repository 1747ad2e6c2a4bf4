"""Training to a budget of FLOPs: decoder-only models of one shape, a seed each, side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from a3.lab.saved_runs import SavedRun, restore, state_of
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.pig_latin import norvig_words, small_words
from a3.translation.prompts import PromptBatch, Prompts
from a3.translation.side_by_side import Ensemble, StackedBatch
from a3.translation.training import joined
from a3.translation.word_pairs import WordPairs, groups_of_like_length

__all__ = ["grid", "train_to_budget"]

_COLUMNS = ("hidden", "params", "seed", "budget", "flops", "tokens", "loss", "seconds")


def grid(budget: float) -> list[float]:
    """FLOPs at which every run is validated on its way to ``budget``: four an octave, up to it."""
    return [budget * 2 ** (-i / 4) for i in reversed(range(21))]


def train_to_budget(
    hidden: int,
    seeds: Sequence[int],
    budget: float,
    *,
    layers: int = 4,
    learning_rate: float = 5e-4,
    decay: float | None = 0.99,
    batch_size: int = 64,
    words: str = "small",
    checkpoint: Path | None = None,
) -> dict[str, list[float]]:
    """Train decoder-only models of one shape, one a seed, until each has spent a budget of FLOPs.

    Parameters
    ----------
    seeds : sequence of int
        Each draws a model's split of the words, its initial weights and its batches.
    budget : float
        FLOPs, counted as the handouts count, a backward pass as two forward passes.
    decay : float or None
        Factor on Adam's learning rate after every epoch; None for a cosine from the learning rate
        to a tenth of it at the end of the budget.
    words : {"small", "fresh"}
        ``"small"`` trains on four fifths of the small list again and again, ``"fresh"`` on the
        most frequent other words of Norvig's, as many as the budget needs if there are, each once
        before any comes again. An epoch has as many words, and the words held out are the same.
    checkpoint : path-like, optional
        Written as training goes on, which begins from it if it exists.

    Returns
    -------
    dict of str to list
        Columns with an entry for each seed and point of :func:`grid`: ``hidden``; ``params``, N;
        ``seed``; ``budget``, the point; ``flops`` and ``tokens`` spent by then, at the nearest
        step; ``loss`` on the held-out words, nats a token; ``seconds`` of the programme by then,
        divided by its models.

    Raises
    ------
    ValueError
        If there is no such list, or an option is out of its range.
    CheckpointError
        If the checkpoint cannot be written or read, or is of other settings.
    """
    if decay is not None and not 0 < decay <= 1:
        raise ValueError(f"decay must be None or in (0, 1], got {decay}")
    if not 0 < budget < math.inf:
        raise ValueError(f"the budget must be positive and finite, got {budget}")
    if words not in ("small", "fresh"):
        raise ValueError(f"words must be 'small' or 'fresh', got {words!r}")
    run = _Run(hidden, layers, seeds, budget, learning_rate, words)
    settings = [hidden, layers, list(seeds), budget, learning_rate, decay, batch_size, words]
    saved = SavedRun(checkpoint, settings)
    if state := saved.read():
        run.restore(state)
    points = grid(budget)[len(run.rows) // len(run.seeds) :]
    while True:
        for batch, lengths in run.batches(batch_size):
            flops = run.flops_of(lengths).sum(dim=1)  # (K,)
            while (run.flops + flops / 2).mean() > points[0]:  # the next step ends farther from it
                run.validate(points.pop(0))
                if not points:
                    return dict(zip(_COLUMNS, map(list, zip(*run.rows, strict=True)), strict=True))
            cosine = 0.55 + 0.45 * math.cos(math.pi * run.flops.mean().item() / budget)
            run.step(batch, learning_rate * (cosine if decay is None else decay**run.epoch))
            run.flops += flops
            run.tokens += lengths.sum(dim=1)
        run.epoch += 1
        saved.write_at_times(run.state)


class _Run:
    """Models of one shape, a seed each: their words, what they have spent and reached."""

    def __init__(
        self,
        hidden: int,
        layers: int,
        seeds: Sequence[int],
        budget: float,
        learning_rate: float,
        words: str,
    ):
        models = [DecoderOnlyTransformer(hidden, layers, seed=seed) for seed in seeds]
        self.ensemble = Ensemble(models)
        self.like, self.seeds = models[0], list(seeds)
        weights = joined(self.ensemble.weights.values())
        self.optimizer = torch.optim.Adam([weights], lr=learning_rate, fused=True)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.epoch, self.rows = 0, []
        self.flops, self.tokens = torch.zeros(2, len(seeds), dtype=torch.double)
        pairs = Prompts(WordPairs(small_words()))
        self.training, held_out = zip(*(pairs.split(seed=seed) for seed in seeds), strict=True)
        self.held_out = list(_stacked([prompts.batches(256) for prompts in held_out]))
        self.epoch_words = len(self.training[0])
        if words == "fresh":
            needed = 1.2 * budget / self.flops_of(pairs.lengths).mean()
            self.training = [_fresh(seed, int(needed)) for seed in seeds]
        self.started = time.perf_counter()

    def flops_of(self, lengths: Tensor) -> Tensor:
        """Floating-point operations of a training step on sequences of such lengths, each."""
        return 3 * self.like.sequence_flops(lengths)  # a backward pass costs two forward passes

    def batches(self, batch_size: int) -> Iterator[tuple[StackedBatch, Tensor]]:
        """The next epoch's words, in batches of like length for all seeds, and their lengths."""
        dealt = []
        for prompts, generator in zip(self.training, self.generators, strict=True):
            first = self.epoch * self.epoch_words
            rows = torch.arange(first, first + self.epoch_words) % len(prompts)
            groups = groups_of_like_length(prompts.lengths[rows], batch_size, generator)
            lengths = [prompts.lengths[rows[group]].double().mean() for group in groups]
            dealt.append([rows[groups[i]] for i in torch.stack(lengths).argsort()])
        for i in torch.randperm(len(dealt[0]), generator=self.generators[0]).tolist():
            chosen = [groups[i] for groups in dealt]
            batches = [prompts[rows] for prompts, rows in zip(self.training, chosen, strict=True)]
            lengths = [p.lengths[rows] for p, rows in zip(self.training, chosen, strict=True)]
            yield StackedBatch.of(batches), torch.stack(lengths)

    def step(self, batch: StackedBatch, learning_rate: float) -> None:
        """One step of Adam for every model, each on its own words."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=False)
        self.ensemble.losses(batch).sum().backward()
        self.optimizer.step()

    @torch.no_grad()
    def validate(self, point: float) -> None:
        """Add a row a model: what it has spent, and its loss on the held-out words."""
        tokens = sum(batch.tokens for batch in self.held_out)  # (K,)
        losses = sum(self.ensemble.losses(batch) * batch.tokens for batch in self.held_out) / tokens
        seconds = (time.perf_counter() - self.started) / len(self.seeds)
        spent = zip(self.flops.tolist(), self.tokens.tolist(), losses.tolist(), strict=True)
        for seed, (flops, tokens, loss) in zip(self.seeds, spent, strict=True):
            shape = (self.like.embedding.embedding_dim, self.like.params)
            self.rows.append([*shape, seed, point, flops, tokens, loss, seconds])

    def parts(self) -> dict[str, Any]:
        """What changes as it goes on and can restore itself."""
        weights, generators = dict(self.ensemble.weights), self.generators
        return {"weights": weights, "optimizer": self.optimizer, "generators": generators}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return state_of(**self.parts()) | {
            "spent": [self.epoch, self.rows, self.flops, self.tokens],
            "seconds": time.perf_counter() - self.started,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        restore(state, **self.parts())
        self.epoch, self.rows, self.flops, self.tokens = state["spent"]
        self.started = time.perf_counter() - state["seconds"]


def _stacked(streams: Sequence[Iterator[PromptBatch]]) -> Iterator[StackedBatch]:
    """Batches of each model, side by side."""
    return map(StackedBatch.of, zip(*streams, strict=True))


def _fresh(seed: int, number: int) -> Prompts:
    """The most frequent of Norvig's words that the small list does not have, in random order.

    As in the small list, one in 32 is a hyphenated compound; here, of two short words.
    """
    small = set(small_words())
    words = [word for word in norvig_words() if word not in small][:number]
    short = [word for word in words if len(word) <= 5]
    words += ["-".join(pair) for pair in zip(short[::2], short[1::2], strict=False)][: number // 32]
    order = torch.randperm(len(words), generator=torch.Generator().manual_seed(seed))
    return Prompts(WordPairs(words[i] for i in order.tolist()))
