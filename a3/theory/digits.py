"""Handwritten threes and eights, the images on which Part II tries its formulas."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Halves", "halves", "threes_and_eights"]


class Halves(NamedTuple):
    """Images to train on and images to test on, both less the mean of the first.

    Attributes
    ----------
    X, t : Tensor, shapes (178, 64) and (178,)
    X_test, t_test : Tensor, shapes (179, 64) and (179,)
    mean : Tensor, shape (64,)
        The mean of the training images, for drawing.
    """

    X: Tensor
    t: Tensor
    X_test: Tensor
    t_test: Tensor
    mean: Tensor


def threes_and_eights() -> tuple[Tensor, Tensor]:
    """All threes and eights of scikit-learn's digits.

    Returns
    -------
    X : Tensor, shape (357, 64)
        Eight by eight pixels, from 0 for black to 1 for white.
    t : Tensor, shape (357,)
        1 for a three, -1 for an eight.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = np.isin(digits.target, (3, 8))
    X = digits.data[chosen] / 16
    return torch.tensor(X), torch.tensor(np.where(digits.target[chosen] == 3, 1.0, -1.0))


def halves(seed: int) -> Halves:
    """Half of the threes and eights to train on, half to test, with as many of each kind.

    A classifier without an intercept is fair on them, as the training images have the mean 0.
    """
    from sklearn.model_selection import train_test_split

    X, t = threes_and_eights()
    X, X_test, t, t_test = train_test_split(
        X, t, test_size=0.5, random_state=seed, stratify=t.numpy()
    )
    mean = X.mean(dim=0)
    return Halves(X - mean, t, X_test - mean, t_test, mean)
