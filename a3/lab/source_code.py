"""Source code, read for what it does: of functions, of files and of the modules they import."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import linecache
import site
import symtable
import sysconfig
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType, ModuleType

__all__ = ["code_digest", "digest", "file_digest", "module_digest", "names", "sources"]

_LAB = "a3.lab"  # keeps, names and draws results; it makes none


def code_digest(source: str | Path | ModuleType) -> str:
    """A digest of Python source and of every module it imports that is not installed.

    Those of ``a3`` count wherever they are. Imports are followed from module to module. Comments,
    docstrings and layout change nothing. ``source`` is source text, a file or a module.
    """
    if isinstance(source, ModuleType):
        source = Path(source.__file__)
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    tree = ast.parse(text)
    modules: dict[str, str] = {}
    _collect(_imported(tree), modules)
    return digest(_normal(tree) + json.dumps(modules, sort_keys=True))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's contents, read again when its size or time of change differs."""
    state = path.stat()
    return _file_digest(path, state.st_size, state.st_mtime_ns)


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
    return digest(_normal(tree)), imported


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


def module_digest(name: str, *, whole: bool = True) -> str | None:
    """A digest of a module that a function reaches, without ``a3.lab``.

    What is installed counts by its version; with ``whole`` a package counts with all its modules.
    """
    if f"{name}.".startswith(f"{_LAB}."):
        return None
    names, file = [name], _file(name)
    if whole and file is not None and file.stem == "__init__":  # any of its modules, then
        inside = (each.relative_to(file.parent) for each in sorted(file.parent.rglob("*.py")))
        inside = (each.with_suffix("").parts for each in inside)
        names += [".".join([name, *parts]) for parts in inside if parts[-1] != "__init__"]
    modules: dict[str, str] = {}
    _collect(names, modules, _LAB)
    return digest(json.dumps(modules, sort_keys=True))


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


def sources(function: FunctionType) -> list[str]:
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
def names(source: str, package: str) -> tuple[list[str], list[str]]:
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


@cache
def _file_digest(path: Path, size: int, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(text: str) -> str:
    """32 hexadecimal digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
