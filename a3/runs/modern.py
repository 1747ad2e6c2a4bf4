"""The handouts' decoder-only model with each of six changes, at equal compute, rates tuned."""

from __future__ import annotations

from functools import partial
from typing import Any

from a3.lab.experiments import Experiment
from a3.translation.modern import ModernTransformer, Parts
from a3.translation.pig_latin import small_words
from a3.translation.prompts import Prompts
from a3.translation.training import Hyperparameters, evaluate, train
from a3.translation.word_pairs import WordPairs

__all__ = ["ARMS", "BUDGET", "EXPERIMENTS", "LEARNING_RATES", "train_parts"]

BUDGET = 2e11
"""FLOPs of each training run."""
LEARNING_RATES = (2e-3, 4e-3, 8e-3, 16e-3)
"""Tried for each model."""
ARMS = {
    "the handouts' model": Parts(),
    "four heads": Parts(heads=4),
    "norm behind": Parts(norm="post"),
    "norm before": Parts(norm="pre"),
    "wider MLP": Parts(mlp=4),
    "rotary positions": Parts(rotary=True),
    "tied embeddings": Parts(tied=True),
    "heads, norm before, rotary": Parts(heads=4, norm="pre", rotary=True),
    "these and the wider MLP": Parts(heads=4, norm="pre", mlp=4, rotary=True),
    "all together": Parts(heads=4, norm="pre", mlp=4, rotary=True, tied=True),
}
"""The models that are compared: the handouts', each change by itself, and changes together."""


def train_parts(parts: Parts, learning_rate: float, seed: int, budget: float) -> dict[str, float]:
    """Train for a budget of FLOPs, as far as whole epochs go, the rate falling to a tenth.

    Gives the lowest loss on a tenth of the *training* words, set aside for tuning, and the loss of
    the same weights on the held-out words, in nats a token; and the FLOPs and steps spent.
    """
    training, held_out = (Prompts(p) for p in WordPairs(small_words()).split(seed=seed))
    fold, tuning = training.split(0.9, seed=seed)
    model = ModernTransformer(parts, seed=seed)
    epochs = max(1, round(budget / (3 * model.flops(fold))))
    settings = Hyperparameters(
        epochs, learning_rate=learning_rate, decay=0.1 ** (1 / epochs), patience=epochs, seed=seed
    )
    history = train(model, fold, tuning, settings, progress=False)
    return {
        "tuning": history.best_loss,
        "held out": evaluate(model, held_out),
        "flops": history.flops[-1],
        "steps": history.iterations[-1],
    }


def _arms(seeds: int, budget: float) -> list[dict[str, Any]]:
    return [
        dict(parts=parts, learning_rate=rate, seed=seed, budget=budget)
        for parts in ARMS.values()
        for rate in LEARNING_RATES
        for seed in range(seeds)
    ]


EXPERIMENTS = {
    "modern parts": Experiment(
        ("tutorials/nmt/modern",),
        train_parts,
        partial(_arms, 3, BUDGET),
        partial(_arms, 1, BUDGET / 50),
        lambda run: run["budget"] / BUDGET * 6.0,
    ),
}
"""The runs of the page on modern parts, by name.

:meta hide-value:
"""
