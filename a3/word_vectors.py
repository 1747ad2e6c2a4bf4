"""Vectors of words, from a language model that has read them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from a3.checkpoints import minilm

__all__ = ["mean_over_tokens", "word_vectors"]

_WORDS_AT_ONCE = 256


@torch.inference_mode()
def word_vectors(words: Sequence[str], dimensions: int) -> Tensor:
    """What MiniLM makes of each word by itself, in as few dimensions as are asked for.

    A word's vector is the mean of the model's last layer over the word's tokens. Of the vectors of
    all words the mean is taken away, and the largest principal components are kept.

    Parameters
    ----------
    words : sequence of str
        Two at least.
    dimensions : int
        At most 384, and at most as many as there are words.

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

    References
    ----------
    Frome et al. (2013): vectors of words let a model name what it has not seen.
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


def mean_over_tokens(X: Tensor, seen: Tensor) -> Tensor:
    """The mean of vectors, (B, T, H), over the tokens seen, (B, T): 1 for each, 0 for padding."""
    seen = seen.unsqueeze(-1)  # (B, T, 1)
    return (X * seen).sum(dim=1) / seen.sum(dim=1)
