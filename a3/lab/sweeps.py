"""Many runs: each kept under a key of everything that made it, side by side on all cores."""

from __future__ import annotations

import inspect
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import joblib
import torch
from tqdm.auto import tqdm

from a3.lab.claims import claim
from a3.lab.environment import cache_folder
from a3.lab.keys import key
from a3.lab.published import fetch, load_result
from a3.lab.saved_runs import CheckpointError, kept, load, save
from a3.lab.worker_processes import call_in_processes

__all__ = ["about", "result_path", "run_all", "run_calls", "stale"]

_CLAIMED = "another sweep is making it"


def result_path(function: Callable[..., dict], setting: dict[str, Any]) -> Path:
    """Where the result of a run is kept, if it is."""
    return cache_folder() / f"{key(function, setting)}.pt"


def about(path: Path) -> dict[str, Any]:
    """How the result at a :func:`result_path` was made.

    ``seconds`` that the run took, those before it was stopped included, as far as they are known;
    ``by``, the function; ``date``, ``processor``, ``python``, ``torch``. Errors are those of
    :func:`a3.lab.saved_runs.load`.
    """
    state = load_result(path)
    return {"seconds": state["seconds"], **state["made"]}


def stale(named: set[Path]) -> list[Path]:
    """Results of the functions of ``a3`` that are kept, but are none of these.

    Those of other functions, which are a reader's own, are not among them.
    """
    found = []
    for path in sorted(cache_folder().glob("*.pt")):
        if path not in named and len(path.stem) == 32:
            with suppress(CheckpointError, FileNotFoundError):  # nobody knows whose it was
                if load_result(path)["made"]["by"].startswith("a3."):
                    found.append(path)
    return found


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
        Returns a dict of tensors, numbers, strings, lists and dicts. If it has a parameter
        ``checkpoint``, it is given a path of its own, so that a run killed half-way goes on.
    settings : iterable of dict
        Keyword arguments of each run, the longest first: plain values, dataclasses of them, or
        paths (whose contents count). Results are in their order.
    workers : int
        Processes on this machine; -1 for one a core. A single one is this process.
    progress : bool
        Whether to draw a bar over the runs.

    Raises
    ------
    RuntimeError
        If a run failed, or was killed twice; what the others gave is kept. The message names each.
    TypeError
        If no key can be made of a setting or of something that ``function`` names.

    Warns
    -----
    RuntimeWarning
        If a kept result is damaged (it is made again) or cannot be written.
    """
    calls = ((function, setting) for setting in settings)
    return run_calls(calls, workers=workers, progress=progress)


def run_calls(
    calls: Iterable[tuple[Callable[..., dict], dict[str, Any]]],
    *,
    workers: int = -1,
    minutes: float | None = None,
    seconds: Sequence[float] | None = None,
    progress: bool = True,
) -> list[dict | None]:
    """Make calls of several functions as :func:`run_all` makes those of one, all side by side.

    Whatever ends it early, an interrupt too, what is finished is kept, and what is not goes on
    from its checkpoint the next time. What another sweep is making is waited for, last of all.
    Errors and other arguments are those of :func:`run_all`.

    Parameters
    ----------
    calls : iterable of (callable, dict)
        Functions and keyword arguments, begun in this order. So are the results: None if there was
        no time for one.
    minutes : float, optional
        Stop after so long. Runs on other machines are not stopped; no more of them begin.
    seconds : sequence of float, optional
        What each call may take, for a bar that shows the time left.
    """
    calls = list(calls)
    paths = [result_path(*call) for call in calls]
    results = [_result(path) for path in paths]
    for i, path in enumerate(paths):
        if results[i] is None:
            results[i] = fetch(path)
    missing = [i for i, result in enumerate(results) if result is None]
    _tidy([path for path, result in zip(paths, results, strict=True) if result is not None])
    if not missing:
        return results
    folder = cache_folder()
    if not _writable(folder):
        warnings.warn(
            f"cannot write to {folder}: results will not be kept. Set A3_CACHE to another folder",
            RuntimeWarning,
            stacklevel=3,
        )
        paths = [None] * len(calls)
    until = None if minutes is None else time.time() + 60 * minutes
    jobs = [(i, *calls[i], paths[i], until, False) for i in missing]
    weights = [1] * len(calls) if seconds is None else seconds
    failed, unsaved, claimed = [], [], []
    options = {} if progress else {"disable": True}  # else as TQDM_DISABLE says
    total = sum(weights[i] for i in missing)
    options |= {"bar_format": "{desc}: {percentage:3.0f} %|{bar}| {elapsed}, {remaining} left"}
    with tqdm(desc=f"{len(missing)} runs", total=total, leave=False, **options) as bar:
        while jobs:
            with closing(_finished(jobs, workers, until)) as finished:
                for i, result, error in finished:
                    results[i] = result
                    if error == _CLAIMED:
                        claimed.append((i, *calls[i], paths[i], until, True))
                        continue
                    bar.update(weights[i])
                    if error:
                        (failed if result is None else unsaved).append(f"{calls[i][1]}: {error}")
            jobs, claimed = claimed, []
    if unsaved:
        warnings.warn("\n".join(["not kept:", *unsaved]), RuntimeWarning, stacklevel=3)
    if failed:
        summary = f"{len(failed)} of {len(missing)} runs failed, the others are kept:"
        raise RuntimeError("\n".join([summary, *failed]))
    return results


def _finished(
    jobs: list[tuple], workers: int, until: float | None
) -> Iterator[tuple[int, dict | None, str]]:
    """Arguments of :func:`_run` to what it returns, as it comes."""
    backend, _ = joblib.parallel.get_active_backend()
    here = type(backend).__name__ == "LokyBackend"  # the caller has not chosen another
    processes = min(joblib.effective_n_jobs(workers), len(jobs)) if here else 0
    if here and (processes > 1 or workers != 1 or until is not None):
        for place, done, killed in call_in_processes(
            _run, jobs, processes=max(1, processes), until=until
        ):
            yield (jobs[place][0], None, killed) if killed else done
        return
    with joblib.parallel_config("sequential") if here else nullcontext():
        backend, _ = joblib.parallel.get_active_backend()
        order = "generator_unordered" if backend.supports_return_generator else "list"
        yield from joblib.Parallel(return_as=order)(joblib.delayed(_run)(*job) for job in jobs)


def _run(
    i: int,
    function: Callable[..., dict],
    setting: dict,
    path: Path | None,
    until: float | None,
    wait: bool,
) -> tuple[int, dict | None, str]:
    """One run in a worker: its place, its result, and what went wrong."""
    torch.set_num_threads(1)
    if until is not None and time.time() > until:
        return i, None, ""
    if path is None:
        return i, *_call(function, setting, None)
    with claim(path.with_suffix(".lock"), wait=wait) as held:
        if held is None:
            return i, None, _CLAIMED
        if (result := _result(path)) is not None:  # made by another sweep meanwhile
            return i, result, ""
        checkpoint = path.with_suffix(".checkpoint")
        for file in path.parent.glob(f"{path.stem}.*.tmp"):  # of a process killed as it wrote
            file.unlink(missing_ok=True)
        if kept(checkpoint) is None:  # damaged, perhaps: start this run again
            checkpoint.unlink(missing_ok=True)
        begun, spent = time.time(), _spent(held, checkpoint)
        with suppress(OSError):
            held.truncate(0)
            held.write(json.dumps([begun, spent]).encode())
        result, error = _call(function, setting, checkpoint)
        if error:
            return i, None, error
        try:
            seconds = spent + time.time() - begun
            made = {"by": f"{function.__module__}.{function.__qualname__}"} | _circumstances()
            save({"result": result, "seconds": seconds, "made": made}, path)
            load(path)  # an error now, rather than every next time, if it holds other objects
            checkpoint.unlink(missing_ok=True)
        except CheckpointError as problem:
            return i, result, str(problem)
    return i, result, ""


def _call(
    function: Callable[..., dict], setting: dict, checkpoint: Path | None
) -> tuple[dict | None, str]:
    takes_checkpoint = "checkpoint" in inspect.signature(function).parameters
    try:
        return function(**setting, **({"checkpoint": checkpoint} if takes_checkpoint else {})), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def _spent(held: IO[bytes], checkpoint: Path) -> float:
    """Seconds that led to a checkpoint: those noted in the file of the claim, and till it was."""
    held.seek(0)
    try:
        begun, spent = json.loads(held.read())
        return spent + max(0.0, checkpoint.stat().st_mtime - begun)
    except (ValueError, OSError):  # there is none
        return 0.0


def _circumstances() -> dict[str, str]:
    processor = platform.processor() or platform.machine()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": f"{processor} {torch.backends.cpu.get_cpu_capability()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def _result(path: Path) -> dict | None:
    state = kept(path, load_result)
    if state is None:  # damaged, perhaps
        with suppress(OSError):
            path.unlink()
        return None
    return state["result"]


def _tidy(paths: list[Path]) -> None:
    """Delete what processes left that were killed when their results were already kept."""
    done = {path.stem for path in paths}
    with suppress(OSError):
        for file in [*cache_folder().iterdir()]:
            stem = file.name.partition(".")[0]
            if stem in done and file.suffix in (".tmp", ".lock", ".checkpoint"):
                with claim(file.with_name(f"{stem}.lock")) as held:
                    if held:
                        file.unlink(missing_ok=True)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
