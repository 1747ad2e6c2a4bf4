"""An experiment of the book: what is run, in full and in short, and about how long it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from a3.lab.environment import profile
from a3.lab.sweeps import run_all

__all__ = ["Experiment"]


@dataclass(frozen=True)
class Experiment:
    """Calls of one function, whose results some pages show. Each is made once, then kept."""

    pages: tuple[str, ...]  # that show it, such as "tutorials/nmt/isoflop"
    function: Callable[..., dict]  # as a3.lab.sweeps.run_all takes it
    full: Callable[[], list[dict[str, Any]]]  # arguments of each call, the longest first
    quick: Callable[[], list[dict[str, Any]]]  # the same for a quick build of the book
    seconds: Callable[[dict[str, Any]], float]  # of one core, about; decides what is begun first
    after: tuple[str, ...] = ()  # experiments whose results this one needs

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The keyword arguments of each call, as ``A3_PROFILE`` asks."""
        return self.full() if profile() == "full" else self.quick()

    def results(self) -> list[dict]:
        """What each call gave, or gives now."""
        return run_all(self.function, self.settings)
