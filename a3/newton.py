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

    A step divides the gradient, in the eigenvectors of the Hessian, by the eigenvalues' sizes
    and a damping :math:`\mu`,

    .. math:: \Delta = -Q \, (|\Lambda| + \mu)^{-1} \, Q^\top g, \qquad H = Q \Lambda Q^\top ,

    so that it goes downhill at saddles too. Where the objective does not fall, the problem stays
    where it is and :math:`\mu` grows; where it falls, :math:`\mu` shrinks.

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
        curvature, Q = torch.linalg.eigh(hessian)
        size = curvature.abs()
        largest = size.amax(-1, keepdim=True).clamp(min=1e-300)
        slope = (Q.mT @ gradient.unsqueeze(-1)).squeeze(-1)  # (p, k)
        promise = (slope**2 / (size + 1e-15 * largest)).sum(-1) / 2
        finished = promise <= tolerance * value
        stuck = damping > 1e10
        closed = finished | stuck
        if closed.any():
            found[at[closed]], values[at[closed]] = x[closed], value[closed]
            done[at[closed]] = finished[closed]
            keep = ~closed
            at, x, damping, Q, slope, size, largest = (
                kept[keep] for kept in (at, x, damping, Q, slope, size, largest)
            )
            value, gradient, hessian = state = tuple(part[keep] for part in state)
            if not len(at):
                break
        step = -(Q @ (slope / (size + damping[:, None] * largest)).unsqueeze(-1)).squeeze(-1)
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
