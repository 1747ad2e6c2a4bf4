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
    """One row a run, without those that have no finite loss.

    Columns are arrays or tensors of n runs, or names of those of ``data``. ``counts`` are positive
    numbers under the names they shall have, ``group`` is such as the seed of each run. A run whose
    loss is not finite, because it diverged, is left out.

    Returns
    -------
    DataFrame
        Columns as in ``counts``, then ``loss`` and, if given, ``group``. The index counts the runs
        from 0, or is that of ``data``.
    list of LeftOut

    Raises
    ------
    ValueError
        If a column is missing, is not numeric or has another length than the others, if a count
        is not positive and finite, or if no run has a finite loss.
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
    for name in counts:
        wrong = ~((runs[name] > 0) & np.isfinite(runs[name]))
        if wrong.any():
            label = runs.index[wrong][0]
            raise ValueError(
                f"{name} must be positive and finite, got {runs[name][wrong].iloc[0]:g} "
                f"in run {label} ({wrong.sum()} such)"
            )
    if "group" in runs and runs["group"].isna().any():
        raise ValueError(f"run {runs.index[runs['group'].isna()][0]} has no group")
    finite = np.isfinite(runs["loss"])
    left_out = [
        LeftOut(f"run {label}", f"its loss is {value}")
        for label, value in runs["loss"][~finite].items()
    ]
    if not finite.any():
        raise ValueError(f"none of {len(runs)} runs has a finite loss")
    return runs[finite], left_out


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
