"""The best split of a compute budget between size and data, by a fitted scaling law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from a3.lab.intervals import interval
from a3.scaling.isoflop import IsoFLOPFit
from a3.scaling.parametric import ParametricFit

__all__ = ["ComputeOptimal", "compute_optimal"]


@dataclass(frozen=True, eq=False)
class ComputeOptimal:
    """What a fit advises for a budget; arrays if it was asked for several."""

    flops: float | np.ndarray
    params: float | np.ndarray
    tokens: float | np.ndarray
    loss: float | np.ndarray | None
    """None for lines through IsoFLOP optima, which say nothing of the loss."""
    intervals: dict[str, tuple]
    """Low and high end for each of params, tokens and loss."""
    extrapolation: float | np.ndarray
    """Orders of magnitude from the nearest compute of the data; 0 within their range."""


def compute_optimal(
    fit: IsoFLOPFit | ParametricFit, flops: float | Sequence[float], *, per_token: float = 6.0
) -> ComputeOptimal:
    """The size and the number of tokens at which a budget, in FLOPs, buys the least loss.

    Equation :eq:`optimal-split` of the book; Eq. (4) of Hoffmann et al. (2022); question 2.3-3
    (2025). ``per_token`` is FLOPs for each parameter and token, :math:`C = 6ND` by default, for
    parametric fits only: the others have seen the compute of their runs.

    Raises
    ------
    ValueError
        If a budget or ``per_token`` is not positive and finite, or the law has an exponent that is
        not positive, so that no size is best.
    """
    C = np.asarray(flops, dtype=float)
    if not ((C > 0) & np.isfinite(C)).all():
        raise ValueError(f"the budget must be positive and finite, got {flops}")
    if not 0 < per_token < np.inf:
        raise ValueError(f"per_token must be positive and finite, got {per_token}")
    if isinstance(fit, ParametricFit):
        if not min(fit.alpha, fit.beta) > 0:
            raise ValueError(
                f"no size is best: alpha is {fit.alpha:.3g} and beta {fit.beta:.3g}, both must be "
                "positive"
            )
        law = np.array([*np.log([fit.E, fit.A, fit.B]), fit.alpha, fit.beta])
        best, samples = (_best_split(laws, np.log(C / per_token)) for laws in (law, fit.samples))
        seen = per_token * fit.runs["params"] * fit.runs["tokens"]
        names = ("params", "tokens", "loss")
    else:
        line = np.array([np.log(fit.k), fit.a, np.log(fit.m), fit.b])
        best, samples = (_on_lines(lines, np.log(C)) for lines in (line, fit.samples))
        seen = fit.budgets["flops"][fit.budgets["params"].notna()]
        names = ("params", "tokens")
    low, high = np.exp(interval(samples, best, fit.level, **fit.spread))
    beyond = np.maximum(np.log10(C / seen.max()), np.log10(seen.min() / C))
    fitted = dict(zip(names, np.exp(best), strict=True))
    return ComputeOptimal(
        flops=C[()],
        params=fitted["params"][()],
        tokens=fitted["tokens"][()],
        loss=fitted["loss"][()] if "loss" in fitted else None,
        intervals={name: (low[i][()], high[i][()]) for i, name in enumerate(names)},
        extrapolation=np.maximum(beyond, 0.0)[()],
    )


def _best_split(law: np.ndarray, log_ND: np.ndarray) -> np.ndarray:
    """log N, log D and log L at the best split of each N D; shape (..., 3, *budgets)."""
    law = law.reshape(*law.shape, *[1] * log_ND.ndim)
    e, a, b, alpha, beta = np.moveaxis(law, -1 - log_ND.ndim, 0)
    with np.errstate(invalid="ignore", divide="ignore"):  # resampled exponents may be negative
        log_N = (np.log(alpha / beta) + a - b + beta * log_ND) / (alpha + beta)
        log_D = log_ND - log_N
        log_L = np.logaddexp(np.logaddexp(e, a - alpha * log_N), b - beta * log_D)
    return np.stack([log_N, log_D, log_L], axis=-1 - log_ND.ndim)


def _on_lines(line: np.ndarray, log_C: np.ndarray) -> np.ndarray:
    """log N and log D on the lines at each budget; shape (..., 2, *budgets)."""
    line = line.reshape(*line.shape, *[1] * log_C.ndim)
    log_k, a, log_m, b = np.moveaxis(line, -1 - log_C.ndim, 0)
    return np.stack([log_k + a * log_C, log_m + b * log_C], axis=-1 - log_C.ndim)
