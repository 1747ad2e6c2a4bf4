"""The kinds of words in Pig Latin: which case of its rule a word falls under."""

from __future__ import annotations

from a3.translation.pig_latin import pig_latin

__all__ = ["KINDS", "kind", "moved_letters"]

KINDS = ("one consonant", "cluster", "qu", "vowel", "hyphen")
"""What moves from the front of a word to its end; in the last two, nothing or several parts."""


def kind(word: str) -> str:
    """Which case of the rule a word falls under.

    Parameters
    ----------
    word : str

    Returns
    -------
    str
        One of ``KINDS``. Words in which nothing moves count as ``"vowel"``, also those that start
        with y.

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
    """The letters that go from the front of a word to its end, perhaps none.

    Parameters
    ----------
    word : str
        Without hyphens.

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
