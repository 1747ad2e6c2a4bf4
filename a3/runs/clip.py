"""The small CLIPs of the book: trained, trained with one thing changed, and ready for use."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from PIL import Image
from torch import Tensor

from a3.clip.drawings import trimmed
from a3.clip.model import Clip, pretrained_clip
from a3.clip.small import SmallClip, build
from a3.clip.tokens import Vocabulary
from a3.clip.training import train_small_clip
from a3.lab.environment import profile
from a3.lab.experiments import Experiment
from a3.lab.sweeps import run_all

__all__ = [
    "ABLATIONS", "BASES", "EXPERIMENTS", "SMALL", "as_clip", "load_model", "small_clip",
    "small_clips",
]  # fmt: skip

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

    ``"small"`` names the book's own; others as for :func:`a3.clip.model.pretrained_clip`.

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
    """The book's own CLIP, trained on emoji the first time (a few minutes), then kept."""
    settings = SmallClip(seed=seed)
    changes = {} if profile() == "full" else {"steps": _QUICK_STEPS}
    (run,) = run_all(train_small_clip, _runs([settings], **changes))
    return as_clip(settings, run)


def small_clips() -> list[Clip]:
    """The small CLIP of each of three seeds."""
    experiment = EXPERIMENTS["small CLIP"]
    return [
        as_clip(each["settings"], run)
        for each, run in zip(experiment.settings, experiment.results(), strict=True)
    ]


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


def _runs(settings: Iterable[SmallClip], **changes: Any) -> list[dict[str, Any]]:
    return [{"settings": replace(each, **changes), "held_out": "test"} for each in settings]


def _seconds(run: dict[str, Any]) -> float:
    settings = run["settings"]
    return settings.steps * 1e-6 * settings.batch_size * settings.image_size**2


def _experiment(pages: str, settings: Iterable[SmallClip]) -> Experiment:
    names = tuple(f"tutorials/clip/{page}" for page in pages.split())
    full, quick = partial(_runs, settings), partial(_runs, settings, steps=_QUICK_STEPS)
    return Experiment(names, train_small_clip, full, quick, _seconds)


EXPERIMENTS = {
    "small CLIP": _experiment(
        "small_clip unseen_drawings zero_shot hunt hunt_odds recipe",
        [SmallClip(seed=seed) for seed in range(3)],
    ),
    "ablations of the small CLIP": _experiment("recipe", [*ABLATIONS.values(), *BASES.values()]),
}
"""The small CLIPs of the book.

:meta hide-value:
"""
