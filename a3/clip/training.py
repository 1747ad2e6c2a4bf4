"""Training a small CLIP on emoji, in minutes on one core."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a3.bert.schedule import warm_up_then_decay
from a3.clip.contrastive import contrastive_loss, supervised_contrastive_loss
from a3.clip.drawings import augment, trimmed_to
from a3.clip.emoji import Emoji, caption_parts, draw_caption, load_emoji
from a3.clip.emoji_split import split, validation_split
from a3.clip.small import (
    EMBEDDING_STD,
    SmallClip,
    build,
    encode_image,
    encode_text,
    give_word_vectors,
    normalised,
)
from a3.clip.tokens import Vocabulary
from a3.lab.saved_runs import SavedRun, restore, state_of

__all__ = ["parameter_groups", "train_small_clip"]

_OUTLINED = 2  # the place of the first artist's images with outlines, after the two artists


def train_small_clip(
    settings: SmallClip, held_out: str = "test", checkpoint: Path | None = None
) -> dict[str, Any]:
    r"""Train a small CLIP on the emoji that a split leaves to learn from.

    A step takes images of both artists for each of its concepts, or two random copies of one image
    where only one hand may be seen, and two captions, the second with noise on its words' vectors.
    Each of these four picks the other three among all of the batch: equation
    :eq:`small-clip-loss` of the book. Without ``all_pairs`` the loss is CLIP's,
    :func:`a3.clip.contrastive.contrastive_loss`, of an image and a caption each, averaged.

    ``held_out`` is "test", what :func:`a3.clip.emoji_split.split` leaves out, or "validation",
    more, to choose settings by. The checkpoint is written as training goes on, which begins from
    it if it exists.

    Returns
    -------
    dict
        ``weights`` of the model, ``tokens`` of its vocabulary, ``loss`` and ``scale`` of each
        step, and ``seconds`` spent.

    Raises
    ------
    ValueError
        If there is no such split.
    FloatingPointError
        If the loss stops being finite.
    CheckpointError
        If the checkpoint cannot be written or read, or is of other settings.
    """
    splits = {"test": split, "validation": validation_split}
    if held_out not in splits:
        raise ValueError(f"held_out must be 'test' or 'validation', got {held_out!r}")
    emoji = load_emoji(progress=False)
    run = _Run(settings, emoji, splits[held_out](emoji).seen)
    saved = SavedRun(checkpoint, [repr(settings), held_out])
    if state := saved.read():
        run.restore(state)
    while len(run.losses) < settings.steps:
        run.step()
        if not math.isfinite(run.losses[-1]):
            raise FloatingPointError(
                f"the loss is {run.losses[-1]} after {len(run.losses)} steps; lower the learning "
                f"rate, now {settings.learning_rate:g}"
            )
        saved.write_at_times(run.state)
    return {
        "weights": run.model.state_dict(),
        "tokens": run.vocabulary.tokens,
        "loss": run.losses,
        "scale": run.scales,
        "seconds": time.perf_counter() - run.started,
    }


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and filters; none for biases, norms, embeddings and the scale."""
    groups: dict[bool, list[Tensor]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[parameter.dim() > 1 and "embedding" not in name].append(parameter)
    return [
        {"params": groups[True], "weight_decay": weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]


class _Run:
    """A model in training: its data, what it has drawn, and what it has reached."""

    def __init__(self, settings: SmallClip, emoji: Emoji, seen: Tensor):
        self.settings = settings
        rows = seen.any(dim=1).nonzero().flatten()  # concepts to learn from
        self.seen = seen[rows]
        images = torch.cat([emoji.images, emoji.outlined[:, None]], dim=1)[rows]
        size = images.shape[-1]
        self.images = trimmed_to(size, images.flatten(0, 1)).unflatten(0, (-1, 3))
        self.concepts = [emoji.concepts[i] for i in rows.tolist()]
        words = emoji.concepts if settings.word_vectors else self.concepts
        self.vocabulary = Vocabulary.of(caption_parts(words), settings.context)
        self.model = build(settings, self.vocabulary).train()
        if settings.word_vectors:
            give_word_vectors(self.model, self.vocabulary)
        self.model.token_embedding.register_forward_hook(self.with_noise)
        groups = parameter_groups(self.model, settings.weight_decay)
        self.optimizer = torch.optim.AdamW(
            groups, settings.learning_rate, betas=(0.9, 0.98), fused=True
        )
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.losses: list[float] = []
        self.scales: list[float] = []
        self.started = time.perf_counter()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Two images of each of n concepts, (2n, 3, h, w), and two captions, (2n, context)."""
        settings, draw = self.settings, self.generator
        rows = torch.randperm(len(self.concepts), generator=draw)[: settings.batch_size]
        both = self.seen[rows].all(dim=1)
        drawn = torch.randint(2, (len(rows),), generator=draw)
        one = torch.where(both, drawn, self.seen[rows].int().argmax(dim=1))
        other = torch.where(both, 1 - one, one)
        hands = torch.cat([one, other])
        lines = torch.rand(len(hands), generator=draw) < settings.outlined
        hands = torch.where((hands == 0) & lines, _OUTLINED, hands)
        images = self.images[rows.repeat(2), hands].float() / 255
        size = settings.image_size
        if settings.augmentation is not None:
            images = augment(images, draw, settings.augmentation, size)
        elif images.shape[2] != size:
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        concepts = 2 * [self.concepts[row] for row in rows.tolist()]
        rich = settings.rich_captions
        captions = [draw_caption(c, draw) if rich else c.name for c in concepts]
        return normalised(images), self.vocabulary(captions, quiet=True)

    def with_noise(self, embedding: nn.Module, tokens: tuple, vectors: Tensor) -> Tensor:
        """Vectors of captions, (2n, context, width), the latter half with noise.

        It is as strong in a caption as is drawn for that caption.
        """
        first, second = vectors.chunk(2)
        most = self.settings.word_noise * EMBEDDING_STD
        strength = most * torch.rand(len(second), 1, 1, generator=self.generator)
        noise = torch.randn(second.shape, generator=self.generator)
        return torch.cat([first, second + strength * noise])

    def loss(self, images: Tensor, captions: Tensor) -> Tensor:
        """Of a batch: all that belongs to a concept picks the rest of it."""
        scale = self.model.logit_scale.exp()
        images, captions = encode_image(self.model, images), encode_text(self.model, captions)
        if self.settings.all_pairs:
            concepts = torch.arange(len(images) // 2).repeat(4)
            return supervised_contrastive_loss(torch.cat([images, captions]), concepts, scale)
        pairs = zip(images.chunk(2), captions.chunk(2), strict=True)
        return sum(contrastive_loss(*pair, scale) for pair in pairs) / 2

    def step(self) -> None:
        """One step of AdamW."""
        settings, done = self.settings, len(self.losses) + 0.5
        rising = settings.warm_up * settings.steps
        factor = warm_up_then_decay(done, settings.steps, rising, cosine=True)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor
        loss = self.loss(*self.batch())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(settings.highest_scale))
        self.losses.append(loss.item())
        self.scales.append(self.model.logit_scale.exp().item())

    def parts(self) -> dict[str, Any]:
        """What changes as it goes on and can restore itself."""
        return {"model": self.model, "optimizer": self.optimizer, "generator": self.generator}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return state_of(**self.parts()) | {
            "losses": self.losses,
            "scales": self.scales,
            "seconds": time.perf_counter() - self.started,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        restore(state, **self.parts())
        self.losses, self.scales = state["losses"], state["scales"]
        self.started = time.perf_counter() - state["seconds"]
