"""Greedy translation: many words side by side, with cached keys and values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.word_pairs import EOP, EOS, SOS, WordPairs, decode, encode, pad, padding_mask

__all__ = ["complete", "exact_match", "translate"]


@torch.no_grad()
def translate(
    model: EncoderDecoder | DecoderOnlyTransformer,
    text: str | list[str],
    max_length: int = 20,
    batch_size: int = 256,
) -> str | list[str]:
    """Translate words greedily: at each step the likeliest character, until ``<EOS>``.

    ``text`` is a sentence, whose words are translated one by one, or a list of words; so is the
    result, of at most ``max_length`` characters a word. So many words as the batch size are decoded
    side by side, by a decoder-only model all of one length; keys and values of earlier positions
    are kept.

    A model that ``torch.compile`` made decodes as the one that it was made of: compiling for every
    length would take longer.

    Raises
    ------
    TypeError
        If the model is neither of the two.
    ValueError
        If there is no word, or a word has a character outside the alphabet.
    """
    model = getattr(model, "_orig_mod", model)
    if not isinstance(model, EncoderDecoder | DecoderOnlyTransformer):
        raise TypeError(
            f"expected an EncoderDecoder or a DecoderOnlyTransformer, got {type(model).__name__}"
        )
    if isinstance(text, str):
        if not text.split():
            raise ValueError("expected at least one word to translate, got an empty text")
        return " ".join(translate(model, text.split(), max_length, batch_size))
    if batch_size < 1 or max_length < 1:
        raise ValueError(
            f"batch_size and max_length must be at least 1, got {batch_size} and {max_length}"
        )
    if isinstance(model, DecoderOnlyTransformer):
        return complete(model, list(text), max_length)
    model.eval()
    tokens = [encode(word) for word in text]
    by_length = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
    translations = {}
    for start in range(0, len(tokens), batch_size):
        rows = by_length[start : start + batch_size]
        written = _read_and_write(model, [tokens[i] for i in rows], max_length)
        translations |= zip(rows, written, strict=True)
    return [translations[i] for i in range(len(tokens))]


def _read_and_write(model: EncoderDecoder, tokens: list[list[int]], max_length: int) -> list[str]:
    """Translations of words of any lengths, decoded together."""
    device = model.decoder.to_logits.weight.device
    source = pad(tokens, EOS).to(device)  # (B, S)
    lengths = torch.tensor([len(word) for word in tokens], device=device)
    mask = padding_mask(lengths, source.shape[1])
    keys_and_values = model.decoder.project(model.encoder(source, mask)[0])

    def decoder(token: Tensor, cache: list | None):
        return model.decoder(token, keys_and_values, mask, cache)

    return _greedily(decoder, torch.full((len(tokens), 1), SOS, device=device), max_length)


def _greedily(model: Callable, token: Tensor, max_length: int) -> list[str]:
    """What a model writes after ``token``, (B, k), by the likeliest token until ``<EOS>``.

    It maps tokens and the cache of those before them to logits, (B, k, V), maps, and the cache.
    """
    ended = torch.zeros(len(token), 1, dtype=torch.bool, device=token.device)
    cache, written = None, []
    for _ in range(max_length):
        logits, _, cache = model(token, cache)
        token = logits[:, -1:].argmax(dim=-1)  # (B, 1)
        written.append(token)
        ended |= token == EOS
        if ended.all():
            break
    return [decode(row) for row in torch.cat(written, dim=1).tolist()]


def exact_match(model: EncoderDecoder | DecoderOnlyTransformer, pairs: WordPairs) -> float:
    """Share of words, 0 to 1, that greedy decoding translates without a single wrong character."""
    words, truth = zip(*pairs.pairs, strict=True)
    return sum(map(str.__eq__, translate(model, list(words)), truth)) / len(truth)


@torch.no_grad()
def complete(model: DecoderOnlyTransformer, words: list[str], max_length: int = 20) -> list[str]:
    """Translate words greedily; words of one length are decoded side by side.

    The keys and values of tokens already read are kept: equation :eq:`decoder-cache` of the book.
    ``max_length`` is the most characters of a translation.

    Raises
    ------
    TypeError
        If the model is another one, or the words are one text.
    ValueError
        If a word has a character outside the alphabet, or the length is less than 1.
    """
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    model = getattr(model, "_orig_mod", model)
    if not isinstance(model, DecoderOnlyTransformer):
        raise TypeError(f"expected a DecoderOnlyTransformer, got {type(model).__name__}")
    if isinstance(words, str):
        raise TypeError(f"expected a list of words, got the text {words!r:.40}")
    model.eval()
    device = model.to_logits.weight.device
    by_length: dict[int, list[int]] = {}
    tokens = [[SOS, *encode(word)[:-1], EOP] for word in words]
    for i, prompt in enumerate(tokens):
        by_length.setdefault(len(prompt), []).append(i)
    translations = {}
    for rows in by_length.values():
        prompts = torch.tensor([tokens[i] for i in rows], device=device)  # (B, k)
        translations |= zip(rows, _greedily(model, prompts, max_length), strict=True)
    return [translations[i] for i in range(len(words))]
