"""The book's figures: one style, readable on light and on dark pages."""

from __future__ import annotations

import atexit
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends import BackendFilter, backend_registry
from matplotlib.colors import is_color_like, to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from a3.lab.drawing import COLORS
from a3.lab.page import script

__all__ = ["COLORS", "band", "save", "subplots"]

_INK, _INK_ON_DARK = "#333333", "#cfcfcf"
_DIMMED = 0.65  # opacity of a picture on a dark page

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _INK,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "grid.alpha": 0.25,
    "grid.color": "#888888",
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "savefig.facecolor": "none",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def subplots(*args: Any, alt: str, **options: Any) -> tuple[Figure, Any]:
    """``matplotlib.pyplot.subplots`` in the book's style, with words for who cannot see it.

    ``alt`` says what the figure shows: the image's alternative text. Empty, it is a ``ValueError``.
    """
    if not alt.strip():
        raise ValueError("alt must say what the figure shows")
    plt.rcParams.update(_STYLE)  # not for a moment only: legends and colour bars come later
    figure, axes = plt.subplots(*args, **options)
    figure.set_label(" ".join(alt.split()))
    return figure, axes


def save(figure: Figure, path: str | Path, *, dark: bool = False, dpi: float = 200) -> None:
    """Write ``figure`` as a transparent image, its text and axes inked for a light or a dark page.

    On a dark page pictures (not maps of numbers) are dimmed, so that their white does not dazzle.
    At 200 ``dpi`` it has twice the resolution at which the page shows it. Of its colours 256 are
    kept, which takes a third of the bytes.
    """
    figure.canvas.draw()  # so that every tick exists
    changes = []  # how to change an artist, its value, and that for a dark page
    for artist in figure.findobj() if dark else ():
        if isinstance(artist, AxesImage) and np.ndim(artist.get_array()) == 3:
            changes.append((artist.set_alpha, artist.get_alpha(), _DIMMED))
        for name in ("color", "edgecolor", "markeredgecolor"):
            value = getattr(artist, f"get_{name}", lambda: None)()
            if is_color_like(value) and to_hex(value) == _INK:
                changes.append((getattr(artist, f"set_{name}"), value, _INK_ON_DARK))
    try:
        for change, _, on_dark in changes:
            change(on_dark)
        with io.BytesIO() as file:
            figure.savefig(file, dpi=dpi, transparent=True)
            image = Image.open(file).quantize(256, method=Image.Quantize.FASTOCTREE)
        image.save(path, format="PNG", optimize=True)
    finally:
        for change, value, _ in changes:
            change(value)


def band(axes: Axes, x: Sequence[float], runs: Sequence[Sequence[float]], label: str, **line: Any):
    """Draw the median of several runs, one a seed, as a line and their range as a band.

    Those that stopped early are drawn to the length of the shortest. ``line`` is for ``Axes.plot``.
    """
    n = min(len(x), *map(len, runs))
    values = np.array([list(run)[:n] for run in runs])
    (drawn,) = axes.plot(list(x)[:n], np.median(values, axis=0), label=label, **line)
    low, high = values.min(axis=0), values.max(axis=0)
    axes.fill_between(list(x)[:n], low, high, color=drawn.get_color(), alpha=0.25, lw=0)
    return drawn


def _show_all(file: Path) -> None:
    """Show the figures of a script in windows, or save them beside it if there is no display."""
    if hasattr(sys, "last_value"):  # it broke
        return
    if plt.get_backend().lower() in backend_registry.list_builtin(BackendFilter.INTERACTIVE):
        plt.show()
    else:
        for number in plt.get_fignums():
            path = file.with_name(f"{file.stem}_{number}.png")
            plt.figure(number).savefig(path, dpi=200, facecolor="white")
            print(f"figure {number}: {os.path.relpath(path)}")
    print(f"The text around it: page {file.stem} of the book, which `make html` builds.")


if script():
    atexit.register(_show_all, script())
