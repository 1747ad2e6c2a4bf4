"""Figures of scaling fits: profiles at each budget, best sizes against compute, residuals."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from a3.lab import figures
from a3.scaling.allocation import compute_optimal
from a3.scaling.isoflop import IsoFLOPFit
from a3.scaling.parametric import ParametricFit

__all__ = ["drawings", "isoflop_profiles", "optimal_lines", "predicted_losses", "write"]


def isoflop_profiles(fit: IsoFLOPFit) -> Figure:
    """Losses against size, a parabola a budget, with a star at each optimum.

    Budgets that the fit left out have hollow points and no star.
    """
    table = fit.budgets
    known = table["params"].notna()
    figure, ax = figures.subplots(
        figsize=(7, 4),
        alt=f"""Loss against number of parameters, log scale, at {len(table)} compute budgets from
        {table["flops"].min():.2g} to {table["flops"].max():.2g} FLOPs. A parabola goes through the
        runs of each; stars mark the {known.sum()} lowest points that lie within the sizes tried,
        from {table["params"].min():.2g} to {table["params"].max():.2g} parameters.""",
    )
    shades, ends = np.linspace(0.3, 1, len(table)), {}
    for i, row in table.iterrows():
        runs = fit.runs[fit.runs["budget"] == i]
        face = figures.COLORS[0] if known[i] else "none"
        ax.plot(
            runs["params"], runs["loss"], "o", ms=4, mec=figures.COLORS[0], mfc=face,
            alpha=shades[i],
        )  # fmt: skip
        if np.isfinite(fit.parabolas[i]).all():
            x = np.linspace(*np.log([runs["params"].min(), runs["params"].max()]), 100)
            y = np.vander(x, 3, increasing=True) @ fit.parabolas[i]
            ax.plot(np.exp(x), y, color=figures.COLORS[0], alpha=shades[i])
            ends[f"{row['flops']:.2g}"] = np.exp(x[-1]), y[-1]
    ax.plot(table["params"], table["loss"], "*", ms=11, color=figures.COLORS[1], label="optimum")
    ax.set(xscale="log", xlabel="parameters", ylabel="loss")
    for label in _apart(ax, ends):
        ax.annotate(label, ends[label], (5, 0), size=8, va="center", textcoords="offset points")
    ax.legend(title="FLOPs at the curves' ends", title_fontsize="small")
    return figure


def _apart(ax: Axes, ends: dict[str, tuple[float, float]]) -> list[str]:
    """Labels, the outermost first, that do not lie upon each other beside their places."""
    ax.autoscale_view()
    points = 72 / ax.figure.dpi
    places = {label: points * ax.transData.transform(at) for label, at in ends.items()}
    chosen = []
    for label in sorted(ends, key=lambda each: each not in (*ends,)[:: max(len(ends) - 1, 1)]):
        room = (abs(places[label] - places[other]) for other in chosen)
        if all(across > 40 or down > 9 for across, down in room):
            chosen.append(label)
    return chosen


def optimal_lines(fit: IsoFLOPFit | ParametricFit) -> Figure:
    """Best size and best number of tokens against compute, with bands.

    An IsoFLOP fit's optima are drawn with their intervals.
    """
    isoflop = isinstance(fit, IsoFLOPFit)
    seen = fit.budgets["flops"] if isoflop else 6 * fit.runs["params"] * fit.runs["tokens"]
    C = np.geomspace(seen.min(), seen.max(), 60)
    best = compute_optimal(fit, C)
    figure, axes = figures.subplots(
        1, 2, figsize=(8, 3.6),
        alt=f"""Log-log lines against compute, from {C[0]:.2g} to {C[-1]:.2g} FLOPs. Left: the best
        number of parameters grows as compute to the power {fit.a:.2f}. Right: the best number of
        tokens grows as compute to the power {fit.b:.2f}. Bands are {fit.level:.0%} intervals.""",
    )  # fmt: skip
    for ax, name, letter, power in zip(axes, ("params", "tokens"), "ND", "ab", strict=True):
        low, high = best.intervals[name]
        exponent = getattr(fit, power)
        label = f"${letter}^* \\propto C^{{{exponent:.2f}}}$"
        ax.plot(C, getattr(best, name), label=label)
        ax.fill_between(C, low, high, alpha=0.25, lw=0, color=figures.COLORS[0])
        if isoflop:
            rows = fit.budgets[fit.budgets["params"].notna()]
            ends = [rows[name] - rows[f"{name}_low"], rows[f"{name}_high"] - rows[name]]
            ax.errorbar(
                rows["flops"], rows[name], np.clip(ends, 0, None), fmt="o", ms=4,
                color=figures.COLORS[1], label="optimum of a budget",
            )  # fmt: skip
        words = {"params": "parameters", "tokens": "tokens"}[name]
        ax.set(xscale="log", yscale="log", xlabel="compute (FLOPs)", ylabel=f"best {words}")
        ax.legend()
    return figure


def predicted_losses(fit: ParametricFit) -> Figure:
    """The losses of the runs against those of the fitted law, and what is left over by compute."""
    runs = fit.runs
    predicted = fit.predict(runs["params"], runs["tokens"])
    figure, (left, right) = figures.subplots(
        1, 2, figsize=(8, 3.6),
        alt=f"""Left: losses of {len(runs)} runs against those of the fitted law, about the
        diagonal. Right: the residuals of the log loss against compute; their root mean square is
        {fit.rms:.2g}.""",
    )  # fmt: skip
    ends = [predicted.min(), predicted.max()]
    left.plot(ends, ends, color="#888888")
    left.plot(predicted, runs["loss"], "o", ms=4, color=figures.COLORS[0])
    left.set(xlabel="loss of the law", ylabel="loss of the run")
    right.axhline(0, color="#888888")
    compute = 6 * runs["params"] * runs["tokens"]
    right.plot(compute, -runs["residual"], "o", ms=4, color=figures.COLORS[0])
    right.set(xscale="log", xlabel="6 N D (FLOPs)", ylabel="log loss, run minus law")
    return figure


def drawings(
    fit: IsoFLOPFit | ParametricFit,
) -> dict[str, Callable[[IsoFLOPFit | ParametricFit], Figure]]:
    """The figures that a fit has, by the names of their files."""
    if not isinstance(fit, IsoFLOPFit):
        return {"parametric_fit": predicted_losses, "parametric_lines": optimal_lines}
    if fit.corrected:
        return {"corrected_lines": optimal_lines}
    return {"isoflop_profiles": isoflop_profiles, "isoflop_lines": optimal_lines}


def write(fits: Iterable[IsoFLOPFit | ParametricFit], folder: str | Path) -> list[Path]:
    """Draw fits and save their figures as PNG for light pages; no file is ever half written.

    ``isoflop_profiles.png`` and ``isoflop_lines.png``, ``corrected_lines.png``,
    ``parametric_fit.png`` and ``parametric_lines.png``, in a folder that is made if there is none.
    """
    folder, paths = Path(folder), []
    for fit in fits:
        for name, draw in drawings(fit).items():
            figure, path = draw(fit), folder / f"{name}.png"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}") as temporary:
                    part = Path(temporary) / path.name
                    figures.save(figure, part)
                    os.replace(part, path)
            finally:
                plt.close(figure)
            paths.append(path)
    return paths
