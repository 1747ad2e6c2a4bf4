from collections import Counter

import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, BertModel

from a3.bert.masked_language import (
    Pretraining,
    batches,
    bert_config,
    hidden_at,
    mask,
    pretrain,
)
from a3.bert.verbal_arithmetic import verbal_arithmetic
from a3.bert.vocabulary import Vocabulary
from a3.lab.saved_runs import CheckpointError, load, save

TEXT = [sentence.split() for sentence in verbal_arithmetic()["sentence"]]
TEXT += [["count", *"one two three four five".split()], ["stop"]]
WORDS = Vocabulary(word for sentence in TEXT for word in sentence)
QUICK = Pretraining(steps=12, tokens=60)
SHAPE = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}


def test_masking_is_in_the_proportions_of_bert():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(4, 1000, (2000, 50), generator=generator)
    inputs[:, 0], inputs[:, -1] = 1, 2
    masked, chosen = mask(inputs, 1000, generator)
    assert not chosen[:, 0].any() and not chosen[:, -1].any()
    assert abs(chosen[:, 1:-1].double().mean() - 0.15) < 0.005
    assert torch.equal(masked[~chosen], inputs[~chosen])
    hidden, kept = (masked == 3)[chosen], (masked == inputs)[chosen]
    assert abs(hidden.double().mean() - 0.8) < 0.01
    assert abs(kept.double().mean() - 0.1) < 0.01
    drawn = masked[chosen][~hidden & ~kept]
    assert drawn.min() >= 4 and len(drawn.unique()) > 600


def test_a_pass_has_every_sentence_once_and_no_padding():
    sentences = [WORDS.encode(sentence) for sentence in TEXT]
    passed = batches(sentences, 60, torch.Generator().manual_seed(0))
    rows = [row for batch in passed for row in batch.tolist()]
    assert {(row[0], row[-1]) for row in rows} == {(1, 2)}
    assert Counter(tuple(row[1:-1]) for row in rows) == Counter(map(tuple, sentences))
    assert {tuple(batch.shape) for batch in passed} == {(12, 5), (8, 5), (1, 8), (1, 3)}
    assert max(batch.numel() for batch in passed) <= 60
    again = batches(sentences, 60, torch.Generator().manual_seed(1))
    assert [batch.tolist() for batch in again] != [batch.tolist() for batch in passed]


def test_a_seed_gives_one_model_whatever_the_global_generator():
    torch.manual_seed(1)
    first = pretrain(TEXT, WORDS, QUICK, **SHAPE)
    torch.manual_seed(2)
    again = pretrain(TEXT, WORDS, QUICK, **SHAPE)
    other = pretrain(TEXT, WORDS, Pretraining(steps=12, tokens=60, seed=1), **SHAPE)
    assert torch.equal(first["losses"], again["losses"])
    assert not torch.equal(first["losses"], other["losses"])
    for name, weight in first["weights"].items():
        assert torch.equal(weight, again["weights"][name])


def test_the_weights_are_those_of_a_masked_language_model_that_has_learned():
    text = [["one", "plus", "two"], ["two", "minus", "one"]] * 50
    settings = Pretraining(steps=150, tokens=100, learning_rate=5e-3)
    result = pretrain(text, WORDS, settings, **SHAPE)
    assert result["losses"].shape == (150,) and result["losses"].isfinite().all()
    assert result["losses"][-20:].mean() < 0.5 * result["losses"][:5].mean()
    model = BertForMaskedLM(bert_config(len(WORDS), **SHAPE))
    model.load_state_dict(result["weights"])
    inputs = WORDS(["one plus two"])["input_ids"]
    inputs[0, 2] = 3
    assert model.eval()(inputs).logits[0, 2].argmax() == WORDS.encode("plus")[0]


def test_the_first_loss_is_that_of_guessing_among_all_the_words():
    losses = pretrain(TEXT, WORDS, Pretraining(steps=1), **SHAPE)["losses"]
    uniform = F.cross_entropy(torch.zeros(1, len(WORDS)), torch.tensor([0]))
    assert abs(losses[0] - uniform) < 0.5


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("steps", [1, 7])
def test_a_run_that_goes_on_ends_as_if_it_had_not_stopped(tmp_path, monkeypatch, steps):
    path = tmp_path / "run.checkpoint"
    whole = pretrain(TEXT, WORDS, QUICK, **SHAPE)
    monkeypatch.setattr("a3.lab.saved_runs._SECONDS", 0)

    def save_and_stop(state, file):
        save(state, file)
        if len(state["losses"]) == steps:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("a3.lab.saved_runs.save", save_and_stop)
        with pytest.raises(Interrupted):
            pretrain(TEXT, WORDS, QUICK, checkpoint=path, **SHAPE)
    assert len(load(path)["losses"]) == steps
    resumed = pretrain(TEXT, WORDS, QUICK, checkpoint=path, **SHAPE)
    assert torch.equal(resumed["losses"], whole["losses"])
    for name, weight in whole["weights"].items():
        assert torch.equal(weight, resumed["weights"][name])


@pytest.mark.parametrize(
    ("text", "settings"), [(TEXT[1:], QUICK), (TEXT, Pretraining(steps=13, tokens=60))]
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, monkeypatch, text, settings):
    monkeypatch.setattr("a3.lab.saved_runs._SECONDS", 0)
    path = tmp_path / "run.checkpoint"
    pretrain(TEXT, WORDS, QUICK, checkpoint=path, **SHAPE)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        pretrain(text, WORDS, settings, checkpoint=path, **SHAPE)


def test_a_text_has_sentences_that_the_model_has_positions_for():
    with pytest.raises(ValueError, match="there is no sentence to pretrain on"):
        pretrain([], WORDS, QUICK)
    with pytest.raises(ValueError, match=r"33 tokens with \[CLS\] and \[SEP\], the model only 32"):
        pretrain([["one"] * 31], WORDS, QUICK)
    with pytest.raises(ValueError, match="'twenty' in 'twenty' is not among"):
        pretrain([["twenty"]], WORDS, QUICK)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"tokens": 0}, "tokens must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive and finite, got nan"),
        ({"warmup": 1.0}, r"warmup must be in \[0, 1\), got 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and at least 0, got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Pretraining(**wrong)


def test_hidden_states_at_some_places_are_the_encoders_own():
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertModel(BertConfig(vocab_size=20, intermediate_size=16, **shape)).eval()
    tokens, seen = torch.randint(20, (3, 5)), torch.ones(3, 5, dtype=torch.long)
    seen[0, 3:] = 0
    places = torch.rand(3, 5) < 0.5
    expected = model(tokens, seen).last_hidden_state[places]
    torch.testing.assert_close(hidden_at(model, places, tokens, seen), expected)
