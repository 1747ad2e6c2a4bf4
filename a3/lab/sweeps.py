"""Many runs: each kept under a key of everything that made it, side by side on all cores."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import joblib
import torch
from tqdm.auto import tqdm

from a3.lab.environment import cache_folder
from a3.lab.keys import key
from a3.lab.saved_runs import CheckpointError, load, save

__all__ = ["run_all"]


def run_all(
    function: Callable[..., dict],
    settings: Iterable[dict[str, Any]],
    *,
    workers: int = -1,
    progress: bool = True,
) -> list[dict]:
    """Call ``function`` once with each of ``settings``, unless the result is already kept.

    The runs are processes of this machine, one a core. Within ``joblib.parallel_config("dask")``,
    or another backend of joblib, they go where that backend sends them; the folder of results must
    then be one that all machines share.

    Parameters
    ----------
    function : callable
        Returns a dict of tensors, numbers, strings, lists and dicts. If it has a
        parameter ``checkpoint``, it is given a path of its own, so that a run
        killed half-way goes on from there.
    settings : iterable of dict
        Keyword arguments of each run: plain values, dataclasses of them, or paths
        (whose contents count). List the longest runs first.
    workers : int
        Processes on this machine; -1 for one a core.
    progress : bool
        Whether to draw a bar over the runs.

    Returns
    -------
    list of dict
        In the order of ``settings``.

    Raises
    ------
    RuntimeError
        If a run failed; what the others gave is kept. The message names each.
    TypeError
        If no key can be made of a setting or of something that ``function`` names.

    Warns
    -----
    RuntimeWarning
        If a kept result is damaged (it is made again) or cannot be written.
    """
    settings = list(settings)
    folder = cache_folder()
    paths = [folder / f"{key(function, each)}.pt" for each in settings]
    results = [_kept(path) for path in paths]
    missing = [i for i, result in enumerate(results) if result is None]
    if not missing:
        return results
    if not _writable(folder):
        warnings.warn(
            f"cannot write to {folder}: results will not be kept. Set A3_CACHE to another folder",
            RuntimeWarning,
            stacklevel=2,
        )
        paths = [None] * len(settings)
    jobs = (joblib.delayed(_run)(function, settings[i], paths[i], i) for i in missing)
    failed, unsaved = [], []
    with nullcontext() if _elsewhere() else _here(workers):
        backend, _ = joblib.parallel.get_active_backend()
        order = "generator_unordered" if backend.supports_return_generator else "list"
        done = joblib.Parallel(return_as=order)(jobs)
        hidden = {} if progress else {"disable": True}  # else as TQDM_DISABLE says
        for i, result, error in tqdm(done, "runs", total=len(missing), leave=False, **hidden):
            results[i] = result
            if error:
                (failed if result is None else unsaved).append(f"{settings[i]}: {error}")
    if unsaved:
        warnings.warn("\n".join(["not kept:", *unsaved]), RuntimeWarning, stacklevel=2)
    if failed:
        summary = f"{len(failed)} of {len(missing)} runs failed, the others are kept:"
        raise RuntimeError("\n".join([summary, *failed]))
    return results


def _elsewhere() -> bool:
    """Whether the caller has chosen a backend of joblib other than processes of this machine."""
    return type(joblib.parallel.get_active_backend()[0]).__name__ != "LokyBackend"


def _here(workers: int) -> joblib.parallel_config:
    return joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=1)


def _run(
    function: Callable[..., dict], setting: dict, path: Path | None, i: int
) -> tuple[int, dict | None, str]:
    """One run in a worker: its place, its result, and what went wrong."""
    torch.set_num_threads(1)
    checkpoint = path and path.with_suffix(".checkpoint")
    if checkpoint and _kept(checkpoint) is None:  # damaged, perhaps: start this run again
        checkpoint.unlink(missing_ok=True)
    takes_checkpoint = "checkpoint" in inspect.signature(function).parameters
    try:
        result = function(**setting, **({"checkpoint": checkpoint} if takes_checkpoint else {}))
    except Exception as error:
        return i, None, f"{type(error).__name__}: {error}"
    try:
        if path:
            save(result, path)
            load(path)  # an error now, rather than every next time, if it holds other objects
            checkpoint.unlink(missing_ok=True)
    except CheckpointError as error:
        return i, result, str(error)
    return i, result, ""


def _kept(path: Path) -> dict | None:
    """The result stored at ``path``, or None if there is none that can be read."""
    try:
        return load(path)
    except FileNotFoundError:
        return None
    except CheckpointError as error:
        warnings.warn(f"{error}. It is made again", RuntimeWarning, stacklevel=3)
        return None


def _writable(folder: Path) -> bool:
    try:
        save({}, folder / f".probe-{os.getpid()}")
        (folder / f".probe-{os.getpid()}").unlink()
    except (CheckpointError, OSError):
        return False
    return True
