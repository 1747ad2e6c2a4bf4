r"""Many laws of the loss fitted at once: their robust objective, and where to start.

A law is five numbers: :math:`e = \log E`, :math:`a = \log A`, :math:`b = \log B`,
:math:`\alpha` and :math:`\beta` of :math:`L = E + A/N^\alpha + B/D^\beta`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "fit_laws", "hoffmann_starts", "huber_objective", "log_terms", "minimize", "projected_laws",
    "projected_starts",
]  # fmt: skip

Objective = Callable[..., tuple[Tensor, Tensor, Tensor]]


def log_terms(law: Tensor, n: Tensor, d: Tensor) -> Tensor:
    """Logarithms of the three terms of laws, (p, 5), for runs at log size n and log tokens d, (r,).

    Of shape (3, p, r).
    """
    e, a, b, alpha, beta = law.unsqueeze(-1).unbind(1)  # (p, 1)
    return torch.stack([e.expand(-1, len(n)), a - alpha * n, b - beta * d])


def huber_objective(
    law: Tensor, n: Tensor, d: Tensor, y: Tensor, weights: Tensor, delta: float
) -> tuple[Tensor, Tensor, Tensor]:
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
    value, gradient, hessian : Tensor, shapes (p,), (p, 5) and (p, 5, 5)
    """
    terms = log_terms(law, n, d)
    log_loss = terms.logsumexp(0)
    share_E, share_A, share_B = (terms - log_loss).exp()  # of the loss, each (p, r)
    residual = log_loss - y
    slope = residual.clamp(-delta, delta)
    value = (weights * slope * (residual - slope / 2)).sum(-1)
    pull = weights * slope
    J = torch.stack([share_E, share_A, share_B, -share_A * n, -share_B * d], 1)  # (p, 5, r)
    gradient = (J @ pull.unsqueeze(-1)).squeeze(-1)
    # The second derivative of LSE is sum_k share_k g_k g_k' - J J', where g_k is that of term k.
    squares = torch.where(residual.abs() < delta, weights, 0.0) - pull
    hessian = (J * squares.unsqueeze(1)) @ J.mT
    hessian[:, 0, 0] += (pull * share_E).sum(-1)
    for i, share, x in ((1, share_A, n), (2, share_B, d)):
        moments = (pull * share) @ torch.stack([torch.ones_like(x), -x, x**2], -1)  # (p, 3)
        hessian[:, i, i] += moments[:, 0]
        hessian[:, i, i + 2] += moments[:, 1]
        hessian[:, i + 2, i] += moments[:, 1]
        hessian[:, i + 2, i + 2] += moments[:, 2]
    return value, gradient, hessian


def fit_laws(
    start: Tensor,
    n: Tensor,
    d: Tensor,
    y: Tensor,
    weights: Tensor,
    delta: float,
    *,
    easing: tuple[float, ...] = (100, 30, 10, 3),
    iterations: int = 300,
) -> tuple[Tensor, Tensor]:
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
    size = max(1, 50_000 // len(y))  # laws at a time, so that the arrays stay in the cache
    for law, w in zip(start.split(size), weights.expand(len(start), -1).split(size), strict=True):

        def objective(law: Tensor, which: Tensor, delta: float, w: Tensor = w):
            return huber_objective(law, n, d, y, w[which], delta)

        for factor in easing:
            law, _, _ = minimize(objective, law, factor * delta, iterations=8)
        law, value, _ = minimize(objective, law, delta, iterations=iterations)
        found.append(law), values.append(value)
    return torch.cat(found), torch.cat(values)


def hoffmann_starts() -> Tensor:
    """The grid of starts, (4500, 5), of Hoffmann et al. (2022), Section D.2."""
    E, AB, exponents = np.arange(-1, 1.5, 0.5), np.arange(0, 30, 5), np.arange(0, 2.5, 0.5)
    return torch.tensor(list(product(E, AB, AB, exponents, exponents)), dtype=torch.float64)


def projected_starts(n: Tensor, d: Tensor, y: Tensor) -> Tensor:
    """For each of 144 pairs of exponents from 0.03 to 3 the E, A, B that suit it best: (144, 5).

    They minimise the squared relative errors and are not negative. One that is zero is replaced by
    what makes its term about a thousandth of the loss. Linear unknowns are eliminated as by Golub
    and Pereyra (1973). Arguments are those of :func:`huber_objective`.
    """
    grid = torch.logspace(np.log10(0.03), np.log10(3), 12, dtype=torch.float64)
    exponents = torch.cartesian_prod(grid, grid)  # (144, 2)
    law = torch.cat([torch.zeros(len(exponents), 3).double(), exponents], -1)
    X = (log_terms(law, n, d) - y).exp().permute(1, 2, 0)  # (144, r, 3): times E, A, B to be 1
    one = torch.ones(*X.shape[:2], 1, dtype=torch.float64)
    best = torch.zeros(len(X), 3, dtype=torch.float64)
    least = torch.full((len(X),), torch.inf, dtype=torch.float64)
    for used in ([0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1], [2]):
        solution = torch.linalg.lstsq(X[..., used], one).solution  # (144, k, 1)
        error = (X[..., used] @ solution - 1).square().sum((1, 2))
        better = (solution >= 0).all(1).squeeze(-1) & (error < least)
        chosen = torch.zeros_like(best)
        chosen[:, used] = solution.squeeze(-1)
        best, least = torch.where(better[:, None], chosen, best), torch.where(better, error, least)
    law[:, :3] = torch.maximum(best, 1e-3 / X.mean(1)).log()
    return law


def projected_laws(
    exponents: Tensor, n: Tensor, d: Tensor, y: Tensor, weights: Tensor, *, iterations: int = 60
) -> tuple[Tensor, Tensor]:
    r"""Laws, (p, 5), of the least squares of relative errors, from exponents (p, 2); with values.

    For each :math:`\alpha` and :math:`\beta` the best E, A and B are linear and solved for, so that
    only two unknowns are left: variable projection, Golub and Pereyra (1973), with the Jacobian of
    Kaufman (1975) and damped steps. A term whose factor comes out negative is next to nothing in
    the law. The other arguments are those of :func:`huber_objective`; values are half the sums.
    """
    size = max(1, 50_000 // len(y))
    parts = zip(exponents.split(size), weights.expand(len(exponents), -1).split(size), strict=True)
    found = [_project(at, n, d, y, w.sqrt(), iterations) for at, w in parts]
    return tuple(torch.cat(each) for each in zip(*found, strict=True))


def _project(
    at: Tensor, n: Tensor, d: Tensor, y: Tensor, root: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """What :func:`projected_laws` gives, for weights given by their roots, (p, r)."""

    def solve(at: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        powers = torch.stack([0 * n.expand(len(at), -1), -at[:, :1] * n, -at[:, 1:] * d], -1)
        X = (powers - y[:, None]).exp() * root[..., None]  # (p, r, 3)
        Q, R = torch.linalg.qr(X)
        c = torch.linalg.solve_triangular(R, Q.mT @ root[..., None], upper=True)  # (p, 3, 1)
        left = (X @ c)[..., 0] - root
        J = torch.stack([-n * X[..., 1] * c[:, 1], -d * X[..., 2] * c[:, 2]], -1)
        return c[..., 0], left, J - Q @ (Q.mT @ J), left.square().sum(-1) / 2

    damping = at.new_full(at.shape[:1], 1e-3)
    state = solve(at)
    for _ in range(iterations):
        _, left, J, value = state
        H, gradient = J.mT @ J, (J.mT @ left[..., None])[..., 0]  # (p, 2, 2), (p, 2)
        shift = damping[:, None] * H.diagonal(dim1=-2, dim2=-1) + 1e-300
        step = -torch.linalg.solve(H + torch.diag_embed(shift), gradient)
        tried = solve(at + step.clamp(-0.5, 0.5))
        better = tried[3] < value
        at = torch.where(better[:, None], at + step.clamp(-0.5, 0.5), at)
        state = tuple(
            torch.where(better.view(-1, *[1] * (new.dim() - 1)), new, old)
            for new, old in zip(tried, state, strict=True)
        )
        damping = torch.where(better, (damping / 8).clamp(min=1e-12), (damping * 5).clamp(max=1e9))
        if not better.any() and (damping > 1e6).all():
            break
    return torch.cat([state[0].clamp(min=1e-12).log(), at], -1), state[3]


def minimize(
    objective: Objective,
    start: Tensor,
    *arguments: Any,
    iterations: int = 300,
    tolerance: float = 1e-13,
) -> tuple[Tensor, Tensor, Tensor]:
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
    start : Tensor, shape (P, k)
    iterations : int
        At most as many steps.
    tolerance : float
        A problem is done when a full step promises less than this share of its value.

    Returns
    -------
    unknowns, values, done : Tensor, shapes (P, k), (P,) and, of bool, (P,)
        The last says whether the tolerance was met.
    """
    found = start.clone()
    values = start.new_full(start.shape[:1], torch.inf)
    done = torch.zeros(len(start), dtype=torch.bool)
    at = torch.arange(len(start))
    x, state = start, objective(start, at, *arguments)
    damping = start.new_full(at.shape, 1e-3)
    for _ in range(iterations):
        value, gradient, hessian = state
        step = _steps(gradient, hessian, damping)
        finished = -(gradient * step).sum(-1) / 2 <= tolerance * value
        if finished.any():  # a damped step promises less than a full one, which counts
            full = _steps(gradient[finished], hessian[finished], 0 * damping[finished])
            promise = -(gradient[finished] * full).sum(-1) / 2
            finished[finished.clone()] = promise <= tolerance * value[finished]
        closed = finished | (damping > 1e10)  # the latter fall no further, to rounding
        if closed.any():
            found[at[closed]], values[at[closed]] = x[closed], value[closed]
            done[at[closed]] = finished[closed]
            open_ = ~closed
            at, x, damping, step = (part[open_] for part in (at, x, damping, step))
            value, *_ = state = tuple(part[open_] for part in state)
            if not len(at):
                break
        tried = objective(x + step, at, *arguments)
        better = tried[0] < value
        x = torch.where(better[:, None], x + step, x)
        state = tuple(
            torch.where(better.view(-1, *[1] * (new.dim() - 1)), new, old)
            for new, old in zip(tried, state, strict=True)
        )
        damping = torch.where(better, (damping / 8).clamp(min=1e-15), damping * 5)
    found[at], values[at] = x, state[0]
    return found, values, done


def _steps(gradient: Tensor, hessian: Tensor, damping: Tensor) -> Tensor:
    """A downhill step for each problem, shape (p, k); the damping is relative to the Hessian."""
    largest = hessian.diagonal(dim1=-2, dim2=-1).abs().amax(-1).clamp(min=1e-300)
    shift = ((damping + 1e-15) * largest)[:, None]  # (p, 1)
    root, failed = torch.linalg.cholesky_ex(hessian + torch.diag_embed(shift.expand_as(gradient)))
    step = -torch.cholesky_solve(gradient[..., None], root)[..., 0]
    saddle = failed > 0
    if saddle.any():
        curvature, Q = torch.linalg.eigh(hessian[saddle])
        along = (Q.mT @ gradient[saddle][..., None])[..., 0] / (curvature.abs() + shift[saddle])
        step[saddle] = -(Q @ along[..., None])[..., 0]
    return step
