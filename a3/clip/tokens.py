"""Captions as rows of token numbers, and vectors of words, for a small CLIP.

The tokens are CLIP's own, those in use only; the vectors are a language model's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import cache

import torch
from torch import Tensor

from a3.bert.fine_tuning import mean_over_tokens
from a3.bert.pretrained import minilm

__all__ = ["Vocabulary", "check_captions", "word_vectors"]

_WORDS_AT_ONCE = 256


class Vocabulary:
    """CLIP's byte-pair tokens, renumbered so that a small model has no more than it meets.

    0 pads, 1 starts a caption, and the largest number ends it: CLIP takes a caption's feature at
    its largest number. Rows have the length ``context``, start and end included.

    Raises
    ------
    ValueError
        If there is no token, or no room for one.
    """

    def __init__(self, tokens: Iterable[int], context: int = 20):
        self.tokens = sorted(set(tokens))
        self.context = context
        if not self.tokens or context < 3:
            raise ValueError(f"expected tokens and a context of 3 or more, got {context}")
        self._number = {token: number for number, token in enumerate(self.tokens, start=2)}

    @classmethod
    def of(cls, captions: Iterable[str], context: int = 20) -> Vocabulary:
        """The tokens that these captions need."""
        return cls((t for caption in captions for t in _tokenizer().encode(caption)), context)

    def __len__(self) -> int:
        return len(self.tokens) + 3

    @property
    def words(self) -> list[str]:
        """What each token stands for, in the order of their numbers, which begin at 2."""
        return [_tokenizer().decode([token]).strip() for token in self.tokens]

    def __call__(self, captions: Sequence[str], quiet: bool = False) -> Tensor:
        """Rows of numbers, (n, context), long; a caption that is too long loses its end.

        Raises
        ------
        ValueError
            If a caption is empty, or none of its words is known.

        Warns
        -----
        UserWarning
            Unless ``quiet``, if a caption is cut, or has words that are not in the vocabulary: they
            are left out.
        """
        check_captions(captions)
        rows, cut, unknown = [], [], []
        for caption in captions:
            codes = [code for word in caption.split(" ") for code in _codes(word)]
            known = [self._number[code] for code in codes if code in self._number]
            if not known:
                raise ValueError(f"the small CLIP knows no word of the caption {caption!r}")
            if len(known) < len(codes):
                strange = [code for code in codes if code not in self._number]
                unknown.append(f"{_tokenizer().decode(strange).strip()!r} of {caption!r}")
            if len(known) > self.context - 2:
                cut.append(caption)
            known = [1, *known[: self.context - 2], len(self) - 1]
            rows.append(known + [0] * (self.context - len(known)))
        if unknown and not quiet:
            warnings.warn(f"unknown words, left out: {_first(unknown)}", stacklevel=2)
        if cut and not quiet:
            warnings.warn(
                f"cut after {self.context - 2} tokens: {_first(map(repr, cut))}", stacklevel=2
            )
        return torch.tensor(rows, dtype=torch.long).view(-1, self.context)


def _first(items: Iterable[str], shown: int = 5) -> str:
    """The first of these, and how many more there are."""
    items = [*items]
    more = len(items) - shown
    return "; ".join(items[:shown]) + (f"; and {more} more" if more > 0 else "")


def check_captions(captions: Sequence[str]) -> None:
    """Raise ``ValueError`` unless these are captions with something in them."""
    if isinstance(captions, str):
        raise ValueError(f"expected a list of captions, got the string {captions!r}")
    for caption in captions:
        if not caption.strip():
            raise ValueError(f"a caption is empty: {[*captions]}")


@cache  # to clean and split a word takes long, and a run meets the same ones again and again
def _codes(word: str) -> list[int]:
    """Numbers of a word's tokens; no token goes beyond a space."""
    return _tokenizer().encode(word)


@cache
def _tokenizer():
    from open_clip import SimpleTokenizer

    return SimpleTokenizer()


@torch.inference_mode()
def word_vectors(words: Sequence[str], dimensions: int) -> Tensor:
    """What MiniLM makes of each word by itself, in as few dimensions as are asked for.

    A word's vector is the mean of the model's last layer over the word's tokens. Of the vectors of
    all words the mean is taken away, and the largest principal components are kept: at most 384,
    and no more than words. Frome et al. (2013): vectors of words let a model name what it has not
    seen.

    Returns
    -------
    Tensor, shape (n, dimensions)
        With a mean of zero; over all entries the mean square is 1.

    Raises
    ------
    ValueError
        If there are fewer words than dimensions, or more than 384 dimensions are asked for.
    FileNotFoundError
        If MiniLM is not installed.
    """
    from transformers import AutoTokenizer, BertModel

    tokenizer = AutoTokenizer.from_pretrained(minilm())
    model = BertModel.from_pretrained(minilm()).eval()
    if not 0 < dimensions <= min(len(words), model.config.hidden_size):
        raise ValueError(
            f"expected dimensions from 1 to {min(len(words), model.config.hidden_size)}, for "
            f"{len(words)} words, got {dimensions}"
        )
    means = []
    for start in range(0, len(words), _WORDS_AT_ONCE):
        batch = tokenizer(
            [*words[start : start + _WORDS_AT_ONCE]], padding=True, return_tensors="pt"
        )
        last = model(**batch).last_hidden_state  # (B, T, 384)
        means.append(mean_over_tokens(last, batch["attention_mask"]))
    X = torch.cat(means)
    X = X - X.mean(dim=0)
    axes = torch.linalg.eigh(X.T @ X).eigenvectors[:, -dimensions:]  # ascending
    # an axis has no direction of its own: its largest entry is made positive
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    kept = X @ axes.flip(1)
    return kept / kept.square().mean().sqrt()
