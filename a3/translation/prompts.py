"""A word and its translation as one sequence: the data of decoder-only models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from a3.translation.word_pairs import EOP, EOS, IGNORE, SOS, WordPairs, groups_of_like_length

__all__ = ["PromptBatch", "Prompts", "generate_tensors_for_training_decoder_nmt"]


def generate_tensors_for_training_decoder_nmt(
    source: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """What a decoder-only model reads, and the token that it must name at each place.

    Equation :eq:`decoder-sequence` of the book; questions 2.2-1 (2025) and 3.2-1 (2023).

    Parameters
    ----------
    source : Tensor of int64, shape (B, S)
        Words of one length, each with ``<EOP>`` at its end.
    target : Tensor of int64, shape (B, T)
        Their translations, of one length, each with ``<EOS>`` at its end.

    Returns
    -------
    inputs, targets : Tensor of int64, shape (B, S + T)
        ``<SOS> word <EOP> translation``, and ``word <EOP> translation <EOS>``: one place on.

    Raises
    ------
    ValueError
        If the shapes do not match, or a sequence does not end with its mark.
    """
    if source.dim() != 2 or target.dim() != 2 or len(source) != len(target):
        raise ValueError(
            f"expected source (B, S) and target (B, T), got {tuple(source.shape)} and "
            f"{tuple(target.shape)}"
        )
    if not source.shape[1] or (source[:, -1] != EOP).any():
        raise ValueError("every source must end with <EOP>")
    if not target.shape[1] or (target[:, -1] != EOS).any():
        raise ValueError("every target must end with <EOS>")
    start = source.new_full((len(source), 1), SOS)
    return torch.cat([start, source, target[:, :-1]], dim=1), torch.cat([source, target], dim=1)


@dataclass(frozen=True)
class PromptBatch:
    """Words and translations as single sequences, padded to the longest; all int64."""

    inputs: Tensor  # (B, T): <SOS> word <EOP> translation, padded with <EOS>
    scored: Tensor  # (tokens,): places in the flattened batch, from <EOP> to the last letter
    targets: Tensor  # (tokens,): the next token at each of these

    @property
    def tokens(self) -> int:
        """Tokens that are scored: the translations and their ``<EOS>``."""
        return len(self.targets)

    def to(self, device: torch.device | str) -> PromptBatch:
        """The same batch on another device."""
        return PromptBatch(*(x.to(device) for x in (self.inputs, self.scored, self.targets)))


class Prompts:
    """Word pairs as the sequences of a decoder-only model, tokenised once.

    ``lengths``, int64 (N,), are the tokens of each ``<SOS> word <EOP> translation``. Made of
    anything but :class:`~a3.translation.word_pairs.WordPairs`, a ``TypeError``.
    """

    def __init__(self, word_pairs: WordPairs):
        if not isinstance(word_pairs, WordPairs):
            raise TypeError(f"expected WordPairs, got {type(word_pairs).__name__}")
        self.word_pairs = word_pairs
        # A word with <EOP> is as long as one with <EOS>.
        S, T = word_pairs.source_lengths, word_pairs.target_lengths
        self.lengths = S + T
        self._inputs = torch.full((len(S), int(self.lengths.max())), EOS)
        self._targets = torch.full_like(self._inputs, IGNORE)
        shapes = torch.stack([S, T], dim=1)
        for s, t in shapes.unique(dim=0).tolist():
            rows = (shapes == torch.tensor([s, t])).all(dim=1).nonzero().squeeze(1)
            batch = word_pairs[rows]
            source = torch.cat(
                [batch.source[:, :-1], batch.source.new_full((len(rows), 1), EOP)], 1
            )
            inputs, targets = generate_tensors_for_training_decoder_nmt(source, batch.targets)
            self._inputs[rows, : s + t] = inputs
            self._targets[rows, s : s + t] = targets[:, s:]  # the prompt has no loss

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        """Tokens of one epoch that are scored."""
        return self.word_pairs.tokens

    def split(self, share: float = 0.8, seed: int = 0) -> tuple[Prompts, Prompts]:
        """As :meth:`~a3.translation.word_pairs.WordPairs.split`: the same words on each side."""
        return tuple(Prompts(part) for part in self.word_pairs.split(share, seed))

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[PromptBatch]:
        """As :meth:`~a3.translation.word_pairs.WordPairs.batches`, of sequences of like length."""
        for rows in groups_of_like_length(self.lengths, batch_size, generator):
            yield self[rows]

    def __getitem__(self, rows: Tensor) -> PromptBatch:
        """The sequences at ``rows`` as one padded batch."""
        T = int(self.lengths[rows].max())
        targets = self._targets[rows, :T].flatten()
        scored = (targets != IGNORE).nonzero().squeeze(1)
        return PromptBatch(self._inputs[rows, :T], scored, targets[scored])
