"""The lab notebook: every run of the book by its name, what is kept of it, and how to train it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import torch

from a3.lab.experiments import Experiment
from a3.lab.sweeps import result_path, run_calls
from a3.runs import clip, fine_tuning, modern, pretraining, scaling, short_runs, translation

__all__ = ["Run", "experiments", "named", "runs", "select", "slowness", "train"]

_PROBE = 0.165  # seconds of the probe on the machine that the experiments' seconds are of


@dataclass(frozen=True)
class Run:
    """One training run of the book."""

    name: str  # such as "four-runs/1"
    experiment: Experiment
    setting: dict[str, Any]
    path: Path  # of the result in the folder of kept results
    stage: int  # 0, or 1 if it needs the result of another

    @property
    def kept(self) -> bool:
        """Whether there is a result."""
        return self.path.is_file()

    @property
    def seconds(self) -> float:
        """About how many it takes one core of the machine that these are of."""
        return self.experiment.seconds(self.setting)

    @property
    def summary(self) -> str:
        """Its arguments in short: those that are not as a dataclass has them by itself."""
        return " ".join(_short(self.setting))


def experiments() -> dict[str, Experiment]:
    """All experiments of the book, by name."""
    found: dict[str, Experiment] = {}
    for module in (translation, short_runs, modern, scaling, fine_tuning, pretraining, clip):
        found |= {name.replace(" ", "-"): each for name, each in module.EXPERIMENTS.items()}
    return found


def runs() -> list[Run]:
    """Every run of the book as ``A3_PROFILE`` asks, each once, by the experiment that names it."""
    found: dict[Path, Run] = {}
    for name, experiment in experiments().items():
        for number, setting in enumerate(experiment.settings, start=1):
            path = result_path(experiment.function, setting)
            run = Run(f"{name}/{number}", experiment, setting, path, int(bool(experiment.after)))
            found.setdefault(path, run)
    return [*found.values()]


def named() -> set[Path]:
    """Where the results of all runs of the book are, of the full and of the quick one."""
    return {
        result_path(each.function, setting)
        for each in experiments().values()
        for setting in (*each.full(), *each.quick())
    }


def select(names: Iterable[str]) -> list[Run]:
    """The runs of these names, or of the experiments of these names; all if there is no name.

    Raises
    ------
    ValueError
        If there is no such run or experiment; the message names those that are near.
    """
    every, known, chosen = runs(), experiments(), {}
    for name in names:
        wanted = name.strip().replace(" ", "-")
        paths = set()  # a run that two experiments share has the name of the first
        if wanted in known:
            experiment = known[wanted]
            paths = {result_path(experiment.function, each) for each in experiment.settings}
        matching = [run for run in every if run.name == wanted or run.path in paths]
        if not matching:
            all_names = [*known, *(run.name for run in every)]
            near = get_close_matches(wanted, all_names, n=3, cutoff=0.4)
            others = f"near it are {', '.join(near)}" if near else f"there are {', '.join(known)}"
            raise ValueError(f"there is no run {name!r}; {others}")
        chosen |= {run.name: run for run in matching}
    return [*chosen.values()] or every


def train(
    names: Iterable[str] = (), minutes: float | None = None, progress: bool = True
) -> list[Run]:
    """Make the missing results of these runs, all in one pool, the longest first.

    Arguments and errors are those of :func:`select` and of :func:`a3.lab.sweeps.run_calls`. The
    runs that are still missing are returned.
    """
    missing = [run for run in select(names) if not run.kept]
    if missing:
        slow, begun = slowness(), sorted(missing, key=lambda run: (run.stage, -run.seconds))
        run_calls(
            [(run.experiment.function, run.setting) for run in begun],
            minutes=minutes,
            seconds=[slow * run.seconds for run in begun],
            progress=progress,
        )
    return [run for run in missing if not run.kept]


@cache
def slowness() -> float:
    """How many times as long this machine takes for a short piece of work, on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x, weight = torch.full((10_240, 64), 0.01), torch.full((64, 64), 0.01)
        return min(_probe(x, weight) for _ in range(3)) / _PROBE
    finally:
        torch.set_num_threads(threads)


def _probe(x: torch.Tensor, weight: torch.Tensor) -> float:
    begun = time.process_time()  # of this process: others may be running
    for _ in range(100):
        torch.relu(x @ weight).softmax(dim=0)
    return time.process_time() - begun


def _short(setting: dict[str, Any]) -> Iterable[str]:
    for name, value in setting.items():
        if is_dataclass(value):
            yield from _short(_changed(value))
        elif isinstance(value, Path):
            yield f"{name}={value.parent.name}"
        else:
            yield f"{name}={getattr(value, '__name__', value)}".replace(" ", "")


def _changed(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not as it has them by itself, and the seed."""
    changed = {}
    for field in fields(value):
        own = getattr(value, field.name)
        made = field.default_factory is not MISSING
        default = field.default_factory() if made else field.default
        if own != default or field.name == "seed":
            changed[field.name] = own
    return changed
