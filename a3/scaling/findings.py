"""What the checks of a fit say, in words, each with its weight."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from a3.scaling import checks
from a3.scaling.allocation import compute_optimal
from a3.scaling.isoflop import IsoFLOPFit
from a3.scaling.parametric import ParametricFit, fit_parametric
from a3.scaling.table_checks import CARE, NOTE, STOP, Finding, name_runs

__all__ = ["agreement", "correct", "estimators", "of_law", "of_line"]

MATERIAL = 0.25  # of half an interval: what a bias must move it by to be corrected


def of_line(
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


def of_law(
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


def estimators(law: ParametricFit, estimator: str) -> list[Finding]:
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


def agreement(line: IsoFLOPFit, law: ParametricFit) -> list[Finding]:
    (low, high), (L_low, L_high) = line.intervals["a"], law.intervals["a"]
    if np.isnan([low, L_low]).any():
        return []
    disjoint = high < L_low or L_high < low
    text = f"a = {line.a:.3f} [{low:.3f}, {high:.3f}] by IsoFLOP, {law.a:.3f} [{L_low:.3f}, "
    text += f"{L_high:.3f}] by the law: the intervals {'are disjoint' if disjoint else 'overlap'}"
    return [Finding("agreement", STOP if disjoint else NOTE, text)]
