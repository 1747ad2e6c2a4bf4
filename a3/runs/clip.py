"""The small CLIPs of the book: trained, trained with one thing changed, and ready for use."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from PIL import Image
from torch import Tensor

from a3.clip.drawings import trimmed
from a3.clip.model import Clip, pretrained_clip
from a3.clip.small import SmallClip, build
from a3.clip.tokens import Vocabulary
from a3.clip.training import train_small_clip
from a3.lab.environment import profile
from a3.lab.sweeps import run_all

__all__ = [
    "ABLATIONS",
    "BASES",
    "SMALL",
    "as_clip",
    "load_model",
    "small_clip",
    "small_clip_runs",
    "small_clips",
]

SMALL = "small"
"""The name that :func:`load_model` knows the small CLIP by."""
_QUICK_STEPS = 20  # of training where A3_PROFILE asks for short runs
_SHORT = SmallClip(image_size=32, batch_size=48, steps=500)
BASES = {"main": SmallClip(), "short": _SHORT}
"""What is changed: the book's own run, and one that takes a small part of the time.

:meta hide-value:
"""
ABLATIONS = {
    "main: no augmentation": SmallClip(augmentation=None),
    "main: no noise on words": SmallClip(word_noise=0.0),
    "short: no augmentation": replace(_SHORT, augmentation=None),
    "short: no noise on words": replace(_SHORT, word_noise=0.0),
    "short: word vectors learned here": replace(_SHORT, word_vectors=False),
    "short: bare names as captions": replace(_SHORT, rich_captions=False),
    "short: scale fixed at 1": replace(_SHORT, scale=1.0, learn_scale=False),
    "short: batch of 16": replace(_SHORT, batch_size=16, steps=3 * _SHORT.steps),
    "short: CLIP's loss alone": replace(_SHORT, all_pairs=False),
}
"""Runs that differ in one thing from the base before the colon, and see as many images.

:meta hide-value:
"""


def load_model(name: str = "ViT-B-32", pretrained: str = "openai") -> Clip:
    """A pretrained CLIP from the cache or the hub; where there is neither, the small one.

    Parameters
    ----------
    name : str
        A model of open_clip, or ``"small"`` for the book's own.
    pretrained : str
        The tag of its weights.

    Returns
    -------
    Clip

    Raises
    ------
    ValueError
        If open_clip knows no such model or tag; the message names some that it does.

    Warns
    -----
    UserWarning
        If the weights are not there and the hub cannot be reached, or what it sent cannot be
        read: one line, which says what is used instead.
    """
    if name == SMALL:
        return small_clip()
    try:
        return pretrained_clip(name, pretrained)
    except ConnectionError as error:
        warnings.warn(
            f"{name} ({pretrained}) is not available: {error}. The small CLIP, trained on emoji, "
            "is used instead",
            stacklevel=2,
        )
        return small_clip()


def small_clip(seed: int = 0) -> Clip:
    """The book's own CLIP, trained on emoji the first time (a few minutes), then kept.

    Parameters
    ----------
    seed : int

    Returns
    -------
    Clip
    """
    return small_clips([SmallClip(seed=seed)])[0]


def small_clips(settings: Iterable[SmallClip], held_out: str = "test") -> list[Clip]:
    """Small CLIPs trained with each of the settings; see :func:`small_clip_runs`.

    Returns
    -------
    list of Clip
        In the order of ``settings``.
    """
    settings = [*settings]
    runs = small_clip_runs(settings, held_out)
    return [as_clip(each, run) for each, run in zip(settings, runs, strict=True)]


def small_clip_runs(settings: Iterable[SmallClip], held_out: str = "test") -> list[dict[str, Any]]:
    """Train a small CLIP with each of the settings, one a core; what was trained before is kept.

    With ``A3_PROFILE=quick`` each takes a few steps only.

    Parameters
    ----------
    settings : iterable of SmallClip
    held_out : {"test", "validation"}
        As for :func:`a3.clip.training.train_small_clip`.

    Returns
    -------
    list of dict
        What :func:`a3.clip.training.train_small_clip` returns, in the order of ``settings``.
    """
    if profile() == "quick":
        settings = [replace(each, steps=_QUICK_STEPS) for each in settings]
    return run_all(train_small_clip, [{"settings": s, "held_out": held_out} for s in settings])


def as_clip(settings: SmallClip, run: dict) -> Clip:
    """What :func:`a3.clip.training.train_small_clip` returned, ready for use."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    vocabulary = Vocabulary(run["tokens"], settings.context)
    model = build(settings, vocabulary).eval()
    model.load_state_dict(run["weights"])
    to_pixels = image_transform_v2(PreprocessCfg(size=settings.image_size), is_train=False)

    def preprocess(image: Image.Image) -> Tensor:
        return to_pixels(trimmed(image))

    name = f"small CLIP (seed {settings.seed})"
    return Clip(name, model, preprocess, vocabulary, settings.image_size, settings.context)
