"""What a table of runs says about itself before anything is fitted: copies, units, checkpoints."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

__all__ = ["CARE", "Finding", "NOTE", "STOP", "check_table", "copies", "name_runs"]

NOTE, CARE, STOP = "note", "care", "stop"
STEP_NAMES = {"step", "steps", "checkpoint", "ckpt", "iteration", "iter"}
RUN_NAMES = {"run", "run_id", "run_name", "runid", "trial", "experiment"}


class Finding(NamedTuple):
    """Something that a reader of a fit must know."""

    check: str
    weight: str
    """"note", "care", or "stop": who forecasts must not pass over it."""
    text: str
    runs: tuple[Hashable, ...] = ()
    """Labels of the runs concerned."""


def name_runs(labels: Sequence[Hashable], what: str = "run", most: int = 5) -> str:
    """A few labels in words: "rows 3, 8 and 4 more"."""
    shown = ", ".join(str(label) for label in labels[:most])
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return f"{what}{'s' * (len(labels) > 1)} {shown}{more}"


def copies(runs: pd.DataFrame) -> pd.Series:
    """Which runs repeat an earlier one in every column of :func:`a3.scaling.run_table.run_table`.

    Losses with all their digits do not come out alike twice.
    """
    return runs.duplicated(keep="first")


def check_table(
    runs: pd.DataFrame, copied: pd.DataFrame, *, grouped: bool, columns: list[str], unit: str | None
) -> list[Finding]:
    """Findings about runs, as by :func:`a3.scaling.run_table.run_table`, and those that are copies.

    ``columns`` are all of the user's, ``grouped`` whether some are named as one, ``unit`` that of
    the loss.
    """
    found = []
    what = runs.index.name or "run"
    if len(copied):
        labels = tuple(copied.index)
        text = f"{len(labels)} of {len(runs) + len(labels)} are exact copies of others and are not "
        text += f"used: {name_runs(labels, what)}"
        found.append(Finding("copies", CARE, text, labels))
    if len(near := _near_copies(runs)):
        pairs = ", ".join(f"{a} and {b}" for a, b in near[:3])
        text = f"less than 1 in 10,000 apart: {what}s {pairs}, {len(near)} in all: copies?"
        weight = STOP if len(near) > len(runs) / 10 else CARE
        found.append(Finding("near copies", weight, text, tuple(b for _, b in near)))
    if "flops" in runs:
        found += _units(runs)
    elif runs["params"].median() < 1e4 and runs["tokens"].median() > 1e6:
        text = f"params have a median of {runs['params'].median():g}: in thousands, or more?"
        found.append(Finding("units", CARE, text))
    if not grouped:
        found += _repeats(runs, columns)
    if unit is None:
        text = "not known: --unit nats or bits; the exponents do not depend on it"
        found.append(Finding("unit of the loss", NOTE, text))
    return found


def _near_copies(runs: pd.DataFrame, apart: float = 1e-4) -> list[tuple[Hashable, Hashable]]:
    """Pairs of runs whose size, tokens and loss are nearly, not exactly, the same.

    None if fewer than a fifth of the runs of one size and one number of tokens are so near: seeds
    come that near by chance.
    """
    logs = np.log(runs[["params", "tokens", "loss"]])
    pairs, settings = set(), 0
    for shift in (0.0, 0.5):  # two near values are in one cell of one of the grids at least
        cells = np.floor(logs[["params", "tokens"]] / (4 * apart) + shift)
        order = np.lexsort((logs["loss"], cells["tokens"], cells["params"]))
        x, at = logs.to_numpy()[order], cells.to_numpy()[order]
        same = (np.diff(at, axis=0) == 0).all(1)
        settings = max(settings, same.sum())
        near = same & (np.abs(np.diff(x, axis=0)) < apart).all(1)
        if "group" in runs:
            group = runs["group"].to_numpy()[order]
            near &= group[1:] == group[:-1]
        label = runs.index.to_numpy()[order]
        pairs |= {tuple(sorted(p)) for p in zip(label[:-1][near], label[1:][near], strict=True)}
    return sorted(pairs) if len(pairs) >= settings / 5 else []


def _units(runs: pd.DataFrame) -> list[Finding]:
    """FLOPs per parameter and token: six of a transformer, forward and backward."""
    each = runs["flops"] / (runs["params"] * runs["tokens"])
    low, middle, high = each.min(), each.median(), each.max()
    text = f"flops / (params tokens) has a median of {middle:.3g}, where 6 is usual"
    power = 3 * round(np.log10(middle / 6) / 3)
    if power and 0.2 < middle / 6 / 10.0**power < 5:
        column = "params or tokens are" if power > 0 else "flops are"
        text += f": it looks as if {column} in units of 1e{abs(power)}"
        return [Finding("units", STOP, text)]
    if not 3 <= middle <= 12:
        text += ": other units, or other counts, such as without embeddings"
        return [Finding("units", CARE if 0.6 < middle < 60 else STOP, text)]
    if high > 2 * low:
        far = (np.log(each / middle)).abs().nlargest(5).index
        text = f"flops / (params tokens) goes from {low:.3g} to {high:.3g}, which is most off in "
        text += name_runs(list(far), runs.index.name or "run")
        return [Finding("units", CARE, text, tuple(far))]
    return [Finding("units", NOTE, text)]


def _repeats(runs: pd.DataFrame, columns: list[str]) -> list[Finding]:
    """Rows that may be checkpoints of one run, or seeds."""
    names = {column: column.strip().lower() for column in columns if isinstance(column, str)}
    steps = [column for column, name in names.items() if name in STEP_NAMES]
    labels = [column for column, name in names.items() if name in RUN_NAMES]
    if steps:
        text = f"a column {steps[0]!r}: if rows are checkpoints of one run, say which by --run"
        text += f", such as --run {labels[0]!r}" if labels else ""
        return [Finding("checkpoints", CARE, text)]
    a_setting = runs.groupby(["params", "tokens"]).size()
    if (a_setting > 1).mean() > 0.5:
        text = f"{a_setting.median():.0f} rows have the same params and tokens: if they are seeds, "
        text += "say which by --group"
        return [Finding("seeds", NOTE, text)]
    return []
