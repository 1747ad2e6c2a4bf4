"""Which drawings a model may learn from: a split by thing, and by the hand that drew it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

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
_ALIKE, _FLAGS_ALIKE = 0.04, 0.06
"""Root mean square difference of pixels, of 1, below which two images, or two flags, look alike."""


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

    Concepts are linked if they share a name or an alias; if one's name stands within the name of
    another, as "bus" in "oncoming bus" (a single word counts within its subgroup only); if their
    names differ in words of gender, age, colour, direction or size only; if both are of one family,
    clock or moon; or if they look alike in either artist's hand, as some countries' flags do. A
    kind is all that is so linked.
    """
    number = len(emoji.concepts)
    marks = _marks(emoji.concepts)
    of, said = zip(*((i, mark) for i, marks in enumerate(marks) for mark in marks), strict=True)
    _, nodes = np.unique(said, return_inverse=True)
    ends = [(np.array(of), number + nodes)]  # each concept to the nodes of its marks
    flags = stratum(emoji) == STRATA.index("flags")
    limit = torch.where(flags[:, None] & flags, _FLAGS_ALIKE, _ALIKE)
    for images in emoji.images.unbind(1):
        small = F.adaptive_avg_pool2d(images.float() / 255, 16).flatten(1)
        ends.append(torch.nonzero(torch.cdist(small, small) < limit * small.shape[1] ** 0.5).T)
    rows, columns = (np.concatenate(end) for end in zip(*ends, strict=True))
    size = number + nodes.max() + 1
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), (size, size))
    return torch.from_numpy(connected_components(graph)[1][:number]).long()


def _marks(concepts: Sequence[Concept]) -> list[set[str]]:
    """What concepts are linked by: those that share a mark are of one kind.

    A name of one word counts within names of its subgroup only: a hot dog is no dog.
    """
    subgroups: dict[str, set[str]] = {}  # of the names that say more than how variants differ
    for concept in concepts:
        if _VARYING.sub(" ", concept.name).strip():
            subgroups.setdefault(concept.name, set()).add(concept.subgroup)
    marks = []
    for concept in concepts:
        said = {concept.name, *concept.aliases, f"thing: {_thing(concept)}"}
        words = concept.name.split()
        for start, end in combinations(range(len(words) + 1), 2):
            part = " ".join(words[start:end])
            near = end - start > 1 or concept.subgroup in subgroups.get(part, ())
            # Guinea-Bissau's flag is no variant of Guinea's
            if near and part in subgroups and concept.group != "flags":
                said.add(part)
        marks.append(said)
    return marks


def _thing(concept: Concept) -> str:
    """What is left of a name when all in which variants differ is taken away."""
    if concept.subgroup in _ONE_THING:
        return concept.subgroup.removesuffix(" face")
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
