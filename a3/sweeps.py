"""Many runs: each kept under a key of everything that made it, side by side on all cores."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import joblib
from tqdm.auto import tqdm

from a3.training import CheckpointError, load, save

__all__ = ["cache_folder", "code_digest", "key", "profile", "run_all"]

_PACKAGES = ("torch", "numpy", "wordsegment")  # whose versions a result depends on


def profile() -> str:
    """``"full"``, or ``"quick"`` if the environment variable A3_PROFILE asks for short training.

    Raises
    ------
    ValueError
        If A3_PROFILE is anything else.
    """
    name = os.environ.get("A3_PROFILE", "full")
    if name not in ("full", "quick"):
        raise ValueError(f"A3_PROFILE must be 'full' or 'quick', got {name!r}")
    return name


def cache_folder() -> Path:
    """Where results are kept: the environment variable A3_CACHE, else ``~/.cache/a3``."""
    return Path(os.environ.get("A3_CACHE") or Path.home() / ".cache" / "a3")


def run_all(
    function: Callable[..., dict],
    settings: Iterable[dict[str, Any]],
    *,
    workers: int = -1,
    progress: bool = True,
) -> list[dict]:
    """Call ``function`` once with each of ``settings``, unless the result is already kept.

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
        Processes, each on one core; -1 for one a core.
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
    failed = []
    with joblib.parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
        done = joblib.Parallel(return_as="generator_unordered")(jobs)
        for i, result, error in tqdm(
            done, "runs", total=len(missing), disable=not progress, leave=False
        ):
            results[i] = result
            if error:
                failed.append(f"{settings[i]}: {error}")
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(missing)} runs failed, the others are kept:\n" + "\n".join(failed)
        )
    return results


def _run(
    function: Callable[..., dict], setting: dict, path: Path | None, i: int
) -> tuple[int, dict | None, str]:
    """One run in a worker: its place, its result, and what went wrong."""
    checkpoint = path and path.with_suffix(".checkpoint")
    if checkpoint:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if _kept(checkpoint) is None:  # damaged, perhaps: start this run again
            checkpoint.unlink(missing_ok=True)
    takes_checkpoint = "checkpoint" in inspect.signature(function).parameters
    try:
        result = function(**setting, **({"checkpoint": checkpoint} if takes_checkpoint else {}))
        if path:
            save(result, path)
            checkpoint.unlink(missing_ok=True)
    except Exception as error:
        return i, None, f"{type(error).__name__}: {error}"
    return i, result, ""


def _kept(path: Path) -> dict | None:
    """The result stored at ``path``, or None if there is none that can be read."""
    try:
        return load(path)
    except (FileNotFoundError, NotADirectoryError):
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


def key(function: Callable, setting: dict[str, Any]) -> str:
    """A digest of all that a result depends on.

    The settings, the compiled function, the ``a3`` modules that it names and all
    that these import, the versions of Python, torch and the data's package, and
    the kind of machine. Comments, docstrings and layout change nothing.

    Parameters
    ----------
    function : callable
    setting : dict
        Its keyword arguments.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    described = {
        "function": _describe_code(function.__code__),
        "modules": [code_digest(module) for module in _modules_named_by(function)],
        "setting": {name: _describe(value) for name, value in sorted(setting.items())},
        "versions": _versions(),
    }
    return _digest(json.dumps(described, sort_keys=True))


def code_digest(source: str | Path | ModuleType) -> str:
    """A digest of Python source and of every ``a3`` module it imports, directly or not.

    Parameters
    ----------
    source : str, Path or module
        Source text, a file or a module.

    Returns
    -------
    str
        32 hexadecimal digits. Comments, docstrings and layout change nothing.
    """
    if isinstance(source, ModuleType):
        source = Path(source.__file__)
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    seen: dict[str, str] = {}
    _collect(ast.parse(text), seen)
    return _digest(_dump(ast.parse(text)) + json.dumps(seen, sort_keys=True))


def _collect(tree: ast.AST, seen: dict[str, str]) -> None:
    """Add the source of each ``a3`` module imported in ``tree`` to ``seen``, transitively."""
    package = Path(__file__).parent
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            file = package / f"{name.removeprefix('a3.')}.py"
            if name.startswith("a3.") and name not in seen and file.is_file():
                module = ast.parse(file.read_text(encoding="utf-8"))
                seen[name] = _dump(module)
                _collect(module, seen)


def _dump(tree: ast.AST) -> str:
    """The tree as text, without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _modules_named_by(function: FunctionType) -> list[ModuleType]:
    """The ``a3`` modules of what the function's code refers to, and its own."""
    modules = {function.__module__: None}
    names = set(_names(function.__code__))
    for name, value in function.__globals__.items():
        if name in names:
            modules[getattr(value, "__module__", None) or getattr(value, "__name__", None)] = None
    return [sys.modules[name] for name in sorted(filter(_is_ours, modules))]


def _is_ours(name: str | None) -> bool:
    return name is not None and name.startswith("a3.")


def _names(code: CodeType) -> Iterable[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _describe_code(code: CodeType) -> list:
    constants = [
        _describe_code(constant) if isinstance(constant, CodeType) else _describe_constant(constant)
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), constants]


def _describe_constant(constant: Any) -> str:
    return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def _describe(value: Any) -> Any:
    if isinstance(value, Path):
        return hashlib.sha256(value.read_bytes()).hexdigest()
    if is_dataclass(value):
        return [type(value).__name__, asdict(value)]
    json.dumps(value)  # TypeError: not a value that a key can be made of
    return value


@cache
def _versions() -> dict[str, str]:
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return versions | {"python": platform.python_version(), "machine": platform.machine()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
