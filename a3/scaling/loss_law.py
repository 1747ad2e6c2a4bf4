r"""Many laws of the loss fitted at once: their robust objective, and where to start.

A law is five numbers: :math:`e = \log E`, :math:`a = \log A`, :math:`b = \log B`,
:math:`\alpha` and :math:`\beta` of :math:`L = E + A/N^\alpha + B/D^\beta`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

__all__ = [
    "fit_laws", "hoffmann_starts", "huber_objective", "log_terms", "logsumexp", "minimize",
    "projected_laws", "projected_starts",
]  # fmt: skip

Objective = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]
CELLS = 50_000  # laws times runs at a time, so that the arrays stay in the cache


def log_terms(law: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Logarithms of the three terms of laws, (p, 5), for runs at log size n and log tokens d, (r,).

    Of shape (3, p, r).
    """
    e, a, b, alpha, beta = law.T[..., None]  # (p, 1)
    return np.stack([e + 0 * n, a - alpha * n, b - beta * d])


def logsumexp(terms: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exponentials over the first axis."""
    highest = terms.max(0)
    return highest + np.log(np.exp(terms - highest).sum(0))


def huber_objective(
    law: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray, weights: np.ndarray, delta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""The objective of p laws, with its exact first and second derivatives.

    .. math::
        \sum_i w_i \operatorname{Huber}_\delta\bigl(
        \operatorname{LSE}(e,\; a - \alpha n_i,\; b - \beta d_i) - y_i\bigr)

    Eq. (3) of Hoffmann et al. (2022).

    Laws are (p, 5); ``n``, ``d`` and ``y``, (r,), logarithms of size, tokens and loss of each run;
    weights (p, r) or (1, r). Residuals r below ``delta`` cost r²/2, beyond it they cost in
    proportion to their size.

    Returns
    -------
    value, gradient, hessian : arrays, shapes (p,), (p, 5) and (p, 5, 5)
    """
    terms = log_terms(law, n, d)
    log_loss = logsumexp(terms)
    share_E, share_A, share_B = np.exp(terms - log_loss)  # of the loss, each (p, r)
    residual = log_loss - y
    slope = residual.clip(-delta, delta)
    value = (weights * slope * (residual - slope / 2)).sum(-1)
    pull = weights * slope
    J = np.stack([share_E, share_A, share_B, -share_A * n, -share_B * d], 1)  # (p, 5, r)
    gradient = (J @ pull[..., None])[..., 0]
    # The second derivative of LSE is sum_k share_k g_k g_k' - J J', where g_k is that of term k.
    squares = np.where(np.abs(residual) < delta, weights, 0.0) - pull
    hessian = (J * squares[:, None]) @ np.swapaxes(J, 1, 2)
    hessian[:, 0, 0] += (pull * share_E).sum(-1)
    for i, share, x in ((1, share_A, n), (2, share_B, d)):
        moments = (pull * share) @ np.stack([np.ones_like(x), -x, x**2], -1)  # (p, 3)
        hessian[:, i, i] += moments[:, 0]
        hessian[:, i, i + 2] += moments[:, 1]
        hessian[:, i + 2, i] += moments[:, 1]
        hessian[:, i + 2, i + 2] += moments[:, 2]
    return value, gradient, hessian


def fit_laws(
    start: np.ndarray,
    n: np.ndarray,
    d: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    delta: float,
    *,
    easing: tuple[float, ...] = (100, 30, 10, 3),
    iterations: int = 300,
) -> tuple[np.ndarray, np.ndarray]:
    """Laws, (p, 5), of the least objective near given ones, with weights of their own or shared.

    Arguments are those of :func:`huber_objective`, whose values come with the laws.

    Parameters
    ----------
    easing : tuple of float
        A small delta makes valleys with steep walls, so it is lowered in steps: these multiples
        of it come first, for a few steps each.
    iterations : int
        At most as many steps with delta itself.
    """
    found, values = [], []
    for law, w in _chunks(start, weights, len(y)):

        def objective(law: np.ndarray, which: np.ndarray, delta: float, w: np.ndarray = w):
            return huber_objective(law, n, d, y, w[which], delta)

        for factor in easing:
            law, _, _ = minimize(objective, law, factor * delta, iterations=8)
        law, value, _ = minimize(objective, law, delta, iterations=iterations)
        found.append(law), values.append(value)
    return np.concatenate(found), np.concatenate(values)


def _chunks(
    start: np.ndarray, weights: np.ndarray, runs: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some starts at a time, with their weights."""
    size = max(1, CELLS // runs)
    weights = np.broadcast_to(weights, (len(start), runs))
    for first in range(0, len(start), size):
        yield start[first : first + size], weights[first : first + size]


def hoffmann_starts() -> np.ndarray:
    """The grid of starts, (4500, 5), of Hoffmann et al. (2022), Section D.2."""
    E, AB, exponents = np.arange(-1, 1.5, 0.5), np.arange(0, 30, 5), np.arange(0, 2.5, 0.5)
    return np.array(list(product(E, AB, AB, exponents, exponents)), dtype=float)


def projected_starts(n: np.ndarray, d: np.ndarray, y: np.ndarray) -> np.ndarray:
    """For each of 144 pairs of exponents from 0.03 to 3 the E, A, B that suit it best: (144, 5).

    They minimise the squared relative errors and are not negative. One that is zero is replaced by
    what makes its term about a thousandth of the loss. Linear unknowns are eliminated as by Golub
    and Pereyra (1973). Arguments are those of :func:`huber_objective`.
    """
    grid = np.geomspace(0.03, 3, 12)
    exponents = np.array(list(product(grid, grid)))  # (144, 2)
    law = np.concatenate([np.zeros((len(exponents), 3)), exponents], -1)
    X = np.moveaxis(np.exp(log_terms(law, n, d) - y), 0, -1)  # (144, r, 3): times E, A, B to be 1
    best, least = np.zeros((len(X), 3)), np.full(len(X), np.inf)
    for used in ([0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1], [2]):
        Q, R = np.linalg.qr(X[..., used])
        solution = (np.linalg.pinv(R) @ Q.sum(1)[..., None])[..., 0]  # (144, k)
        error = ((X[..., used] @ solution[..., None] - 1) ** 2).sum((1, 2))
        better = (solution >= 0).all(1) & (error < least)
        chosen = np.zeros_like(best)
        chosen[:, used] = solution
        best, least = np.where(better[:, None], chosen, best), np.where(better, error, least)
    law[:, :3] = np.log(np.maximum(best, 1e-3 / X.mean(1)))
    return law


def projected_laws(
    exponents: np.ndarray,
    n: np.ndarray,
    d: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    *,
    iterations: int = 60,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Laws, (p, 5), of the least squares of relative errors, from exponents (p, 2); with values.

    For each :math:`\alpha` and :math:`\beta` the best E, A and B are linear and solved for, so that
    only two unknowns are left: variable projection, Golub and Pereyra (1973), with the Jacobian of
    Kaufman (1975) and damped steps. A term whose factor comes out negative is next to nothing in
    the law. The other arguments are those of :func:`huber_objective`; values are half the sums.
    """
    found = [
        _project(at, n, d, y, np.sqrt(w), iterations)
        for at, w in _chunks(exponents, weights, len(y))
    ]
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def _project(
    at: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray, root: np.ndarray, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`projected_laws` gives, for weights given by their roots, (p, r)."""

    def solve(at: np.ndarray) -> tuple[np.ndarray, ...]:
        powers = np.stack([np.zeros_like(root), -at[:, :1] * n, -at[:, 1:] * d], -1)
        X = np.exp(powers - y[:, None]) * root[..., None]  # (p, r, 3)
        Q, R = np.linalg.qr(X)
        Qt = np.swapaxes(Q, 1, 2)
        c = np.linalg.pinv(R) @ (Qt @ root[..., None])  # (p, 3, 1)
        left = (X @ c)[..., 0] - root
        J = np.stack([-n * X[..., 1] * c[:, 1], -d * X[..., 2] * c[:, 2]], -1)
        return c[..., 0], left, J - Q @ (Qt @ J), (left**2).sum(-1) / 2

    damping = np.full(len(at), 1e-3)
    state = solve(at)
    for _ in range(iterations):
        _, left, J, value = state
        Jt = np.swapaxes(J, 1, 2)
        H, gradient = Jt @ J, Jt @ left[..., None]  # (p, 2, 2), (p, 2, 1)
        shift = damping[:, None] * np.diagonal(H, axis1=1, axis2=2) + 1e-300
        step = -np.linalg.solve(H + shift[..., None] * np.eye(2), gradient)[..., 0]
        moved = at + step.clip(-0.5, 0.5)
        tried = solve(moved)
        better = tried[3] < value
        at = np.where(better[:, None], moved, at)
        state = _where(better, tried, state)
        damping = np.where(better, (damping / 8).clip(min=1e-12), (damping * 5).clip(max=1e9))
        if not better.any() and (damping > 1e6).all():
            break
    return np.concatenate([np.log(state[0].clip(min=1e-12)), at], -1), state[3]


def _where(better: np.ndarray, new: Sequence, old: Sequence) -> tuple[np.ndarray, ...]:
    """For each problem, the first axis, the new arrays if they are better."""
    return tuple(
        np.where(better.reshape(-1, *[1] * (x.ndim - 1)), x, y)
        for x, y in zip(new, old, strict=True)
    )


def minimize(
    objective: Objective,
    start: np.ndarray,
    *arguments: Any,
    iterations: int = 300,
    tolerance: float = 1e-13,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Newton's method for many small problems at once, each from its own start.

    Each has a handful of unknowns of its own; one evaluation serves all that are still open.

    A step solves :math:`(H + \mu I) \Delta = -g` with a damping :math:`\mu`. Where
    :math:`H + \mu I` is not positive definite, near saddles, it is
    :math:`\Delta = -Q \, (|\Lambda| + \mu)^{-1} \, Q^\top g` with :math:`H = Q \Lambda Q^\top`,
    which goes downhill too. Where the objective does not fall, the problem stays where it is and
    :math:`\mu` grows; where it falls, :math:`\mu` shrinks.

    Parameters
    ----------
    objective : callable
        Takes unknowns, shape (p, k), the numbers of their problems, shape (p,), and ``arguments``.
        Gives values, shape (p,), gradients, shape (p, k), and Hessians, shape (p, k, k).
    start : array, shape (P, k)
    iterations : int
        At most as many steps.
    tolerance : float
        A problem is done when a full step promises less than this share of its value.

    Returns
    -------
    unknowns, values, done : arrays, shapes (P, k), (P,) and, of bool, (P,)
        The last says whether the tolerance was met.
    """
    found, values = np.array(start), np.full(len(start), np.inf)
    done, at = np.zeros(len(start), dtype=bool), np.arange(len(start))
    x, state = found.copy(), objective(found.copy(), at, *arguments)
    damping = np.full(len(start), 1e-3)
    for _ in range(iterations):
        value, gradient, hessian = state
        step = _steps(gradient, hessian, damping)
        finished = -(gradient * step).sum(-1) / 2 <= tolerance * value
        if finished.any():  # a damped step promises less than a full one, which counts
            maybe = np.flatnonzero(finished)
            full = _steps(gradient[maybe], hessian[maybe], 0 * damping[maybe])
            promise = -(gradient[maybe] * full).sum(-1) / 2
            finished[maybe] = promise <= tolerance * value[maybe]
        closed = finished | (damping > 1e10)  # the latter fall no further, to rounding
        if closed.any():
            found[at[closed]], values[at[closed]] = x[closed], value[closed]
            done[at[closed]] = finished[closed]
            at, x, damping, step = (part[~closed] for part in (at, x, damping, step))
            value, *_ = state = tuple(part[~closed] for part in state)
            if not len(at):
                break
        tried = objective(x + step, at, *arguments)
        better = tried[0] < value
        x = np.where(better[:, None], x + step, x)
        state = _where(better, tried, state)
        damping = np.where(better, (damping / 8).clip(min=1e-15), damping * 5)
    found[at], values[at] = x, state[0]
    return found, values, done


def _steps(gradient: np.ndarray, hessian: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """A downhill step for each problem, shape (p, k); the damping is relative to the Hessian."""
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)
    shift = (damping + 1e-15) * np.abs(diagonal).max(-1).clip(min=1e-300)  # (p,)
    damped = hessian + shift[:, None, None] * np.eye(gradient.shape[-1])
    try:
        np.linalg.cholesky(damped)
        return -np.linalg.solve(damped, gradient[..., None])[..., 0]
    except np.linalg.LinAlgError:  # some are saddles
        curvature, Q = np.linalg.eigh(hessian)
        convex = curvature[:, :1] + shift[:, None] > 0
        size = np.where(convex, curvature, np.abs(curvature)) + shift[:, None]
        along = (np.swapaxes(Q, 1, 2) @ gradient[..., None])[..., 0] / size
        return -(Q @ along[..., None])[..., 0]
