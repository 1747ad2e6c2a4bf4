"""The vocabulary, and word pairs as tokens in padded batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

from a3.translation.pig_latin import ALPHABET, check_word, pig_latin

__all__ = [
    "EOP", "EOS", "IGNORE", "SOS", "Batch", "WordPairs", "decode", "encode",
    "groups_of_like_length", "pad", "padding_mask",
]  # fmt: skip

SOS, EOS, EOP = len(ALPHABET), len(ALPHABET) + 1, len(ALPHABET) + 2
"""The special tokens; the token of a character is its place in the alphabet."""
IGNORE = -100
"""Target of a padded position: it has no loss."""


def encode(word: str) -> list[int]:
    """Token of each character of ``word``, then ``<EOS>``; a ``ValueError`` if it is not a word."""
    return [ALPHABET.index(letter) for letter in check_word(word)] + [EOS]


def decode(tokens: Iterable[int]) -> str:
    """The characters of ``tokens`` up to the first ``<EOS>``; other special tokens are left out."""
    letters = []
    for token in tokens:
        if token == EOS:
            break
        if 0 <= token < len(ALPHABET):
            letters.append(ALPHABET[token])
    return "".join(letters)


def pad(sequences: list[list[int]], value: int) -> Tensor:
    """Sequences of tokens as one (N, longest) tensor, filled up with ``value``."""
    columns = zip_longest(*sequences, fillvalue=value)
    return torch.tensor(list(columns)).T.contiguous()


def padding_mask(lengths: Tensor, longest: int) -> Tensor:
    """``True`` on the tokens of sequences of such ``lengths``, shape (B, 1, longest)."""
    return (torch.arange(longest, device=lengths.device) < lengths[:, None])[:, None]


def groups_of_like_length(
    length: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> list[Tensor]:
    """Deal examples of such ``length``, (N,), into batches of like length: places in ``length``.

    Parameters
    ----------
    batch_size : int
        Examples in a batch; that of the longest may have fewer.
    generator : torch.Generator, optional
        Draws which examples of a length go together, and the order of the batches. Without one the
        order is fixed, shortest first.

    Raises
    ------
    ValueError
        If ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"the batch size must be at least 1, got {batch_size}")
    if generator is None:
        return list(length.argsort(stable=True).split(batch_size))
    shuffled = torch.randperm(len(length), generator=generator)
    groups = shuffled[length[shuffled].argsort(stable=True)].split(batch_size)
    return [groups[i] for i in torch.randperm(len(groups), generator=generator)]


@dataclass(frozen=True)
class Batch:
    """Words and their translations as tokens, int64, padded to the longest of each."""

    source: Tensor  # (B, S): word and <EOS>
    source_mask: Tensor | None  # bool, (B, 1, S): True on tokens; None if no source is padded
    inputs: Tensor  # (B, T): <SOS> and translation
    targets: Tensor  # (B, T): translation and <EOS>, with IGNORE on padding
    tokens: int  # of the targets, padding left out

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        mask = None if self.source_mask is None else self.source_mask.to(device)
        return Batch(
            self.source.to(device),
            mask,
            self.inputs.to(device),
            self.targets.to(device),
            self.tokens,
        )


class WordPairs:
    """Word pairs, tokenised once; words alone are translated by :func:`pig_latin`.

    ``source_lengths`` and ``target_lengths``, int64 (N,), are the tokens of each word and of each
    translation, ``<EOS>`` included.

    Raises
    ------
    TypeError
        If the pairs are one text.
    ValueError
        If there is no pair, an entry is neither a word nor two, or a word has a character outside
        the alphabet.
    """

    def __init__(self, pairs: Iterable[tuple[str, str] | str]):
        if isinstance(pairs, str):
            raise TypeError(f"expected a list of words or pairs, got the text {pairs!r:.40}")
        self.pairs = [(p, pig_latin(p)) if isinstance(p, str) else tuple(p) for p in pairs]
        if not self.pairs:
            raise ValueError("expected at least one word pair, got none")
        if odd := [pair for pair in self.pairs if len(pair) != 2]:
            raise ValueError(f"expected words or pairs of them, got {odd[0]}")
        sources = [encode(word) for word, _ in self.pairs]
        targets = [encode(translation) for _, translation in self.pairs]
        self.source_lengths = torch.tensor([len(tokens) for tokens in sources])
        self.target_lengths = torch.tensor([len(tokens) for tokens in targets])
        self._source = pad(sources, EOS)
        self._targets = pad(targets, IGNORE)
        inputs = [[SOS, *tokens[:-1]] for tokens in targets]
        self._inputs = pad(inputs, EOS)

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def tokens(self) -> int:
        """Target tokens of one epoch: the number of predictions that are scored."""
        return int(self.target_lengths.sum())

    def split(self, share: float = 0.8, seed: int = 0) -> tuple[WordPairs, WordPairs]:
        """Deal the pairs, each once, at random into a training and a validation set.

        Parameters
        ----------
        share : float
            Of the pairs that go to training, rounded down.

        Raises
        ------
        ValueError
            If either set would be empty.
        """
        unique = list(dict.fromkeys(self.pairs))  # no pair on both sides
        order = torch.randperm(len(unique), generator=torch.Generator().manual_seed(seed)).tolist()
        cut = math.floor(share * len(unique))
        if not 0 < cut < len(unique):
            raise ValueError(f"a share of {share} of {len(unique)} pairs leaves one side empty")
        return tuple(WordPairs(unique[i] for i in part) for part in (order[:cut], order[cut:]))

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """One epoch in batches of words of like length, see :func:`groups_of_like_length`."""
        length = self.source_lengths * 1_000 + self.target_lengths  # source first, then target
        for rows in groups_of_like_length(length, batch_size, generator):
            yield self[rows]

    def __getitem__(self, rows: Tensor) -> Batch:
        """The pairs at ``rows`` as one padded batch."""
        lengths = self.source_lengths[rows]
        S, T = int(lengths.max()), int(self.target_lengths[rows].max())
        padded = int(lengths.min()) < S
        mask = padding_mask(lengths, S) if padded else None
        return Batch(
            self._source[rows, :S],
            mask,
            self._inputs[rows, :T],
            self._targets[rows, :T],
            int(self.target_lengths[rows].sum()),
        )
