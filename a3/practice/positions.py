"""Checks of the table of sinusoidal positions: part of question 2.1-3 (2025)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from a3.practice.expect import Wrong, expect_shape, expect_steps, expect_value
from a3.translation.attention import positional_encoding

__all__ = ["CHECKS"]

LENGTH, H = 7, 12


def shapes(answer: Callable) -> None:
    """A row for each position."""
    table = answer(LENGTH, H)
    if isinstance(table, Tensor) and table.shape == (H, LENGTH):
        raise Wrong("The table has a column for each position; it must have a row for each.")
    expect_shape(table, "table", "length, hidden_size", (LENGTH, H))


def _by(first: int = 0, base: float = 10000.0, pairs: float = 2.0, sign: int = -1) -> Tensor:
    """The table with a mistake: another first position, base, factor of i, or sign."""
    t = torch.arange(first, first + LENGTH, dtype=torch.float64)[:, None]
    angle = t * base ** (sign * pairs * torch.arange(H // 2, dtype=torch.float64) / H)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


def values(answer: Callable) -> None:
    """Each wave is in its column, at its wavelength."""
    expected = positional_encoding(LENGTH, H)
    sines, cosines = expected[:, ::2], expected[:, 1::2]
    each = torch.arange(LENGTH, dtype=torch.float64)[:, None]
    column = each / 10000 ** (2 * torch.arange(H, dtype=torch.float64) / H)
    own = torch.where(torch.arange(H) % 2 == 0, column.sin(), column.cos())
    expect_value(
        answer(LENGTH, H), expected,
        {
            "The sines stand in the first half of the columns and the cosines in the second; they "
            "must take turns.": torch.cat([sines, cosines], 1),
            "Sine and cosine have changed places: the even columns are the sines.": torch.stack(
                [cosines, sines], -1
            ).flatten(1),
            "The positions begin at one; the first is zero.": _by(first=1),
            "The exponent is half of what it must be: it is 2i over the width for column 2i.": _by(
                pairs=1
            ),
            "The exponent is twice what it must be: the column 2i has 2i over the width.": _by(
                pairs=4
            ),
            "Each column has a wavelength of its own; the sine and the cosine of a pair share "
            "one.": own,
            "The waves get faster from column to column: the power divides the position.": _by(
                sign=1
            ),
            "The base is 1000, not 10000.": _by(base=1000.0),
            "There is no position in it: each row is the same.": expected[:1].expand(LENGTH, H),
            "There are sines only.": torch.stack([sines, sines], -1).flatten(1),
        },
        "The table has its shape, but not the sines and cosines of the equation.", 1e-4,
    )  # fmt: skip


def far(answer: Callable) -> None:
    """Right at far positions, too."""
    expected = positional_encoding(2000, H)
    expect_value(
        answer(2000, H), expected, {},
        "The first positions are right, but those of a table of 2000 are not to a hundredth: the "
        "angles have too few digits.", 1e-2,
    )  # fmt: skip


def dtype(answer: Callable) -> None:
    """The type of a model's weights."""
    found = answer(LENGTH, H).dtype
    if found != torch.float32:
        raise Wrong(f"The table must be torch.float32, as embeddings are; yours is {found}.")


def speed(answer: Callable) -> None:
    """No loop over positions or columns."""
    expect_steps({
        "the positions": (lambda: answer(3, 4), lambda: answer(30, 4)),
        "the columns": (lambda: answer(3, 4), lambda: answer(3, 40)),
    })  # fmt: skip


CHECKS = {
    "positions": {
        "shapes": shapes, "values": values, "far positions": far, "dtype": dtype, "speed": speed,
    },
}  # fmt: skip
