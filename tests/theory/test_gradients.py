import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.functional import jacobian

from a3.theory.gradients import (
    jacobian_bound,
    relu_chain,
    relu_chain_bound,
    relu_chain_derivative,
    rnn,
    rnn_jacobian,
)

SLOPE = {torch.sigmoid: 0.25, torch.tanh: 1.0}
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(list(SLOPE))
inputs = st.sampled_from([0.0, 1.0, -1.0]) | st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3)
few = settings(max_examples=25)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def chains(draw, signs=("positive", "first negative", "any", "zero")):
    """The weights of 0 to 200 layers, in such a way that many of the chains are alive."""
    n, sign = draw(st.integers(0, 200)), draw(st.sampled_from(signs))
    weights = (normal(n, seed=draw(seeds)) / 2).exp()
    if n and sign == "first negative":
        weights[0] *= -1
    elif n and sign != "positive":
        weights[draw(st.integers(0, n - 1))] *= -1 if sign == "any" else 0
    return weights


@st.composite
def networks(draw, scales=(0.0, 0.3, 1.0, 4.0)):
    """First states, recurrent weights (also zero, or of rank one) and the number of states."""
    d, n, seed = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(seeds)
    W = draw(st.sampled_from(scales)) * normal(d, d, seed=seed)
    if draw(st.booleans()):
        W = W[:, :1] * W[:1]
    return normal(d, seed=seed + 1), W, n


def singular(J):
    return torch.linalg.matrix_norm(J, 2)


@given(inputs, chains())
def test_a_chain_equals_a_loop_over_its_layers(x, weights):
    h = x
    for w in weights.tolist():
        h = max(0.0, w * h)
    assert relu_chain(tensor(x), weights).item() == h


@given(inputs, chains())
def test_the_slope_of_a_chain_equals_autograd(x, weights):
    x = tensor(x).requires_grad_()
    (slope,) = torch.autograd.grad(relu_chain(x, weights), x)
    torch.testing.assert_close(relu_chain_derivative(x, weights), slope, atol=0, rtol=1e-12)


@given(inputs, st.lists(st.sampled_from([-1.0, 1.0, 1.0, 1.0]), max_size=30))
def test_the_slope_of_a_chain_of_unit_weights_is_exactly_that_of_autograd(x, weights):
    x = tensor(x).requires_grad_()
    (slope,) = torch.autograd.grad(relu_chain(x, tensor(weights)), x)
    assert relu_chain_derivative(x, tensor(weights)) == slope
    assert abs(slope) in (0, 1)


@given(inputs.filter(bool), chains())
def test_the_slope_of_a_chain_equals_finite_differences(x, weights):
    step = abs(x) / 4  # no kink between the two
    rise = relu_chain(tensor(x + step), weights) - relu_chain(tensor(x - step), weights)
    slope = relu_chain_derivative(tensor(x), weights)
    torch.testing.assert_close(slope, rise / (2 * step), atol=0, rtol=1e-10)


@given(inputs, chains())
def test_a_slope_is_0_or_the_product_of_the_weights_and_within_the_bound(x, weights):
    slope, bound = relu_chain_derivative(tensor(x), weights), relu_chain_bound(weights)
    assert slope == 0 or slope == weights.prod()
    assert 0 <= abs(slope) <= bound
    assert bound.item() == pytest.approx(math.prod(map(abs, weights.tolist())), rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_negative_weight_at_any_place_but_the_first_ends_the_slope(n):
    for place in range(n):
        weights = torch.full((n,), 2.0).double()
        weights[place] = -3
        x = tensor([1.0, -1.0])
        expected = [0.0, -3 * 2.0 ** (n - 1) if place == 0 else 0.0]
        assert relu_chain_derivative(x, weights).tolist() == expected


@given(st.floats(1e-3, 1e3), chains(signs=("positive", "first negative")))
def test_the_bound_of_a_chain_is_attained_on_one_side_and_the_other_is_flat(x, weights):
    side = -1 if len(weights) and weights[0] < 0 else 1
    assert relu_chain_derivative(tensor(side * x), weights) == side * relu_chain_bound(weights)
    assert relu_chain_derivative(tensor(-side * x), weights) == (0 if len(weights) else 1)


@given(inputs, st.integers(0, 1000))
def test_unit_weights_give_a_slope_of_1_for_positive_inputs_and_0_for_others(x, n):
    slope = relu_chain_derivative(tensor(x), torch.ones(n).double())
    assert slope == (1 if x > 0 or n == 0 else 0)


def test_the_bound_of_thousands_of_layers_is_their_product():
    weights = tensor([[2 / 3, 3 / 2], [0.6, 1.7]]).repeat(1, 3_000)
    expected = torch.stack([3_000 * w.log().sum() for w in weights[:, :2]]).exp()
    torch.testing.assert_close(relu_chain_bound(weights), expected, atol=0, rtol=1e-9)


def test_no_layers_are_the_identity():
    x, none = tensor([-2.0, 0.0, 3.0]), torch.ones(0).double()
    assert torch.equal(relu_chain(x, none), x)
    assert torch.equal(relu_chain_derivative(x, none), torch.ones(3).double())
    assert relu_chain_bound(none) == 1


def test_the_slope_at_the_kink_is_0_as_in_torch():
    x = tensor(0.0).requires_grad_()
    (slope,) = torch.autograd.grad(relu_chain(x, tensor([2.0, 3.0])), x)
    assert slope == relu_chain_derivative(x, tensor([2.0, 3.0])) == 0


@given(seeds)
def test_chains_broadcast_their_inputs_and_weights(seed):
    x, weights = normal(5, seed=seed), normal(3, 1, 4, seed=seed + 1).abs()
    for function in (relu_chain, relu_chain_derivative):
        grid = function(x, weights)
        assert grid.shape == (3, 5)
        for i in range(3):
            assert torch.equal(grid[i], torch.stack([function(a, weights[i, 0]) for a in x]))


@given(networks(), activations, st.booleans())
def test_the_states_equal_a_loop_over_layers_and_units(network, activation, residual):
    x, W, n = network
    phi = {torch.sigmoid: lambda a: 1 / (1 + math.exp(-a)), torch.tanh: math.tanh}[activation]
    states = [x.tolist()]
    for _ in range(n - 1):
        last = states[-1]
        sums = [math.fsum(w * a for w, a in zip(row, last, strict=True)) for row in W.tolist()]
        states.append([residual * a + phi(s) for a, s in zip(last, sums, strict=True)])
    got = rnn(x, W, n, activation=activation, residual=residual)
    torch.testing.assert_close(got, tensor(states), atol=1e-12, rtol=1e-10)


@few
@given(networks(), activations, st.booleans())
def test_a_jacobian_equals_the_product_of_those_of_the_layers(network, activation, residual):
    x, W, n = network
    expected = [torch.eye(len(x)).double()]
    for state in rnn(x, W, n, activation=activation, residual=residual)[:-1]:
        y = activation(W @ state)
        slopes = y * (1 - y) if activation is torch.sigmoid else 1 - y**2
        layer = slopes[:, None] * W + residual * expected[0]
        expected.append(layer @ expected[-1])
    got = rnn_jacobian(x, W, n, activation=activation, residual=residual)
    torch.testing.assert_close(got, torch.stack(expected), atol=1e-12, rtol=1e-9)


@few
@given(networks(), activations, st.booleans())
def test_a_jacobian_equals_that_of_torch(network, activation, residual):
    x, W, n = network
    options = dict(activation=activation, residual=residual)
    expected = jacobian(lambda x: rnn(x, W, n, **options), x)
    got = rnn_jacobian(x, W, n, **options)
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=1e-9)


@few
@given(networks(scales=(0.0, 0.3, 1.0)), activations, st.booleans())
def test_a_jacobian_equals_finite_differences(network, activation, residual):
    x, W, n = network
    options = dict(activation=activation, residual=residual)
    steps = 1e-5 * torch.eye(len(x)).double()
    rises = rnn(x + steps, W, n, **options) - rnn(x - steps, W, n, **options)  # (d, n, d)
    got = rnn_jacobian(x, W, n, **options)
    torch.testing.assert_close(got, rises.permute(1, 2, 0) / 2e-5, atol=1e-6, rtol=1e-6)


@few
@given(networks(), activations, st.sampled_from([0.0, 0.25, 1.0, 3.0]) | st.floats(1e-3, 10))
def test_no_jacobian_is_larger_than_the_bound(network, activation, sigma):
    x, W, n = network
    W = W * (sigma / singular(W)) if W.any() else W
    norms = singular(rnn_jacobian(x, W, n, activation=activation)).tolist()
    for t, norm in enumerate(norms, start=1):
        assert norm <= jacobian_bound(t, sigma, SLOPE[activation]) * (1 + 1e-9)


@few
@given(networks(scales=(0.0, 0.3, 1.0)), activations)
def test_no_residual_jacobian_is_larger_than_its_bound(network, activation):
    x, W, n = network
    norms = singular(rnn_jacobian(x, W, n, activation=activation, residual=True))
    bounds = (1 + SLOPE[activation] * singular(W)) ** torch.arange(n)
    assert (norms <= bounds * (1 + 1e-9)).all()


@few
@given(st.integers(2, 6), st.integers(1, 12), st.just(0.25) | st.floats(1e-2, 10))
def test_the_bound_is_attained_where_each_layer_sees_sums_of_0(d, n, sigma):
    W = sigma * (torch.eye(d).double() - 1 / d)
    J = rnn_jacobian(torch.full((d,), 0.5).double(), W, n)
    assert singular(J[-1]).item() == pytest.approx(jacobian_bound(n, sigma), rel=1e-9)


@few
@given(st.integers(1, 5), st.integers(1, 12), st.floats(0.1, 3), seeds)
def test_the_bound_is_attained_by_tanh_at_0_with_a_multiple_of_a_rotation(d, n, sigma, seed):
    W = sigma * torch.linalg.qr(normal(d, d, seed=seed)).Q
    J = rnn_jacobian(torch.zeros(d).double(), W, n, activation=torch.tanh)
    assert singular(J[-1]).item() == pytest.approx(jacobian_bound(n, sigma, slope=1), rel=1e-9)


@few
@given(st.integers(1, 5), st.integers(0, 3), activations, seeds)
def test_nilpotent_weights_forget_the_first_state_exactly(d, more, activation, seed):
    W = normal(d, d, seed=seed).abs().triu(1)
    J = rnn_jacobian(normal(d, seed=seed + 1), W, d + 1 + more, activation=activation)
    assert (J[d:] == 0).all()
    assert all(J[t].any() for t in range(d))


@pytest.mark.parametrize("residual", [False, True])
def test_weights_of_0_pass_nothing_on_but_through_residuals(residual):
    x, W = normal(3), torch.zeros(3, 3).double()
    J = rnn_jacobian(x, W, 4, residual=residual)
    assert torch.equal(J[1:], residual * torch.eye(3).double().expand(3, 3, 3))
    assert torch.equal(rnn(x, W, 2, residual=residual)[1], residual * x + 0.5)


@few
@given(networks())
def test_one_state_is_the_first_and_its_jacobian_the_identity(network):
    x, W, _ = network
    assert torch.equal(rnn(x, W, 1), x[None])
    assert torch.equal(rnn_jacobian(x, W, 1), torch.eye(len(x)).double()[None])


@pytest.mark.parametrize("residual", [False, True])
def test_networks_broadcast_their_states_and_weights(residual):
    x, W = normal(3, 1, 4), normal(2, 4, 4, seed=1)
    assert torch.equal(rnn(x[0], W[:, None], 2)[:, 0], rnn(x[0], W, 2))
    states, J = rnn(x, W, 5, residual=residual), rnn_jacobian(x, W, 5, residual=residual)
    assert states.shape == (3, 2, 5, 4) and J.shape == (3, 2, 5, 4, 4)
    for i in range(3):
        for j in range(2):
            one = x[i, 0], W[j], 5
            torch.testing.assert_close(states[i, j], rnn(*one, residual=residual))
            torch.testing.assert_close(J[i, j], rnn_jacobian(*one, residual=residual))
    assert rnn_jacobian(torch.zeros(0, 4), torch.zeros(4, 4), 3).shape == (0, 3, 4, 4)


@given(st.integers(1, 30), st.floats(0, 10), st.floats(0, 2))
def test_the_bound_of_a_network_is_a_factor_a_layer(n, sigma, slope):
    expected = 1.0
    for _ in range(n - 1):
        expected *= slope * sigma
    assert jacobian_bound(n, sigma, slope) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_a_bound_beyond_the_floats_is_infinite():
    assert jacobian_bound(1_000, 40.0) == math.inf
    assert jacobian_bound(1_000, 0.25) == 0
    assert jacobian_bound(1, 0.0) == 1


@pytest.mark.parametrize("function", [relu_chain, relu_chain_derivative])
@pytest.mark.parametrize(
    ("x", "weights", "message"),
    [
        (1.0, 2.0, r"^expected weights of shape \(..., n\), one a layer; got a single number$"),
        (math.nan, [1.0], "x must be finite"),
        ([1.0, -math.inf], [1.0], "x must be finite"),
        (1.0, [1.0, math.inf], "weights must be finite"),
        ([1.0, 2.0, 3.0], [[1.0], [1.0]], r"leading axes \(3,\) and \(2,\) cannot be broadcast"),
    ],
)
def test_a_chain_that_is_none_is_refused(function, x, weights, message):
    with pytest.raises(ValueError, match=message):
        function(tensor(x), tensor(weights))


@pytest.mark.parametrize(
    ("weights", "message"),
    [(2.0, "one a layer; got a single number"), ([math.nan], "weights must be finite")],
)
def test_a_bound_of_no_chain_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        relu_chain_bound(tensor(weights))


BAD = tensor(math.nan)


@pytest.mark.parametrize("function", [rnn, rnn_jacobian])
@pytest.mark.parametrize(
    ("x", "W", "n", "message"),
    [
        (
            torch.ones(3),
            torch.eye(2),
            2,
            r"states \(..., d\) and square .* got \(3,\) and \(2, 2\)",
        ),
        (torch.ones(2), torch.ones(2, 3), 2, r"square weights .* got \(2,\) and \(2, 3\)"),
        (torch.ones(3), torch.ones(2, 3), 2, r"square weights .* got \(3,\) and \(2, 3\)"),
        (torch.ones(2), torch.ones(2), 2, r"square weights .* got \(2,\) and \(2,\)"),
        (torch.ones(3), torch.ones(5, 2, 3), 2, r"square weights .* got \(3,\) and \(5, 2, 3\)"),
        (torch.tensor(1.0), torch.eye(1), 2, r"square weights .* got \(\) and \(1, 1\)"),
        (torch.ones(2), torch.eye(2), 0, "number of states must be at least 1, got 0"),
        (BAD.expand(2), torch.eye(2).double(), 2, "x must be finite"),
        (torch.ones(2).double(), BAD.expand(2, 2), 2, "W must be finite"),
        (torch.ones(3, 2), torch.ones(4, 2, 2), 2, r"leading axes \(3,\) and \(4,\) cannot be"),
    ],
)
def test_a_network_that_is_none_is_refused(function, x, W, n, message):
    with pytest.raises(ValueError, match=message):
        function(x, W, n)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.0), "number of states must be at least 1, got 0"),
        ((2, -1.0), "sigma must be a number of at least 0, got -1.0"),
        ((2, math.nan), "sigma must be a number of at least 0, got nan"),
        ((2, math.inf), "sigma must be a number of at least 0, got inf"),
        ((2, 1.0, -0.25), "slope must be a number of at least 0, got -0.25"),
        ((2, 1.0, math.nan), "slope must be a number of at least 0, got nan"),
    ],
)
def test_factors_that_cannot_bound_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        jacobian_bound(*arguments)
