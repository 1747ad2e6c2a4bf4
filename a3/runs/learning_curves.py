"""How much a pretrained BERT needs to learn verbal arithmetic: curves, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import f1_score

from a3.bert.classifier import load_classifier
from a3.bert.fine_tuning import FineTuning, encode, fine_tune, logits
from a3.bert.verbal_arithmetic import fold
from a3.lab.intervals import student
from a3.lab.sweeps import run_all
from a3.runs.pretraining import EXPERIMENTS, SIZES

__all__ = ["STEPS", "pretrained_curves", "fine_tune_pretrained", "learning_curves", "summary"]

STEPS = 200
"""About how many steps pretrained weights are fine-tuned for, however many sentences there are."""


def learning_curves() -> pd.DataFrame:
    """How well the models do after fine-tuning; what was trained before is kept.

    Returns
    -------
    DataFrame
        A row for each corpus, seed, draw and number of sentences, with the columns ``corpus``,
        ``seed``, ``draw``, ``sentences``; and of the fold's 160 sentences ``accuracy``,
        ``macro_f1``, ``minus_accuracy``, of the 80 with "minus", and ``majority``, the accuracy of
        always answering "positive".
    """
    EXPERIMENTS["pretraining"].results()  # all at once; what follows needs them one by one
    experiment = EXPERIMENTS["learning curves"]
    table = []
    for run, result in zip(experiment.settings, experiment.results(), strict=True):
        evaluation, of = fold(run["seed"]).evaluation, {k: run[k] for k in ("corpus", "seed")}
        for draw, sizes in enumerate(result["predictions"][..., [*evaluation.index]].numpy()):
            for size, predicted in zip(SIZES, sizes, strict=True):
                row = {**of, "draw": draw, "sentences": size}
                table.append(row | _measures(evaluation, predicted))
    return pd.DataFrame(table)


def _measures(evaluation: pd.DataFrame, predicted: np.ndarray) -> dict[str, float]:
    """How good the labels predicted for the sentences of a fold are."""
    labels = evaluation["label"].to_numpy()
    right = predicted == labels
    return {
        "accuracy": right.mean(),
        "macro_f1": f1_score(labels, predicted, average="macro", zero_division=0),
        "minus_accuracy": right[evaluation.index >= 400].mean(),
        "majority": (labels == 2).mean(),
    }


def summary(
    curves: pd.DataFrame, measure: str = "accuracy", against: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Means over the seeds, with intervals of Student's t.

    The draws of one seed share their pretrained model and their fold; they are averaged first, so
    that what varies is one figure a seed. ``measure`` is the column to average, ``against`` a
    corpus to subtract from each of the others, seed by seed.

    Returns
    -------
    DataFrame
        Indexed by corpus and number of sentences, with the columns ``mean``, ``low``, ``high``.

    Raises
    ------
    ValueError
        If there are not two seeds, there is no such corpus, or the level is not between 0 and 1.
    """
    factor = student(curves["seed"].nunique(), level)
    table = curves.pivot_table(measure, ["sentences", "seed"], "corpus")  # means over the draws
    if against is not None:
        if against not in table:
            raise ValueError(f"there is no corpus {against!r} among {[*table]}")
        table = table.sub(table[against], axis=0).drop(columns=against)
    by_size = table.groupby("sentences")
    half = factor * by_size.std()
    mean = by_size.mean()
    columns = {"mean": mean, "low": mean - half, "high": mean + half}
    return pd.DataFrame({name: column.T.stack() for name, column in columns.items()})


def pretrained_curves(
    weights: Mapping[str, Path],
    seeds: Sequence[int] = (0, 1, 2, 3),
    sizes: Sequence[int] = SIZES,
    settings: FineTuning | None = None,
) -> pd.DataFrame:
    """As :func:`learning_curves`, of pretrained weights, with one draw a seed; results are kept.

    ``weights`` maps what each is called to its file, in the folder of its model; seeds are folds,
    :func:`a3.bert.verbal_arithmetic.fold`, and sizes numbers of sentences to fine-tune on.
    The seed and the epochs of the settings are not used.
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
    for name, run, result in zip(names, runs, run_all(fine_tune_pretrained, runs), strict=True):
        row = {"corpus": name, "seed": run["seed"], "draw": 0, "sentences": run["size"]}
        evaluation = fold(run["seed"]).evaluation
        table.append(row | _measures(evaluation, result["predictions"].numpy()))
    return pd.DataFrame(table)


def fine_tune_pretrained(
    weights: Path, seed: int, size: int, settings: FineTuning
) -> dict[str, Any]:
    """Fine-tune the model of a file of weights on some sentences outside one fold.

    There are ``size`` sentences, the first of those that the first draw of
    :func:`a3.runs.pretraining.fine_tune_on` is given. The seed is that of the fold, the sentences,
    the new weights, the batches and dropout.

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
