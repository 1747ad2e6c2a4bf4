import hashlib
from itertools import takewhile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from a3.pig_latin import (
    ALPHABET,
    EOP,
    EOS,
    IGNORE,
    SOS,
    WordPairs,
    decode,
    encode,
    large_words,
    pad,
    pig_latin,
    read_pairs,
    small_words,
)

parts = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
vowelless = st.text("bcdfgqtuy", min_size=1, max_size=8)  # clusters and 'qu', often
words = st.lists(parts | vowelless, min_size=1, max_size=3).map("-".join)
WORDS = ["a", "team", "quick", "string", "well-known", "you", "squid", "i", "my", "apple", "oak"]


@pytest.mark.parametrize(
    ("word", "translation"),
    [
        ("team", "eamtay"),
        ("impress", "impressway"),
        ("shopping", "oppingshay"),
        ("string", "ingstray"),
        ("quick", "ickquay"),
        ("my", "ymay"),
        ("you", "youay"),
        ("well-known", "ellway-ownknay"),
        ("squid", "idsquay"),
        ("the air conditioning is working", "ethay airway onditioningcay isway orkingway"),
        ("qu", "quay"),  # nothing but a cluster
        ("hmm", "hmmay"),
        ("q-u", "qay-uway"),
        ("  a \n b ", "away bay"),
    ],
)
def test_the_rule_on_examples(word, translation):
    assert pig_latin(word) == translation


def rule_letter_by_letter(part):
    """The rule once more, moving one consonant at a time."""
    if part[0] in "aeiou":
        return part + "way"
    moved = ""
    while part and part[0] not in "aeiouy":
        size = 2 if part.startswith("qu") else 1
        moved, part = moved + part[:size], part[size:]
    return part + moved + "ay"


@given(words)
def test_the_rule_equals_an_oracle_that_moves_one_consonant_at_a_time(word):
    assert pig_latin(word) == "-".join(map(rule_letter_by_letter, word.split("-")))


@given(words)
def test_each_part_keeps_its_letters_and_gains_an_ending(word):
    for part, translated in zip(word.split("-"), pig_latin(word).split("-"), strict=True):
        ending = "way" if part[0] in "aeiou" else "ay"
        assert sorted(translated) == sorted(part + ending)
        assert translated.endswith(ending)


@given(words)
def test_a_word_survives_encoding_and_decoding(word):
    tokens = encode(word)
    assert tokens[-1] == EOS and len(tokens) == len(word) + 1
    assert all(0 <= token < len(ALPHABET) for token in tokens[:-1])
    assert decode(tokens) == decode([SOS, *tokens, *tokens]) == word


def test_the_special_tokens_follow_the_alphabet():
    assert (len(ALPHABET), SOS, EOS, EOP) == (27, 27, 28, 29)
    assert decode([SOS, 0, EOP, 1]) == "ab"  # no <EOS>


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("Team", "'Team' has 'T': expected lower-case letters"),
        ("naïve", "'naïve' has 'ï'"),
        ("it's", '"it\'s" has "\'"'),
        ("x2", "'x2' has '2'"),
        ("-known", "empty part beside a hyphen"),
        ("well-", "empty part beside a hyphen"),
        ("well--known", "empty part beside a hyphen"),
        ("-", "empty part beside a hyphen"),
    ],
)
@pytest.mark.parametrize("function", [pig_latin, encode, lambda word: WordPairs([word])])
def test_a_word_outside_the_alphabet_is_refused(function, word, message):
    with pytest.raises(ValueError, match=message):
        function(word)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(ValueError, match="at least one word, got an empty text"):
        pig_latin(text)


def test_an_empty_word_is_refused():
    with pytest.raises(ValueError, match="a word must not be empty"):
        encode("")


def digest(words):
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def test_the_small_set_is_the_same_3198_words_on_any_machine():
    words = small_words()
    assert len(words) == len(set(words)) == 3_198
    assert digest(words) == "81ad0789859fd5481bb282154e8c4a82663ef3375b910e31423825e08e611074"
    assert sum("-" in word for word in words) == 100
    assert words == sorted(words)


def test_the_large_set_is_the_same_words_on_any_machine():
    words = large_words()
    assert len(words) == len(set(words)) == 21_856
    assert digest(words) == "7e088529d89c076929ed046f4b1f8d9ba77d71de0350a637c71060456b631cd9"


def test_the_large_set_is_the_20000_most_frequent_words_and_the_small_set():
    words = large_words()
    assert words[:5] == ["the", "of", "and", "to", "a"]
    assert set(small_words()) <= set(words)
    assert set(words[20_000:]) <= set(small_words())


def test_every_word_of_both_sets_can_be_encoded_and_translated():
    pairs = WordPairs(large_words())
    assert len(pairs) == len(large_words())
    assert int(pairs.target_lengths.max()) < 128


def test_a_smaller_small_set_is_part_of_the_whole():
    assert set(small_words(200)) < set(small_words())
    assert len(small_words(200)) == 200
    with pytest.raises(ValueError, match="at least its 100 compounds, got a size of 99"):
        small_words(99)


@pytest.mark.parametrize(
    "content",
    [
        b"team eamtay\nmy ymay\n",
        b"team eamtay\nmy ymay",  # no last newline
        b"team eamtay\r\nmy ymay\r\n",
        b"\xef\xbb\xbfteam eamtay\nmy ymay\n",  # byte-order mark
        b"\n  team\teamtay \n\n \nmy   ymay\n\n",
        b"team eamtay\nmy ymay\nteam eamtay\n",  # a duplicate
    ],
)
def test_a_two_column_file_is_read(tmp_path, content):
    (tmp_path / "words.txt").write_bytes(content)
    assert read_pairs(tmp_path / "words.txt") == [("team", "eamtay"), ("my", "ymay")]
    assert len(WordPairs(read_pairs(str(tmp_path / "words.txt")))) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"team", r"expected 'word translation', got 1 column\(s\)"),
        (b"team eamtay extra", r"expected 'word translation', got 3 column\(s\)"),
        (b"caf\xe9 afecay", "not UTF-8 text"),
        ("café afécay".encode(), "'café' has 'é'"),
        ("\ufeffteam eamtay".encode(), "has '\\\\ufeff'"),
        (b"Team eamtay", "'Team' has 'T'"),
        (b"team eamt4y", "'eamt4y' has '4'"),
        (b"well- ellway-", "empty part beside a hyphen"),
        (b"team\0 eamtay", r"has '\\x00'"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path, line, message):
    path = tmp_path / "words.txt"
    path.write_bytes(b"my ymay\r\n\n" + line + b"\nfine inefay\n")
    with pytest.raises(ValueError, match=rf"words\.txt, line 3: .*{message}"):
        read_pairs(path)


@pytest.mark.parametrize("content", [b"", b"\n \r\n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_pairs_is_refused(tmp_path, content):
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"words\.txt: expected lines of .* found none"):
        read_pairs(tmp_path / "words.txt")


def test_a_file_in_utf_16_is_refused_at_its_first_line(tmp_path):
    (tmp_path / "words.txt").write_text("team eamtay\n", encoding="utf-16")
    with pytest.raises(ValueError, match="line 1: not UTF-8 text"):
        read_pairs(tmp_path / "words.txt")


def test_a_missing_file_is_reported_by_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        read_pairs(tmp_path / "nowhere.txt")


def test_no_pairs_are_refused():
    with pytest.raises(ValueError, match="at least one word pair"):
        WordPairs([])


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
