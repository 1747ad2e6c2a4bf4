import warnings

import pytest
import torch

from a3.clip.tokens import Vocabulary, check_captions

CAPTIONS = ["a yellow fish", "a small red house", "fish and house"]


def test_a_row_starts_ends_and_is_padded():
    vocabulary = Vocabulary.of(CAPTIONS, context=8)
    rows = vocabulary(CAPTIONS)
    assert rows.shape == (3, 8) and rows.dtype == torch.long
    end = len(vocabulary) - 1
    for row, words in zip(rows, (3, 4, 3), strict=True):
        assert row[0] == 1 and row[words + 1] == end and not row[words + 2 :].any()
        assert row.argmax() == words + 1, "CLIP takes the feature at the largest number"


def test_there_are_as_many_numbers_as_tokens_in_use():
    vocabulary = Vocabulary.of(CAPTIONS)
    assert len(vocabulary) == 3 + len("a yellow fish small red house and".split())
    assert vocabulary(CAPTIONS).max() == len(vocabulary) - 1


def test_each_number_of_a_word_has_its_word():
    vocabulary = Vocabulary.of(CAPTIONS)
    numbers = vocabulary(["a red fish"])[0, 1:4]
    assert [vocabulary.words[number - 2] for number in numbers] == ["a", "red", "fish"]
    assert len(vocabulary.words) == len(vocabulary) - 3


def test_the_same_words_have_the_same_numbers_whatever_the_case():
    vocabulary = Vocabulary.of(CAPTIONS)
    assert torch.equal(vocabulary(["A Yellow FISH"]), vocabulary(["a  yellow fish "]))
    again = Vocabulary(vocabulary.tokens, vocabulary.context)
    assert torch.equal(again(CAPTIONS), vocabulary(CAPTIONS))


def test_a_caption_that_is_too_long_is_cut_with_a_warning():
    vocabulary = Vocabulary.of(CAPTIONS, context=5)
    with pytest.warns(UserWarning, match="cut after 3 tokens: 'a small red house'"):
        row = vocabulary(["a small red house"])[0]
    assert row[-1] == len(vocabulary) - 1
    assert torch.equal(row, vocabulary(["a small red"])[0])


def test_words_never_seen_are_left_out_with_a_warning():
    vocabulary = Vocabulary.of(CAPTIONS)
    with pytest.warns(UserWarning, match="words, left out: 'giraffe' of 'a yellow giraffe'"):
        row = vocabulary(["a yellow giraffe"])
    assert torch.equal(row, vocabulary(["a yellow"]))


def test_a_warning_names_a_few_and_counts_the_rest():
    vocabulary = Vocabulary.of(CAPTIONS)
    with pytest.warns(UserWarning, match="left out: 'kite' of 'a kite'; .*; and 4 more$") as said:
        vocabulary(["a kite"] * 9)
    assert str(said[0].message).count("kite'") == 10


def test_quiet_warns_of_nothing():
    vocabulary = Vocabulary.of(CAPTIONS, context=4)
    with warnings.catch_warnings(action="error"):
        vocabulary(["a small red giraffe"], quiet=True)


def test_captions_that_say_nothing_are_refused():
    vocabulary = Vocabulary.of(CAPTIONS)
    with pytest.raises(ValueError, match="knows no word of the caption 'giraffe'"):
        vocabulary(["giraffe"])
    for empty in ("", "  \n"):
        with pytest.raises(ValueError, match="a caption is empty"):
            vocabulary(["fish", empty])
    with pytest.raises(ValueError, match="expected a list of captions, got the string 'fish'"):
        check_captions("fish")


def test_a_vocabulary_needs_tokens_and_room():
    with pytest.raises(ValueError, match="expected tokens and a context of 3 or more"):
        Vocabulary([])
    with pytest.raises(ValueError, match="expected tokens and a context of 3 or more, got 2"):
        Vocabulary([5], context=2)
