"""Processes of this machine that make calls: one may be killed, and all end with their parent."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from typing import Any

import joblib
from joblib.externals.loky.backend import resource_tracker
from joblib.externals.loky.process_executor import ProcessPoolExecutor

__all__ = ["call_in_processes"]

_IDLE = 300.0  # seconds after which a process without work ends
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMBA", "NUMEXPR")
_idle: list[ProcessPoolExecutor] = []  # of earlier sweeps, each of one process
# A process that has grown is renewed between two calls, and nothing is lost.
warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)


def call_in_processes(
    function: Callable[..., Any],
    arguments: Sequence[tuple],
    *,
    processes: int,
    until: float | None = None,
) -> Iterator[tuple[int, Any, str]]:
    """Call ``function`` with each of ``arguments``, in their order; give what comes as it comes.

    A call whose process is killed is made once more, after the others. At a :func:`time.time` of
    ``until`` the processes, so many at a time, are killed and no more comes. Each time it yields
    the place in ``arguments``, what came out, and "", or what killed it twice.
    """
    waiting = deque((i, 1) for i in range(len(arguments)))
    running: dict[Any, tuple[int, int, ProcessPoolExecutor]] = {}
    finished = False
    try:
        while waiting or running:
            if until is not None and time.time() >= until:
                return
            while waiting and len(running) < processes:
                i, attempt = waiting.popleft()
                process = _process()
                running[process.submit(function, *arguments[i])] = i, attempt, process
            left = None if until is None else max(0.0, until - time.time())
            done, _ = wait(running, left, FIRST_COMPLETED)
            if not done:
                return
            for future in done:
                i, attempt, process = running.pop(future)
                try:
                    result = future.result()
                except BrokenExecutor as error:
                    process.shutdown(wait=False, kill_workers=True)
                    if attempt == 1:
                        waiting.append((i, 2))
                    else:
                        yield i, None, f"killed twice, perhaps for want of memory: {_cause(error)}"
                    continue
                except BaseException:
                    running[future] = i, attempt, process  # to be ended
                    raise
                _idle.append(process)
                yield i, result, ""
        finished = True
    finally:
        if not finished:  # interrupted, or out of time
            for *_, process in running.values():
                process.shutdown(wait=True, kill_workers=True)


def _process() -> ProcessPoolExecutor:
    """A process that is waiting for work, or a new one."""
    while _idle:
        process = _idle.pop()
        if not process._flags.broken:  # killed while it was idle
            return process
    _start_tracker()
    return ProcessPoolExecutor(
        1,
        timeout=_IDLE,
        env={f"{name}_NUM_THREADS": "1" for name in _THREADS} | {"TQDM_DISABLE": "1"},
        initializer=_begin,
        initargs=(os.getpid(),),
    )


def _start_tracker() -> None:
    """Start joblib's process that clears up after a killed parent, but need not warn of it."""
    before = os.environ.get("PYTHONWARNINGS", "")
    os.environ["PYTHONWARNINGS"] = f"{before},ignore:resource_tracker:UserWarning".lstrip(",")
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ["PYTHONWARNINGS"] = before
        if not before:
            del os.environ["PYTHONWARNINGS"]


def _begin(parent: int) -> None:
    """In a new process: end with the parent, which alone minds an interrupt and has workers."""
    joblib.parallel_config("sequential")
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name == "posix":
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.3)
    os._exit(1)


def _cause(error: BrokenExecutor) -> str:
    """The signal, which joblib names in braces."""
    found = re.search(r"\{(.*)\}", str(error))
    return found[1] if found else str(error)
