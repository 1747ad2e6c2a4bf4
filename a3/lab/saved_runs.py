"""Files of tensors and plain values, written whole or not at all and read without running code.

A :class:`SavedRun` is such a file for a run on its way: if that is stopped, the next one goes on.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["CheckpointError", "SavedRun", "load", "save"]

_SECONDS = 20.0  # from one checkpoint to the next, at least


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written, cannot be read, or belongs to another run."""


class SavedRun:
    """Where a run keeps what it has reached.

    Parameters
    ----------
    path : path-like, optional
        Without one nothing is kept.
    identity : dict or list
        Plain values that tell this run from others.
    """

    def __init__(self, path: str | Path | None, identity: dict | list):
        self.path = None if path is None else Path(path)
        self.identity = identity
        self._written = time.perf_counter()

    def read(self) -> dict[str, Any] | None:
        """What the run had reached, or None if it begins.

        Raises
        ------
        CheckpointError
            If the file cannot be read or is of another run.
        """
        if self.path is None or not self.path.exists():
            return None
        state = load(self.path)
        if state.get("run") != self.identity:
            raise CheckpointError(
                f"{self.path} belongs to another run: it has {state.get('run')}, this one has "
                f"{self.identity}; delete it, give another path, or begin as that run did"
            )
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Keep what the run has reached, as :func:`save` does."""
        if self.path is not None:
            save({"run": self.identity, **state}, self.path)
            self._written = time.perf_counter()

    def write_at_times(self, state: Callable[[], dict[str, Any]]) -> None:
        """Keep what ``state`` returns, if the last time was some seconds ago."""
        if self.path is not None and time.perf_counter() - self._written > _SECONDS:
            self.write(state())


def save(state: dict, path: str | Path) -> None:
    """Write tensors and plain values to ``path``, whole or not at all.

    Raises
    ------
    CheckpointError
        If the file cannot be written; one already there is left as it was.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = file.name
            torch.save(state, file)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise CheckpointError(
            f"cannot write {path}: {error}. Free some space or choose another folder "
            "(the environment variable A3_CACHE for cached results)"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def load(path: str | Path) -> dict:
    """Read what :func:`save` wrote. Nothing in the file is executed.

    Raises
    ------
    CheckpointError
        If the file is damaged or is not such a file.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of a damaged file: one error is enough
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no {path}") from None
    except Exception as error:  # a damaged file makes torch raise many kinds of error
        raise CheckpointError(
            f"cannot read {path}: the file is damaged or is not a checkpoint "
            f"({type(error).__name__}); delete it to start again"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"cannot read {path}: expected a dict, found {type(state).__name__}")
    return state
