"""Checks of the decoder-only model's tensors and forward pass: 2.2-1 and 2.2-2 (2025)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from a3.practice.expect import (
    Wrong,
    expect_gradients,
    expect_pair,
    expect_shape,
    expect_steps,
    expect_type,
    expect_unchanged,
    expect_value,
    in_double,
    same,
)

__all__ = ["CHECKS"]

SOS, EOS, EOP = 27, 28, 29
B, S, T, H, V, L = 3, 4, 5, 8, 30, 2


# -- Tensors ---------------------------------------------------------------------------------------
def _pairs(batch: int = B, source: int = S, target: int = T) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    words = [torch.randint(27, (batch, length)) for length in (source, target)]
    for tokens, end in zip(words, (EOP, EOS), strict=True):
        tokens[:, -1] = end
    return words[0], words[1]


def _tensors(answer: Callable, start: int = SOS, **sizes: int) -> tuple[Tensor, Tensor]:
    result = answer(*_pairs(**sizes), start, False)
    return expect_pair(result, "SOS_src_EOP_tgt", "src_EOP_tgt_EOS")


def tensors_shapes(answer: Callable) -> None:
    """Both are as long as the two words together."""
    names = ("SOS_src_EOP_tgt", "src_EOP_tgt_EOS")
    for tokens, name in zip(_tensors(answer), names, strict=True):
        if isinstance(tokens, Tensor) and tokens.shape == (B, S + T + 1):
            raise Wrong(
                f"{name} is one token too long: what is read leaves the last <EOS> out, and what "
                "is named leaves <SOS> out."
            )
        expect_shape(tokens, name, "batch_size, src_len + tgt_len", (B, S + T))


def shift(answer: Callable) -> None:
    """What is named is what is read, one place on."""
    source, target = _pairs()
    read, named = _tensors(answer)
    both = torch.cat([source, target], 1)
    start = torch.full((B, 1), SOS)
    inputs = torch.cat([start, both[:, :-1]], 1)
    if same(read, both) and same(named, inputs):
        raise Wrong("The two results have changed places: what is read begins with <SOS>.")
    if not (read[:, 0] == SOS).all():
        raise Wrong("The first token that is read must be <SOS>, in every row.")
    if same(read, named):
        raise Wrong("Both are the same: what is named at a place is the token one place on.")
    expect_value(
        named, both,
        {
            "What is named is off by one: it is what is read moved on by two places.": torch.cat(
                [both[:, 1:], both[:, -1:]], 1
            ),
            "The translation comes before the word.": torch.cat([target, source], 1),
            "Only the translation is named; the places of the word count for the length, "
            "too.": torch.cat([torch.full((B, S), -100), target], 1),
        },
        "src_EOP_tgt_EOS must be the word with its <EOP>, then the translation with its <EOS>.",
    )  # fmt: skip
    expect_value(
        read, inputs,
        {
            "<SOS> stands between the word and the translation, too, or in the place of "
            "<EOP>.": torch.cat([start, source[:, :-1], start, target[:, :-1]], 1),
            "The <EOP> is left out of what is read, and the <EOS> kept: at the end of the word the "
            "model could not know that it is over.": torch.cat([start, source[:, :-1], target], 1),
            "The translation is cut at its beginning, not at its end.": torch.cat(
                [start, source, target[:, 1:]], 1
            ),
            "The rows are read backwards.": inputs.flip(1),
        },
        "SOS_src_EOP_tgt must be <SOS>, the word with its <EOP>, and the translation without its "
        "<EOS>.",
    )  # fmt: skip


def start(answer: Callable) -> None:
    """The start token is the argument."""
    read, _ = _tensors(answer, start=5)
    if not (read[:, 0] == 5).all():
        raise Wrong("<SOS> is written as a number into your code; it must be start_token.")


def tensors_dtype(answer: Callable) -> None:
    """Tokens stay whole numbers, and the inputs as they were."""
    for tokens, name in zip(_tensors(answer), ("what is read", "what is named"), strict=True):
        if tokens.dtype != torch.int64:
            raise Wrong(
                f"Tokens are torch.int64, else no embedding takes them; {name} is {tokens.dtype}."
            )
    before, given = _pairs(), _pairs()
    answer(*given, SOS, False)
    expect_unchanged(before, given, ("src_EOP", "tgt_EOS"))


def tensors_speed(answer: Callable) -> None:
    """No loop over rows or tokens."""

    def at(**sizes: int) -> Callable:
        pairs = _pairs(**sizes)
        return lambda: answer(*pairs, SOS, False)

    expect_steps({
        "the rows": (at(batch=2), at(batch=9)),
        "the tokens of the word": (at(source=3), at(source=9)),
        "the tokens of the translation": (at(target=3), at(target=9)),
    })  # fmt: skip


# -- Forward pass ----------------------------------------------------------------------------------
def _model(answer: type) -> nn.Module:
    torch.manual_seed(0)
    model = answer(V, H, L, 0)
    for name in ("embedding", "self_attentions", "attention_mlps", "out", "positional_encodings"):
        if not hasattr(model, name):
            raise Wrong(f"The model must keep its attribute {name}, as the blank has it.")
    for weights in model.parameters():
        nn.init.normal_(weights, std=0.6)
    return model


def _tokens(batch: int = B, length: int = T) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(V, (batch, length))


def _call(model: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:
    return expect_pair(model(tokens), "output", "self_attention_weights")


def _forward(model: nn.Module, tokens: Tensor, without: str = "") -> tuple[Tensor, Tensor]:
    """The forward pass of the equations, or one with a known mistake."""
    x, places = model.embedding(tokens), model.positional_encodings[: tokens.shape[1]]
    if without == "one row":
        places = model.positional_encodings[0]
    if without == "the batch":
        places = model.positional_encodings[: len(tokens), None]
    if without == "root":
        x = x * H**0.5
    if without != "positions":
        x = x + places
    maps = []
    for attention, mlp in zip(model.self_attentions, model.attention_mlps, strict=True):
        if without == "order":
            x = x + mlp(x)
        context, weights = attention(x, x, x)
        maps.append(weights)
        side_by_side = x
        x = context if without in ("both", "attention") else x + context
        if without == "side by side":
            x = x + mlp(side_by_side)
        elif without not in ("order", "mlps"):
            x = mlp(x) if without in ("both", "mlp") else x + mlp(x)
        if without == "every layer":
            x = x + places
        if without == "layers":
            break
    logits = model.out(x)
    return logits.softmax(-1) if without == "logits" else logits, torch.stack(maps)


MISTAKES = {
    "The positions are not added to the embeddings.": "positions",
    "Every place gets the encoding of the same position.": "one row",
    "The positions run along the batch; they belong to the places of a sequence.": "the batch",
    "The positions are added again in each layer; they are added once, before the first.": (
        "every layer"
    ),
    "The embeddings are multiplied by the root of the width; this model leaves them as they "
    "are.": "root",
    "There is no residual connection: each part adds to its input, yours replaces it.": "both",
    "The attention has no residual connection: it must add to its input.": "attention",
    "The MLP has no residual connection: it must add to its input.": "mlp",
    "The MLP must read what attention has added to; yours reads the input of the layer.": (
        "side by side"
    ),
    "The MLP comes before attention; it comes after.": "order",
    "The MLPs are left out.": "mlps",
    "Only the first layer is used.": "layers",
    "The output has been through a softmax; logits are returned as they are, since the loss does "
    "that.": "logits",
}


def shapes(answer: type) -> None:
    """A row of logits at every place, a map of attention for every layer."""
    output, weights = _call(_model(answer), _tokens())
    if isinstance(output, Tensor) and output.shape == (B, T, H):
        raise Wrong("The output has the width of the layers: the map to the vocabulary is missing.")
    expect_shape(output, "output", "batch_size, seq_len, vocab_size", (B, T, V))
    if isinstance(weights, list | tuple):
        raise Wrong("self_attention_weights must be one tensor; stack the layers' on a new axis.")
    axes = "num_layers, batch_size, seq_len, seq_len"
    expect_shape(weights, "self_attention_weights", axes, (L, B, T, T))


def layers(answer: type) -> None:
    """The output is that of the equations."""
    model, tokens = _model(answer), _tokens()
    with torch.no_grad():
        found, maps = _call(model, tokens)
        expected, of_expected = _forward(model, tokens)
        mistakes = {why: _forward(model, tokens, what)[0] for why, what in MISTAKES.items()}
        expect_value(
            found, expected, mistakes,
            "The output has its shape, but it is not that of embeddings and positions, then in "
            "each layer causal attention and an MLP, each added to its input.",
        )  # fmt: skip
        expect_value(
            maps, of_expected,
            {
                "The maps of the layers stand in the wrong order.": of_expected.flip(0),
                "The map of the last layer stands in the place of all.": of_expected[-1:].expand_as(
                    of_expected
                ),
                "Each map has its axes exchanged: a row belongs to a query.": of_expected.mT,
            },
            "The output is right, but self_attention_weights are not the layers' weights.",
        )  # fmt: skip


def dtype(answer: type) -> None:
    """A model in double precision."""
    model, tokens = in_double(_model(answer)), _tokens()
    expect_type(lambda: _call(model, tokens)[0], _forward(model, tokens)[0], "output")
    given = tokens.clone()
    model(given)
    expect_unchanged([tokens], [given], ["inputs"])


def gradient(answer: type) -> None:
    """It reaches all weights."""
    model, tokens = _model(answer), _tokens()
    weights = dict(model.named_parameters())
    expect_gradients(_call(model, tokens)[0], _forward(model, tokens)[0], weights, "output")


def speed(answer: type) -> None:
    """No loop over rows or places."""
    model = _model(answer)

    def at(batch: int, length: int) -> Any:
        tokens = _tokens(batch, length)
        return lambda: model(tokens)

    expect_steps({"the rows": (at(2, 3), at(9, 3)), "the places": (at(2, 3), at(2, 9))})


CHECKS = {
    "tensors": {
        "shapes": tensors_shapes, "shift": shift, "start": start, "dtype": tensors_dtype,
        "speed": tensors_speed,
    },
    "decoder": {
        "shapes": shapes, "layers": layers, "dtype": dtype, "gradient": gradient, "speed": speed,
    },
}  # fmt: skip
