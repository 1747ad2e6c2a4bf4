"""Numbers as people write them: 69M, 3e18, 1,234,567, 2,31 or 1 234."""

from __future__ import annotations

import re
from numbers import Real

import numpy as np
import pandas as pd

__all__ = ["numbers"]

SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "g": 1e9, "t": 1e12, "p": 1e15}
SPACES = re.compile("[\\s'’_]")  # marks of thousands that are no comma and no point
TIMES_TEN = re.compile(r"[x×*·]10\^?")
NUMBER = re.compile(r"([+-]?(?:\d[\d.,]*|[.,]\d+)(?:e[+-]?\d+)?)(k|m|b|bn|g|t|p)?", re.IGNORECASE)


def numbers(columns: dict[str, np.ndarray], decimal: str | None = None) -> dict[str, np.ndarray]:
    """Columns of text as numbers, (n,) each; NaN where a cell holds none.

    Which of comma and point marks decimals is read off each column: what occurs twice in a cell, or
    before the other, marks thousands; what is not followed by three digits marks decimals, and so
    does what occurs once in each ``loss``. A column that does not tell follows the others. If none
    tells, commas mark thousands.

    Raises
    ------
    ValueError
        If a column has both, one cell against another, and ``decimal``, "," or ".", is not given.
    """
    if decimal not in (None, ",", "."):
        raise ValueError(f"decimal must be , or ., got {decimal!r}")
    texts = {name: _bare(values) for name, values in columns.items()}
    marks = {name: decimal or _decimal(name, text) for name, text in texts.items()}
    others = set(marks.values()) - {None}
    shared = others.pop() if len(others) == 1 else None
    return {name: _read(text, marks[name] or shared or ".") for name, text in texts.items()}


def _bare(values: np.ndarray) -> pd.Series:
    """Cells as text without spaces; of numbers, all their digits."""
    text = pd.Series(values, dtype=object).map(
        lambda cell: repr(float(cell)) if isinstance(cell, Real) else str(cell)
    )
    return text.str.replace(SPACES, "", regex=True).str.replace(TIMES_TEN, "e", regex=True)


def _decimal(name: str, text: pd.Series) -> str | None:
    """The mark of decimals in a column; None if its cells do not tell."""
    head = text.str.extract(r"^[+-]?([\d.,]+)", expand=False).dropna()
    head = head[head.str.contains("[.,]", regex=True)]
    told = set()
    for mark, other in ((",", "."), (".", ",")):
        count, beside = head.str.count(re.escape(mark)), head.str.contains(other, regex=False)
        last = head.str.rfind(mark) > head.str.rfind(other)
        behind = head.str.len() - head.str.rfind(mark) - 1
        if ((count == 1) & beside & last).any() or ((count == 1) & ~beside & (behind != 3)).any():
            told.add(mark)
        if (count > 1).any():
            told.add(other)
        if name == "loss" and (count == 1).any() and not beside.any():
            told.add(mark)
    if len(told) > 1:
        raise ValueError(
            f"{name} has , and . as marks of decimals, as in {' and '.join(map(repr, head[:2]))}: "
            "say which (--decimal)"
        )
    return told.pop() if told else None


def _read(text: pd.Series, decimal: str) -> np.ndarray:
    """Numbers of cells without spaces."""
    thousands = "," if decimal == "." else "."
    plain = text.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
    found = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=float, copy=True)
    for i in np.flatnonzero(np.isnan(found)):
        match = NUMBER.fullmatch(plain[i])
        if match:
            try:
                found[i] = float(match[1]) * SUFFIXES[(match[2] or "").lower()]
            except ValueError:
                pass
    return found
