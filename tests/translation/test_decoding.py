import pytest
import torch

import a3.translation.decoding
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import complete, exact_match, translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import ALPHABET
from a3.translation.word_pairs import EOS, SOS, WordPairs, decode, encode

WORDS = ["a", "team", "quick", "string", "well-known", "you", "squid", "i", "conditioning"]
SENTENCE = "the air conditioning is working"


def sharpened(hidden=16, layers=2, **options):
    """A model whose weights are large enough to decode unlike words unlike."""
    model = EncoderDecoder(hidden, layers, **options)
    with torch.no_grad():
        model.decoder.to_logits.weight.mul_(5)
    return model


def decode_naively(model, word, max_length):
    """Greedy decoding of one word by running the whole model on each longer prefix."""
    source, written = torch.tensor([encode(word)]), [SOS]
    while len(written) <= max_length and written[-1] != EOS:
        logits, _ = model(source, torch.tensor([written]))
        written.append(int(logits[0, -1].argmax()))
    return decode(written)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cached_batched_decoding_equals_decoding_each_word_from_its_whole_prefix(seed):
    model = sharpened(seed=seed)
    expected = [decode_naively(model, word, max_length=12) for word in WORDS]
    assert len(set(expected)) > 3  # the words are told apart
    assert translate(model, WORDS, max_length=12) == expected
    assert translate(model, WORDS, max_length=12, batch_size=2) == expected
    assert [translate(model, [word], max_length=12)[0] for word in WORDS] == expected


def test_decoding_stops_at_the_end_token_whether_or_not_others_have_ended():
    model = sharpened(seed=1)
    with torch.no_grad():
        model.decoder.to_logits.bias[EOS] += 6
    expected = [decode_naively(model, word, max_length=12) for word in WORDS]
    assert len({len(word) for word in expected}) > 1 and min(map(len, expected)) < 12
    assert translate(model, WORDS, max_length=12) == expected


@pytest.mark.parametrize("max_length", [1, 5, 20])
def test_a_translation_has_at_most_max_length_characters(max_length):
    model = sharpened()
    with torch.no_grad():
        model.decoder.to_logits.bias[: len(ALPHABET)] += 50  # never ends
    assert {len(word) for word in translate(model, WORDS, max_length)} == {max_length}


def test_a_sentence_is_translated_word_by_word_in_its_order():
    model = sharpened()
    assert translate(model, f"  {SENTENCE}\n") == " ".join(translate(model, SENTENCE.split()))
    assert translate(model, []) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one word to translate"),
        (" \n", "at least one word to translate"),
        ("The air", "'The' has 'T'"),
        (["air", ""], "a word must not be empty"),
        (["ai r"], "'ai r' has ' '"),
        ("well- known", "empty part beside a hyphen"),
    ],
)
def test_a_text_that_cannot_be_translated_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        translate(EncoderDecoder(8, 1), text)


@pytest.mark.parametrize("options", [{"max_length": 0}, {"batch_size": 0}])
def test_decoding_with_no_length_or_batch_is_refused(options):
    with pytest.raises(ValueError, match="must be at least 1"):
        translate(EncoderDecoder(8, 1), "team", **options)


@pytest.mark.parametrize("make", [EncoderDecoder, DecoderOnlyTransformer])
def test_a_compiled_model_decodes_as_the_one_that_it_is_made_of(make):
    model = make(16, 2)
    with torch.no_grad():  # it writes words
        getattr(model, "decoder", model).to_logits.bias[: ALPHABET.index("-")] += 50
    expected = translate(model, WORDS)
    pairs = WordPairs(zip(WORDS, expected, strict=True))
    compiled = torch.compile(model)
    assert translate(compiled, WORDS) == expected
    assert exact_match(compiled, pairs) == 1
    if make is DecoderOnlyTransformer:
        assert complete(compiled, WORDS) == expected


def test_another_model_or_one_text_for_a_list_is_refused_in_one_line():
    with pytest.raises(TypeError, match="an EncoderDecoder or a DecoderOnlyTransformer, got Lin"):
        translate(torch.nn.Linear(2, 2), "team")
    with pytest.raises(TypeError, match="expected a DecoderOnlyTransformer, got EncoderDecoder"):
        complete(EncoderDecoder(8, 1), ["team"])
    with pytest.raises(TypeError, match="a list of words, got the text 'team'"):
        complete(DecoderOnlyTransformer(8, 1), "team")


def test_exact_match_is_the_share_of_words_without_a_wrong_character(monkeypatch):
    pairs = WordPairs(["team", "my", "quick", "well-known"])
    guesses = {"team": "eamtay", "my": "ymayy", "quick": "ickqua", "well-known": "ellway-ownknay"}
    monkeypatch.setattr(
        a3.translation.decoding, "translate", lambda model, words: [guesses[word] for word in words]
    )
    assert exact_match(None, pairs) == 0.5


def test_exact_match_of_what_a_model_says_itself_is_one():
    model = sharpened(seed=1)
    own = WordPairs(zip(WORDS, translate(model, WORDS), strict=True))
    assert exact_match(model, own) == 1
    assert exact_match(model, WordPairs(WORDS)) == 0
