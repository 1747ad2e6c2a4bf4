"""The runs that a scaling law is fitted to: columns in, checked; what cannot be used, named."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Column", "LeftOut", "run_table"]

Column = Union[str, Sequence[float], np.ndarray, pd.Series, "Tensor"]  # noqa: UP007


class LeftOut(NamedTuple):
    """Something that a fit did not use."""

    what: str
    why: str


def run_table(
    data: pd.DataFrame | None, counts: dict[str, Column], loss: Column, group: Column | None = None
) -> tuple[pd.DataFrame, list[LeftOut]]:
    """One row a run, without those that cannot be used.

    Columns are arrays or tensors of n runs, or names of those of ``data``. ``counts`` are positive
    numbers under the names they shall have, ``group`` is such as the seed of each run. A run is left
    out, by name, if a count or its loss is not positive and finite, or if it has no group.

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
    _check_names(asked, data)
    columns = {name: _values(name, column, data) for name, column in asked.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"the columns must have one length, got {each}")
    index = None if data is None or len(data) != lengths["loss"] else data.index
    runs = pd.DataFrame(columns, index=index)
    what, left_out = runs.index.name or "run", {}
    for name in asked:
        if name == "group":
            wrong = runs[name].isna()
        else:
            wrong = ~((runs[name] > 0) & np.isfinite(runs[name]))
        for label, value in runs[name][wrong].items():
            verb = "is" if name == "loss" else "are"
            why = "it has no group" if name == "group" else f"its {name} {verb} {value:g}"
            left_out.setdefault(label, why)
    used = ~runs.index.isin(left_out)
    left_out = [LeftOut(f"{what} {label}", why) for label, why in left_out.items()]
    if not used.any():
        why = f": {left_out[0].what}: {left_out[0].why}" if left_out else ""
        raise ValueError(f"none of {len(runs)} runs can be used{why}")
    return runs[used], left_out


def _check_names(asked: dict[str, Column], data: pd.DataFrame | None) -> None:
    names = [column for column in asked.values() if isinstance(column, str)]
    if names and data is None:
        raise ValueError(f"{names[0]!r} names a column, but no data are given")
    missing = [name for name in names if name not in data.columns] if names else []
    if missing:
        raise ValueError(
            f"the data need the columns {', '.join(names)}; missing: {', '.join(missing)}; "
            f"they have: {', '.join(map(str, data.columns))}"
        )


def _values(name: str, column: Any, data: pd.DataFrame | None) -> np.ndarray | list[Hashable]:
    values = data[column] if isinstance(column, str) else column
    if hasattr(values, "detach"):  # a tensor: torch is not imported for its sake
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one column, got shape {values.shape}")
    if name == "group":
        return values
    try:
        return values.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers: {error}") from None
