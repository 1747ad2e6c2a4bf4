"""Diagnose and fit a table of runs, then forecast: ``python -m a3.scaling runs.csv --at 1e21``."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from a3.scaling import figures as scaling_figures
from a3.scaling import report
from a3.scaling.diagnosis import diagnose
from a3.scaling.isoflop import IsoFLOPFit
from a3.scaling.parametric import ParametricFit
from a3.scaling.read_runs import read_runs

__all__ = ["main"]

LAWS = {
    "isoflop": "N* = k C^a, D* = m C^b",
    "corrected": "isoflop without its parabolas' bias",
    "law": "L = E + A/N^alpha + B/D^beta, N* ~ C^a",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Say whether the runs of a file are to be trusted, then print and draw the fits."""
    parser = argparse.ArgumentParser(
        prog="python -m a3.scaling",
        description="Fit scaling laws to a table of finished training runs, and say whether they "
        "are to be trusted.",
        epilog="The table, CSV, JSON, JSON Lines or Parquet, has a row a run.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("runs", type=Path, help="file, a row a run")
    for name, what in (
        ("params", "size N"), ("tokens", "training tokens D"), ("flops", "compute C"),
        ("loss", "final loss"),
    ):  # fmt: skip
        add(f"--{name}", default=name, metavar="COLUMN", help=f"column of the {what}")
    add("--group", metavar="COLUMN", help="such as the seed; resampled as one")
    add("--run", metavar="COLUMN", help="the run that rows are checkpoints of; resampled as one")
    add("--unit", choices=("nats", "bits"), help="of the loss, a token")
    add("--decimal", choices=(",", "."), help="mark of decimals, where the table does not tell")
    add("--budgets", type=_several, metavar="FLOPS", help="of the runs, such as 6e18,1e19")
    add("--at", type=_several, default=[], metavar="FLOPS", help="budgets to forecast for")
    add("--method", choices=("isoflop", "parametric", "both"), default="both")
    add("--estimator", choices=("huber", "projection"), default="huber", help="of the law")
    add("--tolerance", type=float, default=0.1, help="of flops at one budget")
    add("--bootstrap", type=int, default=1000, help="resamples; 0 for no intervals")
    add("--seed", type=int, default=0, help="of the resamples")
    add("--json", action="store_true", help="print everything as JSON, and draw nothing")
    add("--report", type=Path, metavar="FILE", help="write all of it as one HTML file")
    add("--out", type=Path, default=Path(), help="folder of the figures")
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _several(text: str) -> list[float]:
    """Numbers between commas."""
    try:
        return [float(part) for part in text.replace(" ", "").split(",") if part]
    except ValueError:
        wanted = "numbers between commas, such as 6e18,1e19"
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}") from None


def _run(options: argparse.Namespace) -> None:
    """Print and draw what can be fitted; raise at the end if something could not."""
    names = {role: getattr(options, role) for role in ("params", "tokens", "flops", "loss")}
    if options.method == "parametric":
        names["flops"] = None
    given = {
        role: getattr(options, role)
        for role in ("group", "run", "unit", "decimal", "budgets", "estimator", "tolerance",
                     "bootstrap", "seed")
    }  # fmt: skip
    diagnosis = diagnose(**names, **given, data=read_runs(options.runs), at=options.at)
    forecast = diagnosis.forecast(options.at) if options.at else pd.DataFrame()
    fits = diagnosis.fits()
    if options.method == "isoflop":
        fits.pop("law", None)
    if options.json:
        content = diagnosis.to_dict() | {"forecast": forecast.to_dict("records")}
        print(json.dumps(_plain(content), indent=2, allow_nan=False))
    else:
        print(_wrapped(str(diagnosis)), end="\n\n")
        for name, fit in fits.items():
            print(_summary(name, fit), end="\n\n")
        if len(forecast):
            print(forecast.T.to_string(header=False, float_format="{:.4g}".format), end="\n\n")
        for what, why in diagnosis.left_out:
            print(f"left out: {what}: {why}")
        for path in scaling_figures.write(fits.values(), options.out):
            print(f"wrote {path}")
    if options.report:
        report.write(diagnosis, forecast, names | given, options.runs, options.report)
        if not options.json:
            print(f"wrote {options.report}")
    wanted = {"isoflop": ["isoflop"], "parametric": ["law"]}.get(options.method, LAWS)
    failed = [f"{name}: {why}" for name, why in diagnosis.failed.items() if name in wanted]
    if failed:
        raise ValueError("; ".join(failed))


def _wrapped(text: str) -> str:
    lines = (
        textwrap.fill(line, 100, subsequent_indent="    ", break_long_words=False)
        for line in text.split("\n")
    )
    return "\n".join(lines)


def _summary(name: str, fit: IsoFLOPFit | ParametricFit) -> str:
    """A fit as text."""
    parts = [f"{name}: {LAWS[name]} ({len(fit.runs)} runs, {fit.level:.0%} intervals)"]
    parts.append(fit.table().to_string(float_format="{:.4g}".format))
    if isinstance(fit, IsoFLOPFit):
        shown = fit.budgets[["flops", "sizes", "params", "tokens", "loss", "bound"]]
        parts.append(shown.to_string(index=False, float_format="{:.4g}".format))
    else:
        parts.append(f"R2 of log loss {fit.r_squared:.4f}, rms residual {fit.rms:.2g}")
    return "\n\n".join(parts)


def _plain(value: Any) -> Any:
    """A value as JSON has it: plain numbers, and null for what is not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


if __name__ == "__main__":
    main()
