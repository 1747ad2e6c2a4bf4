"""The runs behind the part on BERT: what is fine-tuned, how, and what came out, kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from a3.bert import load_classifier
from a3.fine_tuning import FineTuning, Progress, encode, features, fine_tune, fit_linear, logits
from a3.scores import Scores, scores
from a3.sweeps import run_all
from a3.verbal_arithmetic import longer_sentences, splits, verbal_arithmetic

__all__ = ["RECIPES", "FineTuned", "fine_tuned", "run_arm"]

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
    """What came out of one run.

    Attributes
    ----------
    arm : str
    seed : int
        Of the split, the new weights, the order of the batches and dropout.
    progress : Progress
    logits : Tensor, shape (800, 3)
        Of every sentence, in the order of :func:`a3.verbal_arithmetic.verbal_arithmetic`.
    longer : Tensor, shape (900, 3)
        Of :func:`longer_sentences`.
    """

    arm: str
    seed: int
    progress: Progress
    logits: Tensor
    longer: Tensor

    def scores(self, part: pd.DataFrame) -> Scores:
        """Score the run on some of the 800 sentences, found by their index."""
        return scores(self.logits[part.index], torch.tensor([*part["label"]]))


def fine_tuned(
    weights: Path, arms: Sequence[str], seeds: Sequence[int] = (0, 1, 2, 3, 4)
) -> dict[str, list[FineTuned]]:
    """Run arms of the comparison with several seeds; what was run before is kept.

    Parameters
    ----------
    weights : Path
        The file of weights in a checkpoint's folder; its contents count for what is kept.
    arms : sequence of str
        Of :data:`RECIPES`.
    seeds : sequence of int

    Returns
    -------
    dict
        Each arm to its runs, in the order of ``seeds``.
    """
    settings = [
        {"weights": weights, "arm": arm, "settings": replace(RECIPES[arm], seed=seed)}
        for arm in arms
        for seed in seeds
    ]
    runs: dict[str, list[FineTuned]] = {arm: [] for arm in arms}
    for setting, result in zip(settings, run_all(run_arm, settings), strict=True):
        arm, seed = setting["arm"], setting["settings"].seed
        progress = Progress(**result["progress"])
        runs[arm].append(FineTuned(arm, seed, progress, result["logits"], result["longer"]))
    return runs


def run_arm(weights: Path, arm: str, settings: FineTuning) -> dict[str, Any]:
    """One run of one arm.

    Parameters
    ----------
    weights : Path
    arm : str
        Whether its name begins with "full", "random" or "frozen" decides what is trained;
        "frozen mean" takes the mean over the tokens for the pooled first one.
    settings : FineTuning
        Its seed draws everything.

    Returns
    -------
    dict
        ``progress``, as a dict; ``logits`` of all 800 sentences, ``longer`` of the longer ones.

    Raises
    ------
    ValueError
        If its name begins otherwise.
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
