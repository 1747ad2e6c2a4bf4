"""The book's training runs from a shell: ``python -m a3.runs`` lists, trains, exports, prunes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from a3.lab.environment import cache_folder
from a3.lab.published import export
from a3.lab.saved_runs import CheckpointError
from a3.lab.sweeps import about, stale
from a3.runs.notebook import Run, named, runs, slowness, train

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0; 1 if something failed; 2 for a call that cannot be taken; 3 if runs are still missing
        when the minutes are over; 130 if it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m a3.runs", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    commands = parser.add_subparsers(dest="command")
    training = commands.add_parser("train", help="make the results that are missing")
    training.add_argument("names", nargs="*", metavar="NAME", help="of runs or experiments")
    training.add_argument("--minutes", type=_minutes, help="stop after so long")
    exporting = commands.add_parser("export", help="write the kept results and a manifest")
    exporting.add_argument("folder", type=_folder, metavar="DIR")
    pruning = commands.add_parser("prune", help="remove kept results that no run names")
    pruning.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    try:
        if options.command == "train":
            return _train(options.names, options.minutes)
        if options.command == "export":
            return _export(options.folder)
        if options.command == "prune":
            return _prune(options.yes)
        return _list(options.json)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was finished is kept, the rest goes on from there", file=sys.stderr)
        return 130


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes <= 1e6:
        raise argparse.ArgumentTypeError(f"expected minutes, 0 to 1,000,000, got {text!r}")
    return minutes


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a folder, got an empty name")
    return Path(text)


def _train(names: Sequence[str], minutes: float | None) -> int:
    missing = train(names, minutes)
    if missing:
        print(f"{len(missing)} missing: {', '.join(run.name for run in missing)}")
        return 3
    print(f"Every run is kept in {cache_folder()}.")
    return 0


def _row(run: Run) -> dict[str, object]:
    row: dict[str, object] = {
        "name": run.name,
        "pages": [*run.experiment.pages],
        "settings": run.summary,
        "kept": run.kept,
        "bytes": None,
        "seconds": None,
    }
    if run.kept:
        try:
            row |= {"bytes": run.path.stat().st_size, "seconds": about(run.path)["seconds"]}
        except CheckpointError:
            row["kept"] = False
    if not row["kept"]:
        row["seconds"] = slowness() * run.seconds
    return row


def _list(as_json: bool) -> int:
    rows = [_row(run) for run in runs()]
    if as_json:
        print(json.dumps(rows, indent=1))
        return 0
    width = max(len(row["name"]) for row in rows)
    print(f"{'run':{width}}  {'kept':8} {'kB':>7} {'seconds':>8}  page: settings")
    for row in rows:
        size = "" if row["bytes"] is None else f"{row['bytes'] / 1e3:,.0f}"
        kept = "kept" if row["kept"] else "missing"
        page = row["pages"][0].rpartition("/")[2]
        print(
            f"{row['name']:{width}}  {kept:8} {size:>7} {row['seconds']:8,.0f}  "
            f"{page}: {row['settings']}"
        )
    for word, part in (
        ("kept", [row for row in rows if row["kept"]]),
        ("missing", [row for row in rows if not row["kept"]]),
    ):
        spent = sum(row["seconds"] for row in part)
        size = sum(row["bytes"] or 0 for row in part) / 1e6
        of = f"{size:,.0f} MB, took" if word == "kept" else "expected here to take"
        print(f"{len(part)} {word}: {of} {spent:,.0f} core seconds")
    return 0


def _export(folder: Path) -> int:
    here = [run for run in runs() if run.kept]
    manifest = export(
        folder, {run.name: run.path for run in here}, {r.name: r.summary for r in here}
    )
    size = sum(each["bytes"] for each in manifest)
    print(f"wrote {len(manifest)} of {len(runs())} results to {folder}, {size / 1e6:,.1f} MB")
    return 0


def _prune(yes: bool) -> int:
    paths = stale(named())
    if not paths:
        print(f"Nothing to remove in {cache_folder()}.")
        return 0
    size = sum(path.stat().st_size for path in paths) / 1e6
    print(f"{len(paths)} results of a3 that no run of this book names, {size:,.1f} MB, are in")
    print(cache_folder())
    if not yes and input("Remove them? [y/N] ").strip().lower() not in ("y", "yes"):
        return 0
    for path in paths:
        path.unlink(missing_ok=True)
    print(f"removed {len(paths)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
