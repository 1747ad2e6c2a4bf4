"""Newton's method for many small problems at once.

Each problem has a handful of unknowns of its own; one evaluation serves all that are still open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["minimize"]

Objective = Callable[..., tuple[Tensor, Tensor, Tensor]]


def minimize(
    objective: Objective,
    start: Tensor,
    *arguments: Any,
    iterations: int = 300,
    tolerance: float = 1e-13,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Lower the objective of every problem to a minimum near its start.

    A step solves :math:`(H + \mu I) \Delta = -g` with a damping :math:`\mu`. Where
    :math:`H + \mu I` is not positive definite, near saddles, it is
    :math:`\Delta = -Q \, (|\Lambda| + \mu)^{-1} \, Q^\top g` with :math:`H = Q \Lambda Q^\top`,
    which goes downhill too. Where the objective does not fall, the problem stays where it is and
    :math:`\mu` grows; where it falls, :math:`\mu` shrinks.

    Parameters
    ----------
    objective : callable
        Takes unknowns, shape (p, k), and the numbers of their problems, shape (p,). Gives values,
        shape (p,), gradients, shape (p, k), and Hessians, shape (p, k, k).
    start : Tensor, shape (P, k)
    *arguments
        Given to the objective after these two.
    iterations : int
        At most as many steps.
    tolerance : float
        A problem is done when a full step promises less than this share of its value.

    Returns
    -------
    unknowns : Tensor, shape (P, k)
    values : Tensor, shape (P,)
    done : Tensor of bool, shape (P,)
        Whether the tolerance was met.
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
