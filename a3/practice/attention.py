"""Checks of scaled dot-product attention (2.1-1, 2025); causal attention shares some of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from a3.practice.expect import (
    Wrong,
    expect_gradients,
    expect_pair,
    expect_shape,
    expect_steps,
    expect_type,
    expect_value,
    in_double,
    same,
)
from a3.translation.attention import causal_mask, scaled_dot_attention

__all__ = [
    "CHECKS", "draw", "expect_all_gradients", "expect_averages", "expect_double", "expect_scaled",
    "expect_sums", "expected_of", "layer_of", "results",
]  # fmt: skip

B, K, T, H = 2, 3, 5, 8
AXES = "batch_size, k, hidden_size"
AXES_OF_WEIGHTS = "batch_size, k, seq_len"


def layer_of(answer: type, hidden: int = H) -> nn.Module:
    """The reader's layer, with large weights, so that mistakes are seen."""
    torch.manual_seed(0)
    layer = answer(hidden)
    for name in "QKV":
        if not isinstance(getattr(layer, name, None), nn.Linear):
            raise Wrong(f"The layer must keep its linear map {name}, as the blank has it.")
        nn.init.normal_(getattr(layer, name).weight, std=hidden**-0.5)
    return layer


def draw(*lengths: int, batch: int = B) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, n, H) for n in lengths]


def results(layer: nn.Module, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    return expect_pair(layer(*inputs), "context", "attention_weights")


def expected_of(
    layer: nn.Module, queries: Tensor, keys: Tensor, values: Tensor, causal: bool = False
) -> tuple[Tensor, Tensor]:
    mask = causal_mask(queries.shape[1], keys.shape[1]) if causal else None
    return scaled_dot_attention(layer.Q(queries), layer.K(keys), layer.V(values), mask)


def shapes(answer: type) -> None:
    """Of both results, for several queries a sequence and for one."""
    layer, (queries, keys, values) = layer_of(answer), draw(K, T, T)
    context, weights = results(layer, queries, keys, values)
    swapped = isinstance(context, Tensor) and context.shape == (B, K, T)
    if swapped and isinstance(weights, Tensor) and weights.shape == (B, K, H):
        raise Wrong("The two results have changed places: context comes first, then the weights.")
    if isinstance(weights, Tensor) and weights.shape == (B, T, K):
        raise Wrong(
            f"attention_weights must have the shape ({AXES_OF_WEIGHTS}), a row for each query; "
            f"yours has {(*weights.shape,)}, a row for each key."
        )
    expect_shape(context, "context", AXES, (B, K, H))
    expect_shape(weights, "attention_weights", AXES_OF_WEIGHTS, (B, K, T))
    one = "For queries of shape (batch_size, hidden_size), which stand for k = 1, "
    try:
        context, weights = results(layer, queries[:, 0], keys, values)
    except (RuntimeError, IndexError, ValueError) as error:
        raise Wrong(f"{one}your code stops: {str(error).splitlines()[0]}") from None
    expect_shape(context, f"{one}context", AXES, (B, 1, H))
    expect_shape(weights, f"{one}attention_weights", AXES_OF_WEIGHTS, (B, 1, T))


def expect_sums(weights: Tensor) -> None:
    """Weights that sum to one over the keys."""
    if bool(weights.isnan().any()):
        raise Wrong("Some attention weights are not numbers: is everything hidden from a query?")
    if same(weights.sum(-1), torch.ones(weights.shape[:-1])) and weights.min() >= 0:
        return
    for axis, name in ((-2, "queries"), (0, "sequences of the batch")):
        if same(weights.sum(axis), torch.ones_like(weights.sum(axis))):
            raise Wrong(
                f"The softmax runs along the wrong axis: your weights sum to one over the {name}. "
                "The weights of each query must sum to one over the keys."
            )
    raise Wrong(
        "The weights of each query must be positive and sum to one over the keys; yours sum to "
        f"between {weights.sum(-1).min():.3g} and {weights.sum(-1).max():.3g}."
    )


def weights(answer: type) -> None:
    """They sum to one over the keys."""
    with torch.no_grad():
        expect_sums(results(layer_of(answer), *draw(K, T, T))[1])


def expect_scaled(answer: type, lengths: tuple[int, ...], causal: bool) -> None:
    layer, (queries, keys, values) = layer_of(answer), draw(*lengths)
    with torch.no_grad():
        mask = causal_mask(queries.shape[1], keys.shape[1]) if causal else None
        projected, of_keys = layer.Q(queries), layer.K(keys)

        def by(scale: float, Q: Tensor = projected, K: Tensor = of_keys) -> Tensor:
            return scaled_dot_attention(Q * scale * math.sqrt(H), K, K, mask)[1]

        _, found = results(layer, queries, keys, values)
        expect_value(
            found, by(1 / math.sqrt(H)),
            {
                "The scores are not scaled: without the factor the softmax of wide vectors is "
                "all but a maximum.": by(1),
                "The scores are divided by the width itself, not by its root; or by the root "
                "twice.": by(1 / H),
                "The scores are multiplied by the root of the width; they get larger, not "
                "smaller.": by(math.sqrt(H)),
                "The scale is the root of the number of keys; it is the width of a key that makes "
                "a dot product large.": by(len(keys[0]) ** -0.5),
                "The keys have not been projected by K.": by(1 / math.sqrt(H), K=keys),
                "The queries have not been projected by Q.": by(1 / math.sqrt(H), Q=queries),
                "The keys are projected by Q, which is the map of the queries.": by(
                    1 / math.sqrt(H), K=layer.Q(keys)
                ),
                "Nothing is projected by Q and K before it is multiplied.": by(
                    1 / math.sqrt(H), queries, keys
                ),
            },
            "The weights sum to one, but they are not the softmax of each query's scaled dot "
            "products with the keys.",
        )  # fmt: skip


def scale(answer: type) -> None:
    """The weights are those of scaled scores, of projected queries and keys."""
    expect_scaled(answer, (K, T, T), False)


def expect_averages(answer: type, lengths: tuple[int, ...], causal: bool) -> None:
    layer, (queries, keys, values) = layer_of(answer), draw(*lengths)
    with torch.no_grad():
        found, of = results(layer, queries, keys, values)
        mask = causal_mask(queries.shape[1], keys.shape[1]) if causal else None
        Q, projected, V = layer.Q(queries), layer.K(keys), layer.V(values)
        scores = Q @ projected.mT / math.sqrt(H)
        expect_value(
            found, scaled_dot_attention(Q, projected, V, mask)[0],
            {
                "The values have not been projected by V.": of @ values,
                "The context averages the keys, not the values.": of @ projected,
                "The context is a sum weighted by the scores, before the softmax.": scores @ V,
            },
            "The weights are right, but the context is not the sum of the projected values, each "
            "times its weight.",
        )  # fmt: skip


def values(answer: type) -> None:
    """The context is the weighted average of the projected values."""
    expect_averages(answer, (K, T, T), False)


def expect_double(answer: type, lengths: tuple[int, ...], causal: bool) -> None:
    layer, inputs = in_double(layer_of(answer)), [in_double(x) for x in draw(*lengths)]
    expected = expected_of(layer, *inputs, causal=causal)
    for i, name in enumerate(("context", "attention_weights")):
        expect_type(lambda i=i: results(layer, *inputs)[i], expected[i], name)


def dtype(answer: type) -> None:
    """Results keep the type of the inputs."""
    expect_double(answer, (K, T, T), False)


def expect_all_gradients(answer: type, lengths: tuple[int, ...], causal: bool) -> None:
    layer, inputs = layer_of(answer), [x.requires_grad_() for x in draw(*lengths)]
    named = {f"the weights of {name}": getattr(layer, name).weight for name in "QKV"}
    named |= dict(zip(("the queries", "the keys", "the values"), inputs, strict=True))
    expected = expected_of(layer, *inputs, causal=causal)
    expect_gradients(results(layer, *inputs)[0], expected[0], named, "context")


def gradient(answer: type) -> None:
    """It reaches all three maps and all three inputs."""
    expect_all_gradients(answer, (K, T, T), False)


def speed(answer: type) -> None:
    """No loop over the batch, the queries or the keys."""
    layer, small = layer_of(answer), draw(2, 2, 2)
    large = {
        "the sequences of the batch": draw(2, 2, 2, batch=6),
        "the queries": draw(7, 2, 2),
        "the keys": draw(2, 7, 7),
    }
    expect_steps({
        what: (lambda: layer(*small), lambda inputs=inputs: layer(*inputs))
        for what, inputs in large.items()
    })  # fmt: skip


CHECKS = {
    "attention": {
        "shapes": shapes, "weights": weights, "scale": scale, "values": values,
        "dtype": dtype, "gradient": gradient, "speed": speed,
    },
}  # fmt: skip
