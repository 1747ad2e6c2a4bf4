"""Checks of CLIP's contrastive loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from a3.clip.contrastive import contrastive_loss
from a3.practice.expect import (
    Wrong,
    expect_gradients,
    expect_shape,
    expect_steps,
    expect_type,
    expect_value,
    in_double,
)

__all__ = ["CHECKS"]

N, D = 8, 5


def _pairs(n: int = N) -> tuple[Tensor, Tensor, Tensor]:
    """Features of images and captions, of any length, and a scale."""
    torch.manual_seed(0)
    X = torch.randn(n, D) * torch.linspace(0.5, 3, n)[:, None]
    return X, X + torch.randn(n, D), torch.tensor(4.0)


def shapes(answer: Callable) -> None:
    """One number."""
    loss = answer(*_pairs())
    if isinstance(loss, Tensor) and loss.shape == (N,):
        raise Wrong("The loss is one number, the mean over the batch; yours has one for each pair.")
    expect_shape(loss, "loss", "", ())


def value(answer: Callable) -> None:
    """The mean of both cross-entropies of scaled cosines."""
    X, Y, scale = _pairs()
    x, y = F.normalize(X, dim=1), F.normalize(Y, dim=1)
    own = torch.arange(N)
    logits = scale * x @ y.T

    def both(logits: Tensor, share: float = 0.5) -> Tensor:
        n = torch.arange(len(logits))
        return share * (F.cross_entropy(logits, n) + F.cross_entropy(logits.T, n))

    columns = F.normalize(X, dim=0) @ F.normalize(Y, dim=0).T
    alike = logits.log_softmax(1) + logits.log_softmax(0)
    halves = (contrastive_loss(X[i], Y[i], scale) for i in (own[:4], own[4:]))
    expect_value(
        answer(X, Y, scale), both(logits),
        {
            "The features are not normalized: a cosine knows no length.": both(scale * X @ Y.T),
            "Only the images are normalized; the captions must be, too.": both(scale * x @ Y.T),
            "Only the captions are normalized; the images must be, too.": both(scale * X @ y.T),
            "The features are normalized along the batch; each must have length one by "
            "itself.": both(scale * columns),
            "The similarities are not multiplied by the scale.": both(x @ y.T),
            "The similarities are divided by the scale; that is the temperature's place.": both(
                x @ y.T / scale
            ),
            "Only the images pick their captions; each caption picks its image, too.": (
                F.cross_entropy(logits, own)
            ),
            "Only the captions pick their images; each image picks its caption, too.": (
                F.cross_entropy(logits.T, own)
            ),
            "The two cross-entropies are added; their mean is asked.": both(logits, 1),
            "The loss is the sum over the batch; the mean is asked.": N * both(logits),
            "Every pair of the batch is counted as right; only the diagonal is.": -alike.mean() / 2,
            "The mean is over all pairs of the batch; it is over the n of the diagonal.": (
                both(logits) / N
            ),
            "One softmax goes over all pairs of the batch; there is one for each row and one for "
            "each column.": -logits.flatten().log_softmax(0).reshape(N, N).diagonal().mean(),
            "The sign is wrong: a loss is small where the right pair is likely.": -both(logits),
            "The loss is the mean of the losses of smaller batches; each picks among the captions "
            "of the whole batch.": sum(halves) / 2,
        },
        "The loss is one number, but not the mean of both cross-entropies of scaled cosines.",
    )  # fmt: skip


def large_scale(answer: Callable) -> None:
    """Finite at CLIP's own scale."""
    X, Y, _ = _pairs()
    scale = torch.tensor(100.0)
    loss = answer(X, -Y, scale)
    if not math.isfinite(loss):
        raise Wrong(
            "At CLIP's scale of 100 the loss is not finite: a probability has become zero before "
            "its logarithm is taken."
        )
    expect_value(
        loss, contrastive_loss(X, -Y, scale), {},
        "At CLIP's scale of 100 the loss is not exact: is something added to a probability, or cut "
        "off?",
    )  # fmt: skip


def dtype(answer: Callable) -> None:
    """Features in double precision."""
    pairs = [in_double(x) for x in _pairs()]
    expect_type(lambda: answer(*pairs), contrastive_loss(*pairs), "loss")


def gradient(answer: Callable) -> None:
    """It reaches both features and the scale."""
    X, Y, scale = (x.requires_grad_() for x in _pairs())
    named = {"the images": X, "the captions": Y, "the scale": scale}
    expect_gradients(answer(X, Y, scale), contrastive_loss(X, Y, scale), named, "the loss")


def speed(answer: Callable) -> None:
    """No loop over the batch."""
    few, many = _pairs(3), _pairs(11)
    expect_steps({"the batch": (lambda: answer(*few), lambda: answer(*many))})


CHECKS = {
    "contrastive": {
        "shapes": shapes, "value": value, "a large scale": large_scale, "dtype": dtype,
        "gradient": gradient, "speed": speed,
    },
}  # fmt: skip
