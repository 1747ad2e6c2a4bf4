"""A table of runs from a file: CSV and its kin, JSON, JSON Lines, Parquet, gzipped or not."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pandas as pd

__all__ = ["read_runs"]

SEPARATORS = ";\t|,"


def read_runs(path: str | Path) -> pd.DataFrame:
    """The table in a file, its index named "row" and counted as in an editor.

    Cells of text files stay text: :func:`a3.scaling.run_table.run_table` reads them. The separator,
    semicolon, tab, bar, comma or white space, is that of the first line.

    Raises
    ------
    ValueError
        If it is no table, with the row where that shows.
    """
    path = Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ValueError(f"{path} is not a table: {error}") from None
    if content[:4] == b"PAR1":
        return _numbered(_parquet(content), 1)
    if content[:2] == b"PK":
        raise ValueError(f"{path} is not a table of text: save it as CSV")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a table: {error}") from None
    if not text.strip():
        raise ValueError(f"{path} is not a table: it is empty")
    try:
        if text.lstrip()[0] in "[{":
            return _json(text)
        return _separated(text)
    except (ValueError, TypeError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is not a table: {error}") from None


def _numbered(table: pd.DataFrame, first: int) -> pd.DataFrame:
    return table.set_axis(pd.RangeIndex(first, first + len(table), name="row"))


def _separated(text: str) -> pd.DataFrame:
    before = len(text) - len(text.lstrip("\r\n"))
    blank, text = text[:before].count("\n"), text[before:]
    first = text.splitlines()[0]
    counts = {mark: first.count(mark) for mark in SEPARATORS}
    most = max(counts, key=counts.get)
    table = pd.read_csv(
        io.StringIO(text), sep=most if counts[most] else r"\s+", dtype=str, keep_default_na=False,
        skip_blank_lines=False, index_col=False, skipinitialspace=True,
        engine="c" if counts[most] else "python",
    ).fillna("")  # fmt: skip
    table = _numbered(table, blank + 2)
    return table[(table != "").any(axis=1)]


def _json(text: str) -> pd.DataFrame:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        lines = []
        for row, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    lines.append((row, json.loads(line)))
                except json.JSONDecodeError as error:
                    raise ValueError(f"row {row} is not JSON: {error}") from None
        rows, found = zip(*lines, strict=True)
        return pd.DataFrame(list(found), index=pd.Index(rows, name="row"))
    if isinstance(found, dict) and len(found) == 1 and isinstance(*found.values(), list):
        (found,) = found.values()
    elif isinstance(found, dict) and not any(isinstance(x, list | dict) for x in found.values()):
        found = [found]
    table = pd.DataFrame(found)
    return _numbered(table, 1)


def _parquet(content: bytes) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(content)).reset_index(drop=True)
    except ImportError:
        raise ValueError("a Parquet file needs pyarrow to be read: pip install pyarrow") from None
