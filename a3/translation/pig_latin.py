"""Pig Latin: the rule, its cases, and the word lists."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path

__all__ = [
    "ALPHABET", "KINDS", "check_word", "kind", "large_words", "moved_letters", "norvig_words",
    "pig_latin", "read_pairs", "small_words",
]  # fmt: skip

ALPHABET = "abcdefghijklmnopqrstuvwxyz-"
"""The characters of a word."""
KINDS = ("one consonant", "cluster", "qu", "vowel", "hyphen")
"""What moves from the front of a word to its end; in the last two, nothing or several parts."""

_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_CLUSTER = re.compile(r"((?:qu|[^aeiouy])*)(.*)")  # 'qu' counts as one consonant


def pig_latin(text: str) -> str:
    """Translate English into Pig Latin, word by word and part by hyphenated part.

    A part that starts with a vowel gets ``way``. Any other has its leading consonants moved to its
    end, then ``ay``; they end before the first of ``a e i o u y``, and ``qu`` counts as one
    consonant.

    Raises
    ------
    ValueError
        If there is no word, or a word has another character than lower-case letters and hyphens, or
        an empty part.

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
        "-".join(map(_translate_part, check_word(word).split("-"))) for word in text.split()
    )


def _translate_part(part: str) -> str:
    if part[0] in "aeiou":
        return part + "way"
    cluster, rest = _CLUSTER.fullmatch(part).groups()
    return rest + cluster + "ay"


def check_word(word: str) -> str:
    """The word itself, if it is one: lower-case letters, in parts joined by hyphens.

    Raises
    ------
    ValueError
        Saying what is wrong with it.
    """
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
def norvig_words() -> tuple[str, ...]:
    """A third of a million words that Norvig (2009) counted, most frequent first.

    As the package ``wordsegment`` ships them. The rarer ones are names, abbreviations and slips.
    """
    text = (resources.files("wordsegment") / "unigrams.txt").read_text(encoding="ascii")
    return tuple(line.split("\t")[0] for line in text.splitlines())


def large_words() -> list[str]:
    """The 20,000 most frequent English words, by frequency, then the others of :func:`small_words`.

    Counts of Norvig (2009); the handouts' large set is made the same way.
    """
    return list(dict.fromkeys([*norvig_words()[:20_000], *small_words()]))


def small_words(size: int = 3_198) -> list[str]:
    """A fixed sample of English words, sorted, as many as the handouts' small set has.

    A hundred are hyphenated compounds, an adverb and a participle (``well-known``). The others are
    dictionary words among the 60,000 most frequent, those whose SHA-256 digests are smallest: a
    random sample that any machine draws alike. Counts of Norvig (2009) and the word list of the
    package ``wordsegment``. A ``size`` below 100 is a ``ValueError``.
    """
    if size < 100:
        raise ValueError(f"the small set has at least its 100 compounds, got a size of {size}")
    adverbs = "deep far full half ill long new quick slow well".split()
    participles = "born built formed given grown known made read spoken written".split()
    compounds = ["-".join(parts) for parts in product(adverbs, participles)]
    dictionary = set((resources.files("wordsegment") / "words.txt").read_text("ascii").split())
    candidates = [word for word in norvig_words()[:60_000] if word in dictionary]
    candidates.sort(key=lambda word: hashlib.sha256(word.encode()).digest())
    return sorted(compounds + candidates[: size - len(compounds)])


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """Read a reader's own word list: ``word translation`` a line, UTF-8, each pair once.

    Columns are separated by white space; blank lines are passed over.

    Raises
    ------
    ValueError
        Naming the file and the line, if a line is not UTF-8, has not two columns, or has a
        character outside the alphabet; or if there is no pair.
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
            pairs[check_word(columns[0]), check_word(columns[1])] = None
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if not pairs:
        raise ValueError(f"{path}: expected lines of 'word translation', found none")
    return list(pairs)


def kind(word: str) -> str:
    """Which case of the rule, of ``KINDS``, a word falls under.

    Words in which nothing moves count as ``"vowel"``, also those that start with y.

    Examples
    --------
    >>> [kind(word) for word in ("the", "my", "quick", "impress", "well-known")]
    ['cluster', 'one consonant', 'qu', 'vowel', 'hyphen']
    """
    if "-" in word:
        return "hyphen"
    moved = moved_letters(word)
    if "qu" in moved:
        return "qu"
    return ("vowel", "one consonant")[len(moved)] if len(moved) < 2 else "cluster"


def moved_letters(word: str) -> str:
    """The letters that go from the front of a word without hyphens to its end, perhaps none.

    Raises
    ------
    ValueError
        If it has a hyphen: each part has letters of its own.

    Examples
    --------
    >>> moved_letters("string")
    'str'
    """
    if "-" in word:
        raise ValueError(f"expected a word without hyphens, got {word!r}")
    translation = pig_latin(word)
    turned = (n for n in range(len(word)) if translation.startswith(word[n:] + word[:n]))
    return word[: next(turned)]
