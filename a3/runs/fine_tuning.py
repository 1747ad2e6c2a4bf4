"""The runs behind the part on BERT: what is fine-tuned, how, and what came out, kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from a3.bert.classifier import load_classifier
from a3.bert.fine_tuning import (
    FineTuning,
    Progress,
    encode,
    features,
    fine_tune,
    fit_linear,
    logits,
)
from a3.bert.pretrained import pretrained_weights
from a3.bert.scores import Scores, scores
from a3.bert.verbal_arithmetic import longer_sentences, splits, verbal_arithmetic
from a3.lab.experiments import Experiment

__all__ = ["EXPERIMENTS", "RECIPES", "FineTuned", "fine_tuned", "frozen_random", "run_arm"]

RECIPES = {
    "full, handouts": FineTuning(),
    "full": FineTuning(epochs=8, learning_rate=3e-4),
    "random": FineTuning(epochs=8, learning_rate=3e-4),
    "frozen, handouts": FineTuning(),
    "frozen pooler": FineTuning(epochs=300, learning_rate=1e-1),
    "frozen mean": FineTuning(epochs=100, learning_rate=1e-2),
}
"""Each arm and how it is trained. What is not the handouts' was chosen with seed 100.

:meta hide-value:
"""


@dataclass(frozen=True)
class FineTuned:
    """What came out of one run: its arm, its seed, which draws everything, and its progress.

    ``logits``, (800, 3), are of every sentence in the order of
    :func:`a3.bert.verbal_arithmetic.verbal_arithmetic`; ``longer``, (900, 3), of the longer ones.
    """

    arm: str
    seed: int
    progress: Progress
    logits: Tensor
    longer: Tensor

    def scores(self, part: pd.DataFrame) -> Scores:
        """Score the run on some of the 800 sentences, found by their index."""
        return scores(self.logits[part.index], torch.tensor([*part["label"]]))


def fine_tuned(name: str) -> dict[str, list[FineTuned]]:
    """The runs of an experiment by arm, in the order of seeds; what was run before is kept."""
    experiment = EXPERIMENTS[name]
    runs: dict[str, list[FineTuned]] = {}
    for setting, result in zip(experiment.settings, experiment.results(), strict=True):
        arm, seed = setting["arm"], setting["settings"].seed
        progress = Progress(**result["progress"])
        run = FineTuned(arm, seed, progress, result["logits"], result["longer"])
        runs.setdefault(arm, []).append(run)
    return runs


def run_arm(weights: Path, arm: str, settings: FineTuning) -> dict[str, Any]:
    """One run of one arm; the seed of the settings draws everything.

    Whether its name begins with "full", "random" or "frozen" decides what is trained; "frozen
    mean" takes the mean over the tokens for the pooled first one.

    Returns
    -------
    dict
        ``progress``, as a dict; ``logits`` of all 800 sentences, ``longer`` of the longer ones.

    Raises
    ------
    ValueError
        If the name of the arm begins otherwise.
    """
    if arm.partition(" ")[0].rstrip(",") not in ("full", "random", "frozen"):
        raise ValueError(f"arm must begin with 'full', 'random' or 'frozen', got {arm!r}")
    seed, folder = settings.seed, Path(weights).parent
    model, tokenizer = load_classifier(folder, seed=seed, pretrained=arm != "random")
    every = encode(tokenizer, verbal_arithmetic())
    training, validation, _ = (torch.tensor([*part.index]) for part in splits(seed))
    longer = encode(tokenizer, longer_sentences(), max_length=None)
    if arm.startswith("frozen"):
        pooling = "mean" if arm == "frozen mean" else "pooler"
        X = features(model, every, pooling)  # once: the encoder stays as it is
        parts = [(X[rows], every.labels[rows]) for rows in (training, validation)]
        linear, progress = fit_linear(*parts, settings)
        with torch.no_grad():
            answers = linear(X)
            longer_answers = linear(features(model, longer, pooling))
    else:
        progress = fine_tune(model, every[training], every[validation], settings)
        answers, longer_answers = logits(model, every), logits(model, longer)
    return {"progress": asdict(progress), "logits": answers, "longer": longer_answers}


def frozen_random(weights: Path, seed: int) -> dict[str, Any]:
    """``logits``, of all 800 sentences, of a linear layer on means over a random encoder's tokens.

    The encoder has the architecture and tokenizer of the model in whose folder ``weights``
    are; the seed draws it, the split and the layer.
    """
    model, tokenizer = load_classifier(Path(weights).parent, seed=seed, pretrained=False)
    every = encode(tokenizer, verbal_arithmetic())
    X = features(model, every, "mean")
    settings = FineTuning(epochs=300, learning_rate=1e-1, seed=seed)  # the pooler arm's
    parts = [(X[[*part.index]], every.labels[[*part.index]]) for part in splits(seed)[:2]]
    linear, _ = fit_linear(*parts, settings)
    return {"logits": linear(X).detach()}


@cache
def _weights() -> Path:
    """Of the pretrained model that the book has: MathBERT's, or where there is no hub MiniLM's."""
    return pretrained_weights("MathBERT", log=False).file


def _arms(*arms: str, seeds: Sequence[int] = range(5)) -> list[dict[str, Any]]:
    return [
        {"weights": _weights(), "arm": arm, "settings": replace(RECIPES[arm], seed=seed)}
        for arm in arms
        for seed in seeds
    ]


def _rates() -> list[dict[str, Any]]:
    """The recipe with three rates, on the split on which it was chosen."""
    common = {"weights": _weights(), "arm": "full"}
    tries = (replace(RECIPES["full"], learning_rate=rate, seed=100) for rate in (1e-4, 3e-4, 1e-3))
    return [common | {"settings": each} for each in tries]


def _of_random(seeds: Sequence[int] = range(5)) -> list[dict[str, Any]]:
    return [{"weights": _weights(), "seed": seed} for seed in seeds]


def _seconds(run: dict[str, Any]) -> float:
    frozen = run.get("arm", "frozen").startswith("frozen")
    return 5.0 if frozen else 1.0 + 3.0 * run["settings"].epochs


def _experiment(page: str, full: Callable, quick: Callable, function: Callable = run_arm):
    return Experiment((f"tutorials/bert/{page}",), function, full, quick, _seconds)


_STAND_IN = partial(  # arms that take seconds
    _arms, "frozen pooler", "frozen mean", "frozen, handouts", seeds=range(2)
)
EXPERIMENTS = {
    "fine-tuning": _experiment(
        "fine_tuning",
        partial(_arms, "full, handouts", "full"),
        partial(_arms, "full, handouts", "full", seeds=[0]),
    ),
    "rates": _experiment("fine_tuning", _rates, list),
    "freezing": _experiment(
        "freezing",
        partial(_arms, "full, handouts", "frozen, handouts"),
        partial(_arms, "full, handouts", "frozen, handouts", seeds=[0]),
    ),
    "fair recipe": _experiment(
        "fair_recipe", partial(_arms, *RECIPES), partial(_arms, *RECIPES, seeds=[0])
    ),
    "frozen at random": _experiment(
        "fair_recipe", _of_random, partial(_of_random, [0]), frozen_random
    ),
    "predictions": _experiment(
        "predictions", partial(_arms, "full", "frozen mean", "random", "full, handouts"), _STAND_IN
    ),
    "longer sentences": _experiment(
        "longer_sentences", partial(_arms, "full", "frozen mean", "random"), _STAND_IN
    ),
}
"""What is fine-tuned for the pages of Part V, by name.

:meta hide-value:
"""
