"""Verbal arithmetic: sentences such as "four minus ten", labelled by the sign of their value."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

__all__ = [
    "FOLDS", "LABELS", "NUMBERS", "Fold", "fold", "label", "longer_sentences", "read_sentences",
    "split", "splits", "value", "verbal_arithmetic",
]  # fmt: skip

NUMBERS = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen".split()
)
"""The number words; each one's place is what it stands for."""
LABELS = ("negative", "zero", "positive")
"""What the labels 0, 1 and 2 mean."""
FOLDS = 5
"""Parts of the 800 sentences; a model is evaluated on one, and its texts leave that one out."""
_VALUE = {word: number for number, word in enumerate(NUMBERS)}
_SIGN = {"plus": 1, "minus": -1}


def verbal_arithmetic() -> pd.DataFrame:
    """All sums and differences of two of the twenty number words: ``sentence`` and ``label``, 800
    rows.

    First every "plus", then every "minus"; row ``400 * minus + 20 * a + b`` is about the numbers
    ``a`` and ``b``.
    """
    sentences = [f"{a} {operation} {b}" for operation in _SIGN for a in NUMBERS for b in NUMBERS]
    return pd.DataFrame({"sentence": sentences, "label": [label(value(s)) for s in sentences]})


def value(sentence: str) -> int:
    """What a sentence, numbers with "plus" or "minus" between them, comes to from left to right.

    Raises
    ------
    ValueError
        If the sentence is empty, a word is none of these, or is not in its place.

    Examples
    --------
    >>> value("three minus two minus two")
    -1
    """
    words = sentence.split()
    if not words:
        raise ValueError("the sentence is empty; expected one such as 'four minus ten'")
    for place, word in enumerate(words):
        expected, kind = (_SIGN, "'plus' or 'minus'") if place % 2 else (_VALUE, "a number word")
        if word not in expected:
            raise ValueError(f"word {place + 1} of {sentence!r} must be {kind}, not {word!r}")
    if len(words) % 2 == 0:
        raise ValueError(f"{sentence!r} ends in an operation; expected a number word after it")
    terms = zip(words[1::2], words[2::2], strict=True)
    return _VALUE[words[0]] + sum(_SIGN[operation] * _VALUE[word] for operation, word in terms)


def label(value: int) -> int:
    """0 for a negative value, 1 for zero, 2 for a positive one."""
    return 1 + (value > 0) - (value < 0)


def split(
    data: pd.DataFrame, held_out: int | float, seed: int = 0, *, stratify: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the rows, of ``data`` with a column ``label``, that are kept for validation or test.

    The handouts hold out 160 of the 800 sentences for the test, and of the other 640 three tenths
    for validation, stratified: each label has the same share in both parts. ``held_out`` is how
    many rows, or which share of them. What stays comes first; both parts are in random order, with
    the index of ``data``.

    Raises
    ------
    ValueError
        If one part would be empty, or a label has too few rows to stratify by.
    """
    labels = data["label"] if stratify else None
    return tuple(train_test_split(data, test_size=held_out, random_state=seed, stratify=labels))


def splits(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The handouts' parts of the 800 sentences: 448 to train on, 192 to validate, 160 to test.

    The rows keep the index of :func:`verbal_arithmetic`.
    """
    rest, test = split(verbal_arithmetic(), 160, seed)
    training, validation = split(rest, 0.3, seed, stratify=True)
    return training, validation, test


def longer_sentences(seed: int = 0) -> pd.DataFrame:
    """Sentences of three, four and five numbers, 300 of each, with their labels.

    Columns ``sentence``, ``label`` and ``numbers``; "three minus two minus two" is first.
    """
    generator = np.random.default_rng(seed)
    sentences = ["three minus two minus two"]
    for numbers in (3, 4, 5):
        while len(sentences) < 300 * (numbers - 2):
            words = generator.choice(NUMBERS, numbers)
            signs = generator.choice(["plus", "minus"], numbers - 1)
            rest = (f" {sign} {word}" for sign, word in zip(signs, words[1:], strict=True))
            sentences.append(words[0] + "".join(rest))
    return pd.DataFrame(
        {
            "sentence": sentences,
            "label": [label(value(sentence)) for sentence in sentences],
            "numbers": [(len(sentence.split()) + 1) // 2 for sentence in sentences],
        }
    )


def read_sentences(path: str | Path) -> pd.DataFrame:
    """A reader's own sentences from a CSV file, with the columns ``sentence`` and ``label``.

    The file may call the first ``input``, as the course's files do; other columns are left out.

    Raises
    ------
    ValueError
        If a column is missing, a sentence is empty, or a label is not 0, 1 or 2. The message names
        the first such line of the file.
    """
    data = pd.read_csv(path, keep_default_na=False, skipinitialspace=True)
    data = data.rename(columns=lambda name: str(name).strip()).rename(columns={"input": "sentence"})
    if missing := {"sentence", "label"} - {*data.columns}:
        raise ValueError(
            f"{path} has no column {' and no column '.join(map(repr, sorted(missing)))}: expected "
            f"'sentence' (or 'input') and 'label', found {[*data.columns]}"
        )
    data = data[["sentence", "label"]].copy()
    data["sentence"] = data["sentence"].astype(str).str.strip()
    labels = pd.to_numeric(data["label"], errors="coerce")
    for row, sentence, given in data.itertuples():
        if not sentence:
            raise ValueError(f"line {row + 2} of {path} has an empty sentence")
        if labels[row] not in (0, 1, 2):
            raise ValueError(f"line {row + 2} of {path} has the label {given!r}, not 0, 1 or 2")
    return data.assign(label=labels.astype("int64"))


class Fold(NamedTuple):
    """A fifth of :func:`verbal_arithmetic` to evaluate on, 160 rows, and the other 640 to train on.

    ``pairs`` are the numbers of the evaluation's "minus" sentences, the smaller first.
    """

    training: pd.DataFrame
    evaluation: pd.DataFrame
    pairs: frozenset[tuple[int, int]]


def fold(number: int, folds: int = FOLDS) -> Fold:
    """One, by its number from 0, of the parts that the sentences are dealt into.

    Each part has as many "plus" sentences and as many "minus" sentences. Of the latter it has both
    or neither of "a minus b" and "b minus a", and its share of "a minus a".

    Raises
    ------
    ValueError
        If there is no such part, or ``folds`` is not a divisor of 10.
    """
    if folds < 2 or 10 % folds:
        raise ValueError(f"folds must be 2, 5 or 10, got {folds}")
    if not 0 <= number < folds:
        raise ValueError(f"expected a fold from 0 to {folds - 1}, got {number}")
    random = Random(0)
    unequal = [(a, b) for a in range(20) for b in range(a + 1, 20)]
    equal = [(a, a) for a in range(20)]
    plus = [*range(400)]
    for whole in (unequal, equal, plus):
        random.shuffle(whole)
    pairs = frozenset(unequal[number::folds] + equal[number::folds])
    both = pairs | {(b, a) for a, b in pairs}
    rows = sorted(plus[number::folds] + [400 + 20 * a + b for a, b in both])
    data = verbal_arithmetic()
    return Fold(data.drop(index=rows), data.loc[rows], pairs)
