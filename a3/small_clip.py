"""A small CLIP, of open_clip's own class, trained on emoji in minutes on one core."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a3.backgrounds import trimmed_to
from a3.clip_tokens import Vocabulary
from a3.contrastive import contrastive_loss, supervised_contrastive_loss
from a3.emoji import Emoji, caption_parts, draw_caption, load_emoji
from a3.emoji_split import split, validation_split
from a3.image_augmentation import Augmentation, augment
from a3.training import CheckpointError, load, save
from a3.word_vectors import word_vectors

__all__ = ["ABLATIONS", "SHORT", "SmallClip", "build", "normalised", "train_small_clip"]

_SAVED_EVERY = 20  # seconds
_EMBEDDING_STD = 0.02  # that open_clip draws embeddings with
_OUTLINED = 2  # the place of the first artist's images with outlines, after the two artists


@dataclass(frozen=True)
class SmallClip:
    """The small CLIP and how it is trained.

    Raises
    ------
    ValueError
        If a value is outside the range given beside it.
    """

    image_size: int = 48  # pixels a side that the model sees; >= 32
    image_layers: tuple[int, ...] = (1, 1, 1, 1)  # blocks of each of the ResNet's four stages
    image_width: int = 16  # channels of its first stage; >= 2
    text_layers: int = 1
    text_width: int = 128
    text_heads: int = 4
    features: int = 128  # d, the dimension that images and captions share
    context: int = 24  # tokens of a caption, start and end included
    residual_gain: float = 0.5  # of each block's last norm at the start; open_clip's is 0
    steps: int = 2_150  # of the optimiser; >= 1
    batch_size: int = 64  # concepts a step, each with two images and two captions; >= 2
    learning_rate: float = 2e-3  # of AdamW, at its highest; > 0
    weight_decay: float = 0.2  # of matrices and filters
    warm_up: float = 0.05  # share of the steps
    all_pairs: bool = True  # two images of a concept pick each other, too, and two captions
    scale: float = 20.0  # logit scale at the start
    highest_scale: float = 100.0
    learn_scale: bool = True
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    outlined: float = 0.5  # share of the first artist's images that get the second's dark lines
    rich_captions: bool = True  # drawn from all names, else the one name
    word_vectors: bool = True  # tokens have a language model's vectors, fixed; else learned here
    word_noise: float = 1.2  # at most, on the second caption's vectors; of their spread; >= 0
    seed: int = 0  # of the weights, the batches, the captions and the augmentation

    def __post_init__(self):
        least = {"image_size": 32, "image_width": 2, "steps": 1, "batch_size": 2, "word_noise": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("learning_rate", "scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


SHORT = SmallClip(image_size=32, batch_size=48, steps=500)
"""A run that takes a fifth of the time, for comparisons.

:meta hide-value:
"""
ABLATIONS = {
    "no augmentation": SmallClip(augmentation=None),
    "no noise on words": SmallClip(word_noise=0.0),
    "word vectors learned here": replace(SHORT, word_vectors=False),
    "bare names as captions": replace(SHORT, rich_captions=False),
    "scale fixed at 1": replace(SHORT, scale=1.0, learn_scale=False),
    "batch of 16, as many images": replace(SHORT, batch_size=16, steps=3 * SHORT.steps),
    "CLIP's loss alone": replace(SHORT, all_pairs=False),
}
"""Runs that differ in one thing from :class:`SmallClip`'s defaults, or from :data:`SHORT`.

:meta hide-value:
"""


def train_small_clip(
    settings: SmallClip, held_out: str = "test", checkpoint: Path | None = None
) -> dict[str, Any]:
    r"""Train a small CLIP on the emoji that a split leaves to learn from.

    A step takes images of both artists for each of its concepts, or two random copies of one image
    where only one hand may be seen, and two captions, the second with noise on its words' vectors.
    Each of these four picks the other three among all of the batch:
    :func:`a3.contrastive.supervised_contrastive_loss`. Without ``all_pairs`` the loss is CLIP's,
    :func:`a3.contrastive.contrastive_loss`, of an image and a caption each, averaged.

    Parameters
    ----------
    settings : SmallClip
    held_out : {"test", "validation"}
        ``"test"`` leaves out what :func:`a3.emoji_split.split` does, ``"validation"`` more, to
        choose settings by.
    checkpoint : path-like, optional
        Written as training goes on. If it exists, training goes on from it.

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
    identity = [repr(settings), held_out]
    if checkpoint is not None and Path(checkpoint).exists():
        state = load(checkpoint)
        if state.get("run") != identity:
            raise CheckpointError(f"{checkpoint} belongs to another run: {state.get('run')}")
        run.restore(state)
    saved = time.perf_counter()
    while len(run.losses) < settings.steps:
        run.step()
        if not math.isfinite(run.losses[-1]):
            raise FloatingPointError(
                f"the loss is {run.losses[-1]} after {len(run.losses)} steps; lower the learning "
                f"rate, now {settings.learning_rate:g}"
            )
        if checkpoint is not None and time.perf_counter() - saved > _SAVED_EVERY:
            save({"run": identity, **run.state()}, checkpoint)
            saved = time.perf_counter()
    return {
        "weights": run.model.state_dict(),
        "tokens": run.vocabulary.tokens,
        "loss": run.losses,
        "scale": run.scales,
        "seconds": time.perf_counter() - run.started,
    }


def build(settings: SmallClip, vocabulary: Vocabulary) -> nn.Module:
    """open_clip's CLIP in a small configuration, with new weights drawn with the seed."""
    from open_clip.model import CLIP

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = CLIP(
            embed_dim=settings.features,
            vision_cfg={
                "layers": [*settings.image_layers],
                "width": settings.image_width,
                "image_size": settings.image_size,
            },
            text_cfg={
                "context_length": settings.context,
                "vocab_size": len(vocabulary),
                "layers": settings.text_layers,
                "width": settings.text_width,
                "heads": settings.text_heads,
            },
            init_logit_scale=math.log(settings.scale),
        )
    for name, weight in model.visual.named_parameters():
        if name.endswith("bn3.weight") and name.startswith("layer"):
            nn.init.constant_(weight, settings.residual_gain)
    model.logit_scale.requires_grad_(settings.learn_scale)
    return model.to(memory_format=torch.channels_last)


def give_word_vectors(model: nn.Module, vocabulary: Vocabulary) -> None:
    """Make each token's embedding what a language model makes of it, for good.

    So a word has a place beside its like before any drawing comes with it.

    Parameters
    ----------
    model : nn.Module
        As :func:`build` gives it; changed in place.
    vocabulary : Vocabulary
    """
    embedding = model.token_embedding.weight  # the first two and the last are no words
    with torch.no_grad():
        vectors = word_vectors(vocabulary.words, embedding.shape[1])
        embedding[2:-1] = _EMBEDDING_STD * vectors
    embedding.requires_grad_(False)


def normalised(images: Tensor) -> Tensor:
    """Values from 0 to 1 as CLIP's image towers take them, (n, 3, h, w), channels last."""
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


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
        most = self.settings.word_noise * _EMBEDDING_STD
        strength = most * torch.rand(len(second), 1, 1, generator=self.generator)
        noise = torch.randn(second.shape, generator=self.generator)
        return torch.cat([first, second + strength * noise])

    def loss(self, images: Tensor, captions: Tensor) -> Tensor:
        """Of a batch: all that belongs to a concept picks the rest of it."""
        scale = self.model.logit_scale.exp()
        images, captions = self.model.encode_image(images), self.model.encode_text(captions)
        if self.settings.all_pairs:
            concepts = torch.arange(len(images) // 2).repeat(4)
            return supervised_contrastive_loss(torch.cat([images, captions]), concepts, scale)
        pairs = zip(images.chunk(2), captions.chunk(2), strict=True)
        return sum(contrastive_loss(*pair, scale) for pair in pairs) / 2

    def step(self) -> None:
        """One step of AdamW."""
        settings, done = self.settings, (len(self.losses) + 0.5) / self.settings.steps
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(done, settings.warm_up)
        loss = self.loss(*self.batch())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(settings.highest_scale))
        self.losses.append(loss.item())
        self.scales.append(self.model.logit_scale.exp().item())

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "losses": self.losses,
            "scales": self.scales,
            "seconds": time.perf_counter() - self.started,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.losses, self.scales = state["losses"], state["scales"]
        self.started = time.perf_counter() - state["seconds"]


def _schedule(done: float, warm_up: float) -> float:
    """Factor on the learning rate when a share of the steps is done: up in a line, then cosine."""
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))
