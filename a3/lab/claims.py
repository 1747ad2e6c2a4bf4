"""Claims on runs, so that two sweeps on one folder share the work; a dead process holds none."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: each sweep does its own runs there
    fcntl = None

__all__ = ["claim"]


@contextmanager
def claim(path: Path, *, wait: bool = False) -> Iterator[IO[bytes] | None]:
    """Hold a lock on a file, made if there is none and deleted at the end.

    When its process dies the kernel frees it; the file stays. Where there can be no such file or
    no locks, whoever asks holds it. It yields the file, to read and append to, or None if another
    process holds it and this one does not ``wait``.
    """
    while True:
        try:
            file = path.open("a+b", buffering=0)
        except OSError:  # a full disk, or one to read only
            yield io.BytesIO()
            return
        try:
            held = _lock(file, wait)
            if not held or _is_at(file, path):
                break
        except BaseException:
            file.close()
            raise
        file.close()  # who held it has deleted it meanwhile
    with file:
        yield file if held else None
        if held:
            with suppress(OSError):
                path.unlink()


def _lock(file: IO[bytes], wait: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # such as a network folder without locks
        return True
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
