"""The scavenger hunt: a caption that makes CLIP pick one image among many; a log of the tries."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from a3.clip.contrastive import cosine_similarity
from a3.clip.model import Clip
from a3.clip.retrieval import ranks

__all__ = ["GRAMMAR", "Hunt", "Try"]

GRAMMAR = {
    "style": ("", "a drawing of", "a picture of", "an emoji of", "a close-up of"),
    "size": ("", "a small", "a large", "two", "a group of"),
    "colour": ("", "red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white"),
    "kind": ("animal", "fish", "bird", "plant", "face"),
    "position": ("", "on the left", "on the right", "in the middle", "facing left", "facing right"),
}
"""Slots of a caption, in their order, and what may stand in each."""


class Try(NamedTuple):
    """One caption and what it did."""

    caption: str
    rank: int  # of the target among the gallery; 1 is found
    lead: float  # its cosine similarity less that of the best other image: positive if it is found
    best: int  # the image that the model picked


class Hunt:
    """A gallery, a target in it, and a log of every caption tried, in order.

    The gallery is features, (n, d), of n images as :meth:`a3.clip.model.Clip.encode_image` gives
    them; ``target`` is which of them to find.

    Raises
    ------
    ValueError
        If there are fewer than two images, or the target is not one of them.
    """

    def __init__(self, clip: Clip, gallery: Tensor, target: int):
        if len(gallery) < 2:
            raise ValueError(f"a hunt needs two images or more, got {len(gallery)}")
        if not 0 <= target < len(gallery):
            raise ValueError(f"the target must be 0 to {len(gallery) - 1}, got {target}")
        self.clip, self.gallery, self.target = clip, gallery, target
        self.log: list[Try] = []

    def attempt(self, captions: Sequence[str]) -> list[Try]:
        """Try captions, and note what each did.

        Raises
        ------
        ValueError
            If a caption is empty, or the model knows none of its words.
        """
        similarities = cosine_similarity(self.clip.encode_text([*captions]), self.gallery)  # (c, n)
        target = torch.full((len(captions),), self.target)
        others = similarities.clone()
        others[:, self.target] = -torch.inf
        leads = similarities[:, self.target] - others.max(dim=1).values
        tries = [
            Try(caption, rank, lead, best)
            for caption, rank, lead, best in zip(
                captions,
                ranks(similarities, target).tolist(),
                leads.tolist(),
                similarities.argmax(dim=1).tolist(),
                strict=True,
            )
        ]
        self.log += tries
        return tries

    def search(self, grammar: Mapping[str, Sequence[str]] = GRAMMAR, rounds: int = 2) -> Try:
        """Fill the slots of a grammar one after the other, each with what leaves the target best.

        It climbs: in every round each slot takes in turn the words that give the best rank, and of
        equal ranks the largest lead, the other slots as they are. It stops early when a round
        changes nothing. Words that the model does not know are passed over; "" stands for nothing.
        It gives the best try.

        Raises
        ------
        ValueError
            If a slot has no words, no caption can be made, or there is no round.
        """
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {rounds}")
        for slot, words in grammar.items():
            if not words:
                raise ValueError(f"the slot {slot!r} of the grammar has no words")
        start = {slot: words[0] for slot, words in grammar.items()}
        if not _caption(start.values()):
            raise ValueError("the first words of all slots make no caption: they are all empty")
        chosen, tried = dict(start), {}
        for _ in range(rounds):
            before = dict(chosen)
            for slot, words in grammar.items():
                options = {word: _caption((chosen | {slot: word}).values()) for word in words}
                new = [c for c in dict.fromkeys(options.values()) if c and c not in tried]
                new = self._known(new)
                tried |= {t.caption: t for t in self.attempt(new)} if new else {}
                open_to = [word for word, caption in options.items() if caption in tried]
                if open_to:
                    chosen[slot] = min(open_to, key=lambda w: _order(tried[options[w]]))
            if chosen == before:
                break
        if not tried:
            raise ValueError("the model knows no word of the grammar's captions")
        return min(tried.values(), key=_order)

    def answer(self, name: str = "the target") -> str:
        """One sentence on how hard it was to find what is called ``name``, from the log.

        Raises
        ------
        ValueError
            If nothing has been tried.
        """
        if not self.log:
            raise ValueError("nothing has been tried yet")
        total, first = len(self.gallery), self.log[0]
        found = next((i for i, t in enumerate(self.log, start=1) if t.rank == 1), None)
        if found == 1:
            return f"The first caption, “{first.caption}”, found {name} among {total} images."
        opening = f"“{first.caption}” put {name} at rank {first.rank} of {total}"
        if found is None:
            best = min(self.log, key=_order)
            if best.rank == first.rank:
                return f"{opening}, and none of {len(self.log)} captions did better."
            return (
                f"{opening}, and the best of {len(self.log)} captions, “{best.caption}”, only "
                f"brought it to rank {best.rank}."
            )
        caption = self.log[found - 1].caption
        return f"{opening}, and it took {found} captions to find it, with “{caption}”."

    def _known(self, captions: Iterable[str]) -> list[str]:
        """Those of the captions that the model takes as they are, not in part."""
        known = []
        for caption in captions:
            try:
                with warnings.catch_warnings(action="error", category=UserWarning):
                    self.clip.tokenize([caption])
            except (UserWarning, ValueError):
                continue
            known.append(caption)
        return known


def _caption(words: Iterable[str]) -> str:
    return " ".join(word for word in words if word)


def _order(one: Try) -> tuple[int, float]:
    """Sorts the better of two tries first."""
    return one.rank, -one.lead
