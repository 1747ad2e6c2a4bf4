"""Checks of the best size at a budget, and of the line through them: 2.3-2 and 2.3-3 (2025)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from a3.practice.expect import Wrong, expect_pair, expect_unchanged, expect_value

__all__ = ["CHECKS"]

SIZES = np.array([3e3, 3e3, 3e3, 1.2e4, 4.1e4, 4.1e4, 1.6e5, 6.3e5])
LOSSES = np.array([2.31, 2.20, 2.27, 1.42, 1.08, 1.03, 1.21, 1.66])
BUDGETS = np.array([8e10, 1.6e11, 3.2e11, 6.4e11, 1.28e12])
BEST = np.array([1.8e4, 3.9e4, 4.5e4, 7.1e4, 1.47e5])


def _number(value: Any, name: str) -> float:
    """A number, where an answer must have one."""
    try:
        value = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise Wrong(f"{name} must be a number; yours is of type {type(value).__name__}.") from None
    if value.shape not in ((), (1,)):
        raise Wrong(f"{name} must be one number; yours has the shape {value.shape}.")
    if not np.isfinite(value).all():
        raise Wrong(f"{name} is not a finite number.")
    return float(value.reshape(()))


# -- The best size ---------------------------------------------------------------------------------
def _vertex(p: np.ndarray) -> float:
    return float(-p[1] / (2 * p[0]))


def _best_size(answer: Callable) -> tuple[np.ndarray, Any]:
    p, best = expect_pair(answer(SIZES.copy(), LOSSES.copy()), "p", "optimal_params")
    if np.shape(best) == (3,) and np.ndim(p) == 0:
        raise Wrong("The two results have changed places: p comes first, then the best size.")
    return p, best


def size_shapes(answer: Callable) -> None:
    """Three coefficients."""
    p, _ = _best_size(answer)
    if np.shape(p) in ((2,), (4,)):
        kind = "a line" if np.shape(p) == (2,) else "a cubic"
        raise Wrong(f"p has {len(p)} coefficients, those of {kind}; a parabola has three.")
    if np.shape(p) != (3,):
        raise Wrong(f"p must have three coefficients; yours has the shape {np.shape(p)}.")


def parabola(answer: Callable) -> None:
    """That of all runs, in log10 of the size."""
    p, _ = _best_size(answer)
    z = np.log10(SIZES)
    sizes = np.unique(SIZES)
    means = np.array([LOSSES[SIZES == size].mean() for size in sizes])
    lowest = np.array([LOSSES[SIZES == size].min() for size in sizes])
    expected = np.polyfit(z, LOSSES, 2)
    expect_value(
        np.asarray(p, dtype=float), expected,
        {
            "The parabola is fitted to the size itself, not to its logarithm.": np.polyfit(
                SIZES, LOSSES, 2
            ),
            "The logarithm has another base: log10 is what the notebook draws the curve with.": (
                np.polyfit(np.log(SIZES), LOSSES, 2)
            ),
            "The logarithm has another base: log10, not log2, is what the notebook draws the curve "
            "with.": np.polyfit(np.log2(SIZES), LOSSES, 2),
            "The coefficients stand in the wrong order: the highest power comes first.": (
                expected[::-1]
            ),
            "The loss has become its logarithm; only the size does.": np.polyfit(
                z, np.log10(LOSSES), 2
            ),
            "The runs of one size are averaged first, and each mean counts alike: a mean of means. "
            "Every run counts alike.": np.polyfit(np.log10(sizes), means, 2),
            "Only the lowest loss of each size is used; every run counts.": np.polyfit(
                np.log10(sizes), lowest, 2
            ),
            "Size and loss have changed places in the fit.": np.polyfit(LOSSES, z, 2),
        },
        "p has three numbers, but not those of the parabola of least squares in log10 of the size.",
        1e-6,
    )  # fmt: skip


def lowest_point(answer: Callable) -> None:
    """A size, at the lowest point of the parabola."""
    p, best = _best_size(answer)
    z = _vertex(np.polyfit(np.log10(SIZES), LOSSES, 2))
    found = _number(best, "optimal_params")
    expected = 10**z
    mistakes = {
        "optimal_params is the logarithm of the best size; undo the logarithm.": z,
        "The logarithm is undone by another base than the one it was made with.": np.exp(z),
        "The sign of the lowest point is wrong: where is the derivative of the parabola "
        "zero?": 10**-z,
        "The lowest point is off by a factor of two in the logarithm: where is the derivative of "
        "the parabola zero?": 10 ** (2 * z),
        "The best of the sizes that were tried is not the lowest point of the parabola.": (
            SIZES[LOSSES.argmin()]
        ),
        "optimal_params is the loss at the lowest point; the size is asked.": np.polyval(
            np.asarray(p, dtype=float), z
        ),
        "The lowest of the curve at the sizes tried is not its lowest point.": SIZES[
            np.polyval(p, np.log10(SIZES)).argmin()
        ],
    }
    expect_value(
        found / expected, 1.0, {why: value / expected for why, value in mistakes.items()},
        "p is right, but optimal_params is not the size at the lowest point of the parabola.",
        1e-6,
    )  # fmt: skip


def size_inputs(answer: Callable) -> None:
    """Whole numbers, in any order, left as they were."""
    sizes, losses = SIZES.astype(int)[::-1].copy(), LOSSES[::-1].copy()
    _, found = answer(sizes, losses)
    _, expected = _best_size(answer)
    expect_unchanged((SIZES[::-1], LOSSES[::-1]), (sizes, losses), ("x", "y"))
    found, expected = (_number(value, "optimal_params") for value in (found, expected))
    if abs(found / expected - 1) > 1e-6:
        raise Wrong("The result depends on the order of the runs, or on whether x is of integers.")


# -- The line --------------------------------------------------------------------------------------
def _line(answer: Callable) -> tuple[Any, Any]:
    return expect_pair(answer(BUDGETS.copy(), BEST.copy()), "m", "c")


def line_shapes(answer: Callable) -> None:
    """Two numbers."""
    for value, name in zip(_line(answer), "mc", strict=True):
        _number(value, name)


def line(answer: Callable) -> None:
    """That of least squares through log10 of both."""
    found = [_number(value, name) for value, name in zip(_line(answer), "mc", strict=True)]
    x, y = np.log10(BUDGETS), np.log10(BEST)
    m, c = np.polyfit(x, y, 1)
    through = float(x @ y / (x @ x))
    ends = (y[-1] - y[0]) / (x[-1] - x[0])
    steps = np.mean(np.diff(y) / np.diff(x))
    expect_value(
        found, (m, c),
        {
            "Slope and intercept have changed places.": (c, m),
            "The logarithms have base e: the notebook draws the line with 10 to a power.": (
                m, c * np.log(10),
            ),
            "The logarithms have base 2: the notebook draws the line with 10 to a power.": (
                m, c * np.log2(10),
            ),
            "No logarithm is taken: the line goes through the numbers themselves.": np.polyfit(
                BUDGETS, BEST, 1
            ),
            "The logarithm of x is missing.": np.polyfit(BUDGETS, y, 1),
            "The logarithm of y is missing.": np.polyfit(x, BEST, 1),
            "x and y have changed places in the fit.": np.polyfit(y, x, 1),
            "The line is made to go through the origin; it needs an intercept.": (through, 0),
            "c has been turned back by a power of ten; the notebook does so itself.": (m, 10**c),
            "The line goes through the first and the last point only; all points count in least "
            "squares.": (ends, y[0] - ends * x[0]),
            "The slope is the mean of the slopes from point to point, not that of least "
            "squares.": (steps, y.mean() - steps * x.mean()),
        },
        "m and c are two numbers, but not those of the line of least squares through log10 of "
        "both.", 1e-6,
    )  # fmt: skip


def line_inputs(answer: Callable) -> None:
    """In any order, left as they were."""
    given = BUDGETS[::-1].copy(), BEST[::-1].copy()
    found = answer(*given)
    expect_unchanged((BUDGETS[::-1], BEST[::-1]), given, ("x", "y"))
    expect_value(
        np.asarray(found, dtype=float), np.asarray(_line(answer), dtype=float), {},
        "The result depends on the order of the points.", 1e-6,
    )  # fmt: skip


CHECKS = {
    "best_size": {
        "shapes": size_shapes, "parabola": parabola, "lowest point": lowest_point,
        "inputs": size_inputs,
    },
    "line": {"shapes": line_shapes, "line": line, "inputs": line_inputs},
}  # fmt: skip
