"""How well a CLIP finds emoji it has not seen: in another artist's hand, or not at all."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from a3.clip.contrastive import cosine_similarity, zero_shot_weights
from a3.clip.emoji import Concept, Emoji
from a3.clip.emoji_split import STRATA, Split, kinds, stratum
from a3.clip.model import Clip
from a3.clip.retrieval import ranks
from a3.lab.intervals import Share, share

__all__ = ["GROUP_TEMPLATES", "caption_features", "evaluate", "gallery", "held_out_features"]

GROUP_TEMPLATES = ("{}", "a {}", "a drawing of {}", "a picture of {}", "an emoji of {}")
"""Prompts for Unicode's groups; the first of them alone is the single prompt."""


def evaluate(
    clips: Sequence[Clip], emoji: Emoji, split: Split, captions: str = "description"
) -> pd.DataFrame:
    """Retrieval both ways and zero-shot classification, each with its interval and beside chance.

    The models are trained alike on this split, with a seed each. A concept counts by its mean over
    them, since seeds are not further trials, and variants of one thing may be found together:
    intervals are for so many kinds of :func:`a3.clip.emoji_split.kinds`. The caption is what is
    known of a concept, "description", or its "name" alone.

    Returns
    -------
    DataFrame
        A row for each ``task``, ``of`` ("things", "people", "flags" or "all") and ``k``, with the
        fields of :class:`a3.lab.intervals.Share`, ``seeds``, the value of each seed, ``kinds``,
        how many there are, and ``majority``, what the most frequent group would reach as the answer
        to all, or NaN where the task is not to tell groups.

    Raises
    ------
    ValueError
        If there is no model, or no such kind of caption.
    """
    if not clips:
        raise ValueError("expected at least one model, got none")
    rows, kind = [], kinds(emoji)
    for held_out, concepts in (("across artists", split.across), ("never seen", split.unseen)):
        found = [_found(clip, emoji, split, concepts, captions) for clip in clips]
        for task in found[0]:
            for of, inside, hits, k, chance in _by_stratum(emoji, concepts, task, found):
                own = kind[concepts][inside]
                number = len(own.unique())
                one = share(hits, chance, group=own if number > 1 else None)
                seeds = hits.float().mean(dim=1).tolist()
                named = [emoji.concepts[i].group for i in concepts[inside].tolist()]
                most = max(map(named.count, named)) / len(named)
                majority = most if task.startswith("group") else math.nan
                rows.append([f"{task}, {held_out}", of, k, *one, seeds, number, majority])
    columns = ["task", "of", "k", *Share._fields, "seeds", "kinds", "majority"]
    return pd.DataFrame(rows, columns=columns)


def gallery(emoji: Emoji, split: Split, concepts: Tensor) -> Tensor:
    """An image of each concept that was not seen: the other artist's, or the two in turn.

    ``concepts`` are rows, (n,); the images are uint8, (n, 3, size, size).

    Raises
    ------
    ValueError
        If of some concept both images were seen.
    """
    hidden = ~split.seen[concepts]  # (n, 2)
    if not hidden.any(dim=1).all():
        raise ValueError("of some of these concepts both images were seen in training")
    turn = torch.arange(len(concepts)) % 2
    artist = torch.where(hidden.all(dim=1), turn, hidden.int().argmax(dim=1))
    return emoji.images[concepts, artist]


def caption_features(clip: Clip, concepts: Sequence[Concept], captions: str) -> Tensor:
    """Features of one caption for each concept, (n, d).

    Zero, which finds nothing, where the model knows no word of it. ``captions`` is as for
    :func:`evaluate`.
    """
    if captions not in ("description", "name"):
        raise ValueError(f"captions must be 'description' or 'name', got {captions!r}")
    texts = [c.name if captions == "name" else c.description for c in concepts]
    features = []
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of words left out
        try:
            return clip.encode_text(texts)
        except ValueError:  # of some caption no word is known: find out of which
            pass
        for text in texts:
            try:
                features.append(clip.encode_text([text])[0])
            except ValueError:
                features.append(None)
    zero = torch.zeros_like(next(f for f in features if f is not None))
    return torch.stack([zero if f is None else f for f in features])


def held_out_features(
    clip: Clip, emoji: Emoji, split: Split, concepts: Tensor, captions: str = "description"
) -> tuple[Tensor, Tensor]:
    """Features of a caption of each concept, and of a drawing that was not seen: (n, d) each.

    ``split`` and ``concepts`` are as for :func:`gallery`, ``captions`` as for :func:`evaluate`.
    """
    named = [emoji.concepts[i] for i in concepts.tolist()]
    images = clip.encode_image(gallery(emoji, split, concepts))
    return caption_features(clip, named, captions), images


def _found(
    clip: Clip, emoji: Emoji, split: Split, concepts: Tensor, captions: str
) -> dict[str, Tensor]:
    """Features of the test images and captions, and which groups are predicted."""
    texts, images = held_out_features(clip, emoji, split, concepts, captions)
    groups = sorted({concept.group for concept in emoji.concepts})
    own = torch.tensor([groups.index(emoji.concepts[i].group) for i in concepts.tolist()])
    right = {}
    for task, templates in (("one prompt", GROUP_TEMPLATES[:1]), ("ensemble", GROUP_TEMPLATES)):
        weights = zero_shot_weights(clip.encode_text, groups, templates)
        right[f"group by {task}"] = (images @ weights.T).argmax(dim=1) == own
    return {"caption to image": (texts, images), "image to caption": (images, texts), **right}


def _by_stratum(emoji: Emoji, concepts: Tensor, task: str, found: list[dict]):
    """Which concepts, and hits, (seeds, n), of each stratum by itself and of all."""
    kind = stratum(emoji)[concepts]
    groups = len({concept.group for concept in emoji.concepts})
    for of, inside in [(name, kind == i) for i, name in enumerate(STRATA)] + [("all", kind >= 0)]:
        n = int(inside.sum())
        if n == 0:
            continue
        if task.startswith("group"):
            yield of, inside, torch.stack([each[task][inside] for each in found]), 1, 1 / groups
            continue
        pairs = [[part[inside] for part in each[task]] for each in found]
        order = torch.stack([ranks(cosine_similarity(*p), torch.arange(n)) for p in pairs])
        for k in (1, 5):
            yield of, inside, order <= k, k, min(1.0, k / n)
