"""Figures of CLIP: what a tower gets, similarities, and a classifier's best names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from a3.clip.model import Clip
from a3.clip.retrieval import top_k
from a3.lab import figures

__all__ = ["preprocessed", "similarity_matrix", "top_five"]


def preprocessed(image: Image.Image, pixels: Tensor, what: str) -> Figure:
    """An image of ``what``, and beside it the square of numbers that a tower gets, from 0 to 1.

    ``pixels``, (3, size, size), are what a :class:`a3.clip.model.Clip` makes of it.
    """
    square = ((pixels - pixels.amin()) / (pixels.amax() - pixels.amin())).permute(1, 2, 0)
    figure, axes = figures.subplots(
        1, 2, figsize=(7, 2.8), width_ratios=[1.5, 1],
        alt=f"""An image of {what}, and the square cut from its middle at the resolution that the
        model takes.""",
    )  # fmt: skip
    sides = f"{image.width} × {image.height} pixels", f"what the tower gets: {(*pixels.shape,)}"
    for ax, side, title in zip(axes, (image, square.numpy()), sides, strict=True):
        ax.imshow(side)
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(False)
    return figure


def similarity_matrix(similarity: Tensor, images: Sequence[Any], captions: Sequence[str]) -> Figure:
    """Images over the columns, captions beside the rows, a frame on each row's best.

    ``similarity``, (n, n), is of each caption with each image; images are as matplotlib shows them.
    """
    n, right = len(captions), int((similarity.argmax(1) == torch.arange(len(captions))).sum())
    figure, ax = figures.subplots(
        figsize=(8, 5.6),
        alt=f"""{n} captions by {n} images, with the cosine similarity in each square. In {right} of
        the rows the largest is on the diagonal, where caption and image belong together.""",
    )
    ax.imshow(similarity.numpy(), cmap="cividis", aspect="auto")
    middle = (similarity.min() + similarity.max()) / 2
    for row in range(n):
        best = int(similarity[row].argmax())
        frame = {"fill": False, "lw": 3, "ec": figures.COLORS[1]}
        ax.add_patch(Rectangle((best - 0.47, row - 0.47), 0.94, 0.94, **frame))
        for column, value in enumerate(similarity[row].tolist()):
            ink = "white" if value < middle else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink)
    for column, image in enumerate(images):
        inset = ax.inset_axes([(column + 0.04) / n, 1.01, 0.92 / n, 0.16])
        inset.imshow(image, cmap="gray")
        inset.axis("off")
    ax.set(yticks=range(n), yticklabels=captions, xticks=[])
    ax.grid(False)
    return figure


def top_five(
    clip: Clip,
    images: Sequence[Any] | Tensor,
    shown: Sequence[Any],
    weights: Tensor,
    classes: Sequence[str],
    truth: Sequence[str],
) -> tuple[Figure, Tensor]:
    """Eight images, each beside the probabilities of its five best classes; the right has a tick.

    ``images`` are as :meth:`a3.clip.model.Clip.encode_image` takes them, ``shown`` as matplotlib
    shows them; weights, (m, d), as :func:`a3.clip.contrastive.zero_shot_weights` makes them of the
    m classes. ``truth`` is the right class of each image.

    Returns
    -------
    Figure
    Tensor of int64, shape (8,)
        At which place from 0 the right class is; 5 where it is not among the five.
    """
    logits = clip.logit_scale * clip.encode_image(images) @ weights.T
    chances, found = top_k(logits.softmax(dim=1), 5)
    alt = "Eight images, each with bars of its five most probable class names."
    figure, axes = figures.subplots(4, 4, figsize=(8.4, 6), width_ratios=[1, 2, 1, 2], alt=alt)
    places = torch.full((8,), 5)
    for i, (ax, bars) in enumerate(axes.reshape(8, 2)):
        ax.imshow(shown[i], cmap="gray")
        ax.axis("off")
        for place, (p, k) in enumerate(zip(chances[i].tolist(), found[i].tolist(), strict=True)):
            right = classes[k] == truth[i]
            if right:
                places[i] = place
            bars.barh(place, p, color=figures.COLORS[right], alpha=0.5)
            label = f"{classes[k]} ✓" if right else classes[k]
            bars.text(0.02, place, label, va="center", size=8, clip_on=True)
        bars.set(yticks=[], xlim=(0, 1), xticks=[0, 0.5, 1])
        bars.invert_yaxis()
        bars.grid(False)
        bars.set_xlabel("probability" if i > 5 else "")
    return figure, places
