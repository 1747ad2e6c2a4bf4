import hashlib

import pytest
from few_words import words
from hypothesis import given

from a3.translation.pig_latin import large_words, pig_latin, read_pairs, small_words
from a3.translation.word_pairs import WordPairs, encode


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
