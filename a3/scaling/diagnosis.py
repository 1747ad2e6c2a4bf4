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
    name_runs,
)

__all__ = ["Diagnosis", "correct", "diagnose"]

VERDICTS = {STOP: "do not forecast", CARE: "forecast with care", NOTE: "forecast"}
MATERIAL = 0.25  # of half an interval: what a bias must move it by to be corrected


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
        influence["law"], more = _of_law(law, backtests, common, run is not None)
        findings += [*more, *_estimators(law, estimator)]
    if isoflop is not None:
        corrected, bias, more = correct(isoflop, law)
        findings += more
        line = corrected or isoflop
        left_out += [each for each in isoflop.left_out if each not in left_out]
        influence["isoflop"], more = _of_line(line, isoflop, backtests)
        findings += more
        if law is not None:
            findings += _agreement(line, law)
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


def _of_line(
    line: IsoFLOPFit, fitted: IsoFLOPFit, backtests: list
) -> tuple[pd.DataFrame, list[Finding]]:
    """Lack of fit, backtest, influence and the budgets of an IsoFLOP fit."""
    found, what = [], line.runs.index.name or "run"
    used = line.budgets["params"].notna()
    K, scatter = int(used.sum()), line.scatter
    low, high = line.intervals["a"]
    if K < 3:
        found.append(Finding("budgets", STOP, "two optima make a line, whatever they are"))
    elif not np.isnan(scatter.ratio):
        a, b = scatter.noise_alone
        text = f"the optima scatter {scatter.ratio:.2g} times as much about the line as the noise "
        text += f"of the runs explains (p = {scatter.p:.2g}): a = {line.a:.3f}, [{a:.3f}, {b:.3f}] "
        text += f"from noise alone, [{low:.3f}, {high:.3f}] with the scatter; the larger part is "
        text += scatter.larger
        weight = CARE if scatter.p < 0.05 else NOTE
        found.append(Finding("line", weight, text))
    few = line.budgets[used & (line.budgets["sizes"] < 5)]
    if len(few):
        each = ", ".join(f"{C:.3g}" for C in few["flops"])
        text = f"fewer than five sizes at {each}: a parabola through three or four fits by force"
        found.append(Finding("sizes", CARE if len(few) < K else STOP, text))
    if (lost := int((~used).sum())) > K:
        text = f"{lost} of {len(used)} budgets have no optimum within the sizes tried"
        found.append(Finding("budgets", STOP, text))
    for C, label in checks.spoilers(fitted):
        text = f"without {what} {label} (loss {fitted.runs['loss'][label]:.4g}) the budget {C:.3g} "
        found.append(Finding("diverged", CARE, text + "would have an optimum", (label,)))
    test = checks.isoflop_backtest(line)
    if test is not None:
        backtests.append(test)
        found.append(_backtest_finding(test, f"best size at {test.flops:.3g} FLOPs", ".3g"))
    influence = checks.isoflop_influence(line)
    move = influence["without"] - line.a
    half = (high - low) / 2
    named = (move.abs() > half) | ((influence["outlying"].abs() > 5) & (move.abs() > half / 4))
    named = named & (move.abs() > 1e-6)
    for label in move[named].abs().nlargest(5).index:
        text = f"without {what} {label} a = {influence['without'][label]:.3f}, not {line.a:.3f}"
        found.append(Finding("influence", CARE, text, (label,)))
    return influence, found


def _of_law(
    law: ParametricFit, backtests: list, common: dict[str, Any], by_run: bool
) -> tuple[pd.DataFrame, list[Finding]]:
    """Dependence, backtest and influence of the law."""
    found, what = [], law.runs.index.name or "run"
    _, p, share = checks.between_sizes(law)
    clustered = bool(p < 0.01)
    if clustered:
        rows = law.runs.groupby(np.log(law.runs["params"]).round(2).to_numpy()).size().median()
        text = f"the runs of one size err together (p = {p:.1g}, {share:.0%} of the variance): the "
        text += "intervals of both fits are too narrow and not to be trusted"
        if not by_run and rows >= 8:
            text += f"; {rows:.0f} rows a size: checkpoints of one run? Then say which by --run"
        found.append(Finding("errors by size", CARE, text))
    C = 6 * law.runs["params"] * law.runs["tokens"]
    top = C >= 0.8 * C.max() if (C >= 0.8 * C.max()).sum() > 2 else C > C.quantile(0.9)
    options = common | {"data": law.runs[~top], "bootstrap": min(common["bootstrap"], 200)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            below = fit_parametric("params", "tokens", "loss", **options)
        if options["bootstrap"]:
            test = checks.law_backtest(below, law.runs[top], clustered)
            backtests.append(test)
            where = f"mean loss of the {top.sum()} runs of most compute"
            found.append(_backtest_finding(test, where, ".4g"))
    except ValueError:
        found.append(Finding("backtest", CARE, "without the runs of most compute no law is fitted"))
    influence = checks.law_influence(law)
    if not np.isnan(law.intervals["a"][0]):
        for name in ("a", "beta"):
            half = np.diff(law.intervals[name])[0] / 2
            far = influence[(influence[name] - getattr(law, name)).abs() > max(half, 1e-6)]
            for _, row in far.head(3).iterrows():
                text = f"without {name_runs(row['runs'], what)} the law's {name} = {row[name]:.3f}"
                text += f", not {getattr(law, name):.3f}"
                found.append(Finding("influence", CARE, text, row["runs"]))
    return influence, found


def _estimators(law: ParametricFit, estimator: str) -> list[Finding]:
    """How far the exponent is from that of the other estimator."""
    other = {"huber": "projection", "projection": "huber"}[estimator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"data": law.runs, "estimator": other, "bootstrap": 0}
        a = fit_parametric("params", "tokens", "loss", **options).a
    half = np.diff(law.intervals["a"])[0] / 2
    text = f"the law's a = {law.a:.3f} by {estimator}, {a:.3f} by {other}"
    return [Finding("estimators", CARE if abs(a - law.a) > max(half, 1e-6) else NOTE, text)]


def _backtest_finding(test: checks.Backtest, what: str, form: str) -> Finding:
    low, high = (format(end, form) for end in test.interval)
    text = f"the {what}, foretold from the rest: {test.foretold:{form}} [{low}, {high}], "
    text += f"measured {test.measured:{form}}: "
    text += "held" if test.held else "missed by far" if test.far else "missed"
    return Finding("backtest", NOTE if test.held else STOP if test.far else CARE, text)


def correct(
    fit: IsoFLOPFit, law: ParametricFit | None
) -> tuple[IsoFLOPFit | None, pd.DataFrame | None, list[Finding]]:
    """The parabolas' bias on this grid, and the corrected fit if it matters."""
    if law is None or not min(law.alpha, law.beta) > 0:
        return None, None, [Finding("bias", CARE, "no law that tells how biased the parabolas are")]
    times = checks.law_over_parabolas(fit, law)
    if times > 2:
        text = f"the law leaves {times:.1f} times as much of the losses as the parabolas: it does "
        text += "not hold here, and cannot tell their bias"
        return None, None, [Finding("bias", CARE, text)]
    corrected = checks.corrected_by(fit, law)
    if corrected is None:
        text = "by the law, some best sizes lie outside the sizes tried: no correction"
        return None, None, [Finding("bias", CARE, text)]
    used = fit.budgets["params"].notna()
    off = {
        name: (fit.budgets[name] / corrected.budgets[name])[used] - 1
        for name in ("params", "tokens")
    }
    bias = pd.DataFrame({"flops": fit.budgets["flops"][used], **off})
    C = 10 * fit.budgets["flops"].max()
    before, after = compute_optimal(fit, C), compute_optimal(corrected, C)
    low, high = before.intervals["params"]
    half, moved = np.log(high / low) / 2, abs(np.log(before.params / after.params))
    slope = abs(fit.a - corrected.a)
    half_a = np.diff(fit.intervals["a"])[0] / 2
    matters = moved > 1e-3 and not (moved < MATERIAL * half and slope < MATERIAL * half_a)
    text = f"if the law is true, parabolas on this grid are off by {off['params'].min():+.1%} to "
    text += f"{off['params'].max():+.1%} in params and move a by {fit.a - corrected.a:+.3f}"
    if not matters:
        return None, bias, [Finding("bias", NOTE, text)]
    text += f": corrected, a = {corrected.a:.3f}, and at {C:.2g} FLOPs params by "
    text += f"{after.params / before.params - 1:+.1%}, tokens by "
    text += f"{after.tokens / before.tokens - 1:+.1%}"
    large = moved > np.log(1.1) or slope > half_a
    return corrected, bias, [Finding("bias", CARE if large else NOTE, text)]


def _agreement(line: IsoFLOPFit, law: ParametricFit) -> list[Finding]:
    (low, high), (L_low, L_high) = line.intervals["a"], law.intervals["a"]
    if np.isnan([low, L_low]).any():
        return []
    disjoint = high < L_low or L_high < low
    text = f"a = {line.a:.3f} [{low:.3f}, {high:.3f}] by IsoFLOP, {law.a:.3f} [{L_low:.3f}, "
    text += f"{L_high:.3f}] by the law: the intervals {'are disjoint' if disjoint else 'overlap'}"
    return [Finding("agreement", STOP if disjoint else NOTE, text)]


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
