from dataclasses import replace

import pandas as pd
import pytest
import torch
from transformers import BertForMaskedLM
from transformers.modeling_outputs import MaskedLMOutput

from a3.bert.masked_language import Pretraining, bert_config
from a3.bert.mathematical_english import number_words
from a3.bert.side_by_side import SideBySide
from a3.bert.verbal_arithmetic import FOLDS, LABELS, NUMBERS, fold, verbal_arithmetic
from a3.runs import pretraining as pretraining_runs
from a3.runs.pretraining import (
    CORPORA,
    SIZES,
    comparisons,
    corpus_text,
    fine_tune_on,
    pretrain_on,
    task_vocabulary,
)

QUICK = {"pretraining": Pretraining(steps=3, tokens=60), "tokens": 3_000}
BRIEF = SideBySide(steps=2, batch_size=4, draws=2)
VALUE = {word: number for number, word in enumerate(NUMBERS)}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path_factory.getbasetemp() / "pretraining"))


def test_the_folds_part_the_sentences():
    parts = [fold(number) for number in range(FOLDS)]
    evaluated = pd.concat([part.evaluation for part in parts])
    pd.testing.assert_frame_equal(evaluated.sort_index(), verbal_arithmetic())
    for part in parts:
        assert (len(part.training), len(part.evaluation)) == (640, 160)
        assert not {*part.training.index} & {*part.evaluation.index}
        assert (part.evaluation.index >= 400).sum() == 80
    assert sum(len(part.pairs) for part in parts) == 210


@pytest.mark.parametrize("number", range(FOLDS))
def test_always_positive_is_right_on_three_quarters_of_a_fold(number):
    labels = fold(number).evaluation["label"].value_counts()
    assert labels[0] == 38 and labels[1] in (4, 5) and labels[2] in (117, 118)


@pytest.mark.parametrize("number", range(FOLDS))
def test_a_folds_pairs_are_those_of_its_minus_sentences(number):
    part = fold(number)
    named = [s.split() for s in part.evaluation["sentence"] if " minus " in s]
    ordered = {(VALUE[a], VALUE[b]) for a, _, b in named}
    assert {tuple(sorted(pair)) for pair in ordered} == part.pairs
    assert {(b, a) for a, b in ordered} == ordered  # both orders, or neither


@pytest.mark.parametrize("seed", range(FOLDS))
def test_no_pair_of_the_fold_is_compared_in_the_mathematical_text(seed):
    pairs = fold(seed).pairs
    for sentence in corpus_text("mathematics", seed, 30_000):
        numbers = [VALUE[sentence[i]] for i in number_words(sentence)]
        steps = {b - a for a, b in zip(numbers[-3:], numbers[-2:], strict=False)}
        if len(numbers) > 2 and len(steps) == 1 and sentence[-1] in VALUE:
            continue  # it counts
        together = {(a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :]}
        assert not {tuple(sorted(pair)) for pair in together} & pairs, sentence


@pytest.mark.parametrize("corpus", CORPORA[:-1])
def test_no_text_has_a_sentence_to_evaluate_on_or_a_label(corpus):
    sentences = [*fold(1).evaluation["sentence"]]
    text = [f" {' '.join(sentence)} " for sentence in corpus_text(corpus, 1, 60_000)]
    assert not any(f" {sentence} " in line for line in text for sentence in sentences)
    sums = [line for line in text if " plus " in line or " minus " in line]
    assert bool(sums) == (corpus != "prose")
    for line in sums:
        words = line.split()
        assert not {"negative", "positive"} & {*words}
        assert corpus == "scrambled" or words[4] != LABELS[1]


@pytest.mark.parametrize("seed", [0, 3])
def test_the_texts_are_of_one_length_and_in_one_vocabulary(seed):
    vocabulary = task_vocabulary()
    for corpus in CORPORA[:-1]:
        text = corpus_text(corpus, seed, 50_000)
        assert sum(len(vocabulary.encode(sentence)) + 1 for sentence in text) == 50_000
    vocabulary([*verbal_arithmetic()["sentence"]])


def test_pretraining_takes_its_seed_from_the_run():
    settings = QUICK["pretraining"]
    first = pretrain_on("prose", 1, settings, 3_000)["losses"]
    assert torch.equal(first, pretrain_on("prose", 1, replace(settings, seed=5), 3_000)["losses"])
    assert not torch.equal(first, pretrain_on("prose", 2, settings, 3_000)["losses"])


@pytest.mark.parametrize("corpus", ["prose", "none"])
def test_fine_tuning_labels_every_sentence_the_same_each_time(corpus):
    result = fine_tune_on(corpus, 1, BRIEF, **QUICK)
    assert result["predictions"].shape == (2, len(SIZES), 800)
    assert result["predictions"].dtype == torch.uint8 and result["predictions"].max() <= 2
    assert result["loss"].shape == (2, 2, len(SIZES))
    again = fine_tune_on(corpus, 1, BRIEF, **QUICK)
    assert torch.equal(result["predictions"], again["predictions"])
    assert torch.equal(result["loss"], again["loss"])
    assert not torch.equal(result["loss"], fine_tune_on(corpus, 2, BRIEF, **QUICK)["loss"])


def test_what_was_pretrained_is_what_is_fine_tuned():
    weights = pretrain_on("prose", 1, QUICK["pretraining"], 3_000)["weights"]
    model = pretraining_runs._classifier(len(task_vocabulary()), weights, 1, 0)
    fresh = pretraining_runs._classifier(len(task_vocabulary()), None, 1, 0)
    own = {"pooler.dense.weight", "pooler.dense.bias", "classifier.weight", "classifier.bias"}
    for name, weight in model.state_dict().items():
        source = fresh.state_dict()[name] if name in own else weights[f"bert.{name}"]
        assert torch.equal(weight, source), name


def test_comparisons_are_of_all_ordered_pairs_and_right_where_a_model_says_so(monkeypatch):
    def always_less(model, input_ids, attention_mask):
        assert (input_ids[:, 3] == 3).all() and input_ids.shape == (380, 7)
        logits = torch.zeros(380, 7, len(task_vocabulary()))
        logits[:, 3, task_vocabulary().encode("less")[0]] = 1
        return MaskedLMOutput(logits=logits)

    monkeypatch.setattr(BertForMaskedLM, "forward", always_less)
    said = comparisons(BertForMaskedLM(bert_config(len(task_vocabulary()))).state_dict(), 1)
    assert len(said) == 380 and (said["right"] == (said["a"] < said["b"])).all()
    pairs = said[said["held_out"]][["a", "b"]].itertuples(index=False, name=None)
    assert {tuple(sorted(pair)) for pair in pairs} == {(a, b) for a, b in fold(1).pairs if a != b}


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="corpus must be one of .*, got 'tweets'"):
        corpus_text("tweets", 0)
    with pytest.raises(ValueError, match="corpus must be one of .*, got 'none'"):
        corpus_text("none", 0)
    with pytest.raises(ValueError, match="corpus must be one of .*, got 'tweets'"):
        fine_tune_on("tweets", 0)
    with pytest.raises(ValueError, match="expected a fold from 0 to 4, got 5"):
        fold(5)
    with pytest.raises(ValueError, match="folds must be 2, 5 or 10, got 3"):
        fold(0, 3)
