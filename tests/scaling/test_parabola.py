import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from a3.scaling.parabola import find_optimal_params, no_parabola, optimum, parabola, vertices

vertexes = st.floats(-0.95, 0.95)


def profile(vertex, bend=0.1, sizes=6, smallest=1e4):
    """Sizes over two orders of magnitude; the best lies in the middle for vertex 0."""
    x = np.linspace(-2.3, 2.3, sizes)
    return smallest * np.exp(x + 2.3), 1.5 + bend * (x - 2.3 * vertex) ** 2


@given(vertexes, st.floats(1e-3, 10), st.integers(3, 9), st.floats(1, 1e12))
def test_the_lowest_point_of_a_planted_parabola(vertex, bend, sizes, smallest):
    params, loss = profile(vertex, bend, sizes, smallest)
    expected = smallest * math.exp(2.3 * (1 + vertex))
    assert find_optimal_params(params, loss) == pytest.approx(expected, rel=1e-6)
    assert find_optimal_params(torch.tensor(params), loss.tolist()) == pytest.approx(expected)


@given(vertexes, st.floats(1e-6, 1e6))
def test_the_unit_of_size_does_not_matter(vertex, unit):
    params, loss = profile(vertex)
    loss = loss + 0.01 * np.cos(np.arange(6))
    found = find_optimal_params(params, loss)
    assert find_optimal_params(unit * params, loss) == pytest.approx(unit * found, rel=1e-9)


def test_agreement_with_numpys_polynomials():
    params, loss = profile(0.2)
    loss = loss + np.random.default_rng(0).normal(scale=0.02, size=6)
    got = parabola(np.log(params))(loss)
    expected = np.polynomial.Polynomial.fit(np.log(params), loss, 2).convert().coef
    assert got == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(lambda w: sum(map(bool, w)) > 2))
def test_weights_count_as_repeated_runs(weights):
    params, loss = profile(0.2)
    x, y = np.log(params), loss + 0.01 * np.cos(np.arange(6))
    got = parabola(x, np.array([weights, [1.0] * 6]))(y)
    repeated = parabola(np.repeat(x, weights))(np.repeat(y, weights))
    assert got[0] == pytest.approx(repeated, rel=1e-6)
    assert got[1] == pytest.approx(parabola(x)(y), rel=1e-9)


def test_losses_side_by_side():
    x = np.log(profile(0)[0])
    losses = np.stack([profile(v)[1] for v in (-0.5, 0.0, 0.5, 1.5)])
    found = vertices(parabola(x)(losses), x, 30 - 2 * x)
    assert found[:3, 0] == pytest.approx(x.mean() + 2.3 * np.array([-0.5, 0, 0.5]))
    assert found[:3, 1] == pytest.approx(30 - 2 * found[:3, 0])
    assert found[:3, 2] == pytest.approx(1.5)
    assert np.isnan(found[3]).all()


def test_tokens_between_sizes_are_interpolated_and_those_of_one_size_averaged():
    x = np.array([0.0, 1.0, 1.0, 2.0])
    at, bound, reason = optimum(np.array([0.5, -1.0, 1.0]), x, np.array([8.0, 5.0, 7.0, 0.0]))
    assert at.tolist() == [0.5, 7.0, 0.25] and bound == reason == ""


def test_an_optimum_outside_the_sizes_is_a_bound():
    for vertex, bound in ((1.2, r"> 9.948e\+05"), (-1.2, r"< 1e\+04")):
        with pytest.raises(ValueError, match=f"outside the sizes tried: {bound}"):
            find_optimal_params(*profile(vertex))


def test_what_has_no_lowest_point_is_refused():
    params, loss = profile(0)
    with pytest.raises(ValueError, match="opens downward"):
        find_optimal_params(params, 20 - loss)
    with pytest.raises(ValueError, match="needs three sizes, got 2"):
        find_optimal_params(params[[0, 1, 1, 0]], loss[:4])
    with pytest.raises(ValueError, match=r"all losses are equal \(2\)"):
        find_optimal_params(params, np.full(6, 2.0))
    with pytest.raises(ValueError, match="run 2: its loss is nan"):
        find_optimal_params(params, [*loss[:2], math.nan, *loss[3:]])
    with pytest.raises(ValueError, match="run 0: its params are -"):
        find_optimal_params(-params, loss)
    assert no_parabola(np.log(params), loss) == ""
