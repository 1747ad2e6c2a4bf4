"""Figures of trained translators: loss curves and attention maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from a3.lab.figures import band, subplots
from a3.translation.training import History

__all__ = ["attention_maps", "loss_curves"]


def loss_curves(panels: dict[str, dict[str, Sequence[History]]], *, alt: str) -> Figure:
    """Training loss by iteration and validation loss by epoch, several seeds a line.

    Training losses are averaged over each epoch. ``panels`` maps the title of each row to its
    lines: label to histories, one a seed. ``alt`` says what the figure shows.
    """
    figure, axes = subplots(
        len(panels), 2, squeeze=False, figsize=(8, 2.7 * len(panels)), sharey="row", alt=alt
    )
    for (title, lines), (left, right) in zip(panels.items(), axes, strict=True):
        styles = cycle(("-", "--", "-.", ":"))
        for (label, histories), style in zip(lines.items(), styles, strict=False):
            by_epoch = [np.split(h.train_loss, h.iterations[:-1]) for h in histories]
            training = [[float(losses.mean()) for losses in epochs] for epochs in by_epoch]
            band(left, histories[0].iterations, training, label, ls=style)
            epochs = range(1, max(h.epochs for h in histories) + 1)
            band(right, epochs, [h.valid_loss for h in histories], label, ls=style)
        left.set(title=f"{title}: training", xlabel="iteration", ylabel="loss (nats per token)")
        right.set(title=f"{title}: validation", xlabel="epoch")
        left.set_yscale("log")
        right.legend()
    return figure


def attention_maps(
    maps: Sequence[Tensor],
    rows: Sequence[str],
    columns: Sequence[str],
    titles: Sequence[str],
    *,
    alt: str,
) -> Figure:
    """Attention weights as squares from dark to bright, with the letters on both axes.

    Maps are weights of one word, (k, T), a panel each, with its title; the k rows are what looks,
    the T columns what is looked at, and ``alt`` says what the figure shows.

    Raises
    ------
    ValueError
        If the letters are not as many as the weights.
    """
    maps = [weights.detach().cpu().numpy() for weights in maps]
    for weights in maps:
        if weights.shape != (len(rows), len(columns)):
            raise ValueError(
                f"weights of shape {weights.shape} need as many letters, got {len(rows)} rows "
                f"and {len(columns)} columns"
            )
    width = min(2.6, 8 / len(maps))
    figure, axes = subplots(
        1, len(maps), squeeze=False, sharey=True, alt=alt,
        figsize=(width * len(maps) + 0.9, width * len(rows) / len(columns) + 0.7),
    )  # fmt: skip
    for ax, weights, title in zip(axes[0], maps, titles, strict=True):
        image = ax.imshow(weights, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        ax.set(title=title, xticks=range(len(columns)), yticks=range(len(rows)))
        ax.set_xticklabels(columns, family="monospace")
        ax.set_yticklabels(rows, family="monospace")
        ax.grid(False)
    figure.colorbar(image, ax=axes, label="attention weight", shrink=0.9)
    return figure
