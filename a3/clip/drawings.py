"""Drawings: cut out of their white, and random copies of a whole batch at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Augmentation", "augment", "on_white", "trimmed", "trimmed_to"]

_NEARLY_WHITE = 248  # of 255, in every channel
_MARGIN = 1 / 30  # of the side


@dataclass(frozen=True)
class Augmentation:
    """How far random copies may be from the drawing. White stays white."""

    rotation: float = 15.0  # degrees, either way
    scale: tuple[float, float] = (0.75, 1.15)  # of width and height, each by itself
    shear: float = 0.15  # either way
    shift: float = 0.1  # of the side, either way
    strength: float = 0.3  # factor on the ink, what white lacks, is 1 plus or minus this
    saturation: float = 0.5  # factor on its distance to grey is 1 plus or minus this
    hue: float = 20.0  # degrees on the wheel of colours, either way
    grey: float = 0.1  # share of the copies that lose their colours
    mirrored: float = 0.5  # share of the copies that have left and right exchanged
    outline: float = 6.0  # factor on the ink added at edges, at most; half of the copies have none


def augment(
    images: Tensor,
    generator: torch.Generator,
    augmentation: Augmentation | None = None,
    size: int | None = None,
) -> Tensor:
    """Each image turned, stretched, mirrored, shifted, recoloured and outlined at random.

    Images are (n, 3, h, w), with values from 0 to 1; of the result ``size`` is the side, in pixels,
    if it is given. What comes in from outside is white.
    """
    a, n = augmentation or Augmentation(), len(images)
    height, width = (size, size) if size else images.shape[2:]
    draw = torch.rand(n, 13, generator=generator)
    u = (2 * draw - 1).T  # from -1 to 1

    angle = u[0] * math.radians(a.rotation)
    low, high = a.scale
    across, down = (1 / (low + (high - low) * draw[:, i]) for i in (1, 2))
    across = torch.where(draw[:, 11] < a.mirrored, -across, across)
    cos, sin = angle.cos(), angle.sin()
    rotate = torch.stack([cos, -sin, sin, cos], 1).view(n, 2, 2)
    one, zero = torch.ones(n), torch.zeros(n)
    shear = torch.stack([one, u[3] * a.shear, u[4] * a.shear, one], 1).view(n, 2, 2)
    stretch = torch.stack([across, zero, zero, down], 1).view(n, 2, 2)
    shift = torch.stack([u[5], u[6]], 1)[..., None] * 2 * a.shift  # in units of half the side
    theta = torch.cat([rotate @ shear @ stretch, shift], 2)  # (n, 2, 3)
    grid = F.affine_grid(theta, [n, 3, height, width], align_corners=False)
    ink = F.grid_sample(1 - images, grid, align_corners=False)  # none from outside

    saturation = torch.where(draw[:, 12] < a.grey, 0.0, 1 + a.saturation * u[8])
    colours = _colours(u[7] * math.radians(a.hue), saturation)
    colours = colours * (1 + a.strength * u[9])[:, None, None]
    ink = (colours @ ink.flatten(2)).view_as(ink)
    if a.outline:
        lined = u[10] > 0  # edges are looked for only where they are used
        drawn = ink[lined]
        edges = (drawn - _blurred(drawn)).abs_().mean(dim=1, keepdim=True)
        ink[lined] = drawn + a.outline * u[10, lined][:, None, None, None] * edges
    return 1 - ink.clamp_(0, 1)


def _blurred(ink: Tensor) -> Tensor:
    """Means over squares of 3 by 3, with none outside: ``avg_pool2d``, but faster."""
    rows = F.pad(ink, (1, 1, 1, 1))
    rows = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    return (rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :]) / 9


def _colours(angle: Tensor, saturation: Tensor) -> Tensor:
    """Matrices, (n, 3, 3), that turn colours about the axis of greys and stretch them from it."""
    grey = torch.full((3, 3), 1 / 3)
    axis = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    rest = torch.eye(3) - grey
    cos, sin = (f(angle)[:, None, None] for f in (torch.cos, torch.sin))
    return grey + saturation[:, None, None] * (cos * rest + sin * axis)


def on_white(image: Image.Image) -> Image.Image:
    """An image as RGB, what is transparent in it as white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def trimmed(image: Image.Image) -> Image.Image:
    """A drawing, RGB on white, as large as it can be: in the middle of a square, with a margin.

    An image that is not white all around, such as a photograph, stays as it is, and so does one
    that is white all over.
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
    """Drawings, uint8 (n, 3, h, w), each as :func:`trimmed` gives it, at one size in pixels."""
    resized = (
        trimmed(Image.fromarray(image.permute(1, 2, 0).numpy())).resize((size, size))
        for image in images
    )
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in resized])
