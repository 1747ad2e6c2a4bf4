"""Numbers that others measured or counted: one table with its sources, which the pages read."""

from __future__ import annotations

from importlib import resources

import pandas as pd

__all__ = ["elsewhere"]


def elsewhere(subject: str) -> pd.DataFrame:
    """The rows of ``elsewhere.csv`` about a subject: value, unit and source, by what they are of.

    Raises
    ------
    ValueError
        If the table has no such subject.
    """
    with (resources.files("a3.lab") / "elsewhere.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype={"of": str}, keep_default_na=False).set_index("of")
    table["value"] = table["value"].astype(float)
    rows = table[table["subject"] == subject]
    if rows.empty:
        subjects = ", ".join(map(repr, table["subject"].unique()))
        raise ValueError(f"there are numbers on {subjects}, not on {subject!r}")
    return rows.drop(columns="subject")
