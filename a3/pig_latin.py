"""Pig Latin: the rule, the word lists, the vocabulary, and padded batches."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

__all__ = [
    "ALPHABET",
    "EOP",
    "EOS",
    "IGNORE",
    "SOS",
    "Batch",
    "WordPairs",
    "decode",
    "encode",
    "large_words",
    "pad",
    "pig_latin",
    "read_pairs",
    "small_words",
]

ALPHABET = "abcdefghijklmnopqrstuvwxyz-"
"""Token ``i`` is the ``i``-th of these characters; the special tokens follow."""
SOS, EOS, EOP = len(ALPHABET), len(ALPHABET) + 1, len(ALPHABET) + 2
IGNORE = -100
"""Target of a padded position: it has no loss."""

_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_CLUSTER = re.compile(r"((?:qu|[^aeiouy])*)(.*)")  # 'qu' counts as one consonant


def pig_latin(text: str) -> str:
    """Translate English into Pig Latin, word by word and part by hyphenated part.

    A part that starts with a vowel gets ``way``. Any other has its leading
    consonants moved to its end, then ``ay``; they end before the first of
    ``a e i o u y``, and ``qu`` counts as one consonant.

    Parameters
    ----------
    text : str
        Words of lower-case letters and hyphens, separated by white space.

    Returns
    -------
    str
        The translated words, separated by single spaces.

    Raises
    ------
    ValueError
        If there is no word, or a word has another character or an empty part.

    Examples
    --------
    >>> pig_latin("the air conditioning is working")
    'ethay airway onditioningcay isway orkingway'
    >>> pig_latin("well-known squid")
    'ellway-ownknay idsquay'
    """
    if not text.split():
        raise ValueError("expected at least one word, got an empty text")
    return " ".join(
        "-".join(map(_translate_part, _check_word(word).split("-"))) for word in text.split()
    )


def _translate_part(part: str) -> str:
    if part[0] in "aeiou":
        return part + "way"
    cluster, rest = _CLUSTER.fullmatch(part).groups()
    return rest + cluster + "ay"


def _check_word(word: str) -> str:
    if not word:
        raise ValueError("a word must not be empty")
    if unknown := sorted(set(word) - set(ALPHABET)):
        raise ValueError(
            f"{word!r} has {', '.join(map(repr, unknown))}: expected lower-case letters a-z and '-'"
        )
    if not _WORD.fullmatch(word):
        raise ValueError(f"{word!r} has an empty part beside a hyphen")
    return word


@cache
def _norvig() -> tuple[str, ...]:
    """Norvig's words, most frequent first, as the package ``wordsegment`` ships them."""
    text = (resources.files("wordsegment") / "unigrams.txt").read_text(encoding="ascii")
    return tuple(line.split("\t")[0] for line in text.splitlines())


def large_words() -> list[str]:
    """The 20,000 most frequent English words joined with :func:`small_words`.

    Returns
    -------
    list of str
        Unique, in a fixed order: by frequency, then the small set's others.

    References
    ----------
    Counts of Norvig (2009); the handouts' large set is made the same way.
    """
    return list(dict.fromkeys([*_norvig()[:20_000], *small_words()]))


def small_words(size: int = 3_198) -> list[str]:
    """A fixed sample of English words, as many as the handouts' small set has.

    A hundred are hyphenated compounds, an adverb and a participle (``well-known``).
    The others are dictionary words among the 60,000 most frequent, those whose
    SHA-256 digests are smallest: a random sample that any machine draws alike.

    Parameters
    ----------
    size : int
        Number of words, at least 100.

    Returns
    -------
    list of str
        Unique, sorted.

    References
    ----------
    Counts of Norvig (2009) and the word list of the package ``wordsegment``.
    """
    if size < 100:
        raise ValueError(f"the small set has at least its 100 compounds, got a size of {size}")
    adverbs = "deep far full half ill long new quick slow well".split()
    participles = "born built formed given grown known made read spoken written".split()
    compounds = ["-".join(parts) for parts in product(adverbs, participles)]
    dictionary = set((resources.files("wordsegment") / "words.txt").read_text("ascii").split())
    candidates = [word for word in _norvig()[:60_000] if word in dictionary]
    candidates.sort(key=lambda word: hashlib.sha256(word.encode()).digest())
    return sorted(compounds + candidates[: size - len(compounds)])


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """Read a reader's own word list: ``word translation`` a line, UTF-8.

    Parameters
    ----------
    path : path-like
        Columns are separated by white space; blank lines are passed over.

    Returns
    -------
    list of (str, str)
        Unique pairs, in the order of the file.

    Raises
    ------
    ValueError
        Naming the file and the line, if a line is not UTF-8, has not two
        columns, or has a character outside the alphabet; or if there is no pair.
    """
    pairs = {}
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            columns = line.decode("utf-8-sig" if number == 1 else "utf-8").split()
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: not UTF-8 text ({error.reason})") from None
        if not columns:
            continue
        if len(columns) != 2:
            raise ValueError(f"{where}: expected 'word translation', got {len(columns)} column(s)")
        try:
            pairs[_check_word(columns[0]), _check_word(columns[1])] = None
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if not pairs:
        raise ValueError(f"{path}: expected lines of 'word translation', found none")
    return list(pairs)


def encode(word: str) -> list[int]:
    """Token of each character of ``word``, then ``<EOS>``.

    Raises
    ------
    ValueError
        If the word is empty or has a character outside the alphabet.
    """
    return [ALPHABET.index(letter) for letter in _check_word(word)] + [EOS]


def decode(tokens: Iterable[int]) -> str:
    """The characters of ``tokens`` up to the first ``<EOS>``; other special tokens are left out."""
    letters = []
    for token in tokens:
        if token == EOS:
            break
        if token < len(ALPHABET):
            letters.append(ALPHABET[token])
    return "".join(letters)


def pad(sequences: list[list[int]], value: int) -> Tensor:
    """Sequences of tokens as one (N, longest) tensor, filled up with ``value``."""
    tensors = [torch.tensor(sequence) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


@dataclass(frozen=True)
class Batch:
    """Words and their translations as tokens, padded to the longest of each.

    Attributes
    ----------
    source : Tensor of int64, shape (B, S)
        Word and ``<EOS>``.
    source_mask : Tensor of bool, shape (B, 1, S), or None
        ``True`` on tokens; ``None`` if no source is padded.
    inputs : Tensor of int64, shape (B, T)
        ``<SOS>`` and translation.
    targets : Tensor of int64, shape (B, T)
        Translation and ``<EOS>``; ``IGNORE`` on padding.
    tokens : int
        Target tokens, padding left out.
    """

    source: Tensor
    source_mask: Tensor | None
    inputs: Tensor
    targets: Tensor
    tokens: int

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
    """Word pairs, tokenised once.

    Parameters
    ----------
    pairs : iterable of (str, str)
        Words and their translations, or words alone: then :func:`pig_latin` translates them.

    Attributes
    ----------
    pairs : list of (str, str)
    source_lengths, target_lengths : Tensor of int64, shape (N,)
        Tokens of each word and of each translation, ``<EOS>`` included.

    Raises
    ------
    ValueError
        If there is no pair, or a word has a character outside the alphabet.
    """

    def __init__(self, pairs: Iterable[tuple[str, str] | str]):
        self.pairs = [(p, pig_latin(p)) if isinstance(p, str) else tuple(p) for p in pairs]
        if not self.pairs:
            raise ValueError("expected at least one word pair, got none")
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
        """Deal the pairs at random into a training and a validation set.

        Parameters
        ----------
        share : float
            Share of the pairs that goes to training, rounded down.
        seed : int

        Returns
        -------
        train, validation : WordPairs

        Raises
        ------
        ValueError
            If either would be empty.
        """
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).tolist()
        cut = math.floor(share * len(self))
        if not 0 < cut < len(self):
            raise ValueError(f"a share of {share} of {len(self)} pairs leaves one side empty")
        return tuple(WordPairs(self.pairs[i] for i in part) for part in (order[:cut], order[cut:]))

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """One epoch in batches of words of like length, so that little is padding.

        Parameters
        ----------
        batch_size : int
            Words in a batch; the last may have fewer.
        generator : torch.Generator, optional
            Draws which words of a length go together, and the order of the
            batches. Without one the order is fixed, shortest words first.

        Yields
        ------
        Batch

        Raises
        ------
        ValueError
            If ``batch_size`` is not positive.
        """
        if batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, got {batch_size}")
        length = self.source_lengths * 1_000 + self.target_lengths  # source first, then target
        if generator is None:
            groups = length.argsort(stable=True).split(batch_size)
        else:
            shuffled = torch.randperm(len(self), generator=generator)
            groups = shuffled[length[shuffled].argsort(stable=True)].split(batch_size)
            groups = [groups[i] for i in torch.randperm(len(groups), generator=generator)]
        for group in groups:
            yield self[group]

    def __getitem__(self, rows: Tensor) -> Batch:
        """The pairs at ``rows`` as one padded batch."""
        lengths = self.source_lengths[rows]
        S, T = int(lengths.max()), int(self.target_lengths[rows].max())
        padded = int(lengths.min()) < S
        mask = (torch.arange(S) < lengths[:, None])[:, None] if padded else None  # (B, 1, S)
        return Batch(
            self._source[rows, :S],
            mask,
            self._inputs[rows, :T],
            self._targets[rows, :T],
            int(self.target_lengths[rows].sum()),
        )
