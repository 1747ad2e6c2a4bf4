"""The parabola of the loss in log size at one compute budget, and its lowest point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from a3.scaling.run_table import run_table

__all__ = ["find_optimal_params", "no_parabola", "optimum", "parabola", "vertices"]


def find_optimal_params(params: Sequence[float], loss: Sequence[float]) -> float:
    """The size at the lowest point of a parabola through losses over log size, at one budget.

    Least squares, :eq:`isoflop-parabola`, then :eq:`isoflop-vertex`; question 2.3-2 (2025).

    Raises
    ------
    ValueError
        If there are fewer than three sizes, all losses are equal, the parabola opens downward or
        its lowest point is outside the sizes.
    """
    runs, left_out = run_table(None, {"params": params}, loss, positive=False)
    if left_out:
        raise ValueError(f"{left_out[0].what}: {left_out[0].why}")
    x, y = np.log(runs["params"].to_numpy()), runs["loss"].to_numpy()
    reason = no_parabola(x, y)
    if not reason:
        lowest, _, reason = optimum(parabola(x)(y), x, x)
    if reason:
        raise ValueError(reason)
    return math.exp(lowest[0])


def no_parabola(x: np.ndarray, y: np.ndarray) -> str:
    """Why losses y at log sizes x determine no parabola; empty if they do."""
    sizes = len(np.unique(x))
    if sizes < 3:
        return f"a parabola needs three sizes, got {sizes}"
    return f"all losses are equal ({y[0]:g})" if np.ptp(y) == 0 else ""


def parabola(
    x: np.ndarray, weights: np.ndarray | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Least squares through losses at log sizes, (n,), of three values at least.

    It maps losses, (..., n), to the coefficients of 1, x and x squared, (..., 3); weights are (...,
    n).
    """
    c = x.mean()
    X = np.vander(x - c, 3, increasing=True)  # (n, 3)
    to_powers_of_x = np.array([[1, -c, c**2], [0, 1, -2 * c], [0, 0, 1]])
    if weights is None:
        solve = np.linalg.pinv(X)
    else:
        XW = X.T * weights[..., None, :]  # (..., 3, n)
        solve = np.linalg.solve(XW @ X, XW)
    return lambda y: (to_powers_of_x @ solve @ y[..., None])[..., 0]


def optimum(
    coefficients: np.ndarray, x: np.ndarray, log_D: np.ndarray
) -> tuple[np.ndarray, str, str]:
    """The lowest point of one parabola, :eq:`isoflop-vertex`, or why there is none.

    ``coefficients`` are those of 1, x and x squared; ``x`` and ``log_D``, (n,), are log N and log D
    of the runs.

    Returns
    -------
    array, shape (3,)
        log N, log D and loss; NaN if the parabola has no lowest point within the sizes.
    bound, reason : str
        The bound, such as "> 4e+06", if it lies outside.
    """
    at, bound, reason = vertices(coefficients, x, log_D), "", ""
    if coefficients[2] <= 0:
        reason = "its parabola opens downward"
    elif np.isnan(at[0]):
        below = -coefficients[1] / (2 * coefficients[2]) < x.min()
        bound = f"< {math.exp(x.min()):.4g}" if below else f"> {math.exp(x.max()):.4g}"
        reason = f"its optimum is outside the sizes tried: {bound}"
    return at, bound, reason


def vertices(coefficients: np.ndarray, x: np.ndarray, log_D: np.ndarray) -> np.ndarray:
    """Lowest points of many parabolas, (..., 3): log N, log D and loss; NaN outside the sizes.

    Arguments are those of :func:`optimum`. Between sizes log D is interpolated.
    """
    constant, slope, bend = np.moveaxis(coefficients, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        vertex = -slope / (2 * bend)
        loss = constant + slope * vertex / 2
    inside = (bend > 0) & (x.min() <= vertex) & (vertex <= x.max())
    sizes = np.unique(x)
    tokens = [log_D[x == size].mean() for size in sizes]
    found = np.stack([vertex, np.interp(vertex, sizes, tokens), loss], axis=-1)
    return np.where(inside[..., None], found, np.nan)
