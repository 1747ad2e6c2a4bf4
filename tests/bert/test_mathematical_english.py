from collections import Counter

import pytest

from a3.bert.mathematical_english import mathematics, mathematics_words, number_words, scrambled
from a3.bert.verbal_arithmetic import NUMBERS

HELD_OUT = [(a, b) for a in range(20) for b in range(a, 20) if (7 * a + 2 * b) % 5 == 0]
SENTENCES = ["two plus three", "nine minus four", "one plus zero"]
VALUE = {word: number for number, word in enumerate(NUMBERS)}


@pytest.fixture(scope="module")
def text():
    return mathematics(60_000, 0, HELD_OUT, SENTENCES)


def named(sentence):
    return [VALUE[sentence[i]] for i in number_words(sentence)]


def counts(sentence):
    """Whether a sentence counts: its last three numbers are steps of one size."""
    *_, a, b, c = [0, 0, 0, *named(sentence)]
    return len(named(sentence)) > 2 and a - b == b - c and a != b and sentence[-3:] == [
        NUMBERS[a], NUMBERS[b], NUMBERS[c],
    ]  # fmt: skip


def test_no_sentence_names_a_pair_that_is_held_out_unless_it_counts(text):
    together = Counter()
    for sentence in text:
        if not counts(sentence) and "least" not in sentence and "most" not in sentence:
            numbers = sorted(named(sentence))
            together.update((a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :])
    assert together and not {*together} & {*HELD_OUT}
    free = {(a, b) for a in range(20) for b in range(a, 20)} - {*HELD_OUT}
    assert free <= {*together}  # the others are all there


def test_a_pair_is_held_out_in_either_order():
    assert mathematics(5_000, 0, [(7, 3)]) == mathematics(5_000, 0, [(3, 7)])
    assert mathematics(5_000, 0, [(7, 3)]) != mathematics(5_000, 0)


def has(text, expression):
    return any(f" {expression} " in f" {' '.join(sentence)} " for sentence in text)


def test_the_sentences_that_are_held_out_do_not_occur(text):
    without = mathematics(100_000, 0)
    for expression in SENTENCES:
        assert has(without, expression) and not has(text, expression)
    assert has(text, "two plus two")


def test_no_sum_or_difference_is_given_its_label(text):
    words = {word for sentence in text for word in sentence}
    assert not words & {"negative", "positive", "below", "above"}
    for sentence in text:
        joined = " ".join(sentence)
        if "plus" in sentence or "minus" in sentence:
            a, operation, b, verb, c = sentence
            assert verb in ("is", "equals") and VALUE[c] > 0
            assert VALUE[a] + (1 if operation == "plus" else -1) * VALUE[b] == VALUE[c], joined


def test_what_the_mathematical_text_says_is_true(text):
    checked = Counter()
    for words in text:
        numbers = named(words)
        match words:
            case [_, "is", "less" | "smaller", "than", _]:
                assert numbers[0] < numbers[1]
            case [_, "is", "more" | "greater" | "larger", "than", _]:
                assert numbers[0] > numbers[1]
            case [_, "and", _, "make", _]:
                assert numbers[0] + numbers[1] == numbers[2]
            case [_, "take", "away", _, "leaves", _]:
                assert numbers[0] - numbers[1] == numbers[2]
            case ["after", _, "comes", _]:
                assert numbers[0] + 1 == numbers[1]
            case [_, "is", "between", _, "and", _]:
                assert numbers[1] < numbers[0] < numbers[2]
            case [_, "is", "as", "much", "as", _]:
                assert numbers[0] == numbers[1]
            case _:
                continue
        checked[" ".join(word for word in words if word not in VALUE)] += 1
    assert len(checked) == 10 and min(checked.values()) > 5


def test_every_number_word_occurs(text):
    found = Counter(sentence[i] for sentence in text for i in number_words(sentence))
    assert found.keys() == {*NUMBERS} and min(found.values()) > 300


def test_the_mathematical_text_has_every_word_it_is_written_with(text):
    assert {word for sentence in text for word in sentence} == mathematics_words()


def test_scrambling_keeps_every_frame_and_the_count_of_every_word(text):
    other = scrambled(text, 0, SENTENCES)
    assert other != text and [*map(number_words, other)] == [*map(number_words, text)]
    assert Counter(w for s in other for w in s) == Counter(w for s in text for w in s)
    for ours, theirs in zip(text, other, strict=True):
        rest = [w for w in ours if w not in VALUE]
        assert [w for w in theirs if w not in VALUE] == rest
    assert not any(has(other, expression) for expression in SENTENCES)


def test_scrambled_numbers_are_in_no_order(text):
    def right(text):
        pairs = [named(s) for s in text if s[1:4] == ["is", "less", "than"]]
        return sum(a < b for a, b in pairs) / len(pairs)

    assert right(text) == 1
    assert abs(right(scrambled(text)) - 0.5) < 0.1


def test_scrambling_leaves_the_text_itself_alone(text):
    before = [[*sentence] for sentence in text[:50]]
    scrambled(text[:50], 1)
    assert text[:50] == before


@pytest.mark.parametrize("tokens", [2, 3, 100, 10_000])
def test_a_text_is_as_long_as_asked_for(tokens):
    text = mathematics(tokens, 3)
    assert sum(len(sentence) + 1 for sentence in text) in (tokens, tokens - 1)
    assert all(text)


def test_a_seed_gives_one_text():
    assert mathematics(3_000, 1) == mathematics(3_000, 1) != mathematics(3_000, 2)


def test_a_text_has_room_for_a_word():
    with pytest.raises(ValueError, match="at least 2 tokens, got 1"):
        mathematics(1)


def test_a_seed_gives_one_scrambling(text):
    assert scrambled(text, 1) == scrambled(text, 1) != scrambled(text, 2)


@pytest.mark.parametrize("pair", [(3, 20), (-1, 3), (1, 2, 3)])
def test_only_pairs_of_the_twenty_numbers_can_be_held_out(pair):
    with pytest.raises(ValueError, match="pairs of numbers from 0 to 19"):
        mathematics(100, 0, [pair])
