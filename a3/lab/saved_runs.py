"""Files of tensors and plain values, written whole or not at all and read without running code.

A :class:`SavedRun` is such a file for a run on its way: if that is stopped, the next one goes on.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

__all__ = [
    "CheckpointError", "SavedRun", "kept", "load", "restore", "save", "state_of", "write_whole",
]  # fmt: skip

_SECONDS = 20.0  # from one checkpoint to the next, at least


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written, cannot be read, or belongs to another run."""


class SavedRun:
    """Where a run keeps what it has reached; without a path nothing is kept.

    ``identity`` is plain values that tell this run from others; ``advice`` is what to do to go on
    from a file of another one.
    """

    def __init__(
        self,
        path: str | Path | None,
        identity: dict | list,
        advice: str = "begin as that run did",
    ):
        self.path = None if path is None else Path(path)
        self.identity, self.advice = identity, advice
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
        try:
            state = load(self.path)
        except CheckpointError as error:
            raise CheckpointError(f"{error}; delete it to start again") from error
        if (there := state.get("run")) != self.identity:
            raise CheckpointError(
                f"{self.path} belongs to another run: {_difference(there, self.identity)}; "
                f"{self.advice}, or delete it or give another path"
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


def state_of(**parts: Any) -> dict[str, Any]:
    """What a checkpoint holds of modules, optimizers, generators, tensors; see :func:`restore`."""
    return {name: _state(part) for name, part in parts.items()}


def restore(state: dict[str, Any], **parts: Any) -> None:
    """Bring the parts of a run, made as at its start, to where :func:`state_of` found them."""
    for name, part in parts.items():
        _restore(part, state[name])


def save(state: dict, path: str | Path) -> None:
    """Write tensors and plain values to ``path``, whole or not at all.

    Who may read the file is as the umask says.

    Raises
    ------
    CheckpointError
        If the file cannot be written; one already there is left as it was.
    """
    content = io.BytesIO()  # torch does not say why it could not write to a file
    torch.save(state, content)
    write_whole(content.getbuffer(), path)


def write_whole(
    content: bytes | memoryview,
    path: str | Path,
    instead: str = "another folder (the environment variable A3_CACHE for cached results)",
) -> None:
    """Write a file whole or not at all, with the errors of :func:`save`."""
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {_reason(error, path.parent)} {instead}"
        ) from error
    finally:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:  # there is no such folder
            pass


def load(path: str | Path | IO[bytes]) -> dict:
    """Read what :func:`save` wrote, to a path or an open file. Nothing in it is executed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is damaged or is not such a file.
    """
    name = path if isinstance(path, str | Path) else "it"
    try:
        with warnings.catch_warnings(action="ignore"):  # of a damaged file: one error is enough
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no {path}") from None
    except Exception as error:  # a damaged file makes torch raise many kinds of error
        raise CheckpointError(
            f"cannot read {name}: the file is damaged or is not a checkpoint "
            f"({type(error).__name__})"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"cannot read {name}: expected a dict, found {type(state).__name__}")
    return state


def kept(path: str | Path, read: Callable[[Any], dict] = load) -> dict | None:
    """What ``read`` finds at ``path``, or None if there is nothing that can be read.

    Warns
    -----
    RuntimeWarning
        If the file is damaged. Who asks makes it again.
    """
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except CheckpointError as error:
        warnings.warn(f"{error}; it is made again", RuntimeWarning, stacklevel=3)
        return None


def _difference(there: Any, here: dict | list) -> str:
    """What two identities differ in, in a few words."""
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        there, here = dict(enumerate(there)), dict(enumerate(here))
    if not isinstance(there, dict) or not isinstance(here, dict) or there.keys() != here.keys():
        return "it was written with other settings"
    return ", ".join(
        (f"{name} is " if isinstance(name, str) else "")
        + f"{there[name]} there and {here[name]} here"
        for name in here
        if there[name] != here[name]
    )


def _state(part: Any) -> Any:
    if isinstance(part, list):
        return [_state(each) for each in part]
    if isinstance(part, dict):
        return {name: _state(each) for name, each in part.items()}
    if isinstance(part, torch.Generator):
        return part.get_state()
    return part.detach() if isinstance(part, Tensor) else part.state_dict()


def _restore(part: Any, state: Any) -> None:
    if isinstance(part, list):
        for each, own in zip(part, state, strict=True):
            _restore(each, own)
    elif isinstance(part, dict):
        for name, each in part.items():
            _restore(each, state[name])
    elif isinstance(part, torch.Generator):
        part.set_state(state)
    elif isinstance(part, Tensor):
        part.detach().copy_(state)
    else:
        part.load_state_dict(state)


def _reason(error: OSError, folder: Path) -> str:
    """Why a file could not be written, and what to do but for the last words."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror or error}. Choose"
    space = shutil.disk_usage(folder)
    megabytes = f"{space.free / 1e6:,.1f} of {space.total / 1e6:,.1f} MB"
    return f"the disk is full, {folder} has {megabytes} left. Free some space or choose"
