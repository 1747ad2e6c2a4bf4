"""Short trainings of translators, each for one page."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a3.lab.experiments import Experiment
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import large_words, small_words
from a3.translation.prompts import PromptBatch, Prompts
from a3.translation.training import Hyperparameters, train
from a3.translation.word_pairs import EOP, WordPairs

__all__ = [
    "EXPERIMENTS", "LEARNING_RATES", "BATCH_SIZES", "LENGTHS", "LONGEST", "LearnedPositions",
    "NoPositions", "PromptToo", "by_length", "learn", "tune", "validated",
]  # fmt: skip

LEARNING_RATES, BATCH_SIZES = (5e-4, 1e-3), (512, 64)
"""What the page on tuning tries."""
LONGEST, LENGTHS = 7, range(2, 13)
"""Letters of the longest words trained on, and of the words tried, on the page on positions."""


def tune(learning_rate: float, batch_size: int, epochs: int) -> dict[str, float]:
    """Lowest loss on a tenth of the *training* words, set aside for tuning."""
    training, _ = WordPairs(large_words()).split(seed=0)
    fold, tuning = training.split(0.9, seed=1)
    model = EncoderDecoder(hidden=64, layers=3)
    settings = Hyperparameters(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    return {"loss": train(model, fold, tuning, settings, progress=False).best_loss}


class NoPositions(nn.Module):
    """Leaves a sequence of vectors as it is."""

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """``x`` of shape (B, T, H), unchanged."""
        return x


class LearnedPositions(nn.Module):
    """A one-hot code of the position times a learned matrix, added to a sequence of vectors."""

    def __init__(self, hidden: int, max_length: int):
        super().__init__()
        self.rows = nn.Parameter(0.1 * torch.randn(max_length, hidden))

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """``x`` of shape (B, T, H) plus the rows of positions ``start … start + T - 1``."""
        return x + self.rows[start : start + x.shape[-2]]


def by_length(
    kind: str, hyperparameters: Hyperparameters, every: int = 1
) -> dict[str, list[float]]:
    """Train on short words; share of held-out words translated exactly, at each of ``LENGTHS``.

    Positions are of a ``kind``: "sinusoidal", "one-hot" or "none". Of the words one in ``every`` is
    taken.
    """
    training, held_out = WordPairs(large_words()[::every]).split(seed=hyperparameters.seed)
    fold = [pair for pair in training.pairs if len(pair[0]) <= LONGEST]
    validation = [pair for pair in held_out.pairs if len(pair[0]) <= LONGEST]
    model = EncoderDecoder(hidden=32, layers=2, seed=hyperparameters.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hyperparameters.seed)
        for part in (model.encoder, model.decoder):
            if kind == "none":
                part.positions = NoPositions()
            if kind == "one-hot":
                part.positions = LearnedPositions(32, 40)
    train(model, WordPairs(fold), WordPairs(validation), hyperparameters, progress=False)
    tried, truth = zip(*held_out.pairs, strict=True)
    right = np.equal(translate(model, list(tried)), truth)
    letters = np.array([len(word) for word in tried])
    return {"accuracy": [float(right[letters == n].mean()) for n in LENGTHS]}


class PromptToo(DecoderOnlyTransformer):
    """A decoder-only transformer whose loss counts the prompt's letters as well."""

    def prompt_loss(self, batch: PromptBatch) -> Tensor:
        """Cross-entropy of the prompts and their marks in nats, summed."""
        logits, _, _ = self(batch.inputs[:, :-1])
        before = (batch.inputs == EOP).cumsum(dim=1)[:, :-1] == 0  # the mark
        tokens = batch.inputs[:, 1:][before]
        return F.cross_entropy(logits[before], tokens, reduction="sum")

    def loss(self, batch: PromptBatch) -> tuple[Tensor, int]:
        """Cross-entropy of prompts and translations, and the tokens of the latter."""
        total, tokens = super().loss(batch)
        return total + self.prompt_loss(batch), tokens


def learn(kind: type, epochs: int, seed: int, every: int = 1) -> dict[str, Any]:
    """Weights of a small decoder-only model after a short training on the large list."""
    model = kind(hidden=32, layers=2, seed=seed)
    settings = Hyperparameters(epochs, learning_rate=5e-3, decay=0.5, seed=seed)
    words = WordPairs(large_words()[::every])
    train(model, *Prompts(words).split(), settings, progress=False)
    return {"weights": model.state_dict()}


def validated(shuffled: bool, epochs: int, seed: int) -> dict[str, Any]:
    """Validation loss by epoch, on held-out words or on their letters, and that of a blind guess.

    The guess is told where a word ends and which letters are vowels, and knows how frequent the
    letters of each class are.
    """
    training, held_out = WordPairs(small_words()).split(seed=seed)
    words = [word for word, _ in held_out.pairs if "-" not in word]
    if shuffled:
        draw = np.random.default_rng(seed)
        words = ["".join(draw.permutation(list(word))) for word in words]
    valid, letters = Prompts(WordPairs(words)), np.array(list("".join(words)))
    vowel, guess = np.isin(letters, list("aeiou")), 0.0
    for of_class in (letters[vowel], letters[~vowel]):
        _, counts = np.unique(of_class, return_counts=True)
        guess -= float((counts * np.log(counts / len(of_class))).sum())
    model = DecoderOnlyTransformer(64, seed=seed)
    settings = Hyperparameters(epochs, seed=seed)
    history = train(model, Prompts(training), valid, settings, progress=False)
    return {"loss": history.valid_loss, "guess": guess / valid.tokens}


def _tune(epochs: int) -> list[dict[str, Any]]:
    return [
        dict(learning_rate=rate, batch_size=size, epochs=epochs)
        for size in BATCH_SIZES
        for rate in LEARNING_RATES
    ]


def _by_length(epochs: int, **words: int) -> list[dict[str, Any]]:
    common = dict(epochs=epochs, batch_size=128, learning_rate=3e-3)
    return [
        dict(kind=kind, hyperparameters=Hyperparameters(**common, seed=seed), **words)
        for kind in ("sinusoidal", "one-hot", "none")
        for seed in range(3)
    ]


def _learn(**words: int) -> list[dict[str, Any]]:
    tried = ((DecoderOnlyTransformer, 2, 0), (DecoderOnlyTransformer, 2, 1), (PromptToo, 1, 0))
    return [dict(kind=kind, epochs=epochs, seed=seed, **words) for kind, epochs, seed in tried]


def _validated(epochs: int) -> list[dict[str, Any]]:
    return [
        dict(shuffled=shuffled, epochs=epochs, seed=seed)
        for shuffled in (False, True)
        for seed in range(3)
    ]


EXPERIMENTS = {
    "learning rate and batch size": Experiment(
        ("tutorials/nmt/tuning",),
        tune,
        partial(_tune, 2),
        partial(_tune, 1),
        lambda run: run["epochs"] * 12.0,
    ),
    "positions by length": Experiment(
        ("tutorials/nmt/positions",),
        by_length,
        partial(_by_length, 7),
        partial(_by_length, 2, every=10),
        lambda run: run["hyperparameters"].epochs * 2.0 / run.get("every", 1),
    ),
    "one sequence": Experiment(
        ("tutorials/nmt/end_of_prompt",),
        learn,
        _learn,
        partial(_learn, every=10),
        lambda run: run["epochs"] * 5.0 / run.get("every", 1),
    ),
    "letters shuffled": Experiment(
        ("tutorials/nmt/equal_compute",),
        validated,
        partial(_validated, 20),
        partial(_validated, 1),
        lambda run: run["epochs"] * 0.5,
    ),
}
"""The short trainings of the book, by name.

:meta hide-value:
"""
