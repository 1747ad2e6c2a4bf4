"""Kept results, written with a manifest for others, and looked up before anything is made again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.request
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

from a3.lab.saved_runs import CheckpointError, load, write_whole

__all__ = ["export", "fetch"]

MANIFEST = "manifest.json"
_KEY = re.compile(r"[0-9a-f]{32}")


def export(
    folder: str | Path, paths: Mapping[str, Path], summaries: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Write results and ``manifest.json``: of each its name, settings, size, SHA-256 and making.

    ``paths`` maps names of results to their files, ``summaries`` to their settings in short. The
    folder is made if there is none, a damaged file is passed over with a warning, and the
    manifest's entries are returned.

    Raises
    ------
    CheckpointError
        If a file cannot be written. The manifest is written last, and names whole files only.
    """
    folder, entries = Path(folder), []
    for name, path in paths.items():
        try:
            state = load(path)
        except CheckpointError as error:
            warnings.warn(f"left out: {error}", RuntimeWarning, stacklevel=2)
            continue
        content = path.read_bytes()
        there = folder / path.name
        if not (there.is_file() and there.read_bytes() == content):
            write_whole(content, there)
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
    text = json.dumps({"results": entries}, indent=1) + "\n"
    write_whole(text.encode(), folder / MANIFEST)
    return entries


def fetch(path: Path) -> bool:
    """Bring a result from the folder or URL that ``A3_RESULTS`` names; False if it has none.

    ``path`` is where it will be kept, by the name of its key. The file must be the one of the
    manifest, and nothing but tensors and plain values; nothing in it is executed.

    Warns
    -----
    RuntimeWarning
        In one line, if there is no such place, or what it has is not what its manifest says.
    """
    place = os.environ.get("A3_RESULTS", "").rstrip("/")
    entry = _entries(place).get(path.stem) if place else None
    if entry is None:
        return False
    source = f"{place}/{path.name}"
    try:
        content = _read(source, entry["bytes"] + 1)
        if len(content) != entry["bytes"]:
            raise ValueError(f"it has not {entry['bytes']:,} bytes")
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ValueError("its SHA-256 is not the manifest's")
        write_whole(content, path)
        load(path)
    except Exception as error:  # of many file systems
        path.unlink(missing_ok=True)
        _warn(f"{entry['name']} is not taken from {source}: {_line(error)}")
        return False
    return True


@cache
def _entries(place: str) -> dict[str, dict[str, Any]]:
    """The manifest's entries by key; those that name no result are passed over."""
    source = f"{place}/{MANIFEST}"
    try:
        entries = json.loads(_read(source))["results"]
        good = {entry["key"]: entry for entry in entries if _is_entry(entry)}
        if len(good) < len(entries):
            _warn(f"{source} has {len(entries) - len(good)} entries that name no result")
    except Exception as error:
        _warn(f"no results are taken from A3_RESULTS, {place}: {_line(error)}")
        return {}
    return good


def _read(source: str, size: int = -1) -> bytes:
    """At most so many bytes of a file; over HTTP without what fsspec would need for it."""
    if source.startswith(("http://", "https://")):
        opened = urllib.request.urlopen(source, timeout=60)
    else:
        opened = fsspec.open(source, "rb")
    with opened as file:
        return file.read(size)


def _is_entry(entry: dict[str, Any]) -> bool:
    kinds = {"name": str, "key": str, "bytes": int, "sha256": str}
    return all(isinstance(entry.get(name), kind) for name, kind in kinds.items()) and bool(
        _KEY.fullmatch(entry["key"])  # so that no entry leads to another folder
    )


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0][:200]


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
