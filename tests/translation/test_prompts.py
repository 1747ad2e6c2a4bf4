import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from a3.translation.pig_latin import ALPHABET
from a3.translation.prompts import Prompts, generate_tensors_for_training_decoder_nmt
from a3.translation.word_pairs import EOP, EOS, SOS, WordPairs, encode

WORDS = ["a", "team", "quick", "string", "well-known", "you", "squid", "i", "conditioning"]
words = st.text(ALPHABET.replace("-", ""), min_size=1, max_size=8)


def by_hand(word, translation):
    """The two sequences of one word, as lists."""
    source, target = encode(word)[:-1] + [EOP], encode(translation)
    return [SOS, *source, *target[:-1]], [*source, *target]


def test_the_two_sequences_of_the_handout():
    source = torch.tensor([[*encode("team")[:-1], EOP]])
    target = torch.tensor([encode("eamtay")])
    inputs, targets = generate_tensors_for_training_decoder_nmt(source, target)
    expected = by_hand("team", "eamtay")
    assert (inputs[0].tolist(), targets[0].tolist()) == expected
    assert torch.equal(inputs[:, 1:], targets[:, :-1])  # the targets are one place on
    assert inputs[0, 0] == SOS and targets[0, -1] == EOS


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (torch.tensor([1, EOP]), torch.tensor([[1, EOS]]), r"source \(B, S\) and target \(B, T\)"),
        (torch.tensor([[1, EOP]] * 2), torch.tensor([[1, EOS]]), r"got \(2, 2\) and \(1, 2\)"),
        (torch.tensor([[1, 2]]), torch.tensor([[1, EOS]]), "source must end with <EOP>"),
        (torch.tensor([[1, EOP]]), torch.tensor([[1, 2]]), "target must end with <EOS>"),
        (torch.zeros(1, 0).long(), torch.tensor([[EOS]]), "source must end with <EOP>"),
    ],
)
def test_sequences_without_their_marks_are_refused(source, target, message):
    with pytest.raises(ValueError, match=message):
        generate_tensors_for_training_decoder_nmt(source, target)


@given(st.lists(words, min_size=1, max_size=12, unique=True))
def test_a_batch_holds_each_word_and_scores_its_translation_only(some):
    pairs = WordPairs(some)
    prompts = Prompts(pairs)
    batch = prompts[torch.arange(len(some))]
    T, start = batch.inputs.shape[1], 0
    for row, (word, translation) in enumerate(pairs.pairs):
        inputs, targets = by_hand(word, translation)
        assert batch.inputs[row].tolist() == inputs + [EOS] * (T - len(inputs))
        assert int(prompts.lengths[row]) == len(inputs)
        answer = targets[len(word) + 1 :]  # from <EOP> on
        here = slice(start, start + len(answer))
        assert batch.targets[here].tolist() == answer
        places = [row * T + len(word) + 1 + i for i in range(len(answer))]
        assert batch.scored[here].tolist() == places
        assert batch.inputs.flatten()[batch.scored[start]] == EOP  # what names the first letter
        start += len(answer)
    assert start == batch.tokens == prompts.tokens == pairs.tokens


def test_an_epoch_has_every_word_once_and_little_padding():
    prompts = Prompts(WordPairs(WORDS * 1))
    for generator in (None, torch.Generator().manual_seed(0)):
        batches = list(prompts.batches(4, generator))
        assert [len(batch.inputs) for batch in batches].count(4) == 2
        assert sum(batch.tokens for batch in batches) == prompts.tokens
        seen = [tuple(row[row != EOS].tolist()) for batch in batches for row in batch.inputs]
        assert sorted(seen) == sorted(tuple(by_hand(*pair)[0]) for pair in prompts.word_pairs.pairs)


def test_the_order_of_an_epoch_is_the_generators():
    prompts = Prompts(WordPairs(WORDS))
    first, same, other = (
        [b.inputs.tolist() for b in prompts.batches(2, torch.Generator().manual_seed(seed))]
        for seed in (0, 0, 1)
    )
    assert first == same != other


def test_a_split_has_the_words_of_the_pairs_own_split():
    pairs = WordPairs(WORDS)
    for ours, theirs in zip(Prompts(pairs).split(seed=3), pairs.split(seed=3), strict=True):
        assert ours.word_pairs.pairs == theirs.pairs
        assert len(ours) == len(theirs)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="batch size must be at least 1, got 0"):
        next(Prompts(WordPairs(WORDS)).batches(0))


def test_prompts_of_words_alone_are_refused():
    with pytest.raises(TypeError, match="expected WordPairs, got list"):
        Prompts(["team"])
