"""How good a classifier's predictions are, beside always giving the most frequent answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, f1_score, log_loss, recall_score

from a3.bert.verbal_arithmetic import LABELS

__all__ = ["Scores", "scores"]


@dataclass(frozen=True)
class Scores:
    """How good predictions are, beside always answering the most frequent label."""

    loss: float  # mean cross-entropy in nats
    accuracy: float  # share of sentences answered right
    majority: float  # share of sentences whose label is the most frequent one
    macro_f1: float  # F1 of each class, averaged; a class never predicted counts zero
    recall: np.ndarray  # (3,): share of each class that is found; nan if it does not occur
    confusion: np.ndarray  # int, (3, 3): rows are true labels, columns predictions


def scores(logits: ArrayLike, labels: ArrayLike) -> Scores:
    """Score predictions: logits, (n, 3), against labels, (n,).

    Raises
    ------
    ValueError
        If there is nothing to score or the shapes do not fit.
    """
    logits, true = np.asarray(logits, dtype=float), np.asarray(labels)
    if len(true) == 0 or logits.shape != (len(true), len(LABELS)):
        raise ValueError(
            f"expected logits (n, {len(LABELS)}) and n labels, got {logits.shape} and {true.shape}"
        )
    every = range(len(LABELS))
    predicted = logits.argmax(axis=1)
    return Scores(
        loss=log_loss(true, softmax(logits, axis=1), labels=every),
        accuracy=float((true == predicted).mean()),
        majority=float(np.bincount(true).max() / len(true)),
        macro_f1=f1_score(true, predicted, labels=every, average="macro", zero_division=0),
        recall=recall_score(true, predicted, labels=every, average=None, zero_division=np.nan),
        confusion=confusion_matrix(true, predicted, labels=every),
    )
