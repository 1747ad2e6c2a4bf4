"""The threes and eights of Part II."""

import torch
from sklearn.datasets import load_digits

from a3.theory.digits import halves, threes_and_eights


def test_threes_and_eights_are_those_of_scikit_learn():
    X, t = threes_and_eights()
    digits = load_digits()
    wanted = [label for label in digits.target if label in (3, 8)]
    assert t.tolist() == [1 if label == 3 else -1 for label in wanted]
    first = digits.data[list(digits.target).index(3)]
    assert (X[0] * 16).tolist() == first.tolist()
    assert X.min() == 0 and X.max() == 1


def test_halves_part_the_images_and_take_the_training_mean_off():
    X, t = threes_and_eights()
    half = halves(0)
    assert half.X.mean(dim=0).abs().max() < 1e-12
    together = torch.cat([half.X, half.X_test]) + half.mean
    pairs = torch.cat([together, torch.cat([half.t, half.t_test])[:, None]], dim=1)
    for ours, whole in zip(pairs.T, torch.cat([X, t[:, None]], dim=1).T, strict=True):
        torch.testing.assert_close(ours.sort().values, whole.sort().values)
    assert abs(int(half.t.sum()) - int(half.t_test.sum())) <= 1


def test_a_seed_gives_the_same_halves_and_another_one_others():
    assert all(map(torch.equal, halves(1), halves(1)))
    assert not torch.equal(halves(1).X, halves(2).X)
