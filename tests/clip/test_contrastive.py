import math

import pytest
import torch
from open_clip import ClipLoss

from a3.clip.contrastive import (
    contrastive_loss,
    cosine_similarity,
    supervised_contrastive_loss,
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


def test_the_supervised_loss_is_its_equation():
    X, groups, scale = features(7, 4), torch.tensor([0, 1, 0, 2, 1, 0, 3]), 3.0
    s = cosine_similarity(X, X)
    terms = []
    for i, group in enumerate(groups.tolist()):
        others = [j for j in range(7) if j != i]
        picked = [p for p in others if groups[p] == group]
        total = sum(math.exp(scale * s[i, j]) for j in others)
        each = [math.log(math.exp(scale * s[i, p]) / total) for p in picked]
        terms += [-sum(each) / len(each)] if each else []
    assert len(terms) == 5, "two are alone in their groups"
    expected = sum(terms) / len(terms)
    assert supervised_contrastive_loss(X, groups, scale).item() == pytest.approx(expected)


def test_the_gradient_of_the_supervised_loss_is_that_of_finite_differences():
    X, scale = features(6, 3).requires_grad_(), torch.tensor(2.0, dtype=torch.double)
    groups = torch.tensor([0, 1, 2]).repeat(2)
    assert torch.autograd.gradcheck(
        lambda X, t: supervised_contrastive_loss(X, groups, t), (X, scale.requires_grad_())
    )


def test_features_that_tell_nothing_cost_log_of_all_the_others():
    loss = supervised_contrastive_loss(torch.ones(6, 3), torch.tensor([0, 0, 1, 1, 2, 2]), 20.0)
    assert loss.item() == pytest.approx(math.log(5))


def test_groups_that_are_none_are_refused():
    with pytest.raises(ValueError, match="^expected a group of two at least$"):
        supervised_contrastive_loss(features(3, 2), torch.arange(3), 1.0)
    for X, groups in ((features(3, 2), torch.arange(2)), (features(3, 2)[0], torch.zeros(2))):
        with pytest.raises(ValueError, match=r"expected shapes \(n, d\) and \(n,\), got"):
            supervised_contrastive_loss(X, groups, 1.0)
