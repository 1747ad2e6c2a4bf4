"""Which drawings a model may learn from: a split by thing, and by the hand that drew it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional as F

from a3.clip.emoji import Concept, Emoji

__all__ = ["STRATA", "Split", "kinds", "split", "stratum", "validation_split"]

STRATA = ("things", "people", "flags")
"""What scores are given for apart: flags and people are easier to tell from each other.

:meta hide-value:
"""
_VARYING = re.compile(
    r"\b(man|men|woman|women|person|people|boy|girl|male|female|adult|child|older|old|mx|mrs"
    r"|mother|father|red|orange|yellow|green|blue|purple|brown|black|white|grey|pink|light|dark"
    r"|up|down|left|right|leftwards|rightwards|upwards|downwards|facing|large|medium|small|big"
    r"|low|high|open|closed|raised|lowered|hair|o'clock|\d(st|nd|rd))\b"
)
"""Words in which variants of one thing differ: gender, age, colour, direction, size, state."""
_ONE_THING = ("family", "cat face", "monkey face", "keycap", "arrow", "av symbol")
"""Subgroups of Unicode's list whose members are variants of one thing."""
_ALIKE = 0.03  # root mean square difference of pixels, of 1, below which two images look the same


@dataclass(frozen=True)
class Split:
    """Which images train, and which concepts test what."""

    seen: Tensor  # bool, (N, 2): images to learn from, of each artist
    across: Tensor  # long: concepts seen in the first artist's hand only; the second's is test
    unseen: Tensor  # long: concepts of which nothing is seen


def split(emoji: Emoji, seed: int = 0) -> Split:
    """Hold out concepts, some altogether and some in the second artist's hand.

    A tenth of the concepts is never seen: whole kinds, so that no variant of them is. A quarter,
    each drawn by itself, is seen in the first artist's hand only and looked for in the second's,
    so that a drawing's style neither helps nor misleads. The shares are the same among flags,
    people and all the rest.
    """
    generator = torch.Generator().manual_seed(seed)
    strata, groups = stratum(emoji), kinds(emoji)
    free = torch.ones(len(groups), dtype=torch.bool)
    unseen = _draw(groups, strata, free, 0.10, generator)
    free[unseen] = False
    across = _draw(torch.arange(len(groups)), strata, free, 0.24, generator)
    seen = torch.ones(len(groups), 2, dtype=torch.bool)
    seen[unseen] = False
    seen[across, 1] = False
    return Split(seen, across, unseen)


def validation_split(emoji: Emoji, seed: int = 0) -> Split:
    """As :func:`split`, but to choose a recipe by: no test image is used for anything.

    What tests is taken from the concepts that :func:`split` trains in both hands; what it holds
    out stays held out, and what it shows in one hand is shown in that hand alone.
    """
    generator = torch.Generator().manual_seed(1_000 + seed)
    strata, groups = stratum(emoji), kinds(emoji)
    seen = split(emoji, seed).seen.clone()
    free = seen.all(dim=1)
    unseen = _draw(groups, strata, free, 0.08, generator)
    free[unseen] = False
    across = _draw(torch.arange(len(groups)), strata, free, 0.15, generator)
    seen[unseen] = False
    seen[across, 1] = False
    return Split(seen, across, unseen)


def stratum(emoji: Emoji) -> Tensor:
    """The place of each concept in :data:`STRATA`: long, (N,)."""
    names = {"people & body": 1, "flags": 2}
    return torch.tensor([names.get(concept.group, 0) for concept in emoji.concepts])


def kinds(emoji: Emoji) -> Tensor:
    """A number for each concept, the same for variants of one thing: long, (N,).

    Variants differ in words of gender, age, colour, direction or size only, or are of one family,
    clock or moon, or look the same in either artist's hand, as some countries' flags do.
    """
    number = len(emoji.concepts)
    _, names = np.unique([_thing(concept) for concept in emoji.concepts], return_inverse=True)
    ends = [(np.arange(number), number + names)]  # each concept to the node of its name
    for images in emoji.images.unbind(1):
        small = F.adaptive_avg_pool2d(images.float() / 255, 16).flatten(1)
        ends.append(torch.nonzero(torch.cdist(small, small) < _ALIKE * small.shape[1] ** 0.5).T)
    rows, columns = (np.concatenate(end) for end in zip(*ends, strict=True))
    nodes = number + names.max() + 1
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), (nodes, nodes))
    return torch.from_numpy(connected_components(graph)[1][:number]).long()


def _thing(concept: Concept) -> str:
    """What is left of a name when all in which variants differ is taken away."""
    if concept.subgroup in _ONE_THING:
        return concept.subgroup
    if concept.group == "flags":
        return concept.name
    for word in ("moon", "globe showing"):
        if word in concept.name and concept.group == "travel & places":
            return word
    if re.search(r"\b(o'clock|thirty)$", concept.name):
        return "clock face"
    name = concept.name
    if concept.group == "animals & nature":
        name = re.sub(r"\bface$", "", name)
    left = " ".join(_VARYING.sub(" ", name).split())
    return left or concept.subgroup


def _draw(
    groups: Tensor, strata: Tensor, free: Tensor, share: float, generator: torch.Generator
) -> Tensor:
    """Concepts of whole kinds, all free, at random until each stratum gives its share."""
    wanted = [round(share * int((strata == s).sum())) for s in range(3)]
    drawn = []
    for kind in torch.randperm(int(groups.max()) + 1, generator=generator).tolist():
        members = torch.nonzero(groups == kind).flatten()
        if not free[members].all():
            continue
        counts = torch.bincount(strata[members], minlength=3).tolist()
        if all(count <= left for count, left in zip(counts, wanted, strict=True)):
            wanted = [left - count for count, left in zip(counts, wanted, strict=True)]
            drawn.append(members)
    return torch.cat(drawn).sort().values
