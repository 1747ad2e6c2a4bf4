"""The runs that a scaling law is fitted to: columns in, checked; what cannot be used, named."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np
import pandas as pd

from a3.scaling.written_numbers import numbers

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Column", "LeftOut", "run_table"]

Column = Union[str, Sequence[float], np.ndarray, pd.Series, "Tensor"]  # noqa: UP007


class LeftOut(NamedTuple):
    """Something that a fit did not use."""

    what: str
    why: str


LIKELY = {
    "params": "n size parameters nparams numparams modelsize paramcount nonembeddingparams",
    "tokens": "d data ntokens numtokens trainingtokens traintokens tokensseen dataset",
    "flops": "c compute budget computebudget trainingflops trainflops totalflops",
    "loss": "l valloss validationloss evalloss finalloss testloss trainloss crossentropy",
    "group": "seed",
    "run": "run runid runname",
}


def run_table(
    data: pd.DataFrame | None,
    counts: dict[str, Column],
    loss: Column,
    group: Column | None = None,
    *,
    decimal: str | None = None,
    positive: bool = True,
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """One row a run, without those that cannot be used.

    Columns are arrays or tensors of n runs, or names of those of ``data``; white space around a
    name does not count. ``counts`` are positive numbers under the names they shall have, ``group``
    is such as the seed of each run. Text is read by :func:`a3.scaling.written_numbers.numbers`,
    with its ``decimal``. A run is left out, by name, if a count or its loss is not positive and
    finite, or if it has no group; unless ``positive``, the loss may be any finite number, such as
    the logarithm of one.

    Returns
    -------
    DataFrame
        Columns as in ``counts``, then ``loss`` and, if given, ``group``. The index counts the runs
        from 0, or is that of ``data``.
    list of LeftOut
        Rows by their labels; an index with a name, such as "row", gives them that name.

    Raises
    ------
    ValueError
        If a column is missing, is not numeric or has another length than the others, or if no run
        can be used.
    """
    asked = {**counts, "loss": loss} | ({} if group is None else {"group": group})
    found = _columns(asked, data)
    raw = {name: _values(name, column) for name, column in found.items()}
    lengths = {name: len(values) for name, values in raw.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"the columns must have one length, got {each}")
    index = None if data is None or len(data) != lengths["loss"] else data.index
    text = {name: v for name, v in raw.items() if name != "group" and v.dtype.kind not in "fiub"}
    runs = pd.DataFrame(raw | numbers(text, decimal), index=index)
    what, left_out = runs.index.name or "run", {}
    for name in asked:
        if name == "group":
            wrong = runs[name].isna() | (runs[name] == "")
        else:
            runs[name] = runs[name].astype(float)
            least = 0 if positive or name in counts else -np.inf
            wrong = ~((runs[name] > least) & np.isfinite(runs[name]))
        if name in text and len(runs) and runs[name].isna().all():
            shown = f"{str(raw[name][0])!r} in {what} {runs.index[0]}"
            raise ValueError(f"{name} must hold numbers, got {shown}")
        for at in np.flatnonzero(wrong):
            left_out.setdefault(at, _why(name, raw[name][at]))
    names = {at: f"{what} {runs.index[at]}" for at in left_out}
    left_out = [LeftOut(names[at], why) for at, why in left_out.items()]
    used = np.setdiff1d(np.arange(len(runs)), list(names))
    if not len(used):
        why = f": {left_out[0].what}: {left_out[0].why}" if left_out else ""
        raise ValueError(f"none of {len(runs)} runs can be used{why}")
    return runs.iloc[used], left_out


def _why(name: str, value: Any) -> str:
    """What is wrong with a cell."""
    if name == "group":
        return "it has no group"
    shown = f"{value:g}" if isinstance(value, Real) else repr(str(value))
    return f"its {name} {'is' if name == 'loss' else 'are'} {shown}"


def _columns(asked: dict[str, Column], data: pd.DataFrame | None) -> dict[str, Any]:
    """The columns asked for, those that are names looked up; likely ones offered if they miss."""
    names = {role: column for role, column in asked.items() if isinstance(column, str)}
    if not names:
        return asked
    if data is None:
        raise ValueError(f"{next(iter(names.values()))!r} names a column, but no data are given")
    there = {str(column).strip(): column for column in reversed(data.columns)}
    there |= {column: column for column in data.columns}
    missing = {role: name for role, name in names.items() if name not in there}
    if missing:
        likely = [
            f"{role} may be {str(column).strip()!r}"
            for role in missing
            for column in data.columns
            if _likely(role, column)
        ]
        raise ValueError(
            f"the data need the columns {', '.join(names.values())}; missing: "
            f"{', '.join(missing.values())}; they have: {', '.join(map(str, data.columns))}"
            + "".join(f"; {each}" for each in likely)
        )
    return asked | {role: data[there[name]] for role, name in names.items()}


def _likely(role: str, column: object) -> bool:
    """Whether a column's name is one that people give to such a column."""
    bare = "".join(letter for letter in str(column).lower() if letter.isalnum())
    return bare == role or bare in LIKELY[role].split()


def _values(name: str, values: Any) -> np.ndarray:
    if hasattr(values, "detach"):  # a tensor: torch is not imported for its sake
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one column, got shape {values.shape}")
    return values
