import joblib
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score
from tiny_bert import save_tiny_bert

from a3.fine_tuning import FineTuning
from a3.fine_tuning_runs import RECIPES, fine_tuned, longer_sentences, run_arm, scores, splits


def test_scores_stand_beside_the_majority():
    labels = torch.tensor([0, 0, 2, 2, 2, 2])
    logits = torch.eye(3)[torch.tensor([0, 2, 2, 2, 2, 0])] * 5
    found = scores(logits, labels)
    assert found.accuracy == accuracy_score(labels, logits.argmax(1))
    assert found.majority == pytest.approx(4 / 6)
    np.testing.assert_allclose(found.recall, [0.5, np.nan, 0.75])
    assert found.confusion.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 3]]
    assert found.macro_f1 == pytest.approx((0.5 + 0 + 0.75) / 3)
    assert found.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())


def test_always_positive_scores_the_majority_and_finds_no_other_class():
    labels = torch.tensor([0, 1, 2, 2])
    found = scores(torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3), labels)
    assert found.accuracy == found.majority == 0.5
    assert found.recall.tolist() == [0, 0, 1]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (0, 3)])
def test_logits_that_do_not_fit_are_refused(shape):
    labels = torch.zeros(0 if shape[0] == 0 else 3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"expected logits \(n, 3\) and n labels"):
        scores(torch.zeros(shape), labels)


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


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A tiny checkpoint, recipes of one epoch, and a cache of its own."""
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    shape = {"hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8}
    return save_tiny_bert(tmp_path / "checkpoint", num_hidden_layers=1, **shape)


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
    with pytest.raises(ValueError, match="arm must be one of .*, got 'half'"):
        run_arm(weights, "half", FineTuning())


def test_runs_come_in_the_order_of_their_seeds_and_are_kept(weights, monkeypatch):
    monkeypatch.setitem(RECIPES, "frozen mean", FineTuning(epochs=1))
    with joblib.parallel_config("sequential"):
        first = fine_tuned(weights, ["frozen mean"], [3, 1])["frozen mean"]
    assert [run.seed for run in first] == [3, 1]
    assert first[0].logits.shape == (800, 3)
    assert 0 <= first[0].scores(splits(3)[1]).accuracy <= 1
    monkeypatch.setattr(joblib, "Parallel", None)  # nothing runs again
    again = fine_tuned(weights, ["frozen mean"], [1])["frozen mean"]
    assert torch.equal(again[0].logits, first[1].logits)
