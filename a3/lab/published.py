"""Kept results, written with a manifest for others, and looked up before anything is made again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import time
import urllib.request
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError

import fsspec

from a3.lab.saved_runs import CheckpointError, load, write_whole

__all__ = ["export", "fetch", "load_result"]

MANIFEST = "manifest.json"
_LONGEST = 2**24  # bytes of a manifest
_PATIENCE, _SLOWEST = 60.0, 1e5  # seconds for an answer, and bytes a second after it
_silent: set[str] = set()  # places that have not answered
_KEY = re.compile(r"[0-9a-f]{32}")


def export(
    folder: str | Path, paths: Mapping[str, Path], summaries: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Write results and ``manifest.json``: of each its name, settings, size, SHA-256 and making.

    ``paths`` maps names of results to their files, ``summaries`` to their settings in short. The
    folder is made if there is none, a damaged file is passed over with a warning, and the entries
    of these results are returned. What an earlier manifest there names beside them, it still does.

    Raises
    ------
    ValueError
        If the folder has a ``manifest.json`` of another kind.
    CheckpointError
        If a file cannot be written. The manifest is written last, and names whole files only.
    """
    folder, entries = Path(folder), []
    earlier = folder / MANIFEST
    if earlier.is_file():
        try:
            before = [entry for entry in _listed(earlier.read_bytes()) if _is_entry(entry)]
        except ValueError:
            raise ValueError(
                f"{earlier} is not a manifest of results: give another folder"
            ) from None
    else:
        before = []
    for name, path in paths.items():
        try:
            state = load_result(path)
        except CheckpointError as error:
            warnings.warn(f"left out: {error}", RuntimeWarning, stacklevel=2)
            continue
        content = path.read_bytes()
        there = folder / path.name
        if not (there.is_file() and there.read_bytes() == content):
            write_whole(content, there, "another folder")
        entries.append(
            {
                "name": name,
                "settings": summaries[name],
                "key": path.stem,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "seconds": state["seconds"],
                **state["made"],
            }
        )
    now = {entry["key"] for entry in entries}
    before = [each for each in before if each["key"] not in now]
    text = json.dumps({"results": entries + before}, indent=1) + "\n"
    write_whole(text.encode(), earlier, "another folder")
    return entries


def fetch(path: Path) -> dict | None:
    """A result from the folder or URL that ``A3_RESULTS`` names; None if it has none.

    ``path`` is where it will be kept, by the name of its key. The file must be the one of the
    manifest, and nothing but tensors and plain values; nothing in it is executed.

    Warns
    -----
    RuntimeWarning
        In one line, if there is no such place, what it has is not what its manifest says, or it
        cannot be kept. After a place has not answered it is not asked again.
    """
    place = os.environ.get("A3_RESULTS", "").strip()
    place = place.rstrip("/") or place[:1]
    entry = _entries(place).get(path.stem) if place and place not in _silent else None
    if entry is None:
        return None
    source = f"{place}/{path.name}"
    try:
        content = _read(source, entry["bytes"] + 1)
        if len(content) != entry["bytes"]:
            raise ValueError(f"it has not {entry['bytes']:,} bytes")
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ValueError("its SHA-256 is not the manifest's")
        result = load_result(io.BytesIO(content))["result"]
    except Exception as error:  # of many file systems
        _warn(f"{entry['name']} is not taken from {_shown(source)}: {_line(error)}")
        if isinstance(error, OSError) and not isinstance(error, HTTPError | FileNotFoundError):
            _silent.add(place)
        return None
    try:
        write_whole(content, path)
    except CheckpointError as error:
        _warn(f"{entry['name']} is not kept: {error}")
    return result


def load_result(source: Path | IO[bytes]) -> dict[str, Any]:
    """Read what a sweep keeps of a run: ``result``, ``seconds``, and how it was ``made``.

    Errors are those of :func:`a3.lab.saved_runs.load`, of a file with other content too.
    """
    state = load(source)
    made = state.get("made")
    if not (
        isinstance(state.get("result"), dict)
        and isinstance(state.get("seconds"), int | float)
        and isinstance(made, dict)
        and isinstance(made.get("by"), str)
    ):
        where = source if isinstance(source, Path) else "it"
        raise CheckpointError(f"cannot read {where}: it holds no result of a run")
    return state


@cache
def _entries(place: str) -> dict[str, dict[str, Any]]:
    """The manifest's entries by key; those that name no result are passed over."""
    source = f"{place}/{MANIFEST}"
    try:
        entries = _listed(_read(source, _LONGEST + 1))
        good = {entry["key"]: entry for entry in entries if _is_entry(entry)}
        if len(good) < len(entries):
            _warn(f"{_shown(source)} has {len(entries) - len(good)} entries that name no result")
    except Exception as error:
        _warn(f"no results are taken from A3_RESULTS, {_shown(place)}: {_line(error)}")
        return {}
    return good


def _listed(content: bytes) -> list[Any]:
    """The entries of a manifest; a ValueError if it is none."""
    try:
        entries = json.loads(content)["results"] if len(content) <= _LONGEST else None
    except (ValueError, TypeError, KeyError):
        entries = None
    if not isinstance(entries, list):
        raise ValueError(f"its {MANIFEST} is not one that python -m a3.runs export writes")
    return entries


def _read(source: str, most: int) -> bytes:
    """At most so many bytes of a file; over HTTP without what fsspec would need for it."""
    until = time.monotonic() + _PATIENCE + most / _SLOWEST
    if source.lower().startswith(("http://", "https://")):
        opened = urllib.request.urlopen(source, timeout=_PATIENCE)
    else:
        opened = fsspec.open(source, "rb")
    content = bytearray()
    with opened as file:
        read = getattr(file, "read1", file.read)  # what has come, without waiting for more
        while len(content) < most and (piece := read(min(2**20, most - len(content)))):
            content += piece
            if time.monotonic() > until:
                raise TimeoutError("it comes too slowly")
    return bytes(content)


def _is_entry(entry: Any) -> bool:
    kinds = {"name": str, "key": str, "bytes": int, "sha256": str}
    return (
        isinstance(entry, dict)
        and all(type(entry.get(name)) is kind for name, kind in kinds.items())
        and 0 < len(entry["name"]) <= 100
        and entry["name"].isprintable()
        and 0 < entry["bytes"] < 2**40
        and bool(_KEY.fullmatch(entry["key"]))  # so that no entry leads to another folder
    )


def _shown(place: str) -> str:
    """An address without a password."""
    return re.sub(r"//[^/@]*@", "//", place)


def _line(error: Exception) -> str:
    return _shown(f"{type(error).__name__}: {error}".split("\n")[0][:200])


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
