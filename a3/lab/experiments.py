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
    """Calls of one function, whose results some pages show. Each is made once, then kept.

    Attributes
    ----------
    pages : tuple of str
        The pages that show it, such as ``"tutorials/nmt/isoflop"``.
    function : callable
        What is called, see :func:`a3.lab.sweeps.run_all`.
    full, quick : callable
        Give the keyword arguments of each call, the longest first: for the book, and for a quick
        build of it.
    seconds : callable
        From the arguments of a call to about how many seconds of one core it takes. It decides
        what is begun first and what a bar says, and no result.
    after : tuple of str
        Experiments whose results this one needs.
    """

    pages: tuple[str, ...]
    function: Callable[..., dict]
    full: Callable[[], list[dict[str, Any]]]
    quick: Callable[[], list[dict[str, Any]]]
    seconds: Callable[[dict[str, Any]], float]
    after: tuple[str, ...] = ()

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The keyword arguments of each call, as ``A3_PROFILE`` asks."""
        return self.full() if profile() == "full" else self.quick()

    def results(self) -> list[dict]:
        """What each call gave, or gives now."""
        return run_all(self.function, self.settings)
