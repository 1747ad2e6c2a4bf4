"""What every benchmark shares: its arguments, timing in alternating pairs, and its tables."""

import argparse
import platform
import time
from pathlib import Path
from statistics import median

import torch


def start(doc, versions="", **more):
    """Read the arguments, ``more`` than all have too, set the threads, and print the machine."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=9)
    for name, options in more.items():
        parser.add_argument(name, **options)
    arguments = parser.parse_args()
    if arguments.threads < 1 or arguments.repeats < 1:
        parser.error("threads and repeats must be at least 1")
    torch.set_num_threads(arguments.threads)
    print(f"{cpu()}, {arguments.threads} thread(s), torch {torch.__version__}{versions}.")
    return arguments


def seconds(function):
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def alternate(first, second, repeats):
    """Seconds of each function, called in turn after one call to warm up."""
    first(), second()
    return list(zip(*((seconds(first), seconds(second)) for _ in range(repeats)), strict=True))


def with_range(ratios, decimals=0):
    """The median, with the least and the greatest."""
    middle, low, high = (
        f"{value:,.{decimals}f}" for value in (median(ratios), min(ratios), max(ratios))
    )
    return f"{middle} ({low} to {high})"


def table(*rows):
    """Print a table in Markdown, the first row its head."""
    head, *rows = ([str(cell) for cell in row] for row in rows)
    for row in (head, ["---:"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")
    print()


def cpu():
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
