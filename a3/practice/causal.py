"""Checks of causal attention: question 2.1-2 (2025)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from a3.practice.attention import (
    B,
    H,
    T,
    draw,
    expect_all_gradients,
    expect_averages,
    expect_double,
    expect_scaled,
    expect_sums,
    expected_of,
    layer_of,
    results,
)
from a3.practice.expect import Wrong, expect_shape, expect_steps, same

__all__ = ["CHECKS"]


def shapes(answer: type) -> None:
    """Of both results."""
    context, weights = results(layer_of(answer), *draw(T, T, T))
    swapped = isinstance(context, Tensor) and context.shape == (B, T, T)
    if swapped and isinstance(weights, Tensor) and weights.shape == (B, T, H):
        raise Wrong("The two results have changed places: context comes first, then the weights.")
    expect_shape(context, "context", "batch_size, seq_len, hidden_size", (B, T, H))
    expect_shape(weights, "attention_weights", "batch_size, seq_len, seq_len", (B, T, T))


def mask(answer: type) -> None:
    """No query looks at a later key, and each at its own."""
    layer, inputs = layer_of(answer), draw(T, T, T)
    with torch.no_grad():
        _, weights = results(layer, *inputs)
        plain = expected_of(layer, *inputs)[1]
        scores = layer.Q(inputs[0]) @ layer.K(inputs[1]).mT / math.sqrt(H)
    if same(weights, plain):
        raise Wrong("Nothing is hidden: each query looks at the keys after it, too.")
    if weights.min() < -1:
        raise Wrong(
            "The mask is added after the softmax, to the weights; it belongs to the scores, before "
            "the softmax."
        )
    if same(weights, plain.tril()):
        raise Wrong(
            "The weights of later keys are made zero after the softmax: the others no longer sum "
            "to one, and the later scores are still in the denominator."
        )
    if same(weights, scores.tril().softmax(-1)):
        raise Wrong(
            "The scores of later keys are made zero. The exponential of zero is one, so these keys "
            "still have weight."
        )
    sees = (weights != 0).any(0)  # (T, T): query, key
    if bool(weights.isnan().any()):
        raise Wrong("Some attention weights are not numbers: is everything hidden from a query?")
    if torch.equal(sees, sees.triu()) and not torch.equal(sees, sees.tril()):
        raise Wrong(
            "The mask is the wrong way round: queries look at the keys after them, and the earlier "
            "ones are hidden."
        )
    if torch.equal(sees[1:], torch.ones_like(sees).tril(-1)[1:]):
        raise Wrong(
            "The mask is off by one: a query may look at its own place, and yours sees only what "
            "is before it."
        )
    if sees.diagonal(1).any() and not sees.triu(2).any():
        raise Wrong("The mask is off by one: each query also sees the key one place after it.")
    expect_sums(weights)
    for those, how, where in (
        (sees.triu(1), "weight", "after it"),
        (~sees & torch.ones_like(sees).tril(), "no weight", "which is not after it"),
    ):
        if those.any():
            t, i = those.nonzero()[0].tolist()
            raise Wrong(f"The query at place {t} gives {how} to the key at place {i}, {where}.")


def scale(answer: type) -> None:
    """The weights are those of scaled scores, of projected queries and keys."""
    expect_scaled(answer, (T, T, T), True)


def values(answer: type) -> None:
    """The context is the weighted average of the projected values."""
    expect_averages(answer, (T, T, T), True)


def dtype(answer: type) -> None:
    """Results keep the type of the inputs."""
    expect_double(answer, (T, T, T), True)


def gradient(answer: type) -> None:
    """It reaches all three maps and all three inputs."""
    expect_all_gradients(answer, (T, T, T), True)


def speed(answer: type) -> None:
    """No loop over the batch or the places."""
    layer = layer_of(answer)

    def at(length: int, batch: int) -> Callable:
        inputs = draw(*[length] * 3, batch=batch)
        return lambda: layer(*inputs)

    expect_steps({
        "the sequences of the batch": (at(3, 2), at(3, 6)),
        "the places": (at(3, 2), at(9, 2)),
    })  # fmt: skip


CHECKS = {
    "causal": {
        "shapes": shapes, "mask": mask, "scale": scale, "values": values,
        "dtype": dtype, "gradient": gradient, "speed": speed,
    },
}  # fmt: skip
