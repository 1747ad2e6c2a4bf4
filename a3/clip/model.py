"""CLIP, from the hub or trained by the book: one interface from "encode" on.

``python -m a3.clip.model "a yellow fish" --images FOLDER`` ranks the images of a folder.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from a3.clip.drawings import on_white, trimmed
from a3.clip.tokens import Vocabulary, check_captions
from a3.lab.environment import hub_reachable
from a3.clip.small import SmallClip, build
from a3.clip.training import train_small_clip
from a3.lab.environment import profile
from a3.lab.sweeps import run_all

__all__ = [
    "SMALL",
    "Clip",
    "as_clip",
    "load_model",
    "small_clip",
    "small_clip_runs",
    "small_clips",
]

SMALL = "small"
"""The name that :func:`load_model` knows the small CLIP by."""
_QUICK_STEPS = 20  # of training where A3_PROFILE asks for short runs


@dataclass(frozen=True)
class Clip:
    """A trained pair of towers. Whatever made it, it is used the same way.

    Attributes
    ----------
    name : str
        Such as ``"ViT-B-32 (openai)"``.
    model : nn.Module
        open_clip's, in evaluation mode.
    preprocess : callable
        From an RGB image to a Tensor of shape (3, size, size).
    tokenize : callable
        From captions to rows of token numbers; it refuses or warns, see :meth:`encode_text`.
    image_size : int
        Pixels a side.
    context : int
        Tokens of a caption, start and end included.
    """

    name: str
    model: nn.Module
    preprocess: Callable[[Image.Image], Tensor]
    tokenize: Callable[[Sequence[str]], Tensor]
    image_size: int
    context: int

    @property
    def logit_scale(self) -> float:
        """What cosine similarities are multiplied by: the inverse of the temperature."""
        return self.model.logit_scale.exp().item()

    @torch.inference_mode()
    def encode_image(self, images: Sequence[Image.Image] | Tensor, batch_size: int = 64) -> Tensor:
        """Features of images, of length 1.

        Parameters
        ----------
        images : sequence of PIL images, or Tensor
            Images of any size, transparent parts taken as white; or uint8 RGB of shape
            (n, 3, h, w).
        batch_size : int
            Images that go through the tower at a time.

        Returns
        -------
        Tensor, shape (n, d)

        Raises
        ------
        ValueError
            If there is no image, or a tensor of another shape or type.
        """
        if not len(images):
            raise ValueError("expected at least one image, got none")
        if isinstance(images, Tensor) and (
            images.dtype != torch.uint8 or images.shape[1:2] != (3,)
        ):
            raise ValueError(
                f"expected uint8 images of shape (n, 3, h, w), got {images.dtype} of shape "
                f"{(*images.shape,)}"
            )
        batches = (images[i : i + batch_size] for i in range(0, len(images), batch_size))
        return torch.cat([self._encode(self._pixels(batch)) for batch in batches])

    @torch.inference_mode()
    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """Features of captions, of length 1.

        Parameters
        ----------
        captions : sequence of str

        Returns
        -------
        Tensor, shape (n, d)

        Raises
        ------
        ValueError
            If a caption is empty, or the small CLIP knows none of its words.

        Warns
        -----
        UserWarning
            If a caption is longer than the context (its end is cut), or has words that the small
            CLIP does not know (they are left out).
        """
        return F.normalize(self.model.encode_text(self.tokenize(captions)), dim=1)

    def _pixels(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """One batch as the tower takes it."""
        if isinstance(images, Tensor):
            images = [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in images]
        pixels = torch.stack([self.preprocess(on_white(image)) for image in images])
        return pixels.contiguous(memory_format=torch.channels_last)

    def _encode(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.model.encode_image(pixels), dim=1)


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
    tag = _known(name, pretrained)
    try:
        if not (_cached(tag) or hub_reachable()):
            raise ConnectionError("the hub cannot be reached and the weights are not in its cache")
        with _quiet():
            return _pretrained(name, pretrained, tag.get("quick_gelu", False))
    except Exception as error:  # a download cut short makes its readers raise many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        warnings.warn(
            f"{name} ({pretrained}) is not available: {reason}. The small CLIP, trained on emoji, "
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


def _known(name: str, pretrained: str) -> dict:
    """open_clip's entry for these weights; it gives one error for a bad tag and for no network."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    models = sorted({model for model, _ in open_clip.list_pretrained()})
    if name not in models:
        near = get_close_matches(name, models, cutoff=0.3) or models[:5]
        raise ValueError(f"open_clip has no pretrained model {name!r}; near it are {near}")
    entry = get_pretrained_cfg(name, pretrained)
    if not entry:
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise ValueError(f"{name} has no weights {pretrained!r}; there are {tags}")
    return entry


def _cached(entry: dict) -> bool:
    """Whether these weights are in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    repository, file = os.path.split(entry.get("hf_hub", ""))
    files = [file] if file else [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
    return bool(repository) and any(
        isinstance(try_to_load_from_cache(repository, file), str) for file in files
    )


def _pretrained(name: str, pretrained: str, quick_gelu: bool) -> Clip:
    import open_clip

    model, preprocess = open_clip.create_model_from_pretrained(
        name, pretrained, force_quick_gelu=quick_gelu
    )
    model = model.eval().to(memory_format=torch.channels_last)
    context = model.context_length
    tokenizer = open_clip.get_tokenizer(name)

    def tokenize(captions: Sequence[str]) -> Tensor:
        check_captions(captions)
        long = [c for c in captions if len(tokenizer.encode(c)) > context - 2]
        if long:
            warnings.warn(f"cut after {context - 2} tokens: {long}", stacklevel=4)
        return tokenizer([*captions])

    size = model.visual.image_size
    size = size if isinstance(size, int) else size[0]
    return Clip(f"{name} ({pretrained})", model, preprocess, tokenize, size, context)


@contextmanager
def _quiet():
    """Without the log that open_clip writes of what :func:`load_model` says in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


if __name__ == "__main__":
    from a3.clip.__main__ import main

    sys.exit(main())
