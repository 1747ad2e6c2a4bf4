"""Kept results in which what a page claims is not so: its arms exchanged, or the effect removed.

Each class here is one way to alter what the pages are given of the trained runs. ``altered(way)``
is a context in which it holds; it gives a list that is empty as long as nothing was altered. With
"exchanged" each arm has the other's results, with "removed" both have the first's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from a3.lab import sweeps
from a3.runs import scaling, translation
from a3.runs.notebook import runs


@dataclass(frozen=True)
class Arms:
    """Runs of one function that differ in an argument, or in a field of one."""

    field: str
    one: Any
    other: Any
    ways: tuple[str, ...] = ("exchanged", "removed")

    @contextmanager
    def altered(self, way: str) -> Iterator[list]:
        """The result of the most similar run of the other arm is read in the place of each."""
        every = runs()
        by_path, places, changed = {run.path: run for run in every}, _places(self, way), []
        true_path = sweeps.result_path

        def result_path(function: Callable, setting: dict[str, Any]) -> Path:
            path = true_path(function, setting)
            asked = flat(setting)
            if path not in by_path or asked.get(self.field) not in places:
                return path
            wanted = asked | {self.field: places[asked[self.field]]}
            others = [
                (sum(theirs.get(name) == value for name, value in wanted.items()), -i, run)
                for i, run in enumerate(every)
                if run.experiment.function is function
                and (theirs := flat(run.setting)).get(self.field) == wanted[self.field]
            ]
            changed.extend(others[:1])
            return max(others)[-1].path if others else path

        with mock.patch.object(sweeps, "result_path", result_path):
            yield changed


@dataclass(frozen=True)
class Translators:
    """Two kinds of translators, each a word list and a width: what is measured of them."""

    one: tuple[str, int]
    other: tuple[str, int]
    parts: tuple[str, ...] = ("model", "history", "accuracy")
    ways = ("exchanged", "removed")

    @contextmanager
    def altered(self, way: str) -> Iterator[list]:
        """What :func:`a3.runs.translation.translators` gives, under other names."""
        places, changed, true = _places(self, way), [], translation.translators

        def translators(settings):
            given = true(settings)
            if given.keys() >= {self.one, self.other}:
                changed.append(given)
            return {
                name: [
                    mine._replace(**{part: getattr(theirs, part) for part in self.parts})
                    for mine, theirs in zip(of, given.get(places.get(name), of), strict=True)
                ]
                for name, of in given.items()
            }

        with mock.patch.object(translation, "translators", translators):
            yield changed


@dataclass(frozen=True)
class Losses:
    """Losses of two arms of a sweep, which a column of its table tells apart, or of two sweeps.

    ``column`` is then "sweep". All else in the tables stays as it is.
    """

    column: str
    one: Any
    other: Any
    ways = ("exchanged", "removed")

    @contextmanager
    def altered(self, way: str) -> Iterator[list]:
        """What :func:`a3.runs.scaling.sweep` gives."""
        places, changed, true = _places(self, way), [], scaling.sweep

        def rows(name, arm_of):
            table = true(name).assign(sweep=name)
            same = [c for c in ("hidden", "seed", "budget", "learning_rate") if c != self.column]
            number = table.groupby([self.column, *same]).cumcount()
            columns = [table[self.column].map(arm_of), *(table[c] for c in same), number]
            return [*zip(*columns, strict=True)], table["loss"]

        def sweep(name="six widths"):
            by_sweep = self.column == "sweep"
            theirs = rows(places.get(name, name) if by_sweep else name, lambda arm: arm)
            loss = dict(zip(*theirs, strict=True))
            own = zip(*rows(name, lambda arm: places.get(arm, arm)), strict=True)
            table = true(name)
            if by_sweep and name in places or {*places} & {*table.get(self.column, ())}:
                changed.append(name)
            return table.assign(loss=[loss.get(row, before) for row, before in own])

        with mock.patch.object(scaling, "sweep", sweep):
            yield changed


@dataclass(frozen=True)
class Learned:
    """What the runs of one experiment have learned."""

    experiment: str
    ways = ("shuffled",)

    @contextmanager
    def altered(self, way: str) -> Iterator[list]:
        """Results of the same shapes and values, in which every tensor's entries change places."""
        own = {run.path for run in runs() if run.name.startswith(f"{self.experiment}/")}
        generator, changed, true = torch.Generator().manual_seed(0), [], sweeps._result

        def result(path: Path) -> dict | None:
            found = true(path)
            if path not in own or found is None:
                return found
            changed.append(path)
            return shuffled(found, generator)

        with mock.patch.object(sweeps, "_result", result):
            yield changed


class Missing(Exception):
    """A result of the book is not kept."""


@contextmanager
def nothing_trained() -> Iterator[None]:
    """A missing result is an error, and no file is deleted."""

    def missing(*_):
        raise Missing

    with (
        mock.patch.object(sweeps, "_tidy", lambda paths: None),
        mock.patch.object(sweeps, "_finished", missing),
    ):
        yield


def flat(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a run and the fields of dataclasses among them; classes by their names."""
    found = {}
    for name, value in setting.items():
        if is_dataclass(value) and not isinstance(value, type):
            found |= flat({each.name: getattr(value, each.name) for each in fields(value)})
        else:
            unhashable = isinstance(value, list | dict | set)
            found[name] = repr(value) if unhashable else getattr(value, "__name__", value)
    return found


def shuffled(content: Any, generator: torch.Generator) -> Any:
    """The same with the entries of each tensor of floats in random order."""
    if isinstance(content, torch.Tensor) and content.is_floating_point():
        order = torch.randperm(content.numel(), generator=generator)
        return content.flatten()[order].view_as(content).clone()
    if isinstance(content, dict):
        return type(content)((name, shuffled(each, generator)) for name, each in content.items())
    return content


def _places(arms: Any, way: str) -> dict[Any, Any]:
    """Whose results stand where an arm's own are asked for."""
    removed = {arms.other: arms.one}
    return removed if way == "removed" else removed | {arms.one: arms.other}
