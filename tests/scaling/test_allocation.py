import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from a3.scaling.allocation import compute_optimal
from a3.scaling.isoflop import fit_isoflop
from a3.scaling.parametric import fit_parametric

N, C = (
    part.ravel() for part in np.meshgrid(np.geomspace(1e7, 1e10, 8), np.geomspace(1e18, 1e21, 6))
)
LAW = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
L = LAW["E"] + LAW["A"] / N ** LAW["alpha"] + LAW["B"] / (C / (6 * N)) ** LAW["beta"]
NOISY = L * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(L)))


@pytest.fixture(scope="module")
def parametric():
    return fit_parametric(N, C / (6 * N), NOISY, bootstrap=200)


@pytest.fixture(scope="module")
def isoflop():
    best = 1.5 * C**0.46
    losses = 2 + 0.08 * np.log(N / best) ** 2 + 0.01 * np.random.default_rng(0).random(len(N))
    return fit_isoflop(N, C / (6 * N), C, losses, bootstrap=200)


@pytest.mark.parametrize("per_token", [6.0, 7.5])
@pytest.mark.parametrize("budget", [1e19, 1e24])
def test_the_split_has_the_least_loss_of_the_law(parametric, budget, per_token):
    best = compute_optimal(parametric, budget, per_token=per_token)
    assert per_token * best.params * best.tokens == pytest.approx(budget)
    found = minimize_scalar(
        lambda x: parametric.predict(math.exp(x), budget / per_token / math.exp(x)),
        bracket=(10, 20, 30), tol=1e-10,
    )  # fmt: skip
    assert math.log(best.params) == pytest.approx(found.x, abs=1e-4)
    assert best.loss == pytest.approx(found.fun, rel=1e-9)


def test_the_split_grows_with_the_exponents_of_the_fit(parametric, isoflop):
    for fit in (parametric, isoflop):
        best = compute_optimal(fit, [1e18, 1e22])
        growth = [np.log(x[1] / x[0]) / np.log(1e4) for x in (best.params, best.tokens)]
        assert growth == pytest.approx([fit.a, fit.b], rel=1e-6)


def test_the_book_states_the_same_formula(parametric):
    fit, budget = parametric, 1e20
    factor = (fit.alpha * fit.A / (fit.beta * fit.B)) ** (1 / (fit.alpha + fit.beta))
    assert compute_optimal(fit, budget).params == pytest.approx(factor * (budget / 6) ** fit.a)


def test_lines_give_no_loss(isoflop):
    best = compute_optimal(isoflop, 1e20)
    assert best.params == pytest.approx(isoflop.k * 1e20**isoflop.a)
    assert best.tokens == pytest.approx(isoflop.m * 1e20**isoflop.b)
    assert best.loss is None and set(best.intervals) == {"params", "tokens"}


def test_intervals_hold_the_value_and_widen_beyond_the_data(parametric, isoflop):
    for fit in (parametric, isoflop):
        best = compute_optimal(fit, [1e20, 1e24, 1e28])
        for name, (low, high) in best.intervals.items():
            assert (low < getattr(best, name)).all() and (getattr(best, name) < high).all()
        low, high = best.intervals["params"]
        assert (np.diff(high / low) > 0).all()


def test_orders_of_magnitude_beyond_the_data(parametric, isoflop):
    for fit in (parametric, isoflop):
        best = compute_optimal(fit, [1e15, 1e18, 1e20, 1e21, 1e23])
        assert best.extrapolation == pytest.approx([3, 0, 0, 0, 2], abs=1e-9)
        assert best.flops.tolist() == [1e15, 1e18, 1e20, 1e21, 1e23]


def test_one_budget_gives_numbers_and_several_the_same_numbers(parametric, isoflop):
    for fit in (parametric, isoflop):
        many = compute_optimal(fit, np.array([[1e19, 1e20]]))
        one = compute_optimal(fit, 1e20)
        assert np.ndim(one.params) == np.ndim(one.extrapolation) == 0
        assert many.params.shape == (1, 2) and many.params[0, 1] == pytest.approx(one.params)
        for name, ends in one.intervals.items():
            for end, ends_of_many in zip(ends, many.intervals[name], strict=True):
                assert np.ndim(end) == 0 and ends_of_many[0, 1] == pytest.approx(end)


def test_a_budget_may_be_a_whole_number_or_less_than_one(parametric, isoflop):
    for fit in (parametric, isoflop):
        assert compute_optimal(fit, 10**20).params == compute_optimal(fit, 1e20).params
        for budget in (1e-3, 1.0):
            best = compute_optimal(fit, budget)
            assert best.extrapolation == pytest.approx(18 - math.log10(budget))
            assert best.params * best.tokens == pytest.approx(
                budget / 6 if fit is parametric else fit.k * fit.m * budget ** (fit.a + fit.b)
            )
    few = compute_optimal(parametric, 1e20, per_token=0.5)
    assert few.params == pytest.approx(compute_optimal(parametric, 12e20).params)


def test_at_a_budget_of_one_the_intervals_of_seeds_are_those_of_the_factors():
    runs = [np.tile(part, 4) for part in (N, C / (6 * N), C)]
    noise = 0.01 * np.random.default_rng(1).standard_normal((4, len(N)))
    losses = 2 + 0.08 * np.log(N / (1.5 * C**0.46)) ** 2 + noise
    fit = fit_isoflop(*runs, losses.ravel(), group=np.repeat(range(4), len(N)), bootstrap=100)
    best = compute_optimal(fit, 1.0)
    assert best.intervals["params"] == pytest.approx(fit.intervals["k"])
    assert best.intervals["tokens"] == pytest.approx(fit.intervals["m"])


def test_resamples_without_a_best_size_are_passed_over(parametric):
    lost = parametric.samples[:3] * [1, 1, 1, -1, 1]
    fit = replace(parametric, samples=np.concatenate([lost, parametric.samples]))
    assert compute_optimal(fit, 1e22).intervals == compute_optimal(parametric, 1e22).intervals


def test_without_a_bootstrap_there_are_no_intervals():
    fit = fit_parametric(N, C / (6 * N), L, bootstrap=0)
    best = compute_optimal(fit, 1e20)
    assert all(math.isnan(end) for ends in best.intervals.values() for end in ends)
    assert math.isfinite(best.params)


def test_budgets_that_are_not_positive_are_refused(parametric, isoflop):
    for fit in (parametric, isoflop):
        for budget in (0, -1e20, math.nan, [1e20, math.inf]):
            with pytest.raises(ValueError, match="the budget must be positive and finite"):
                compute_optimal(fit, budget)
        for per_token in (0, math.inf):
            with pytest.raises(ValueError, match="per_token must be positive"):
                compute_optimal(fit, 1e20, per_token=per_token)


def test_a_law_without_a_best_size_is_refused():
    rising = 1 + 1e-3 * N**0.2 + 400 * (C / N) ** -0.3
    with pytest.warns(RuntimeWarning, match="do not show the whole law"):
        fit = fit_parametric(N, C / (6 * N), rising, bootstrap=0)
    with pytest.raises(ValueError, match="no size is best: alpha is -0.2"):
        compute_optimal(fit, 1e20)
    with pytest.raises(ValueError, match="alpha is 0 and beta 0.3, both must be positive$"):
        compute_optimal(replace(fit, alpha=0.0, beta=0.3), 1e20)
