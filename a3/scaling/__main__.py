"""Fit a table of runs, print the fits, write their figures: ``python -m a3.scaling runs.csv``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from a3.scaling import figures as scaling_figures
from a3.scaling.allocation import compute_optimal
from a3.scaling.isoflop import IsoFLOPFit, fit_isoflop
from a3.scaling.parametric import ParametricFit, fit_parametric

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the runs of a CSV file: print the fits, and write their figures."""
    parser = argparse.ArgumentParser(
        prog="python -m a3.scaling",
        description="Fit scaling laws to a table of finished training runs.",
        epilog="The table needs the columns params, tokens and loss, and for IsoFLOP flops.",
    )
    parser.add_argument("runs", type=Path, help="CSV file, a row a run")
    parser.add_argument("--method", choices=("isoflop", "parametric", "both"), default="both")
    parser.add_argument(
        "--budget", type=float, nargs="+", default=[], metavar="FLOPS",
        help="print the best size and tokens for these",
    )  # fmt: skip
    parser.add_argument("--group", metavar="COLUMN", help="such as the seed; resampled as one")
    parser.add_argument("--tolerance", type=float, default=0.1, help="of flops at one budget")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples; 0 for no intervals")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the figures")
    options = parser.parse_args(arguments)
    try:
        _report(options)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _report(options: argparse.Namespace) -> None:
    """Print and draw what can be fitted; raise at the end if something could not."""
    try:
        data = pd.read_csv(options.runs)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{options.runs} is not a table: {error}") from None
    common = {
        "data": data,
        "group": options.group,
        "bootstrap": options.bootstrap,
        "seed": options.seed,
    }
    fits, failed = {}, []
    try:
        if options.method != "parametric":
            names = ("params", "tokens", "flops", "loss")
            fits["isoflop"] = fit_isoflop(*names, tolerance=options.tolerance, **common)
    except ValueError as error:
        failed.append(f"isoflop: {error}")
    try:
        if options.method != "isoflop":
            fits["parametric"] = fit_parametric("params", "tokens", "loss", **common)
    except ValueError as error:
        failed.append(f"parametric: {error}")
    for name, fit in fits.items():
        print(_summary(name, fit, options.budget), end="\n\n")
    for path in scaling_figures.write(fits.values(), options.out):
        print(f"wrote {path}")
    if failed:
        raise ValueError("; ".join(failed))


def _summary(name: str, fit: IsoFLOPFit | ParametricFit, budgets: Sequence[float]) -> str:
    """A fit as text."""
    isoflop = isinstance(fit, IsoFLOPFit)
    law = "N* = k C^a, D* = m C^b" if isoflop else "L = E + A/N^alpha + B/D^beta, N* ~ C^a"
    parts = [f"{name}: {law} ({len(fit.runs)} runs, {fit.level:.0%} intervals)"]
    parts.append(fit.table().to_string(float_format="{:.4g}".format))
    if isoflop:
        shown = fit.budgets[["flops", "sizes", "params", "tokens", "loss", "bound"]]
        parts.append(shown.to_string(index=False, float_format="{:.4g}".format))
    else:
        parts.append(f"R2 of log loss {fit.r_squared:.4f}, rms residual {fit.rms:.2g}")
    if budgets:
        best = compute_optimal(fit, budgets)
        rows = {"flops": best.flops}
        for column, (low, high) in best.intervals.items():
            rows |= {column: getattr(best, column), f"{column}_low": low, f"{column}_high": high}
        rows["orders_beyond_data"] = best.extrapolation
        parts.append(pd.DataFrame(rows).to_string(index=False, float_format="{:.4g}".format))
    if fit.left_out:
        parts.append("\n".join(f"left out: {what}: {why}" for what, why in fit.left_out))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
