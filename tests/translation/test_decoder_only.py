import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from a3.translation.attention import positional_encoding
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import complete
from a3.translation.pig_latin import ALPHABET
from a3.translation.prompts import Prompts
from a3.translation.training import Hyperparameters, evaluate, train
from a3.translation.word_pairs import EOP, EOS, IGNORE, SOS, WordPairs, decode, encode

WORDS = ["a", "team", "quick", "string", "well-known", "you", "squid", "i", "conditioning"]
MODEL_SIZES = [(4, 1), (16, 3)]


def by_the_equations(model, inputs):
    """Logits from the handouts' equations, with torch's attention."""
    H = model.to_logits.in_features
    x = model.embedding(inputs) + positional_encoding(inputs.shape[1], H)
    for layer in model.layers:
        a = layer.self_attention
        x = x + F.scaled_dot_product_attention(a.W_q(x), a.W_k(x), a.W_v(x), is_causal=True)
        x = x + layer.mlp[0](x).clamp(min=0)
    return model.to_logits(x)


@pytest.mark.parametrize(("hidden", "layers"), MODEL_SIZES)
def test_the_model_is_the_handouts_equations(hidden, layers):
    model = DecoderOnlyTransformer(hidden, layers)
    batch = Prompts(WordPairs(WORDS))[torch.arange(len(WORDS))]
    logits, maps, _ = model(batch.inputs)
    expected = by_the_equations(model, batch.inputs)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    B, T = batch.inputs.shape
    assert [m.shape for m in maps] == [(B, T, T)] * layers
    total, tokens = model.loss(batch)
    scored = expected.flatten(0, 1)[batch.scored]
    torch.testing.assert_close(total, F.cross_entropy(scored, batch.targets, reduction="sum"))
    assert tokens == batch.tokens


def test_the_loss_is_that_of_the_translations_alone():
    """The prompt's own tokens, and padding, are no part of it."""
    model, prompts = DecoderOnlyTransformer(16, 2), Prompts(WordPairs(WORDS))
    batch = prompts[torch.arange(len(WORDS))]
    logits = model(batch.inputs)[0]
    total = 0.0
    for row, (word, translation) in enumerate(prompts.word_pairs.pairs):
        start = len(word) + 1  # the place of <EOP>
        answer = torch.tensor(encode(translation))
        here = logits[row, start : start + len(answer)]
        total += F.cross_entropy(here, answer, reduction="sum").item()
    torch.testing.assert_close(model.loss(batch)[0].item(), total, atol=0, rtol=1e-5)


def test_padding_changes_nothing():
    model, prompts = DecoderOnlyTransformer(16, 2).double(), Prompts(WordPairs(WORDS))
    together = model.loss(prompts[torch.arange(len(WORDS))])[0]
    alone = sum(model.loss(prompts[torch.tensor([i])])[0] for i in range(len(WORDS)))
    torch.testing.assert_close(together, alone, atol=0, rtol=1e-12)


def test_no_logit_depends_on_a_later_token():
    model = DecoderOnlyTransformer(8, 2).double()
    embedded = model.embedding(torch.tensor([[SOS, 3, 4, EOP, 4, 3]])).detach().requires_grad_()
    model.embedding.forward = lambda tokens: embedded
    logits = model(torch.zeros(1, 6, dtype=torch.int64))[0]
    for t in range(6):
        (gradient,) = torch.autograd.grad(logits[0, t].sum(), embedded, retain_graph=True)
        assert (gradient[0, t + 1 :] == 0).all()
        assert (gradient[0, : t + 1] != 0).any(dim=1).all()


def test_a_cache_gives_what_the_whole_sequence_gives():
    model = DecoderOnlyTransformer(16, 3).double()
    inputs = torch.randint(0, 30, (4, 11), generator=torch.Generator().manual_seed(0))
    expected, maps, _ = model(inputs)
    first, _, cache = model(inputs[:, :5])
    parts = [first]
    for t in range(5, 11):
        logits, late_maps, cache = model(inputs[:, t : t + 1], cache)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(late_maps[0][:, 0], maps[0][:, -1])


def without_cache(model, word, max_length):
    tokens = [SOS, *encode(word)[:-1], EOP]
    written = []
    for _ in range(max_length):
        written.append(int(model(torch.tensor([tokens]))[0][0, -1].argmax()))
        if written[-1] == EOS:
            break
        tokens.append(written[-1])
    return decode(written)


def test_completions_are_those_of_one_word_at_a_time_without_a_cache():
    data, model = Prompts(WordPairs(WORDS)), DecoderOnlyTransformer(16, 2)
    settings = Hyperparameters(epochs=40, learning_rate=1e-2, batch_size=4)
    train(model, data, data, settings, progress=False)
    for max_length in (1, 20):
        expected = [without_cache(model, word, max_length) for word in WORDS]
        assert complete(model, WORDS, max_length) == expected
    assert len(set(expected)) > 3  # it says different things


def test_the_model_learns_its_words_by_heart():
    data = Prompts(WordPairs(["a", "team", "quick", "i"]))
    model = DecoderOnlyTransformer(32, 2)
    before = evaluate(model, data)
    settings = Hyperparameters(epochs=80, learning_rate=1e-2, batch_size=4)
    history = train(model, data, data, settings, progress=False)
    assert history.best_loss < 0.05 < 2.5 < before < 5  # log(30) = 3.4
    assert complete(model, ["quick", "a", "team", "i"]) == ["ickquay", "away", "eamtay", "iway"]
    assert complete(model, []) == []


@pytest.mark.parametrize(("hidden", "layers"), MODEL_SIZES)
def test_the_parameters_are_those_of_the_handouts_layers(hidden, layers):
    H, L, V = hidden, layers, len(ALPHABET) + 3
    expected = V * H + L * (3 * H**2 + 3 * H + H**2 + H) + H * V + V
    assert sum(p.numel() for p in DecoderOnlyTransformer(H, L).parameters()) == expected


@pytest.mark.parametrize("word", ["i", "well-known"])
@pytest.mark.parametrize(("hidden", "layers"), MODEL_SIZES)
def test_flops_are_torchs_count_of_the_products_and_three_a_softmax_entry(hidden, layers, word):
    """Torch counts the matrix products alone: two a multiply-add, no bias, no softmax."""
    model, prompts = DecoderOnlyTransformer(hidden, layers), Prompts(WordPairs([word]))
    with FlopCounterMode(display=False) as counter:
        model(prompts[torch.tensor([0])].inputs)
    s = int(prompts.lengths[0])
    assert model.flops(prompts) == counter.get_total_flops() + layers * 3 * s * s


def test_an_epochs_flops_are_about_those_of_the_handouts():
    """0.0862 TFLOPs at hidden 128 for words of about 19.5 tokens, forward and backward."""
    lengths = Prompts(WordPairs(["abcdefgh"]))  # 9 + 11 = 20 tokens
    flops = 3 * 2558 * DecoderOnlyTransformer(128, 4).flops(lengths)
    assert 0.95 < flops / 0.0862e12 < 1.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "at least one layer, got 0"),
        ({"vocabulary": 0}, "at least one token, got 0"),
        ({"hidden": 7}, "must be even"),
        ({"hidden": 0}, "positive"),
    ],
)
def test_a_model_of_nothing_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DecoderOnlyTransformer(**({"hidden": 8} | arguments))


def test_words_that_cannot_be_completed_are_refused():
    model = DecoderOnlyTransformer(8, 1)
    with pytest.raises(ValueError, match="max_length must be at least 1"):
        complete(model, ["a"], 0)
    with pytest.raises(ValueError, match="é"):
        complete(model, ["café"])


def test_the_seed_is_that_of_the_weights():
    first, same, other = (DecoderOnlyTransformer(8, 1, seed=s).to_logits.weight for s in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert IGNORE not in Prompts(WordPairs(WORDS))[torch.arange(3)].targets
