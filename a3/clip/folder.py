"""A folder of images, read with care, and its features, kept by the content of each file."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from a3.clip.model import Clip
from a3.lab.environment import cache_folder
from a3.lab.saved_runs import CheckpointError, kept, save

__all__ = ["Folder", "encode_folder", "find_images", "open_image"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Files that count as images."""
LEAST_SIDE, GREATEST_SIDE = 8, 16_384  # pixels
GREATEST_AREA = 100_000_000  # pixels: 300 MB in memory
GREATEST_FILE = 200_000_000  # bytes
_FORMATS = ("PNG", "JPEG", "WEBP")
_BATCH = 32
_READING = "2"  # changed when files are read otherwise, so that features kept before are not served


class Folder(NamedTuple):
    """What was read of a folder: paths of n images, and their features, (n, d), of length 1.

    ``refused`` says which files are no use, and why.
    """

    paths: list[Path]
    features: Tensor
    refused: dict[Path, str]


def find_images(folder: str | Path) -> list[Path]:
    """PNG, JPEG and WebP files of a folder and the folders in it, by name.

    Raises
    ------
    ValueError
        If there is no such folder, or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise ValueError(f"{folder} has no image: no file ends in {', '.join(SUFFIXES)}")
    return paths


def open_image(content: bytes) -> Image.Image:
    """The image in the bytes of a file, upright, decoded whole.

    Raises
    ------
    ValueError
        If it is no PNG, JPEG or WebP image, is cut off, or has too few or too many pixels; the
        size is read before anything is decoded.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of bombs; the limits here are lower
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise ValueError(f"it has more than {GREATEST_AREA:,} pixels") from None  # Pillow's limit
    except Exception as error:  # a file that is something else makes Pillow raise many kinds
        raise ValueError("it is not a PNG, JPEG or WebP image") from error
    width, height = image.size
    if min(width, height) < LEAST_SIDE:
        raise ValueError(f"it is {width} x {height} pixels: fewer than {LEAST_SIDE} a side")
    if max(width, height) > GREATEST_SIDE or width * height > GREATEST_AREA:
        raise ValueError(
            f"it is {width:,} x {height:,} pixels: more than {GREATEST_SIDE:,} a side or "
            f"{GREATEST_AREA:,} in all"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # of what it corrects in damaged metadata
            image.load()
            return _of_8_bits(ImageOps.exif_transpose(image))
    except Exception as error:
        raise ValueError("it is cut off or damaged") from error


def _of_8_bits(image: Image.Image) -> Image.Image:
    """Greys of 16 bits in 8; Pillow itself makes all that is above 255 white."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image)
    grey = Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8))
    if (hidden := image.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
    return grey


def encode_folder(clip: Clip, paths: Sequence[Path], *, progress: bool = True) -> Folder:
    """Features of images; those of a file seen before, under any name, are not computed again.

    A file that cannot be used is named in the result; the others are there. ``progress`` draws a
    bar.

    Raises
    ------
    ValueError
        If none can be used.

    Warns
    -----
    RuntimeWarning
        If the kept features are damaged (they are made again) or cannot be written.
    """
    file = cache_folder() / f"images-{_fingerprint(clip)}.pt"
    known = kept(file) or {}
    before, refused = len(known), {}
    digests: dict[Path, str] = {}
    waiting: dict[str, Image.Image] = {}
    hidden = {} if progress else {"disable": True}  # else as TQDM_DISABLE says
    try:
        for path in tqdm(paths, "images", leave=False, **hidden):
            try:
                content = _read(path)
                digest = hashlib.sha256(content).hexdigest()
                if digest not in known and digest not in waiting:
                    # at the size that it is shown to the model, to hold many at a time
                    waiting[digest] = _smaller(open_image(content), clip.image_size)
            except (OSError, ValueError) as error:
                refused[path] = str(error)
                continue
            digests[path] = digest
            if len(waiting) == _BATCH:
                known |= _encoded(clip, waiting)
                waiting.clear()
        known |= _encoded(clip, waiting)
    finally:
        if len(known) > before:  # when interrupted, too
            try:
                save(known, file)
            except CheckpointError as error:
                warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    if not digests:
        reasons = "; ".join(f"{path.name}: {reason}" for path, reason in refused.items())
        raise ValueError(f"none of {len(paths)} images can be used: {reasons}")
    return Folder([*digests], torch.stack([known[d] for d in digests.values()]), refused)


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > GREATEST_FILE:
        raise ValueError(f"it has {size:,} bytes: more than {GREATEST_FILE:,}")
    return path.read_bytes()


def _smaller(image: Image.Image, side: int) -> Image.Image:
    """An image of which many can wait in memory: its shorter side at most four times ``side``."""
    factor = min(image.size) // (4 * side)
    return image.reduce(factor) if factor > 1 and image.mode in ("RGB", "RGBA", "L") else image


def _encoded(clip: Clip, images: dict[str, Image.Image]) -> dict[str, Tensor]:
    if not images:
        return {}
    features = clip.encode_image([*images.values()])
    return dict(zip(images, features.unbind(), strict=True))


def _fingerprint(clip: Clip) -> str:
    """A digest of how files are read, and of the model's name and the first few of each weight."""
    digest = hashlib.sha256(f"{_READING} {clip.name}".encode())
    for weight in clip.model.visual.state_dict().values():
        digest.update(weight.flatten()[:16].contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
