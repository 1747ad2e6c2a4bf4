from dataclasses import replace

import joblib
import pytest
import torch
from tiny_bert import save_tiny_bert

from a3.bert.fine_tuning import FineTuning
from a3.bert.verbal_arithmetic import splits
from a3.lab.keys import key
from a3.runs.fine_tuning import EXPERIMENTS, RECIPES, fine_tuned, run_arm


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A tiny model, recipes of one epoch, and a cache of its own."""
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    shape = {"hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8}
    return save_tiny_bert(tmp_path / "model", num_hidden_layers=1, **shape)


@pytest.mark.parametrize("arm", RECIPES)
def test_every_arm_runs_and_answers_all_sentences(arm, weights):
    result = run_arm(weights, arm, FineTuning(epochs=1, seed=1))
    assert result["logits"].shape == (800, 3) and result["longer"].shape == (900, 3)
    assert not result["logits"].requires_grad and len(result["progress"]["train_loss"]) == 14


def test_arms_differ_in_what_they_train(weights):
    arms = ("full", "random", "frozen pooler", "frozen mean")
    answers = [run_arm(weights, arm, FineTuning(epochs=1))["logits"] for arm in arms]
    for i, first in enumerate(answers):
        assert not any(torch.equal(first, other) for other in answers[:i])


def test_another_arm_is_refused(weights):
    with pytest.raises(ValueError, match="arm must begin with .*, got 'half'"):
        run_arm(weights, "half", FineTuning())


def test_another_recipe_in_the_table_changes_no_run_of_the_others(weights, monkeypatch):
    setting = {"weights": weights, "arm": "full", "settings": FineTuning()}
    before = key(run_arm, setting)
    monkeypatch.setitem(RECIPES, "frozen mean", FineTuning(epochs=7))
    assert key(run_arm, setting) == before


def test_runs_come_by_their_arms_in_the_order_of_their_seeds(weights, monkeypatch):
    settings = [
        {"weights": weights, "arm": "frozen mean", "settings": FineTuning(epochs=1, seed=seed)}
        for seed in (3, 1)
    ]
    tiny = replace(EXPERIMENTS["freezing"], full=lambda: settings)
    monkeypatch.setitem(EXPERIMENTS, "freezing", tiny)
    monkeypatch.setenv("A3_PROFILE", "full")
    with joblib.parallel_config("sequential"):
        first = fine_tuned("freezing")["frozen mean"]
    assert [run.seed for run in first] == [3, 1]
    assert first[0].logits.shape == (800, 3)
    assert 0 <= first[0].scores(splits(3)[1]).accuracy <= 1
    monkeypatch.setattr(joblib, "Parallel", None)  # nothing runs again
    again = fine_tuned("freezing")["frozen mean"]
    assert torch.equal(again[1].logits, first[1].logits)
