"""The learning curves of pretrained checkpoints, on the sentences of the controlled experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sklearn.metrics import f1_score

from a3.bert.classifier import load_classifier
from a3.bert.fine_tuning import FineTuning, encode, fine_tune, logits
from a3.runs.pretraining import SIZES
from a3.bert.verbal_arithmetic import fold
from a3.lab.sweeps import run_all

__all__ = ["STEPS", "checkpoint_curves", "fine_tune_checkpoint"]

STEPS = 200
"""About how many steps each checkpoint is fine-tuned for, however many sentences there are."""


def checkpoint_curves(
    weights: Mapping[str, Path],
    seeds: Sequence[int] = (0, 1, 2, 3),
    sizes: Sequence[int] = SIZES,
    settings: FineTuning | None = None,
) -> pd.DataFrame:
    """How well checkpoints do after fine-tuning; what was trained before is kept.

    Parameters
    ----------
    weights : mapping of str to Path
        What each checkpoint is called to the file of weights in its folder.
    seeds : sequence of int
        Each evaluates on the :func:`a3.bert.verbal_arithmetic.fold` of its number.
    sizes : sequence of int
        Numbers of sentences to fine-tune on.
    settings : FineTuning, optional
        Its seed and epochs are not used.

    Returns
    -------
    DataFrame
        The columns of :func:`a3.runs.learning_curves.learning_curves`, of one draw a seed.
    """
    settings = settings or FineTuning(batch_size=16)
    runs = [
        {"weights": file, "seed": seed, "size": size, "settings": settings}
        for file in weights.values()
        for seed in seeds
        for size in sorted(sizes, reverse=True)
    ]
    names = [name for name in weights for _ in range(len(seeds) * len(sizes))]
    table = []
    for name, run, result in zip(names, runs, run_all(fine_tune_checkpoint, runs), strict=True):
        evaluation = fold(run["seed"]).evaluation
        labels, predicted = evaluation["label"].to_numpy(), result["predictions"].numpy()
        right = predicted == labels
        table.append(
            {
                "corpus": name,
                "seed": run["seed"],
                "draw": 0,
                "sentences": run["size"],
                "accuracy": right.mean(),
                "macro_f1": f1_score(labels, predicted, average="macro", zero_division=0),
                "minus_accuracy": right[evaluation.index >= 400].mean(),
                "majority": (labels == 2).mean(),
            }
        )
    return pd.DataFrame(table)


def fine_tune_checkpoint(
    weights: Path, seed: int, size: int, settings: FineTuning
) -> dict[str, Any]:
    """Fine-tune a checkpoint on some sentences outside one fold.

    Parameters
    ----------
    weights : Path
        In a checkpoint's folder.
    seed : int
        Of the fold, the sentences, the new weights, the batches and dropout.
    size : int
        How many sentences: the first of those that the first draw of
        :func:`a3.runs.pretraining.fine_tune_on` is given.
    settings : FineTuning

    Returns
    -------
    dict
        ``predictions``, of int64, shape (160,): labels of the fold's sentences.

    Raises
    ------
    ValueError
        If there are not so many sentences, or as for :func:`a3.bert.classifier.load_classifier`.
    """
    training, evaluation, _ = fold(seed)
    if not 0 < size <= len(training):
        raise ValueError(f"size must be from 1 to {len(training)}, got {size}")
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(1000 * seed))
    epochs = max(1, round(STEPS * settings.batch_size / size))
    settings = FineTuning(**{**vars(settings), "epochs": epochs, "seed": seed})
    model, tokenizer = load_classifier(Path(weights).parent, seed=seed)
    chosen, asked = (
        encode(tokenizer, part, max_length=None)
        for part in (training.iloc[order[:size].tolist()], evaluation)
    )
    fine_tune(model, chosen, asked, settings)
    return {"predictions": logits(model, asked).argmax(dim=1)}
