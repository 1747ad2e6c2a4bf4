import joblib
import pytest
import torch
from tiny_bert import save_tiny_bert

from a3.bert.fine_tuning import FineTuning
from a3.bert.verbal_arithmetic import fold
from a3.runs import learning_curves as curves_of
from a3.runs.learning_curves import fine_tune_pretrained, pretrained_curves

FAST = FineTuning(batch_size=16, learning_rate=3e-3)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A tiny model, few steps, and a cache of its own."""
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(curves_of, "STEPS", 4)
    shape = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    return save_tiny_bert(tmp_path / "model", num_hidden_layers=1, **shape)


def test_a_row_for_each_seed_and_size(weights):
    with joblib.parallel_config("sequential"):
        table = pretrained_curves({"tiny": weights}, seeds=(0, 1), sizes=(16, 32), settings=FAST)
    assert [*zip(table["corpus"], table["seed"], table["sentences"], strict=True)] == [
        ("tiny", 0, 32), ("tiny", 0, 16), ("tiny", 1, 32), ("tiny", 1, 16),
    ]  # fmt: skip
    assert table["majority"].tolist() == [118 / 160, 118 / 160, 117 / 160, 117 / 160]
    assert table["accuracy"].between(0, 1).all()


def test_predictions_are_of_the_fold_and_can_be_made_again(weights):
    first, again = (fine_tune_pretrained(weights, 0, 16, FAST)["predictions"] for _ in range(2))
    assert torch.equal(first, again) and len(first) == len(fold(0).evaluation)


def test_a_longer_run_learns(weights, monkeypatch):
    monkeypatch.setattr(curves_of, "STEPS", 300)
    right = fine_tune_pretrained(weights, 0, 640, FAST)["predictions"].numpy()
    labels = fold(0).evaluation["label"].to_numpy()
    assert (right == labels).mean() > (labels == 2).mean()


@pytest.mark.parametrize("size", [0, 641])
def test_other_numbers_of_sentences_are_refused(weights, size):
    with pytest.raises(ValueError, match="size must be from 1 to 640"):
        fine_tune_pretrained(weights, 0, size, FAST)
