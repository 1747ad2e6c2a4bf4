"""CLIP, whatever made it: one interface from "encode" on, and the pretrained ones of open_clip."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from a3.clip.drawings import on_white
from a3.clip.tokens import check_captions
from a3.lab.environment import hub_reachable

__all__ = ["Clip", "pretrained_clip"]


@dataclass(frozen=True)
class Clip:
    """A trained pair of towers. Whatever made it, it is used the same way."""

    name: str  # such as "ViT-B-32 (openai)"
    model: nn.Module  # open_clip's, in evaluation mode
    preprocess: Callable[[Image.Image], Tensor]  # an RGB image to (3, size, size)
    tokenize: Callable[[Sequence[str]], Tensor]  # to numbers; refuses or warns as encode_text does
    image_size: int  # pixels a side
    context: int  # tokens of a caption, start and end included

    @property
    def logit_scale(self) -> float:
        """What cosine similarities are multiplied by: the inverse of the temperature."""
        return self.model.logit_scale.exp().item()

    @torch.inference_mode()
    def encode_image(self, images: Sequence[Image.Image] | Tensor, batch_size: int = 64) -> Tensor:
        """Features of images, of length 1: (n, d); ``batch_size`` go through the tower at a time.

        They are PIL images of any size, transparent parts taken as white, or a Tensor of uint8 RGB,
        shape (n, 3, h, w).

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
        """Features of captions, of length 1: (n, d).

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


def pretrained_clip(name: str, pretrained: str) -> Clip:
    """A model of open_clip with the weights of a tag, from the hub's cache or the hub.

    Raises
    ------
    ValueError
        If open_clip knows no such model or tag; the message names some that it does.
    ConnectionError
        If the weights are not there: the hub cannot be reached, or what it sent cannot be read.
    """
    entry = _known(name, pretrained)
    if not (_cached(entry) or hub_reachable()):
        raise ConnectionError("the hub cannot be reached and the weights are not in its cache")
    try:
        with _quiet():
            return _pretrained(name, pretrained, entry.get("quick_gelu", False))
    except Exception as error:  # a download cut short makes its readers raise many kinds
        raise ConnectionError((str(error).splitlines() or [type(error).__name__])[0]) from error


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
    """Without the log that open_clip writes of what :func:`pretrained_clip` raises in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
