import pytest

from a3.bert.fine_tuning import encode
from a3.bert.verbal_arithmetic import verbal_arithmetic
from a3.bert.vocabulary import Vocabulary

WORDS = Vocabulary(
    word for sentence in verbal_arithmetic()["sentence"] for word in sentence.split()
)


def test_a_vocabulary_numbers_each_word_once_after_the_special_ones():
    vocabulary = Vocabulary(["two", "one", "two", "[MASK]"])
    assert vocabulary.words == ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "one", "two")
    assert len(vocabulary) == 6
    assert vocabulary.encode("two one") == vocabulary.encode(["two", "one"]) == [5, 4]


def test_sentences_are_padded_to_the_longest():
    vocabulary = Vocabulary(["one", "plus", "two"])
    batch = vocabulary(["one plus two", "two"])
    assert batch["input_ids"].tolist() == [[1, 4, 5, 6, 2], [1, 6, 2, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]


def test_a_vocabulary_serves_as_a_tokenizer_for_fine_tuning():
    sentences = encode(WORDS, verbal_arithmetic())
    assert sentences.inputs["input_ids"].shape == (800, 5)


@pytest.mark.parametrize("sentence", ["", "  ", []])
def test_an_empty_sentence_is_refused(sentence):
    with pytest.raises(ValueError, match="the sentence is empty"):
        WORDS.encode(sentence)


def test_an_unknown_word_is_named():
    with pytest.raises(
        ValueError, match="'twenty' in 'twenty minus one' is not among the 26 words"
    ):
        WORDS(["one minus one", "twenty minus one"])


def test_a_vocabulary_has_words_and_a_batch_has_sentences():
    with pytest.raises(ValueError, match="expected at least one word"):
        Vocabulary(["[CLS]"])
    with pytest.raises(ValueError, match="there is no sentence"):
        WORDS([])
    with pytest.raises(ValueError, match="expected padding=True and return_tensors='pt'"):
        WORDS(["one"], return_tensors="np")
