from itertools import takewhile

import pytest
import torch
from few_words import WORDS, words
from hypothesis import given

from a3.translation.pig_latin import ALPHABET, small_words
from a3.translation.word_pairs import EOP, EOS, IGNORE, SOS, WordPairs, decode, encode, pad


@given(words)
def test_a_word_survives_encoding_and_decoding(word):
    tokens = encode(word)
    assert tokens[-1] == EOS and len(tokens) == len(word) + 1
    assert all(0 <= token < len(ALPHABET) for token in tokens[:-1])
    assert decode(tokens) == decode([SOS, *tokens, *tokens]) == word


def test_the_special_tokens_follow_the_alphabet():
    assert (len(ALPHABET), SOS, EOS, EOP) == (27, 27, 28, 29)
    assert decode([SOS, 0, EOP, 1]) == "ab"  # no <EOS>


def test_no_pairs_are_refused():
    with pytest.raises(ValueError, match="at least one word pair"):
        WordPairs([])


@pytest.mark.parametrize(
    ("pairs", "error", "message"),
    [
        ("team", TypeError, "a list of words or pairs, got the text 'team'"),
        ([("a", "b", "c")], ValueError, r"words or pairs of them, got \('a', 'b', 'c'\)"),
    ],
)
def test_what_is_not_a_list_of_words_or_pairs_is_refused(pairs, error, message):
    with pytest.raises(error, match=message):
        WordPairs(pairs)


def test_a_token_below_zero_is_no_letter():
    assert decode([0, IGNORE, -1, 1]) == "ab"


def test_words_alone_are_translated_and_given_translations_are_kept():
    pairs = WordPairs(["team", ("team", "oddity")])
    assert pairs.pairs == [("team", "eamtay"), ("team", "oddity")]
    assert pairs.tokens == len("eamtay") + len("oddity") + 2


def words_in(batch):
    """The pairs of a batch, from its tokens and its mask alone."""
    size, S = batch.source.shape
    lengths = [S] * size if batch.source_mask is None else batch.source_mask[:, 0].sum(1).tolist()
    for source, length, inputs, targets in zip(
        batch.source.tolist(), lengths, batch.inputs.tolist(), batch.targets.tolist(), strict=True
    ):
        scored = list(takewhile(lambda token: token != IGNORE, targets))
        assert source[length - 1] == scored[-1] == EOS
        assert inputs[: len(scored)] == [SOS, *scored[:-1]]
        assert set(targets[len(scored) :]) <= {IGNORE}
        yield decode(source[:length]), decode(scored)


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_every_pair_comes_exactly_once_an_epoch_padded_and_masked_right(batch_size, seed):
    pairs = WordPairs(WORDS)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    batches = list(pairs.batches(batch_size, generator))
    assert len(batches) == -(-len(pairs) // batch_size)
    assert sorted(pair for batch in batches for pair in words_in(batch)) == sorted(pairs.pairs)
    assert sum(batch.tokens for batch in batches) == pairs.tokens
    for batch in batches:
        assert batch.tokens == (batch.targets != IGNORE).sum()
        if batch.source_mask is not None:
            lengths = batch.source_mask.sum(-1)
            assert batch.source_mask.shape == (len(batch.source), 1, batch.source.shape[1])
            assert int(lengths.max()) == batch.source.shape[1]
            expected = torch.arange(batch.source.shape[1]) < lengths[..., None]
            assert torch.equal(batch.source_mask, expected)


def test_a_batch_of_words_of_one_length_has_no_mask():
    (batch,) = WordPairs(["team", "word", "well"]).batches(3)
    assert batch.source_mask is None
    (batch,) = WordPairs(["team", "words"]).batches(3)
    assert batch.source_mask is not None


def epochs(seed, number=2):
    pairs, generator = WordPairs(WORDS), torch.Generator().manual_seed(seed)
    return [[list(words_in(batch)) for batch in pairs.batches(3, generator)] for _ in range(number)]


def test_the_same_seed_gives_the_same_batches():
    assert epochs(seed=1) == epochs(seed=1)


def test_another_seed_or_epoch_gives_other_batches():
    first, second = epochs(seed=1)
    assert first != second
    assert first != epochs(seed=2)[0]


def test_words_batched_together_are_of_like_length():
    pairs = WordPairs(small_words(400))
    batches = pairs.batches(16, torch.Generator().manual_seed(0))
    padded = sum(batch.targets.numel() for batch in batches)
    assert padded < 1.2 * pairs.tokens


def test_batches_are_drawn_without_touching_the_global_generator():
    before = torch.random.get_rng_state()
    WordPairs(WORDS).split()
    epochs(seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_that_is_not_positive_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"batch size must be at least 1, got {batch_size}"):
        list(WordPairs(WORDS).batches(batch_size))


def test_a_batch_moves_whole():
    (batch,) = WordPairs(["team", "words"]).batches(2)
    moved = batch.to("meta")
    for name in ("source", "source_mask", "inputs", "targets"):
        assert getattr(moved, name).is_meta and not getattr(batch, name).is_meta
    assert moved.tokens == batch.tokens
    (unpadded,) = WordPairs(["team"]).batches(1)
    assert unpadded.to("meta").source_mask is None


def test_pad_fills_up_to_the_longest():
    assert pad([[1], [2, 3, 4]], 9).tolist() == [[1, 9, 9], [2, 3, 4]]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_split_deals_every_pair_to_one_side(share):
    pairs = WordPairs(WORDS)
    train, valid = pairs.split(share)
    assert len(train) == int(share * len(pairs))
    assert not set(train.pairs) & set(valid.pairs)
    assert sorted(train.pairs + valid.pairs) == sorted(pairs.pairs)


def test_a_split_depends_on_its_seed_alone():
    pairs = WordPairs(WORDS)
    assert pairs.split(seed=3)[0].pairs == pairs.split(seed=3)[0].pairs
    assert set(pairs.split(seed=3)[0].pairs) != set(pairs.split(seed=4)[0].pairs)


@pytest.mark.parametrize("share", [-0.5, 0, 0.05, 1, 1.5])
def test_a_split_with_an_empty_side_is_refused(share):
    with pytest.raises(ValueError, match="share of .* of 11 pairs leaves one side empty"):
        WordPairs(WORDS).split(share)


def test_a_repeated_pair_falls_on_one_side_of_a_split():
    training, validation = WordPairs(["team", "team", "my", "you", "team"]).split(0.67)
    assert sorted(training.pairs + validation.pairs) == sorted(
        WordPairs(["team", "my", "you"]).pairs
    )
