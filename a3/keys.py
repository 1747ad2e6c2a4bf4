"""What a result depends on: a key of the code, the settings, the data and the versions."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["code_digest", "key"]

_PACKAGES = ("torch", "numpy", "wordsegment")  # whose versions a result depends on


def key(function: Callable, setting: dict[str, Any]) -> str:
    """A digest of all that a call depends on.

    The settings, the compiled function and what it names: functions, classes and
    values beside it, ``a3`` modules with all that these import. Also the versions
    of Python, torch and the data's package, and the kind of machine. Comments and
    layout change nothing.

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
        If a setting is none of these.
    """
    described = {
        "code": _describe_function(function, seen={}),
        "setting": {name: _describe_value(value) for name, value in sorted(setting.items())},
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
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _describe_function(function: Callable, seen: dict[Any, None]) -> list:
    """The function's code, and what is behind each global name in it."""
    seen[function] = None
    described = [_describe_code(function.__code__, function.__doc__)]
    for name in sorted(set(_names(function.__code__)) & function.__globals__.keys()):
        value = function.__globals__[name]
        module = getattr(value, "__module__", None)
        if isinstance(value, ModuleType):
            module = value.__name__
        if isinstance(value, FunctionType | type) and module == function.__module__:
            methods = vars(value).values() if isinstance(value, type) else [value]
            for method in methods:
                if isinstance(method, FunctionType) and method not in seen:
                    described.append([name, _describe_function(method, seen)])
        elif module and module.startswith("a3."):
            described.append([name, _module_digest(module)])
        elif isinstance(value, str | int | float | bool | list | tuple | dict | None):
            described.append([name, repr(value)])
    return described


@cache
def _module_digest(name: str) -> str:
    return code_digest(sys.modules[name])


def _names(code: CodeType) -> Iterable[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _describe_code(code: CodeType, docstring: str | None = None) -> list:
    constants = [
        _describe_code(constant) if isinstance(constant, CodeType) else _describe_constant(constant)
        for constant in code.co_consts
        if docstring is None or constant != docstring
    ]
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), constants]


def _describe_constant(constant: Any) -> str:
    return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def _describe_value(value: Any) -> Any:
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
