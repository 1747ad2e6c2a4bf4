"""A vocabulary of whole words, which a BERT reads sentences with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

__all__ = ["CLS", "MASK", "PAD", "SEP", "SPECIAL", "Vocabulary"]

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")
PAD, CLS, SEP, MASK = range(len(SPECIAL))


class Vocabulary:
    """Words and their numbers in alphabetical order, after the special ones.

    Raises
    ------
    ValueError
        If there is no word.
    """

    def __init__(self, words: Iterable[str]):
        self.words = (*SPECIAL, *sorted({*words} - {*SPECIAL}))
        if len(self.words) == len(SPECIAL):
            raise ValueError("expected at least one word")
        self._number = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, sentence: str | Sequence[str]) -> list[int]:
        """The numbers of a sentence's words.

        Raises
        ------
        ValueError
            If the sentence is empty, or a word is not in the vocabulary.
        """
        words = sentence.split() if isinstance(sentence, str) else sentence
        if not words:
            raise ValueError("the sentence is empty")
        if unknown := [word for word in words if word not in self._number]:
            raise ValueError(
                f"{unknown[0]!r} in {' '.join(words)!r} is not among the {len(self)} words of the "
                "vocabulary"
            )
        return [self._number[word] for word in words]

    def __call__(
        self,
        sentences: Sequence[str | Sequence[str]],
        padding: bool = True,
        return_tensors: str = "pt",
    ) -> dict[str, Tensor]:
        """Sentences as a BERT reads them, ``[CLS] words [SEP]``, padded to the longest.

        It is called as transformers' tokenizers are, with these values only, and gives
        ``input_ids`` and ``attention_mask``, int64 of shape (B, T).

        Raises
        ------
        ValueError
            If there is no sentence, or as :meth:`encode`.
        """
        if not padding or return_tensors != "pt":
            raise ValueError("expected padding=True and return_tensors='pt'")
        rows = [[CLS, *self.encode(sentence), SEP] for sentence in sentences]
        if not rows:
            raise ValueError("there is no sentence")
        longest = max(map(len, rows))
        inputs = torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
        return {"input_ids": inputs, "attention_mask": (inputs != PAD).long()}
