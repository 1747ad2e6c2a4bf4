"""The sweeps behind the scaling laws: each width trained to a budget of FLOPs, many seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from a3.lab.experiments import Experiment
from a3.translation.to_budget import train_to_budget

__all__ = ["BUDGETS", "EXPERIMENTS", "SIDE_BY_SIDE", "WIDTHS", "settings", "sweep"]

WIDTHS = (16, 32, 48, 64, 96, 128)
"""The handouts' six widths."""
BUDGETS = (0.08e12, 0.16e12, 0.32e12, 0.64e12, 1.28e12)
"""The handouts' compute budgets in FLOPs."""
SIDE_BY_SIDE = 32
"""Widths up to this train all seeds as one programme; wider ones fill a core by themselves."""


def settings(
    widths: Sequence[int] = WIDTHS,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    budget: float = BUDGETS[-1],
    *,
    learning_rate: float = 5e-4,
    decay: float | None = 0.99,
    words: str = "small",
) -> list[dict[str, Any]]:
    """Arguments of ``train_to_budget`` for every width with every seed to one budget.

    The longest run is first. Narrow models have all their seeds in one.
    """
    common = dict(budget=budget, learning_rate=learning_rate, decay=decay, words=words)
    return [
        {"hidden": hidden, "seeds": together} | common
        for hidden in sorted(widths)
        for together in ([list(seeds)] if hidden <= SIDE_BY_SIDE else [[seed] for seed in seeds])
    ]


def sweep(name: str = "six widths") -> pd.DataFrame:
    """The runs of an experiment; what was trained before is kept.

    Parameters
    ----------
    name : str
        In :data:`EXPERIMENTS`.

    Returns
    -------
    DataFrame
        A row for each run and point of its grid, with the columns of
        :func:`~a3.translation.to_budget.train_to_budget`, and of the run ``until``, its whole
        budget, ``learning_rate`` and ``decay``.
    """
    experiment = EXPERIMENTS[name]
    tables = [
        pd.DataFrame(result).assign(
            until=run["budget"], learning_rate=run["learning_rate"], decay=run["decay"]
        )
        for run, result in zip(experiment.settings, experiment.results(), strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


_SHORT = dict(widths=(8, 16, 32, 64), seeds=(0, 1), budget=0.01e12)


def _schedules(widths: Sequence[int], budgets: Sequence[float]) -> list[dict[str, Any]]:
    """A cosine to each of three budgets, the handouts' decay to the last, and a high rate."""
    common = dict(seeds=(0, 1), learning_rate=2e-3)
    cosines = [run for C in budgets for run in settings(widths, budget=C, decay=None, **common)]
    high = settings(widths[:1], (0, 1), budgets[-1], learning_rate=8e-3)
    return cosines + settings(widths, budget=budgets[-1], **common) + high


def _higher_rates(**chosen: Any) -> list[dict[str, Any]]:
    return [run for rate in (2e-3, 8e-3) for run in settings(learning_rate=rate, **chosen)]


_CORE_SECONDS = {8: 60, 16: 70, 24: 50, 32: 38, 48: 33, 64: 29, 96: 21, 128: 19}
"""To 1.28 TFLOPs, a seed."""


def _seconds(run: dict[str, Any]) -> float:
    return _CORE_SECONDS[run["hidden"]] * len(run["seeds"]) * run["budget"] / BUDGETS[-1]


def _experiment(pages: str, full: Callable, quick: Callable) -> Experiment:
    names = tuple(f"tutorials/nmt/{page}" for page in pages.split())
    return Experiment(names, train_to_budget, full, quick, _seconds)


EXPERIMENTS = {
    "six widths": _experiment(
        "equal_compute fresh_words tuned_widths schedules",
        settings,
        partial(settings, **_SHORT),
    ),
    "six widths for profiles": _experiment(
        "isoflop",
        settings,
        partial(settings, **_SHORT | {"widths": (8, 16, 24, 48)}),  # whose optima lie between them
    ),
    "six widths to fit": _experiment(
        "extrapolation repeated_words three_forecasts",
        settings,
        partial(settings, **_SHORT | {"budget": 0.02e12}, learning_rate=4e-3),  # or nothing fits
    ),
    "higher rates": _experiment(
        "tuned_widths",
        partial(_higher_rates, seeds=(0, 1), budget=BUDGETS[2]),
        partial(_higher_rates, **_SHORT | {"budget": BUDGETS[2] / 128}),
    ),
    "schedules": _experiment(
        "schedules",
        partial(_schedules, (16, 32, 64, 128), BUDGETS[:3]),
        partial(_schedules, (8, 16), [C / 128 for C in BUDGETS[:3]]),
    ),
    "fresh words": _experiment(
        "fresh_words",
        partial(settings, seeds=(0, 1), budget=BUDGETS[3], words="fresh"),
        partial(settings, **_SHORT, words="fresh"),
    ),
}
"""The sweeps of the book, by name.

:meta hide-value:
"""
