r"""The loss as a law of size and data, fitted to finished runs: Hoffmann et al.'s third approach.

:math:`L(N, D) = E + A/N^\alpha + B/D^\beta`; the book writes G for B in :eq:`hoffmann-law`. All
starts, and then all resamples for the intervals, are fitted at once as one batch.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from a3.lab.intervals import check_options, interval, resampling_counts
from a3.scaling.loss_law import (
    fit_laws,
    log_terms,
    logsumexp,
    projected_laws,
    projected_starts,
)
from a3.scaling.run_table import Column, LeftOut, run_table

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ParametricFit", "fit_parametric"]

MANY = 5_000  # runs: with more, a part of them shows where to start


@dataclass(frozen=True, eq=False)
class ParametricFit:
    r"""A fitted law :math:`L = E + A/N^\alpha + B/D^\beta`, with N, D and L in the reader's units.

    The best split of a budget grows as :math:`N^* \propto C^a`, :math:`D^* \propto C^b` with
    :math:`a = \beta/(\alpha+\beta)`, :math:`b = \alpha/(\alpha+\beta)`, by :eq:`optimal-split`.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    objective: float
    """Sum of the Huber losses of the residuals, or half that of squared relative errors."""
    rms: float
    """Root mean square of the residuals of the log loss."""
    r_squared: float
    """Share of the variance of the log loss that the law explains."""
    intervals: dict[str, tuple[float, float]]
    """Low and high end for E, A, B, alpha, beta, a and b; NaN without a bootstrap."""
    left_out: tuple[LeftOut, ...]
    runs: pd.DataFrame = field(repr=False)
    """The runs used: ``params``, ``tokens``, ``loss``, ``residual`` (of log loss)."""
    samples: np.ndarray = field(repr=False)
    """From each resample log E, log A, log B, alpha and beta; shape (bootstrap, 5)."""
    delta: float
    level: float
    spread: dict[str, float] = field(repr=False)
    """How :func:`a3.lab.intervals.interval` is to be called."""

    @property
    def a(self) -> float:
        r"""Exponent of the best size, :math:`\beta/(\alpha+\beta)`."""
        return self.beta / (self.alpha + self.beta)

    @property
    def b(self) -> float:
        r"""Exponent of the best number of tokens, :math:`\alpha/(\alpha+\beta)`."""
        return self.alpha / (self.alpha + self.beta)

    def predict(self, N: float | np.ndarray, D: float | np.ndarray) -> np.ndarray:
        """The law's loss for N parameters and D tokens, broadcast together."""
        N, D = np.asarray(N, dtype=float), np.asarray(D, dtype=float)
        return self.E + self.A * N**-self.alpha + self.B * D**-self.beta

    def table(self) -> pd.DataFrame:
        """The law's numbers with their intervals, a row each."""
        rows = {name: (getattr(self, name), *ends) for name, ends in self.intervals.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["fit", "low", "high"])


def fit_parametric(
    params: Column,
    tokens: Column,
    loss: Column,
    *,
    data: pd.DataFrame | None = None,
    group: Column | None = None,
    starts: np.ndarray | Tensor | None = None,
    estimator: str = "huber",
    delta: float = 1e-3,
    bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> ParametricFit:
    r"""Fit :math:`L = E + A/N^\alpha + B/D^\beta`, robustly, from many starts.

    Section 3.3 and Eq. (3) of Hoffmann et al. (2022); Besiroglu et al. (2024), who find that the
    former's optimiser stopped early.

    Parameters
    ----------
    params, tokens, loss : arrays, tensors or names of columns, n runs
        Size N, training tokens D and final loss L of each run.
    data : DataFrame, optional
        Where named columns are found.
    group : array or name of a column, optional
        Seed of each run. The bootstrap then draws whole seeds, else runs.
    starts : array or tensor, shape (s, 5), optional
        log E, log A, log B, alpha, beta, such as :func:`a3.scaling.loss_law.hoffmann_starts`.
        Otherwise :func:`a3.scaling.loss_law.projected_starts`.
    estimator : "huber" or "projection"
        What is least: the Huber losses of log residuals, as Hoffmann et al. have it, or the squares
        of relative errors, :func:`a3.scaling.loss_law.projected_laws`, where a wild run counts in
        full. The starts of the first are solved as by the second, on a grid of exponents.
    delta : float
        Residuals of the log loss above it count by their size, not their square.
    bootstrap, level, seed : int, float, int
        Resamples, each fitted from the solution for all runs, 0 for no intervals; the level of
        these; the seed of the draws.

    Raises
    ------
    ValueError
        If a column or an option is wrong, all losses are equal, or the runs cannot tell the five
        numbers apart: fewer than six runs, fewer than three sizes or three numbers of tokens, or
        tokens in a fixed relation to size.

    Warns
    -----
    RuntimeWarning
        If the best fit has no positive exponent, or a term that vanishes.
    """
    check_options(bootstrap, level)
    if not 0 < delta < np.inf:
        raise ValueError(f"delta must be positive and finite, got {delta}")
    if estimator not in ("huber", "projection"):
        raise ValueError(f"estimator must be huber or projection, got {estimator!r}")
    runs, left_out = run_table(data, {"params": params, "tokens": tokens}, loss, group)
    _check_runs(runs)
    n, d, y = np.log(runs[["params", "tokens", "loss"]].to_numpy().T)
    center = n.mean(), d.mean()  # makes the fit the same in all units
    n, d = n - center[0], d - center[1]

    def fit(starts: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if estimator == "projection":
            return projected_laws(starts[:, 3:], n, d, y, weights)
        return fit_laws(starts, n, d, y, weights, delta, easing=())

    once = np.ones((1, len(y)))
    some = np.random.default_rng(0).permutation(len(y))[:MANY]  # enough to look for a valley
    few = (n, d, y) if len(y) <= MANY else (n[some], d[some], y[some])
    if starts is None:
        first = projected_starts(*few)
    else:
        first = np.asarray(starts, dtype=float)
        if first.ndim != 2 or first.shape[1] != 5 or not len(first):
            raise ValueError(f"starts must be of shape (s, 5), got {first.shape}")
        first = _shift(first, *center)
    rough, values = fit_laws(first, *few, np.ones((1, len(few[0]))), delta, iterations=8)
    rough = rough[values.argsort()[:12]]  # the others lag far behind, where steps are slow
    if len(y) > MANY:
        rough, values = fit_laws(rough, *few, np.ones((1, MANY)), delta, easing=())
        rough = rough[values.argmin()][None]
    found, values = fit(rough, once)
    best = found[values.argmin()]
    samples, spread = np.empty((0, 5)), {}
    if bootstrap:
        counts = resampling_counts(len(y), bootstrap, seed, runs.get("group"))
        samples, _ = fit(np.tile(best, (bootstrap, 1)), counts)
        spread = {} if group is None else {"groups": runs["group"].nunique()}
    terms = log_terms(best[None], n, d)[:, 0]  # (3, r)
    log_loss = logsumexp(terms)
    residual = log_loss - y
    _warn_of_missing_terms(best[3:], np.exp(terms - log_loss).max(-1))
    law, samples = (_shift(each, -center[0], -center[1]) for each in (best, samples))
    low, high = interval(_with_split(samples), _with_split(law), level, **spread)
    ends = np.array([_with_split(law), low, high]).T  # (7, 3)
    ends[:3] = np.exp(ends[:3])
    fitted = dict(zip(("E", "A", "B", "alpha", "beta", "a", "b"), ends.tolist(), strict=True))
    return ParametricFit(
        **{name: fitted[name][0] for name in ("E", "A", "B", "alpha", "beta")},
        objective=float(values.min()),
        rms=math.sqrt((residual**2).mean()),
        r_squared=float(1 - residual.var() / y.var()),
        intervals={name: tuple(numbers[1:]) for name, numbers in fitted.items()},
        left_out=tuple(left_out),
        runs=runs.assign(residual=residual),
        samples=samples,
        delta=delta,
        level=level,
        spread=spread,
    )


def _check_runs(runs: pd.DataFrame) -> None:
    """Whether they can tell the five numbers apart."""
    if len(runs) < 6:
        raise ValueError(f"five numbers are fitted, which needs at least six runs, got {len(runs)}")
    if runs["loss"].nunique() == 1:
        raise ValueError(f"all losses are equal ({runs['loss'].iloc[0]:g})")
    for name in ("params", "tokens"):
        different = runs[name].nunique()
        if different < 3:
            raise ValueError(f"at least three different {name} are needed, got {different}")
    n, d = np.log(runs["params"]), np.log(runs["tokens"])
    if np.corrcoef(n, d)[0, 1] > 1 - 1e-9:
        raise ValueError(
            "tokens are a power of params in all runs, so A/N^alpha and B/D^beta cannot be told "
            "apart: vary one at a fixed other"
        )


def _warn_of_missing_terms(exponents: np.ndarray, shares: np.ndarray) -> None:
    missing = [f"the term of {name} vanishes" for name, x in zip("EAB", shares, strict=True)
               if x < 1e-6]  # fmt: skip
    missing += [f"{name} is {x:.2g}" for name, x in zip(("alpha", "beta"), exponents, strict=True)
                if x <= 0]  # fmt: skip
    if missing:
        reasons = ", ".join(missing)
        warnings.warn(f"these runs do not show the whole law: {reasons}", RuntimeWarning, 3)


def _shift(law: np.ndarray, n: float, d: float) -> np.ndarray:
    """Laws, (..., 5), of sizes and tokens whose logarithms are smaller by n and d."""
    return law - np.stack(
        [0 * law[..., 3], law[..., 3] * n, law[..., 4] * d, *[0 * law[..., 3]] * 2], -1
    )


def _with_split(law: np.ndarray) -> np.ndarray:
    """Laws with the exponents a and b of the best split, shape (..., 7)."""
    a = law[..., 4:] / (law[..., 3:4] + law[..., 4:])
    return np.concatenate([law, a, 1 - a], axis=-1)
