r"""Many laws of the loss fitted at once: their robust objective, and where to start.

A law is five numbers: :math:`e = \log E`, :math:`a = \log A`, :math:`b = \log B`,
:math:`\alpha` and :math:`\beta` of :math:`L = E + A/N^\alpha + B/D^\beta`.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from a3.scaling.loss_law import minimize

__all__ = ["fit_laws", "hoffmann_starts", "huber_objective", "log_terms", "projected_starts"]


def log_terms(law: Tensor, n: Tensor, d: Tensor) -> Tensor:
    """Logarithms of the three terms of each law for each run.

    Parameters
    ----------
    law : Tensor, shape (p, 5)
    n, d : Tensor, shape (r,)
        Logarithms of size and tokens.

    Returns
    -------
    Tensor, shape (3, p, r)
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

    Parameters
    ----------
    law : Tensor, shape (p, 5)
    n, d, y : Tensor, shape (r,)
        Logarithms of size, tokens and loss of each run.
    weights : Tensor, shape (p, r) or (1, r)
    delta : float
        Residuals r below it cost r²/2, beyond it they cost in proportion to their size.

    Returns
    -------
    value : Tensor, shape (p,)
    gradient : Tensor, shape (p, 5)
    hessian : Tensor, shape (p, 5, 5)

    References
    ----------
    Eq. (3) of Hoffmann et al. (2022).
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
    """Laws of the least objective near given ones, each with weights of its own or all with one.

    Parameters
    ----------
    start : Tensor, shape (p, 5)
    n, d, y, weights, delta
        As for :func:`huber_objective`.
    easing : tuple of float
        A small delta makes valleys with steep walls, so it is lowered in steps: these multiples
        of it come first, for a few steps each.
    iterations : int
        At most as many steps with delta itself.

    Returns
    -------
    law : Tensor, shape (p, 5)
    value : Tensor, shape (p,)
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
    """The grid of starts of Hoffmann et al. (2022), Section D.2.

    Returns
    -------
    Tensor, shape (4500, 5)
    """
    E, AB, exponents = np.arange(-1, 1.5, 0.5), np.arange(0, 30, 5), np.arange(0, 2.5, 0.5)
    return torch.tensor(list(product(E, AB, AB, exponents, exponents)), dtype=torch.float64)


def projected_starts(n: Tensor, d: Tensor, y: Tensor) -> Tensor:
    """For each of 144 pairs of exponents from 0.03 to 3 the E, A, B that suit it best.

    They minimise the squared relative errors and are not negative. One that is zero is replaced
    by what makes its term about a thousandth of the loss.

    Parameters
    ----------
    n, d, y : Tensor, shape (r,)
        Logarithms of size, tokens and loss of each run.

    Returns
    -------
    Tensor, shape (144, 5)

    References
    ----------
    The elimination of linear unknowns of Golub and Pereyra (1973).
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
