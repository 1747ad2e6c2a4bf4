"""Whether fits of scaling laws are to be trusted: said, with reasons, before any forecast."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from a3.scaling import checks
from a3.scaling.allocation import compute_optimal
from a3.scaling.findings import agreement, correct, estimators, of_law, of_line
from a3.scaling.isoflop import IsoFLOPFit, fit_isoflop
from a3.scaling.parametric import ParametricFit, fit_parametric
from a3.scaling.run_table import Column, LeftOut, run_table
from a3.scaling.table_checks import (
    CARE,
    NOTE,
    STOP,
    Finding,
    check_table,
    copies,
)

__all__ = ["Diagnosis", "diagnose"]

VERDICTS = {STOP: "do not forecast", CARE: "forecast with care", NOTE: "forecast"}


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Two fits of one table, what is to be said of them, and the verdict."""

    isoflop: IsoFLOPFit | None
    """As fitted."""
    corrected: IsoFLOPFit | None
    """With its optima moved by the parabolas' bias, where that matters and the law tells it."""
    law: ParametricFit | None
    findings: tuple[Finding, ...]
    backtests: tuple[checks.Backtest, ...]
    bias: pd.DataFrame | None
    """A row a budget: ``flops``, and how far the parabola is off in ``params`` and ``tokens``,
    relative, if the law is true; None if that cannot be told."""
    influence: dict[str, pd.DataFrame]
    """By fit, as :func:`a3.scaling.checks.isoflop_influence` and
    :func:`a3.scaling.checks.law_influence` give them."""
    left_out: tuple[LeftOut, ...]
    failed: dict[str, str]
    """Why there is no "isoflop" or "law"."""
    unit: str | None
    """Of the loss."""
    runs: pd.DataFrame = field(repr=False)
    """The runs, copies left out."""

    @property
    def line(self) -> IsoFLOPFit | None:
        """The IsoFLOP fit to use: corrected if it was."""
        return self.corrected or self.isoflop

    @property
    def verdict(self) -> str:
        """ "forecast", "forecast with care" or "do not forecast"."""
        weights = {finding.weight for finding in self.findings}
        return next(VERDICTS[each] for each in (STOP, CARE, NOTE) if each in weights | {NOTE})

    @property
    def reasons(self) -> tuple[str, ...]:
        """The checks behind the verdict."""
        worst = {VERDICTS[STOP]: STOP, VERDICTS[CARE]: CARE}.get(self.verdict)
        return tuple(dict.fromkeys(each.check for each in self.findings if each.weight == worst))

    def forecast(self, budgets: Sequence[float]) -> pd.DataFrame:
        """Best size, tokens and loss for budgets by each fit, with intervals, a row each."""
        rows = []
        for name, fit in self.fits().items():
            try:
                best = compute_optimal(fit, np.atleast_1d(budgets))
            except ValueError:
                if not (np.asarray(budgets, dtype=float) > 0).all():
                    raise
                continue  # a law without a best size
            columns = {"fit": name, "flops": best.flops}
            for what, (low, high) in best.intervals.items():
                columns |= {what: getattr(best, what), f"{what}_low": low, f"{what}_high": high}
            rows.append(pd.DataFrame(columns | {"orders_beyond_data": best.extrapolation}))
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()

    def fits(self) -> dict[str, IsoFLOPFit | ParametricFit]:
        """The fits that there are, by name."""
        fits = {"isoflop": self.isoflop, "corrected": self.corrected, "law": self.law}
        return {name: fit for name, fit in fits.items() if fit is not None}

    def __str__(self) -> str:
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        marks = {NOTE: " ", CARE: "!", STOP: "X"}
        lines = [f"{marks[each.weight]} {each.check}: {each.text}" for each in self.findings]
        return "\n".join([f"verdict: {self.verdict}{why}", *lines])

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, strings, lists and dicts, as for JSON."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "findings": [each._asdict() | {"runs": list(each.runs)} for each in self.findings],
            "fits": {name: fit.table().T.to_dict() for name, fit in self.fits().items()},
            "scatter": None if self.line is None else _scatter(self.line),
            "budgets": None if self.line is None else self.line.budgets.to_dict("records"),
            "backtests": [vars(each) | {"held": each.held} for each in self.backtests],
            "bias": None if self.bias is None else self.bias.to_dict("records"),
            "left_out": [each._asdict() for each in self.left_out],
            "unit": self.unit,
            "runs": len(self.runs),
        }


def diagnose(
    params: Column,
    tokens: Column,
    flops: Column | None,
    loss: Column,
    *,
    data: pd.DataFrame | None = None,
    group: Column | None = None,
    run: Column | None = None,
    unit: str | None = None,
    decimal: str | None = None,
    estimator: str = "huber",
    budgets: Sequence[float] | None = None,
    at: Sequence[float] = (),
    tolerance: float = 0.1,
    bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Diagnosis:
    """Fit a table both ways, ask what :mod:`a3.scaling.checks` asks, and give a verdict.

    Parameters
    ----------
    params, tokens, flops, loss, data, budgets, tolerance, bootstrap, level, seed
        As for :func:`a3.scaling.fit_isoflop`. Without ``flops`` only the law is fitted.
    decimal, estimator
        As for :func:`a3.scaling.run_table.run_table` and :func:`a3.scaling.fit_parametric`.
    group : array or name of a column, optional
        Seed of each run, drawn whole by the bootstrap.
    run : array or name of a column, optional
        Which run a row is a checkpoint of. Runs are then drawn whole, unless groups are.
    unit : "nats" or "bits", optional
        Of the loss.
    at : sequence of float
        Budgets, in FLOPs, that one wants forecasts for; without it ten times the largest.

    Raises
    ------
    ValueError
        If neither fit can be made: both reasons; or if the unit is not known.
    """
    if unit not in (None, "nats", "bits"):
        raise ValueError(f"unit must be nats or bits, got {unit!r}")
    counts = {"params": params, "tokens": tokens} | ({} if flops is None else {"flops": flops})
    cluster = run if group is None else group
    fits, failed = {}, {}
    try:
        runs, left_out = run_table(data, counts, loss, cluster, decimal=decimal)
    except ValueError as error:
        if counts.pop("flops", None) is None:
            raise
        failed["isoflop"] = str(error)
        try:
            runs, left_out = run_table(data, counts, loss, cluster, decimal=decimal)
        except ValueError:
            raise error from None
    copied = copies(runs)
    twice, runs = runs[copied], runs[~copied]
    columns = [] if data is None else list(data.columns)
    findings = check_table(runs, twice, grouped=cluster is not None, columns=columns, unit=unit)
    common = {"data": runs, "bootstrap": bootstrap, "level": level, "seed": seed}
    common |= {} if cluster is None else {"group": "group"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, fit in (
            ("isoflop", lambda: fit_isoflop("params", "tokens", "flops", "loss", budgets=budgets,
                                            tolerance=tolerance, **common)),
            ("law", lambda: fit_parametric("params", "tokens", "loss", estimator=estimator,
                                           **common)),
        ):  # fmt: skip
            try:
                if name == "law" or "flops" in counts:
                    fits[name] = fit()
            except ValueError as error:
                failed[name] = str(error)
    if not fits:
        raise ValueError("; ".join(f"{name}: {why}" for name, why in failed.items()))
    findings += [Finding(name, CARE, f"not fitted: {why}") for name, why in failed.items()]
    findings += [Finding("fit", CARE, str(each.message)) for each in caught]
    isoflop, law = fits.get("isoflop"), fits.get("law")
    corrected, bias, backtests, influence = None, None, [], {}
    if law is not None:
        influence["law"], more = of_law(law, backtests, common, run is not None)
        findings += [*more, *estimators(law, estimator)]
    if isoflop is not None:
        corrected, bias, more = correct(isoflop, law)
        findings += more
        line = corrected or isoflop
        left_out += [each for each in isoflop.left_out if each not in left_out]
        influence["isoflop"], more = of_line(line, isoflop, backtests)
        findings += more
        if law is not None:
            findings += agreement(line, law)
    diagnosis = Diagnosis(
        isoflop, corrected, law, tuple(findings), tuple(backtests), bias, influence,
        tuple(left_out), failed, unit, runs,
    )  # fmt: skip
    reach = _reach(diagnosis, at)
    return Diagnosis(**vars(diagnosis) | {"findings": (*findings, *reach)})


def _scatter(fit: IsoFLOPFit) -> dict[str, Any]:
    found = fit.scatter
    return {
        "ratio": found.ratio, "p": found.p, "size": found.size, "larger": found.larger,
        "noise_alone": found.noise_alone, "interval": fit.intervals["a"],
    }  # fmt: skip


def _reach(diagnosis: Diagnosis, at: Sequence[float]) -> list[Finding]:
    """How wide the forecasts are, and how far beyond the data."""
    if not len(at):
        at = [10 * float((6 * diagnosis.runs["params"] * diagnosis.runs["tokens"]).max())]
        if diagnosis.isoflop is not None:
            at = [10 * float(diagnosis.isoflop.budgets["flops"].max())]
    found = []
    name = "law" if diagnosis.line is None else "corrected" if diagnosis.corrected else "isoflop"
    table = diagnosis.forecast(at)
    table = table[table["fit"] == name] if len(table) else table
    if not len(table):
        return [Finding("forecast", STOP, "the law has no best size")]
    wide = (table["params_high"] / table["params_low"]).max()
    if np.isnan(wide):
        return [Finding("forecast", CARE, "no resamples, no intervals")]
    far = table["orders_beyond_data"].max()
    text = f"at {max(at):.3g} FLOPs, {far:.1f} orders beyond the data, the best size is known to a "
    text += f"factor of {np.sqrt(wide):.3g} either way"
    weight = STOP if wide > 16 else CARE if wide > 4 or far > 2 else NOTE
    found.append(Finding("forecast", weight, text))
    return found
