import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from scipy.special import huber

from a3.scaling.loss_law import (
    fit_laws,
    hoffmann_starts,
    huber_objective,
    log_terms,
    logsumexp,
    projected_starts,
)

seeds = st.integers(0, 2**32 - 1)


def problem(seed, laws=4, runs=9):
    random = np.random.default_rng(seed)
    law = random.standard_normal((laws, 5))
    law[:, 3:] = np.abs(law[:, 3:])
    n, d, y = random.standard_normal((3, runs))
    weights = random.integers(0, 4, (laws, runs)).astype(float)
    return law, n, d, y, weights


@given(seeds, st.sampled_from([1e-3, 0.3, 1e6]))
def test_the_objective_is_the_weighted_huber_loss_of_the_log_residuals(seed, delta):
    law, n, d, y, weights = problem(seed)
    value, _, _ = huber_objective(law, n, d, y, weights, delta)
    for (e, a, b, alpha, beta), w, got in zip(law, weights, value, strict=True):
        N, D = np.exp(n), np.exp(d)
        loss = np.exp(e) + np.exp(a) / N**alpha + np.exp(b) / D**beta
        assert got == pytest.approx((w * huber(delta, np.log(loss) - y)).sum(), rel=1e-9)


@given(seeds, st.sampled_from([0.3, 1e6]))
def test_gradient_and_hessian_are_those_of_central_differences(seed, delta):
    law, n, d, y, weights = problem(seed)
    residual = logsumexp(log_terms(law, n, d)) - y
    weights[np.abs(np.abs(residual) - delta) < 1e-3] = 0  # no kink within reach
    _, gradient, hessian = huber_objective(law, n, d, y, weights, delta)
    h = 1e-5
    for i in range(5):
        step = np.zeros(5)
        step[i] = h
        above = huber_objective(law + step, n, d, y, weights, delta)
        below = huber_objective(law - step, n, d, y, weights, delta)
        scale = 1 + np.abs(gradient).max() + np.abs(hessian).max()
        difference = (above[0] - below[0]) / (2 * h)
        assert gradient[:, i].tolist() == pytest.approx(difference.tolist(), abs=1e-6 * scale)
        difference = (above[1] - below[1]) / (2 * h)
        error = np.abs(hessian[:, i] - difference).max()
        assert error < 1e-5 * scale


@given(seeds)
@settings(max_examples=20)
def test_laws_are_fitted_alike_alone_and_among_others(seed):
    law, n, d, y, weights = problem(seed)
    _, together = fit_laws(law, n, d, y, weights, 0.1)
    for i in range(len(law)):
        _, alone = fit_laws(law[i : i + 1], n, d, y, weights[i : i + 1], 0.1)
        assert alone[0] == pytest.approx(together[i], rel=1e-9, abs=1e-12)


def test_more_laws_than_fit_into_one_chunk():
    _, n, d, noise, weights = problem(0, laws=6, runs=11_000)
    law = np.array([[0.0, -0.7, -0.7, 0.5, 0.4]])
    y = logsumexp(log_terms(law, n, d))[0] + 0.1 * noise
    found, values = fit_laws(np.repeat(law, 6, axis=0), n, d, y, weights, 0.01)
    for i in range(6):
        alone, value = fit_laws(law, n, d, y, weights[i : i + 1], 0.01)
        assert np.allclose(values[i], value[0], rtol=1e-9)
        assert np.allclose(found[i], alone[0], rtol=1e-4)
    assert np.abs(found - law).max() < 0.2


def test_the_grid_of_the_paper():
    starts = hoffmann_starts()
    assert starts.shape == (4_500, 5) and len(np.unique(starts, axis=0)) == 4_500
    assert starts.min(0).tolist() == [-1, 0, 0, 0, 0]
    assert starts.max(0).tolist() == [1, 25, 25, 2, 2]


def test_a_projected_start_has_the_best_three_for_its_exponents():
    n, d = np.linspace(-2, 2, 5), [0.0, 1.0, -1.0, 0.5, -2.0]
    n, d = (x.ravel() for x in np.meshgrid(n, d, indexing="ij"))
    start = projected_starts(n, d, np.zeros(25))
    alpha, beta = start[77, 3:]
    y = np.log(1.5 + 0.5 * np.exp(-alpha * n) + 2 * np.exp(-beta * d))
    start = projected_starts(n, d, y)
    assert np.exp(start[77, :3]) == pytest.approx([1.5, 0.5, 2.0])
    # Without a share of the data, that term starts small, and the others still fit.
    start = projected_starts(n, d, np.log(1.5 + 0.5 * np.exp(-alpha * n)))
    shares = np.exp(log_terms(start[77:78], n, d))[:, 0].mean(1)
    assert np.exp(start[77, :2]) == pytest.approx([1.5, 0.5])
    assert 0 < shares[2] < 0.01 * shares[0]
    assert np.isfinite(start).all()


@pytest.mark.parametrize("seed", range(3))
def test_projected_starts_are_those_of_scipys_nonnegative_least_squares(seed):
    _, n, d, y, _ = problem(seed, runs=20)
    starts = projected_starts(n, d, y)
    grid = np.geomspace(0.03, 3, 12)
    expected = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(144, 2)
    assert starts[:, 3:] == pytest.approx(expected, rel=1e-12)
    N, D, loss = np.exp([n, d, y])
    missing = 0
    for start, (alpha, beta) in zip(starts, expected, strict=True):
        X = np.stack([1 / loss, N**-alpha / loss, D**-beta / loss], 1)
        best, _ = nnls(X, np.ones(20))
        missing += (best == 0).sum()
        assert np.exp(start[:3]) == pytest.approx(np.maximum(best, 1e-3 / X.mean(0)), rel=1e-6)
    assert missing
