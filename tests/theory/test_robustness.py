import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.linear_model import Ridge

from a3.theory.robustness import fgm, fgm_radius, fgsm, fgsm_radius, ridge, ridge_loss

ATTACKS = [(fgm, fgm_radius), (fgsm, fgsm_radius)]
seeds = st.integers(0, 2**32 - 1)
epsilons = st.sampled_from([0.0, 1.0]) | st.floats(1e-6, 100)
decays = st.sampled_from([1e-6, 1.0]) | st.floats(1e-4, 1e3)
few = settings(max_examples=30)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def classifiers(draw):
    """Weights, some of them or all 0, and an input."""
    d, seed = draw(st.integers(1, 6)), draw(seeds)
    w = normal(d, seed=seed)
    w[tensor(draw(st.lists(st.booleans(), min_size=d, max_size=d))).bool()] = 0
    return w, normal(d, seed=seed + 1)


@st.composite
def data(draw):
    """Inputs, of full rank or not, also more coordinates than rows, and targets."""
    n, d, seed = draw(st.integers(1, 8)), draw(st.integers(1, 5)), draw(seeds)
    rank = draw(st.integers(0, min(n, d)))
    X = normal(n, d, seed=seed)
    if rank < min(n, d):
        X = normal(n, rank, seed=seed + 1) @ normal(rank, d, seed=seed + 2)
    return X, normal(n, seed=seed + 3)


def linear(w):
    return lambda x: x @ w


def curved(x):
    """A logit of an input, of its squares and products."""
    return torch.tanh(x[..., 0] * x[..., -1]) + (x**3).sum(-1) - torch.cos(2 * x[..., 0])


def objective(w, X, t, decay):
    """The ridge loss in loops."""
    rows = zip(X.tolist(), t.tolist(), strict=True)
    errors = [math.fsum(a * b for a, b in zip(x, w.tolist(), strict=True)) - y for x, y in rows]
    squares = math.fsum(error**2 for error in errors)
    return squares / (2 * len(X)) + decay * math.fsum(a**2 for a in w.tolist())


@given(classifiers(), epsilons)
def test_attacks_on_a_linear_logit_equal_their_closed_forms(classifier, epsilon):
    w, x = classifier
    f = linear(w)
    torch.testing.assert_close(fgm(f, x, epsilon), x - epsilon * w)
    signs = tensor([(a > 0) - (a < 0) for a in w.tolist()])
    torch.testing.assert_close(fgsm(f, x, epsilon), x - epsilon * signs)
    scale = (w.abs() * (x.abs() + epsilon * (1 + w.abs()))).sum()
    for attacked, fall in (
        (fgm(f, x, epsilon), epsilon * w.square().sum()),
        (fgsm(f, x, epsilon), epsilon * w.abs().sum()),
    ):
        assert abs(f(attacked) - (f(x) - fall)) <= 1e-12 * scale


@given(classifiers(), epsilons)
def test_the_sizes_of_the_steps_are_those_of_the_book(classifier, epsilon):
    w, _ = classifier
    x = torch.zeros_like(w)  # so that nothing is rounded
    assert fgsm(linear(w), x, epsilon).abs().max() == (epsilon if w.any() else 0)
    assert fgm(linear(w), x, epsilon).abs().max() == epsilon * w.abs().max()
    assert (fgsm(linear(w), x, epsilon)[w == 0] == 0).all()


@given(st.integers(1, 5), st.sampled_from([(), (1,), (3,), (2, 3)]), epsilons, seeds)
def test_attacks_on_a_curved_logit_equal_finite_differences(d, batch, epsilon, seed):
    x = normal(*batch, d, seed=seed)
    steps = 1e-5 * torch.eye(d).double()
    wide = x.unsqueeze(-2)
    gradient = (curved(wide + steps) - curved(wide - steps)) / 2e-5  # (..., d)
    got = fgm(curved, x, epsilon)
    torch.testing.assert_close(got, x - epsilon * gradient, atol=epsilon * 1e-6 + 1e-12, rtol=1e-6)
    sure = gradient.abs() > 1e-6
    got = fgsm(curved, x, epsilon)
    torch.testing.assert_close(got[sure], (x - epsilon * gradient.sign())[sure])


@given(seeds)
def test_each_input_is_attacked_on_its_own_with_its_own_epsilon(seed):
    x, epsilon = normal(4, 3, seed=seed), normal(4, 1, seed=seed + 1).abs()
    for attack in (fgm, fgsm):
        together = attack(curved, x, epsilon)
        alone = [attack(curved, a, e) for a, e in zip(x, epsilon, strict=True)]
        torch.testing.assert_close(together, torch.stack(alone))


@pytest.mark.parametrize("epsilon", [1e-60, 1e60, tensor(1e60), torch.tensor(2)])
def test_an_epsilon_of_any_size_is_taken(epsilon):
    for attack in (fgm, fgsm):
        moved = attack(linear(torch.ones(2).double()), torch.zeros(2).double(), epsilon)
        assert moved.tolist() == [-float(epsilon)] * 2


@given(st.sampled_from([fgm, fgsm]), epsilons)
def test_without_a_gradient_no_input_moves(attack, epsilon):
    x = normal(3, 2)
    assert torch.equal(attack(lambda x: 0 * x.sum(-1), x, epsilon), x)
    assert torch.equal(attack(curved, x, 0.0), x)


@pytest.mark.parametrize("attack", [fgm, fgsm])
def test_attacks_work_without_gradients_around_and_leave_the_input_alone(attack):
    x = normal(3, 2).requires_grad_()
    before = x.detach().clone()
    with torch.no_grad():
        attacked = attack(curved, x, 0.1)
    assert torch.equal(attacked, attack(curved, x, 0.1)) and x.grad is None
    assert torch.equal(x.detach(), before)
    attack(curved, before, 0.1)
    assert not before.requires_grad


@few
@given(classifiers(), epsilons, seeds)
def test_no_step_in_the_cube_lowers_a_linear_logit_more_than_fgsm(classifier, epsilon, seed):
    w, x = classifier
    d = len(w)
    fall = (x - fgsm(linear(w), x, epsilon)) @ w
    best = linprog(w.numpy(), bounds=[(-epsilon, epsilon)] * d)
    assert fall.item() == pytest.approx(-best.fun, rel=1e-9, abs=1e-12)
    steps = epsilon * (2 * torch.rand(200, d, generator=torch.Generator().manual_seed(seed)) - 1)
    assert (-(steps.double() @ w) <= fall + 1e-12).all()


@given(classifiers(), st.sampled_from(ATTACKS), st.floats(1e-6, 1))
def test_an_attack_at_the_radius_and_no_smaller_one_reaches_the_boundary(classifier, pair, less):
    (w, x), (attack, radius) = classifier, pair
    epsilon = radius(w, x[None])[0]
    side = (x @ w).sign()
    harm = linear(side * w)  # the attack lowers it to 0
    scale = (w * x).abs().sum() + 1e-300
    assert abs(harm(attack(harm, x, epsilon))) <= 1e-12 * scale
    if side:
        assert harm(attack(harm, x, (1 - less) * epsilon)) > 0 or less * harm(x) < 1e-12 * scale
        assert harm(attack(harm, x, (1 + less) * epsilon)) < 0 or less * harm(x) < 1e-12 * scale
    else:
        assert epsilon == 0


@given(st.sampled_from(ATTACKS), seeds)
def test_radii_are_computed_for_many_classifiers_and_inputs(pair, seed):
    W, X = normal(2, 3, 4, seed=seed), normal(5, 4, seed=seed + 1)
    W[0, 0] = X[0] = 0
    radii = pair[1](W, X)
    assert radii.shape == (2, 3, 5) and (radii[0, 0] == 0).all() and (radii[..., 0] == 0).all()
    for i in range(2):
        for j in range(3):
            for k in range(5):
                norm = W[i, j].abs().sum() if pair[1] is fgsm_radius else W[i, j].square().sum()
                expected = abs(W[i, j] @ X[k]) / norm if norm else tensor(0.0)
                torch.testing.assert_close(radii[i, j, k], expected)


@pytest.mark.parametrize("pair", ATTACKS)
def test_classifiers_and_inputs_of_any_scale_stand_side_by_side(pair):
    _, radius = pair
    W, X = normal(2, 3), normal(2, 3, seed=1)
    of_W, of_X = tensor([1e-100, 1e100]), tensor([1e-170, 1e170])
    expected = radius(W, X) * of_X  # under the largest step, that of the weights cancels
    if radius is fgm_radius:
        expected = expected / of_W[:, None]
    got = radius(W * of_W[:, None], X * of_X[:, None])
    torch.testing.assert_close(got, expected, atol=0, rtol=1e-12)


@given(st.integers(1, 8), decays, st.floats(1, 10), seeds)
def test_in_one_dimension_weight_decay_helps_under_fgm_and_not_under_fgsm(n, decay, more, seed):
    x, t = normal(n, seed=seed), normal(n, seed=seed + 1)
    X, product = x[:, None], (x @ t).abs()
    assume(product > 1e-3 and x.abs().min() > 1e-3)
    w = ridge(X, t, tensor([decay, (1 + more) * decay]))
    radii = fgm_radius(w, X)
    expected = x.abs() * (x.square().sum() + 2 * n * decay) / product
    torch.testing.assert_close(radii[0], expected, atol=0, rtol=1e-9)
    assert (radii[1] > radii[0]).all()
    torch.testing.assert_close(fgsm_radius(w, X), x.abs().expand(2, n), atol=0, rtol=1e-9)


@given(data(), decays)
def test_ridge_solves_the_normal_equations(problem, decay):
    X, t = problem
    n, d = X.shape
    penalty = 2 * n * decay * torch.eye(d).double()
    expected = torch.linalg.solve(X.T @ X + penalty, X.T @ t)
    got = ridge(X, t, decay)
    torch.testing.assert_close((X.T @ X + penalty) @ got, X.T @ t, atol=1e-10, rtol=1e-10)
    if decay >= 1e-4:
        torch.testing.assert_close(got, expected, atol=1e-8, rtol=1e-8)


@few
@given(data(), st.floats(1e-3, 1e3))
def test_ridge_equals_that_of_scikit_learn(problem, decay):
    X, t = problem
    model = Ridge(alpha=2 * len(X) * decay, fit_intercept=False).fit(X.numpy(), t.numpy())
    torch.testing.assert_close(ridge(X, t, decay), tensor(model.coef_), atol=1e-9, rtol=1e-9)


@given(data(), decays)
def test_the_gradient_of_the_ridge_loss_is_0_at_its_solution(problem, decay):
    X, t = problem
    w = ridge(X, t, decay).requires_grad_()
    (gradient,) = torch.autograd.grad(ridge_loss(w, X, t, decay), w)
    torch.testing.assert_close(gradient, torch.zeros_like(w), atol=1e-10, rtol=0)


@given(data(), st.sampled_from([0.0]) | decays, seeds)
def test_the_ridge_loss_equals_loops_and_its_gradient_finite_differences(problem, decay, seed):
    X, t = problem
    w = normal(X.shape[1], seed=seed).requires_grad_()
    loss = ridge_loss(w, X, t, decay)
    assert loss.item() == pytest.approx(objective(w, X, t, decay), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, w)
    steps = torch.eye(len(w)).double()  # exact for a quadratic function
    with torch.no_grad():
        rise = ridge_loss(w + steps, X, t, decay) - ridge_loss(w - steps, X, t, decay)
    scale = 1 + loss.item() + decay
    torch.testing.assert_close(gradient, rise / 2, atol=1e-12 * scale, rtol=1e-9)


@given(data(), decays, st.sampled_from([1e-3, 0.1, 10.0]), seeds)
def test_any_other_weights_have_a_larger_ridge_loss(problem, decay, distance, seed):
    X, t = problem
    w = ridge(X, t, decay)
    steps = distance * normal(20, len(w), seed=seed)
    least = ridge_loss(w, X, t, decay)
    rise = ridge_loss(w + steps, X, t, decay) - least
    assert (rise >= decay * steps.square().sum(-1) * (1 - 1e-6) - 1e-12 * (1 + least)).all()


@given(data(), st.lists(decays, min_size=4, max_size=4))
def test_many_weight_decays_at_once_equal_one_by_one(problem, values):
    X, t = problem
    grid = tensor(values).view(2, 2)
    together = ridge(X, t, grid)
    alone = [ridge(X, t, decay) for decay in values]
    torch.testing.assert_close(together, torch.stack(alone).view(2, 2, -1))
    losses = ridge_loss(together, X, t, 0.5)
    expected = [objective(w, X, t, 0.5) for w in together.view(4, -1)]
    torch.testing.assert_close(losses, tensor(expected).view(2, 2), atol=1e-12, rtol=1e-9)


@given(data(), st.sampled_from([1e-12, 1e-14, 1e-200]))
def test_as_weight_decay_vanishes_ridge_becomes_the_solution_of_least_norm(problem, decay):
    X, t = problem
    s = torch.linalg.svdvals(X)
    assume(((s < 1e-9) | (s > 1e-2)).all())  # between, the limit is reached later
    expected = torch.linalg.pinv(X, rtol=1e-12) @ t
    torch.testing.assert_close(ridge(X, t, decay), expected, atol=1e-6, rtol=1e-6)


@given(data(), st.floats(1e8, 1e12))
def test_much_weight_decay_leaves_a_step_along_the_gradient(problem, decay):
    X, t = problem
    expected = X.T @ t / (2 * len(X) * decay)
    torch.testing.assert_close(ridge(X, t, decay), expected, atol=1e-18, rtol=1e-6)


@given(decays)
def test_two_equal_columns_share_the_weight_alike(decay):
    """The handout's one row: every w1 + w2 = 1 fits, ridge tends to a half each."""
    w = ridge(tensor([[1.0, 1.0]]), tensor([1.0]), decay)
    torch.testing.assert_close(w, (1 / (2 + 2 * tensor(decay))).expand(2))


def test_inputs_of_0_have_weights_of_0():
    assert torch.equal(ridge(torch.zeros(3, 2), torch.ones(3), 1e-12), torch.zeros(2))


def test_targets_may_be_whole_numbers():
    X, t = normal(4, 2), [1, -1, 1, 1]
    assert torch.equal(ridge(X, torch.tensor(t), 0.1), ridge(X, tensor(t), 0.1))


@pytest.mark.parametrize("attack", [fgm, fgsm])
@pytest.mark.parametrize(
    ("epsilon", "message"),
    [
        (-0.1, "epsilon must be finite and at least 0, got -0.1"),
        (math.nan, "epsilon must be finite and at least 0, got nan"),
        (math.inf, "epsilon must be finite and at least 0, got inf"),
        (tensor([[0.1], [-0.1], [0.1]]), "epsilon must be finite and at least 0"),
        (torch.ones(3), r"epsilon of shape \(3,\) must broadcast to \(3, 2\)"),
        (torch.ones(4, 3, 2), r"epsilon of shape \(4, 3, 2\) must broadcast to \(3, 2\)"),
    ],
)
def test_an_epsilon_that_is_none_is_refused(attack, epsilon, message):
    with pytest.raises(ValueError, match=message):
        attack(curved, normal(3, 2), epsilon)


@pytest.mark.parametrize("attack", [fgm, fgsm])
@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x, r"expected one logit an input, shape \(3,\), got \(3, 2\)"),
        (lambda x: x.sum(), r"expected one logit an input, shape \(3,\), got \(\)"),
        (lambda x: torch.zeros(3), "the logits do not depend on the inputs"),
        (lambda x: torch.zeros(3, requires_grad=True).exp(), "the logits do not depend on"),
        (lambda x: (x - x.detach()).sqrt().sum(-1), "inputs and the gradient .* must be finite"),
    ],
)
def test_a_classifier_without_a_gradient_for_each_input_is_refused(attack, f, message):
    with pytest.raises(ValueError, match=message):
        attack(f, normal(3, 2), 0.1)


@pytest.mark.parametrize("attack", [fgm, fgsm])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_inputs_that_are_not_finite_are_refused_by_attacks(attack, bad):
    with pytest.raises(ValueError, match="the inputs and the gradient .* must be finite"):
        attack(linear(torch.ones(2).double()), tensor([1.0, bad]), 0.1)


INPUTS, TARGETS, W = torch.ones(3, 2), torch.ones(3), torch.ones(2)
WEIGHTS = [
    (torch.ones(3), INPUTS, r"weights \(..., d\) and inputs \(n, d\), got \(3,\) and \(3, 2\)"),
    (torch.tensor(1.0), INPUTS, r"expected weights .* got \(\) and \(3, 2\)"),
    (W, torch.ones(2), r"expected weights .* got \(2,\) and \(2,\)"),
    (W, torch.ones(1, 3, 2), r"expected weights .* got \(2,\) and \(1, 3, 2\)"),
    (W * math.nan, INPUTS, "weights and inputs must be finite"),
]


@pytest.mark.parametrize("radius", [fgm_radius, fgsm_radius])
@pytest.mark.parametrize(
    ("w", "X", "message"), [*WEIGHTS, (W, INPUTS * math.inf, "weights and inputs must be finite")]
)
def test_radii_of_what_does_not_fit_are_refused(radius, w, X, message):
    with pytest.raises(ValueError, match=message):
        radius(w, X)


@pytest.mark.parametrize(("w", "X", "message"), [row for row in WEIGHTS if row[1].dim() == 2])
def test_the_ridge_loss_of_weights_that_do_not_fit_is_refused(w, X, message):
    with pytest.raises(ValueError, match=message):
        ridge_loss(w, X, TARGETS, 0.1)


@pytest.mark.parametrize("function", [ridge, lambda X, t, decay: ridge_loss(W, X, t, decay)])
@pytest.mark.parametrize(
    ("X", "t", "message"),
    [
        (INPUTS, torch.ones(2), r"inputs \(n, d\) and targets \(n,\), got \(3, 2\) and \(2,\)"),
        (INPUTS, torch.ones(3, 1), r"expected inputs .* got \(3, 2\) and \(3, 1\)"),
        (TARGETS, TARGETS, r"expected inputs .* got \(3,\) and \(3,\)"),
        (torch.ones(0, 2), torch.ones(0), r"expected inputs .* got \(0, 2\)"),
        (torch.ones(3, 0), TARGETS, r"expected inputs .* got \(3, 0\)"),
        (INPUTS * math.nan, TARGETS, "inputs and targets must be finite"),
        (INPUTS, TARGETS * math.inf, "inputs and targets must be finite"),
    ],
)
def test_data_that_do_not_fit_are_refused(function, X, t, message):
    with pytest.raises(ValueError, match=message):
        function(X, t, 0.1)


@pytest.mark.parametrize("decay", [0.0, -1.0, math.inf, math.nan, tensor([1.0, 0.0])])
def test_ridge_without_weight_decay_is_refused(decay):
    with pytest.raises(ValueError, match="weight decay must be positive and finite, got"):
        ridge(INPUTS, TARGETS, decay)


@pytest.mark.parametrize("decay", [-1.0, math.inf, math.nan])
def test_a_ridge_loss_with_a_weight_decay_that_is_none_is_refused(decay):
    with pytest.raises(ValueError, match=f"finite and at least 0, got {decay}"):
        ridge_loss(W, INPUTS, TARGETS, decay)
