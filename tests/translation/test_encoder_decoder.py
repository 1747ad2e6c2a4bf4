from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from a3.translation.attention import positional_encoding
from a3.translation.decoding import translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import ALPHABET
from a3.translation.word_pairs import IGNORE, WordPairs

WORDS = ["a", "team", "quick", "string", "well-known", "you", "squid", "i", "conditioning"]
SENTENCE = "the air conditioning is working"


def gradients(model, batches):
    """Summed loss and its gradients, the batches added up."""
    model.zero_grad()
    total = sum(model.loss(batch)[0] for batch in batches)
    total.backward()
    return total.detach(), [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str
)
def test_a_padded_batch_gives_what_the_unpadded_words_give(dtype, tolerance):
    model, pairs = EncoderDecoder(16, 2).to(dtype), WordPairs(WORDS)
    (padded,) = pairs.batches(len(pairs))
    alone = list(pairs.batches(1))
    assert padded.source_mask is not None and all(batch.source_mask is None for batch in alone)

    logits, maps = model(padded.source, padded.inputs, padded.source_mask)
    for row, batch in enumerate(alone):  # both in the order of length
        S, T = batch.source.shape[1], batch.inputs.shape[1]
        expected, expected_maps = model(batch.source, batch.inputs)
        torch.testing.assert_close(logits[row, :T], expected[0], atol=tolerance, rtol=tolerance)
        for ours, theirs, k in zip(maps, expected_maps, (S, T, T), strict=True):
            for layer, expected_layer in zip(ours, theirs, strict=True):
                looks_at = expected_layer.shape[-1]
                torch.testing.assert_close(
                    layer[row, :k, :looks_at], expected_layer[0], atol=tolerance, rtol=tolerance
                )
                assert (layer[row, :k, looks_at:] == 0).all()

    total, grads = gradients(model, [padded])
    expected_total, expected_grads = gradients(model, alone)
    torch.testing.assert_close(total, expected_total, atol=0, rtol=tolerance)
    for ours, theirs in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(ours, theirs, atol=tolerance * 10, rtol=tolerance * 10)


def test_what_stands_in_the_padding_does_not_matter():
    model = EncoderDecoder(16, 2)
    (batch,) = WordPairs(WORDS).batches(len(WORDS))
    source, inputs = batch.source.clone(), batch.inputs.clone()
    source[~batch.source_mask[:, 0]] = 5
    inputs[batch.targets == IGNORE] = 7
    assert not torch.equal(source, batch.source) and not torch.equal(inputs, batch.inputs)
    changed = replace(batch, source=source, inputs=inputs)
    loss, grads = gradients(model, [batch])
    other_loss, other_grads = gradients(model, [changed])
    assert torch.equal(loss, other_loss)
    for ours, theirs in zip(grads, other_grads, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    without_mask = replace(batch, source_mask=None)
    assert not torch.equal(gradients(model, [without_mask])[0], loss)  # the mask does matter


def by_the_equations(model, source, inputs):
    """Logits of one word from the handouts' equations, with torch's attention."""

    def attend(attention, queries, keys, causal=False):
        Q, K, V = attention.W_q(queries), attention.W_k(keys), attention.W_v(keys)
        return F.scaled_dot_product_attention(Q, K, V, is_causal=causal)

    encoder, decoder = model.encoder, model.decoder
    H = decoder.to_logits.in_features
    x = encoder.embedding(source) + positional_encoding(source.shape[1], H)
    for layer in encoder.layers:
        x = x + attend(layer.self_attention, x, x)
        x = x + layer.mlp[0](x).clamp(min=0)
    y = decoder.embedding(inputs) + positional_encoding(inputs.shape[1], H)
    for layer in decoder.layers:
        y = y + attend(layer.self_attention, y, y, causal=True)
        y = y + attend(layer.cross_attention, y, x)
        y = y + layer.mlp[0](y).clamp(min=0)
    return decoder.to_logits(y)


@pytest.mark.parametrize("word", ["i", "well-known"])
def test_the_model_is_the_handouts_equations(word):
    model = EncoderDecoder(16, 3)
    (batch,) = WordPairs([word]).batches(1)
    logits, maps = model(batch.source, batch.inputs)
    expected = by_the_equations(model, batch.source, batch.inputs)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    S, T = batch.source.shape[1], batch.inputs.shape[1]
    assert [m.shape for m in maps.encoder] == [(1, S, S)] * 3
    assert [m.shape for m in maps.decoder] == [(1, T, T)] * 3
    assert [m.shape for m in maps.cross] == [(1, T, S)] * 3


def test_a_word_or_a_translation_longer_than_the_position_table_is_refused():
    model = EncoderDecoder(8, 1, max_length=10)
    with pytest.raises(ValueError, match=r"13 tokens is longer than the position table \(10\)"):
        translate(model, "conditioning")
    with torch.no_grad():
        model.decoder.to_logits.bias[: len(ALPHABET)] += 50  # never ends
    with pytest.raises(ValueError, match=r"11 tokens is longer than the position table \(10\)"):
        translate(model, "team")


@pytest.mark.parametrize(("hidden", "layers"), [(4, 1), (16, 3)])
def test_the_parameters_are_those_of_the_handouts_layers(hidden, layers):
    H, L, V = hidden, layers, len(ALPHABET) + 2
    linear = H * H + H
    encoder, decoder = 3 * linear + linear, 6 * linear + linear
    expected = 2 * V * H + L * (encoder + decoder) + H * V + V
    assert sum(p.numel() for p in EncoderDecoder(H, L).parameters()) == expected


@pytest.mark.parametrize("word", ["i", "team", "well-known"])
@pytest.mark.parametrize(("hidden", "layers"), [(4, 1), (16, 3)])
def test_flops_are_torchs_count_of_the_products_and_three_a_softmax_entry(hidden, layers, word):
    """Torch counts the matrix products alone: two a multiply-add, no bias, no softmax."""
    model, pairs = EncoderDecoder(hidden, layers), WordPairs([word])
    (batch,) = pairs.batches(1)
    with FlopCounterMode(display=False) as counter:
        model(batch.source, batch.inputs)
    s, t = len(word) + 1, len(pairs.pairs[0][1]) + 1
    softmax = layers * 3 * (s * s + t * t + t * s)
    assert model.flops(pairs) == counter.get_total_flops() + softmax


def test_flops_of_several_words_are_the_sum_of_each_without_padding():
    model = EncoderDecoder(8, 2)
    each = [model.flops(WordPairs([word])) for word in WORDS]
    assert model.flops(WordPairs(WORDS)) == sum(each)


def test_an_untrained_models_loss_is_about_that_of_guessing():
    (batch,) = WordPairs(WORDS).batches(len(WORDS))
    total, tokens = EncoderDecoder(32, 2).loss(batch)
    assert tokens == batch.tokens
    assert 2.5 < total.item() / tokens < 5  # log(29) = 3.4


def test_the_same_seed_gives_the_same_weights_and_another_gives_others():
    a, b, c = (EncoderDecoder(8, 1, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert all(not torch.equal(a[name], c[name]) for name in a)


def test_making_a_model_leaves_the_global_generator_as_it_was():
    before = torch.random.get_rng_state()
    EncoderDecoder(8, 1, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "width must be a positive number, got 0"),
        ({"hidden": -4}, "width must be a positive number, got -4"),
        ({"hidden": 7}, "width must be even .* got 7"),
        ({"layers": 0}, "at least one layer, got 0"),
        ({"vocabulary": 0}, "at least one token, got 0"),
        ({"max_length": -1}, "at least 0, got -1"),
    ],
)
def test_a_size_that_is_not_one_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(**options)
