import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from a3.bert.scores import scores


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


def test_the_loss_is_worked_out_in_double_precision():
    logits = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 2])
    expected = torch.nn.functional.cross_entropy(logits.double(), labels).item()
    assert scores(logits, labels).loss == pytest.approx(expected, rel=1e-12)


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
