import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from a3.bert.verbal_arithmetic import (
    LABELS,
    NUMBERS,
    label,
    longer_sentences,
    read_sentences,
    split,
    splits,
    value,
    verbal_arithmetic,
)

DATA = verbal_arithmetic()


@given(minus=st.booleans(), a=st.integers(0, 19), b=st.integers(0, 19))
def test_each_row_is_where_the_handouts_have_it(minus, a, b):
    row = DATA.iloc[400 * minus + 20 * a + b]
    assert row.sentence == f"{NUMBERS[a]} {'minus' if minus else 'plus'} {NUMBERS[b]}"
    result = a - b if minus else a + b
    assert LABELS[row.label] == (
        "zero" if result == 0 else "negative" if result < 0 else "positive"
    )


def test_all_sentences_are_there_and_most_are_positive():
    assert list(DATA.columns) == ["sentence", "label"]
    assert len(DATA) == DATA.sentence.nunique() == 800
    # Of the differences 190 fall below zero and 20 are zero; of the sums one is zero.
    assert DATA.label.value_counts().to_dict() == {0: 190, 1: 21, 2: 589}


@given(st.lists(st.tuples(st.sampled_from(["plus", "minus"]), st.integers(0, 19)), max_size=6))
def test_longer_sentences_are_worked_out_from_left_to_right(terms):
    sentence = "seven " + " ".join(f"{operation} {NUMBERS[n]}" for operation, n in terms)
    assert value(sentence) == 7 + sum(n if o == "plus" else -n for o, n in terms)


def test_a_sentence_may_be_one_number():
    assert value("nineteen") == 19
    assert [label(v) for v in (-3, 0, 5)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("", "the sentence is empty"),
        ("  ", "the sentence is empty"),
        ("four minus twenty", "word 3 of 'four minus twenty' must be a number word, not 'twenty'"),
        ("four times two", "word 2 of .* must be 'plus' or 'minus', not 'times'"),
        ("minus four", "word 1 of 'minus four' must be a number word"),
        ("four minus", "'four minus' ends in an operation"),
    ],
)
def test_a_sentence_that_means_nothing_is_refused(sentence, message):
    with pytest.raises(ValueError, match=message):
        value(sentence)


def test_splits_are_seeded_and_disjoint():
    training, test = split(DATA, 160, seed=3)
    assert (len(training), len(test)) == (640, 160)
    assert {*training.index} | {*test.index} == {*DATA.index}
    assert split(DATA, 160, seed=3)[1].equals(test) and not split(DATA, 160, seed=4)[1].equals(test)


def test_a_stratified_split_keeps_the_shares():
    training, validation = split(split(DATA, 160)[0], 0.3, seed=1, stratify=True)
    assert (len(training), len(validation)) == (448, 192)
    shares = [
        part.label.value_counts(normalize=True).sort_index() for part in (training, validation)
    ]
    assert (shares[0] - shares[1]).abs().max() < 1 / 192


def test_a_split_without_rows_is_refused():
    with pytest.raises(ValueError, match="test_size"):
        split(DATA, 800)


@pytest.mark.parametrize("text", ["sentence", "input"])
def test_a_file_is_read(tmp_path, text):
    file = tmp_path / "sentences.csv"
    file.write_text(f"index, {text}, label\n0, four minus ten , 0\n1,one plus one,2\n")
    expected = pd.DataFrame({"sentence": ["four minus ten", "one plus one"], "label": [0, 2]})
    pd.testing.assert_frame_equal(read_sentences(file), expected, check_dtype=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\none,2\n", r"no column 'sentence': expected .*found \['text', 'label'\]"),
        ("a,b\n1,2\n", "no column 'label' and no column 'sentence'"),
        ("sentence,label\none,2\n ,1\n", "line 3 of .* has an empty sentence"),
        ("sentence,label\none,3\n", "line 2 of .* has the label 3, not 0, 1 or 2"),
        ("sentence,label\none,positive\n", "line 2 of .* has the label 'positive'"),
        ("sentence,label\none,2\none,many\n", "line 3 of .* has the label 'many'"),
        ("sentence,label\none,\n", "line 2 of .* has the label ''"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, content, message):
    file = tmp_path / "sentences.csv"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_sentences(file)


def test_the_three_parts_are_the_handouts():
    training, validation, test = splits(0)
    assert [len(part) for part in splits(0)] == [448, 192, 160]
    assert len({*training.index, *validation.index, *test.index}) == 800
    assert not splits(1)[2].index.equals(test.index)


def test_longer_sentences_are_as_many_of_each_length():
    table = longer_sentences()
    assert table.numbers.value_counts().to_dict() == {3: 300, 4: 300, 5: 300}
    assert table.iloc[0].tolist() == ["three minus two minus two", 0, 3]
    assert table.equals(longer_sentences()) and not table.equals(longer_sentences(seed=1))
    assert set(table.label) == {0, 1, 2}
