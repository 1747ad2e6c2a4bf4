"""Variable projection: the second estimator of the law."""

import numpy as np
import pytest
from scaling.planted_runs import COLUMNS, LAW, planted_runs
from scipy.optimize import least_squares

from a3.scaling import diagnose, fit_parametric
from a3.scaling.loss_law import projected_laws


def fit(runs, **options):
    columns = COLUMNS[0], COLUMNS[1], COLUMNS[3]
    return fit_parametric(*columns, data=runs, estimator="projection", **options)


def test_a_law_without_noise_is_recovered():
    found = fit(planted_runs(noise=0), bootstrap=20)
    for name, value in LAW.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6)
        assert found.intervals[name] == pytest.approx((value, value), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_squares_of_relative_errors_are_the_least(seed):
    runs = planted_runs(noise=0.01, seed=seed)
    found = fit(runs, bootstrap=0)
    n, d = np.log(runs["params"]) - 18, np.log(runs["tokens"]) - 24

    def errors(law):
        e, a, b, alpha, beta = law
        return (np.exp(e) + np.exp(a - alpha * n) + np.exp(b - beta * d)) / runs["loss"] - 1

    theirs = least_squares(errors, [0.5, -0.1, -0.7, 0.34, 0.28], xtol=1e-15, ftol=1e-15)
    assert found.objective == pytest.approx(theirs.cost, rel=1e-9)
    assert [found.alpha, found.beta] == pytest.approx(theirs.x[3:], rel=1e-4)


def test_resamples_are_those_of_repeated_runs():
    runs = planted_runs(noise=0.01)
    found = fit(runs, bootstrap=4, seed=3)
    n = len(runs)
    counts = np.random.default_rng(3).multinomial(n, np.full(n, 1 / n), size=4)
    for sample, count in zip(found.samples, counts, strict=True):
        alone = fit(runs.loc[np.repeat(runs.index, count)], bootstrap=0)
        assert sample[3:].tolist() == pytest.approx([alone.alpha, alone.beta], rel=1e-4)


def test_a_wild_run_moves_it_more_than_the_robust_fit():
    runs = planted_runs(noise=0.002)
    robust = fit_parametric("params", "tokens", "loss", data=runs, bootstrap=0)
    wild = runs.assign(loss=runs["loss"].where(runs.index != 34, runs["loss"] * 1.3))
    after = fit_parametric("params", "tokens", "loss", data=wild, bootstrap=0)
    moved = abs(fit(wild, bootstrap=0).a - fit(runs, bootstrap=0).a)
    assert moved > 5 * abs(after.a - robust.a)
    (said,) = [f for f in diagnose(*COLUMNS, data=wild).findings if f.check == "estimators"]
    assert said.weight == "care" and f"{after.a:.3f} by huber" in said.text


def test_from_far_exponents_too():
    runs = planted_runs(noise=0)
    n, d, y = np.log(runs[["params", "tokens", "loss"]].to_numpy().T)
    far = np.array([[0.1, 0.9], [1.0, 0.1]])
    laws, values = projected_laws(far, n - 18, d - 24, y, np.ones((1, len(y))))
    assert laws[:, 3:] == pytest.approx(np.array([[0.34, 0.28]] * 2), rel=1e-5)
    assert values.max() < 1e-15


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="estimator must be huber or projection, got 'lbfgs'"):
        fit_parametric([1.0], [1.0], [1.0], estimator="lbfgs")
