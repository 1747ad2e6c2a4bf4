import math

import pytest
import torch
from open_clip import ClipLoss
from scipy import stats

from a3.contrastive import (
    contrastive_loss,
    cosine_similarity,
    ranks,
    recall_at,
    share,
    top_k,
    zero_shot_weights,
)


def features(n, d, seed=0, dtype=torch.double):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("n", [1, 2, 37])
def test_the_loss_is_open_clips(n, scale):
    X, Y = features(n, 8, 0, torch.float), features(n, 8, 1, torch.float)
    unit = [Z / Z.norm(dim=1, keepdim=True) for Z in (X, Y)]
    expected = ClipLoss()(*unit, torch.tensor(scale))
    assert abs(contrastive_loss(X, Y, scale) - expected) < 1e-6 * max(1, expected)


def test_the_loss_is_its_equation():
    X, Y, tau = features(5, 3), features(5, 3, 1), 2.0
    total = 0.0
    for i in range(5):
        s = [[(X[a] @ Y[b] / X[a].norm() / Y[b].norm()).item() for b in range(5)] for a in range(5)]
        row = sum(math.exp(tau * s[i][j]) for j in range(5))
        column = sum(math.exp(tau * s[j][i]) for j in range(5))
        total += math.log(math.exp(tau * s[i][i]) / row) + math.log(
            math.exp(tau * s[i][i]) / column
        )
    assert contrastive_loss(X, Y, tau).item() == pytest.approx(-total / 10, rel=1e-12)


def test_the_gradient_is_that_of_finite_differences():
    X, Y = (features(4, 3, seed).requires_grad_() for seed in (0, 1))
    scale = torch.tensor(5.0, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(contrastive_loss, (X, Y, scale))


def test_features_that_tell_nothing_cost_log_n():
    same = torch.ones(16, 4)
    assert contrastive_loss(same, same, 50.0).item() == pytest.approx(math.log(16))


def test_the_loss_of_perfect_features_vanishes_as_the_scale_grows():
    X = torch.eye(6)
    losses = [contrastive_loss(X, X, scale).item() for scale in (1, 5, 25)]
    assert losses[0] > losses[1] > losses[2] and losses[2] < 1e-9


def test_cosine_similarity_is_that_of_torch_and_ignores_length():
    X, Y = features(4, 6), features(3, 6, 1)
    expected = torch.nn.functional.cosine_similarity(X[:, None], Y[None], dim=2)
    torch.testing.assert_close(cosine_similarity(X, Y), expected)
    torch.testing.assert_close(cosine_similarity(7 * X, 0.1 * Y), expected)


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((4,), (3, 4)), ((2, 3, 4), (3, 4))], ids=str)
def test_shapes_that_do_not_match_are_refused(shapes):
    with pytest.raises(ValueError, match=r"expected shapes \(n, d\) and \(m, d\), got"):
        cosine_similarity(*(torch.ones(shape) for shape in shapes))


@pytest.mark.parametrize("shapes", [((3, 4), (2, 4)), ((0, 4), (0, 4))], ids=str)
def test_a_batch_without_pairs_is_refused(shapes):
    with pytest.raises(ValueError, match=r"expected two of one shape \(n, d\), got"):
        contrastive_loss(*(torch.ones(shape) for shape in shapes), 1.0)


def fake_encoder(captions):
    """The letters of a caption, counted."""
    return torch.tensor([[float(c.count(letter)) for letter in "abcdefgh"] for c in captions])


def test_zero_shot_weights_are_mean_directions():
    weights = zero_shot_weights(fake_encoder, ["a", "bb"], ["{}", "{} c"])
    assert weights.shape == (2, 8)
    torch.testing.assert_close(weights.norm(dim=1), torch.ones(2))
    first = torch.tensor([1.0, 0, 0]) + torch.tensor([1.0, 0, 1]) / math.sqrt(2)
    torch.testing.assert_close(weights[0, :3], first / first.norm())


def test_one_prompt_is_the_caption_itself():
    expected = torch.nn.functional.normalize(fake_encoder(["a bad cab", "a bad hedge"]), dim=1)
    torch.testing.assert_close(
        zero_shot_weights(fake_encoder, ["cab", "hedge"], ["a bad {}"]), expected
    )


def test_prompts_without_a_place_for_the_name_are_refused():
    with pytest.raises(ValueError, match="a template has {} where the name goes, got 'a photo'"):
        zero_shot_weights(fake_encoder, ["cab"], ["a photo"])
    with pytest.raises(ValueError, match="expected names and templates, got 0 names, 1 templates"):
        zero_shot_weights(fake_encoder, [])


def test_top_k_gives_the_best_first_and_no_more_than_there_are():
    values, columns = top_k(torch.tensor([[0.1, 0.9, 0.5]]), 5)
    assert columns.tolist() == [[1, 2, 0]] and values[0, 0] == 0.9
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        top_k(torch.ones(1, 3), 0)


def test_ranks_count_from_one_and_ties_are_lost():
    similarities = torch.tensor([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.2, 0.2, 0.2]])
    assert ranks(similarities, torch.tensor([0, 1, 1])).tolist() == [1, 3, 3]


def test_targets_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="expected a target for each of 2 rows"):
        ranks(torch.ones(2, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="targets must be columns, 0 to 2, got"):
        ranks(torch.ones(2, 3), torch.tensor([0, 3]))


@pytest.mark.parametrize(("count", "n"), [(0, 10), (7, 20), (299, 299)])
def test_the_interval_is_wilsons(count, n):
    hits = torch.arange(n) < count
    expected = stats.binomtest(count, n).proportion_ci(method="wilson")
    got = share(hits, 0.1)
    assert got.value == pytest.approx(count / n) and got.n == n and got.chance == 0.1
    assert got.low == pytest.approx(expected.low, abs=1e-7)
    assert got.high == pytest.approx(expected.high, abs=1e-7)


def test_seeds_are_not_further_trials():
    hits = torch.rand(50, generator=torch.Generator().manual_seed(0)) < 0.4
    assert share(hits.expand(3, 50), 0.0) == pytest.approx(share(hits, 0.0))


def test_shares_of_nothing_are_refused():
    with pytest.raises(ValueError, match="expected at least one trial, got none"):
        share(torch.zeros(0), 0.5)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 1"):
        share(torch.ones(3), 0.5, level=1)


def test_recall_counts_ranks_up_to_k():
    recall = recall_at(torch.tensor([1, 2, 5, 6]), 5, gallery=20)
    assert recall.value == 0.75 and recall.chance == 0.25 and recall.n == 4
    assert recall.low < 0.75 < recall.high
    assert recall_at(torch.tensor([1]), 5, gallery=3).chance == 1
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        recall_at(torch.tensor([1]), 0, gallery=3)
    with pytest.raises(ValueError, match="a rank of 9 in a gallery of 3"):
        recall_at(torch.tensor([9]), 1, gallery=3)
