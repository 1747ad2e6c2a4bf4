"""Rank a folder's images by a caption: the command ``python -m a3.clip``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from a3.clip.drawings import on_white
from a3.clip.folder import encode_folder, find_images, open_image
from a3.clip.model import Clip
from a3.clip.retrieval import top_k
from a3.lab.saved_runs import CheckpointError
from a3.runs.clip import SMALL, load_model

__all__ = ["contact_sheet", "main", "rank_images"]

_TILE, _LABEL = 160, 26  # pixels


def rank_images(
    clip: Clip, caption: str, folder: str | Path, *, progress: bool = True
) -> tuple[list[tuple[Path, float]], dict[Path, str]]:
    """All images of a folder, the most like the caption first.

    Returns
    -------
    ranking : list of (Path, float)
        Each image and its cosine similarity with the caption.
    refused : dict of Path to str
        Files that cannot be used, and why.

    Raises
    ------
    ValueError
        If the caption is empty, or there is no image that can be used.
    """
    query = clip.encode_text([caption])
    paths, features, refused = encode_folder(clip, find_images(folder), progress=progress)
    values, order = top_k((features @ query.T).squeeze(1), len(paths))
    ranking = [(paths[i], value) for i, value in zip(order.tolist(), values.tolist(), strict=True)]
    return ranking, refused


def contact_sheet(
    ranking: Sequence[tuple[Path, float]], file: str | Path, columns: int = 4
) -> None:
    """Draw ranked images in rows, each with its rank, similarity and name, as a PNG file.

    With nothing to show it is a ``ValueError``.
    """
    if not ranking:
        raise ValueError("expected images to show, got none")
    columns = min(columns, len(ranking))
    rows = -(-len(ranking) // columns)
    sheet = Image.new("RGB", (columns * _TILE, rows * (_TILE + _LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (path, value) in enumerate(ranking):
        x, y = i % columns * _TILE, i // columns * (_TILE + _LABEL)
        image = on_white(open_image(path.read_bytes()))
        tile = ImageOps.contain(image, (_TILE - 8, _TILE - 8))
        sheet.paste(tile, (x + (_TILE - tile.width) // 2, y + (_TILE - tile.height) // 2))
        draw.text((x + 4, y + _TILE), f"rank {i + 1}, {value:.3f}\n{path.name[:24]}", fill="black")
    sheet.save(file, "PNG")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. 2 says that nothing could be ranked; why is on standard error."""
    parser = argparse.ArgumentParser(prog="python -m a3.clip", description=__doc__)
    parser.add_argument("caption")
    parser.add_argument("--images", required=True, metavar="FOLDER")
    parser.add_argument("--model", default="ViT-B-32", help=f"of open_clip, or {SMALL}")
    parser.add_argument("--pretrained", default="openai", help="the tag of the model's weights")
    parser.add_argument("--top", type=int, default=12, help="images to show")
    parser.add_argument("--sheet", default="contact-sheet.png", metavar="FILE.png")
    options = parser.parse_args(arguments)
    if options.top < 1:
        parser.error(f"--top must be at least 1, got {options.top}")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: print(f"note: {message}", file=sys.stderr)
        try:
            find_images(options.images)  # before a model is loaded
            clip = load_model(options.model, options.pretrained)
            ranking, refused = rank_images(clip, options.caption, options.images)
            shown = ranking[: options.top]
            contact_sheet(shown, options.sheet)
        except (ValueError, OSError, CheckpointError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    for path, reason in refused.items():
        print(f"left out {path}: {reason}", file=sys.stderr)
    print(f"{len(ranking)} images by {clip.name}, the most like {options.caption!r} first:")
    for i, (path, value) in enumerate(shown, start=1):
        print(f"{i:4} {value:7.3f}  {path}")
    print(f"{options.sheet} shows them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
