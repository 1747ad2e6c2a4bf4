"""What is around a drawing: transparency becomes white, and white is cut off."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

__all__ = ["on_white", "trimmed", "trimmed_to"]

_NEARLY_WHITE = 248  # of 255, in every channel
_MARGIN = 1 / 30  # of the side


def on_white(image: Image.Image) -> Image.Image:
    """An image as RGB, what is transparent in it as white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def trimmed(image: Image.Image) -> Image.Image:
    """A drawing on white as large as it can be: in the middle of a square, with a narrow margin.

    An image that is not white all around, such as a photograph, stays as it is, and so does one
    that is white all over.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.

    Returns
    -------
    PIL.Image.Image
    """
    drawn = (np.asarray(image) < _NEARLY_WHITE).any(axis=2)  # (h, w)
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return image
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    white_around = box[0] > 0 and box[1] > 0 and box[2] < image.width and box[3] < image.height
    if not white_around:
        return image
    side = max(box[2] - box[0], box[3] - box[1])
    square = ImageOps.pad(image.crop(box), (side, side), color="white")
    return ImageOps.expand(square, max(1, round(_MARGIN * side)), "white")


def trimmed_to(size: int, images: Tensor) -> Tensor:
    """Many drawings, each as :func:`trimmed` gives it, at one size.

    Parameters
    ----------
    size : int
        Pixels a side.
    images : Tensor, uint8, shape (n, 3, h, w)

    Returns
    -------
    Tensor, uint8, shape (n, 3, size, size)
    """
    resized = (
        trimmed(Image.fromarray(image.permute(1, 2, 0).numpy())).resize((size, size))
        for image in images
    )
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in resized])
