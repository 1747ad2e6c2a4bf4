import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import huber, logsumexp
from sklearn.metrics import r2_score, root_mean_squared_error

from a3.scaling import parametric
from a3.scaling.loss_law import hoffmann_starts
from a3.scaling.parametric import fit_parametric

HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}  # as published
NAMES = list(HOFFMANN)


def design(sizes=8, budgets=6, smallest=1e7, least=1e18):
    """IsoFLOP runs: N and D of every size at every budget."""
    N, C = np.meshgrid(
        np.geomspace(smallest, 1e3 * smallest, sizes), np.geomspace(least, 1e3 * least, budgets)
    )
    return N.ravel(), (C / (6 * N)).ravel()


def law(N, D, E, A, B, alpha, beta):
    return E + A / N**alpha + B / D**beta


def noisy(seed, share=0.01, **options):
    N, D = design(**options)
    noise = np.random.default_rng(seed).standard_normal(len(N))
    return N, D, law(N, D, **HOFFMANN) * np.exp(share * noise)


def scipy_fit(N, D, L, delta=1e-3, starts=None):
    """The plain way: one L-BFGS after another, with the gradient by hand."""
    n, d, y = np.log(N), np.log(D), np.log(L)

    def objective(x):
        terms = np.array([np.full(len(n), x[0]), x[1] - x[3] * n, x[2] - x[4] * d])
        predicted = logsumexp(terms, axis=0)
        share, r = np.exp(terms - predicted), predicted - y
        psi = np.clip(r, -delta, delta)
        J = np.array([*share, -share[1] * n, -share[2] * d])
        return 1e6 * (psi * (r - psi / 2)).sum(), 1e6 * J @ psi  # else its tolerances stop it

    options = {"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-16, "gtol": 1e-10, "maxcor": 50}
    fits = [minimize(objective, x, jac=True, method="L-BFGS-B", options=options) for x in starts]
    return min(fits, key=lambda fit: fit.fun)


def test_hoffmanns_law_is_recovered():
    N, D = design()
    fit = fit_parametric(N, D, law(N, D, **HOFFMANN), bootstrap=50)
    for name, value in HOFFMANN.items():
        assert getattr(fit, name) == pytest.approx(value, rel=1e-6)
        assert fit.intervals[name] == pytest.approx((value, value), rel=1e-6)
    assert fit.a == pytest.approx(0.28 / 0.62, rel=1e-6) and fit.a + fit.b == pytest.approx(1)
    assert fit.rms < 1e-9 and fit.r_squared == pytest.approx(1)
    assert fit.left_out == ()
    assert fit.predict(N, D) == pytest.approx(law(N, D, **HOFFMANN), rel=1e-9)
    assert fit.predict(70e9, 1.4e12) == pytest.approx(law(70e9, 1.4e12, **HOFFMANN), rel=1e-6)


def test_the_table_has_a_row_a_number_and_losses_are_in_double_precision():
    fit = fit_parametric(*noisy(0), bootstrap=20)
    table = fit.table()
    assert list(table) == ["fit", "low", "high"] and list(table.index) == [*NAMES, "a", "b"]
    for name, row in table.iterrows():
        assert tuple(row) == (getattr(fit, name), *fit.intervals[name])
    N, D = np.float32([2.0**24, 2.0**30]), np.float32([2.0**35, 2.0**40])
    assert fit.predict(N, D).tolist() == fit.predict(N.tolist(), D.tolist()).tolist()


@settings(max_examples=40)
@given(
    st.floats(0.2, 1.0), st.floats(0.2, 1.0), st.floats(0.1, 10), st.floats(0.1, 0.6),
    st.floats(0.2, 0.8), st.floats(1e3, 1e9), st.floats(1, 1e3),
)  # fmt: skip
def test_planted_exponents_are_recovered(alpha, beta, loss, floor, split, smallest, ratio):
    """Terms of comparable size in the middle of the data, in any units."""
    N, D = design(smallest=smallest, least=6 * 1e3 * ratio * smallest**2)
    middle = np.exp(np.log(N).mean()), np.exp(np.log(D).mean())
    planted = {
        "E": loss * floor,
        "A": loss * (1 - floor) * split * middle[0] ** alpha,
        "B": loss * (1 - floor) * (1 - split) * middle[1] ** beta,
        "alpha": alpha,
        "beta": beta,
    }
    fit = fit_parametric(N, D, law(N, D, **planted), bootstrap=0)
    for name, value in planted.items():
        assert getattr(fit, name) == pytest.approx(value, rel=1e-6)
    assert all(math.isnan(end) for ends in fit.intervals.values() for end in ends)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
@settings(max_examples=10)
def test_units_change_only_the_numbers_that_have_them(x, y, z):
    N, D, L = noisy(0)
    old = fit_parametric(N, D, L, bootstrap=20)
    new = fit_parametric(x * N, y * D, z * L, bootstrap=20)
    factors = {"E": z, "A": z * x**old.alpha, "B": z * y**old.beta}
    for name in (*NAMES, "a", "b"):
        factor = factors.get(name, 1)
        assert getattr(new, name) == pytest.approx(factor * getattr(old, name), rel=1e-5)
        if name not in "AB":
            expected = factor * np.array(old.intervals[name])
            assert new.intervals[name] == pytest.approx(expected, rel=1e-4)
    assert new.objective == pytest.approx(old.objective, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_no_worse_than_scipy_from_many_starts(seed):
    N, D, L = noisy(seed)
    fit = fit_parametric(N, D, L, bootstrap=0)
    random = np.random.default_rng(seed)
    truth = np.array([*np.log([HOFFMANN[name] for name in "EAB"]), 0.34, 0.28])
    starts = truth + random.normal(scale=[0.5, 2, 2, 0.1, 0.1], size=(30, 5))
    theirs = scipy_fit(N, D, L, starts=starts)
    assert fit.objective <= theirs.fun / 1e6 + 1e-12
    assert fit.objective == pytest.approx(theirs.fun / 1e6, abs=1e-8)
    assert [*np.log([fit.E, fit.A, fit.B]), fit.alpha, fit.beta] == pytest.approx(
        theirs.x, rel=1e-2
    )


def test_the_starts_of_the_paper_lead_to_the_same_fit():
    N, D, L = noisy(5, sizes=5, budgets=5)
    ours = fit_parametric(N, D, L, bootstrap=0)
    theirs = fit_parametric(N, D, L, bootstrap=0, starts=hoffmann_starts()[::7])
    assert theirs.objective == pytest.approx(ours.objective, rel=1e-9)


def test_resamples_fitted_from_the_solution_miss_no_better_fit():
    N, D, L = noisy(1)
    fit = fit_parametric(N, D, L, bootstrap=8, seed=3)
    counts = np.random.default_rng(3).multinomial(len(L), np.full(len(L), 1 / len(L)), size=8)
    for sample, count in zip(fit.samples, counts, strict=True):
        runs = [np.repeat(column, count) for column in (N, D, L)]
        alone = fit_parametric(*runs, bootstrap=0)
        expected = [*np.log([alone.E, alone.A, alone.B]), alone.alpha, alone.beta]
        assert sample.tolist() == pytest.approx(expected, rel=1e-5)


def test_resampled_seeds_are_drawn_whole():
    N, D, L = (np.concatenate(parts) for parts in zip(noisy(1), noisy(2), noisy(3), strict=True))
    seeds = np.repeat([5, 6, 9], len(N) // 3)
    fit = fit_parametric(N, D, L, group=seeds, bootstrap=6, seed=2)
    assert fit.spread == {"groups": 3} and list(fit.runs["group"]) == list(seeds)
    counts = np.random.default_rng(2).multinomial(3, [1 / 3] * 3, size=6)
    for sample, count in zip(fit.samples, counts, strict=True):
        runs = [np.repeat(column, np.repeat(count, len(N) // 3)) for column in (N, D, L)]
        alone = fit_parametric(*runs, bootstrap=0)
        expected = [*np.log([alone.E, alone.A, alone.B]), alone.alpha, alone.beta]
        assert sample.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_fit_is_described_by_its_residuals_and_its_resamples():
    N, D, L = noisy(1)
    fit = fit_parametric(N, D, L, bootstrap=50, level=0.8)
    y, predicted = np.log(L), np.log(fit.predict(N, D))
    assert fit.runs["residual"].to_numpy() == pytest.approx(predicted - y, abs=1e-9)
    assert fit.rms == pytest.approx(root_mean_squared_error(y, predicted))
    assert fit.objective == pytest.approx(huber(1e-3, predicted - y).sum())
    log_E, _, _, alpha, beta = fit.samples.T
    for name, values in (
        ("E", np.exp(log_E)), ("alpha", alpha), ("a", beta / (alpha + beta)),
        ("b", alpha / (alpha + beta)),
    ):  # fmt: skip
        assert fit.intervals[name] == pytest.approx(np.quantile(values, [0.1, 0.9]), rel=1e-4)
    shifted = predicted - (predicted - y).mean()  # their mean counts in neither
    assert fit.r_squared == pytest.approx(r2_score(y, shifted))
    assert fit.level == 0.8 and fit.spread == {} and fit.samples.shape == (50, 5)


def test_a_wild_run_hardly_matters():
    N, D, L = noisy(0)
    before = fit_parametric(N, D, L, bootstrap=0)
    L[10] *= 2
    after = fit_parametric(N, D, L, bootstrap=0)
    assert after.alpha == pytest.approx(before.alpha, rel=0.05)
    squares = fit_parametric(N, D, L, bootstrap=0, delta=10.0)
    assert abs(squares.alpha - before.alpha) > 2 * abs(after.alpha - before.alpha)


def test_every_kind_of_input_gives_the_same_fit():
    N, D, L = noisy(2)
    data = pd.DataFrame({"size": N, "data": D, "final": L})
    fits = [
        fit_parametric(N, D, L, bootstrap=30),
        fit_parametric(*map(torch.tensor, (N, D, L)), bootstrap=30),
        fit_parametric("size", "data", "final", data=data, bootstrap=30),
    ]
    assert fits[0].intervals == fits[1].intervals == fits[2].intervals
    assert fits[0].table().equals(fits[2].table())
    assert fit_parametric(N, D, L, bootstrap=30, seed=1).intervals != fits[0].intervals


def test_runs_that_cannot_be_used_are_left_out_and_change_nothing():
    N, D, L = noisy(2)
    before = fit_parametric(N, D, L, bootstrap=30)
    wrong = [1e8, 1e8, 0, *N], [1e9, 1e9, 1e9, *D], [math.nan, -2, 3, *L]
    after = fit_parametric(*wrong, bootstrap=30)
    assert after.left_out == (
        ("run 2", "its params are 0"), ("run 0", "its loss is nan"), ("run 1", "its loss is -2"),
    )  # fmt: skip
    assert after.intervals == before.intervals and after.E == before.E


@pytest.mark.slow
def test_intervals_cover_the_truth():
    hits = []
    for trial in range(400):
        fit = fit_parametric(*noisy(trial), bootstrap=200)
        truth = HOFFMANN | {"a": 0.28 / 0.62, "b": 0.34 / 0.62}
        hits.append([low <= truth[k] <= high for k, (low, high) in fit.intervals.items()])
    covered = dict(zip(fit.intervals, np.mean(hits, axis=0), strict=True))
    assert all(0.9 <= share <= 0.99 for share in covered.values()), covered


@pytest.mark.slow
def test_intervals_over_seeds_cover_the_truth_though_the_runs_of_a_seed_err_together():
    N, D = design(sizes=6, budgets=4)
    n = np.log(N) - np.log(N).mean()
    hits = []
    for trial in range(200):
        random = np.random.default_rng(trial)
        tilt, noise = random.standard_normal((5, 1)), random.standard_normal((5, len(N)))
        L = law(N, D, **HOFFMANN) * np.exp(0.003 * tilt * n + 0.01 * noise)
        runs = [np.tile(N, 5), np.tile(D, 5), L.ravel()]
        fit = fit_parametric(*runs, group=np.repeat(range(5), len(N)), bootstrap=200)
        hits.append([fit.intervals[k][0] <= v <= fit.intervals[k][1] for k, v in HOFFMANN.items()])
    covered = dict(zip(HOFFMANN, np.mean(hits, axis=0), strict=True))
    assert all(0.9 <= share <= 0.99 for share in covered.values()), covered


def test_what_cannot_be_fitted_is_refused():
    N, D = design(sizes=3, budgets=3)
    L = law(N, D, **HOFFMANN)
    with pytest.raises(ValueError, match="at least six runs, got 5"):
        fit_parametric(N[:5], D[:5], L[:5])
    with pytest.raises(ValueError, match="at least six runs, got 5"):
        fit_parametric(N, D, [math.nan] * 4 + L[4:].tolist())
    with pytest.raises(ValueError, match=r"all losses are equal \(2\)"):
        fit_parametric(N, D, np.full(9, 2.0))
    with pytest.raises(ValueError, match="at least three different params are needed, got 1"):
        fit_parametric(np.full(9, 1e7), D, L)
    with pytest.raises(ValueError, match="at least three different tokens are needed, got 2"):
        fit_parametric(N, np.where(D > 1e11, 1e10, 1e9), L)
    with pytest.raises(ValueError, match="tokens are a power of params"):
        fit_parametric(N, 20 * N, law(N, 20 * N, **HOFFMANN))
    with pytest.raises(ValueError, match="one length, got params 9, tokens 8, loss 9"):
        fit_parametric(N, D[1:], L)
    with pytest.raises(ValueError, match="missing: loss; they have: N"):
        fit_parametric("N", N, "loss", data=pd.DataFrame({"N": N}))
    with pytest.raises(ValueError, match="delta must be positive and finite, got 0"):
        fit_parametric(N, D, L, delta=0)
    with pytest.raises(ValueError, match="bootstrap must be at least 0"):
        fit_parametric(N, D, L, bootstrap=-5)
    with pytest.raises(ValueError, match="groups are resampled"):
        fit_parametric(N, D, L, group=np.zeros(9))
    with pytest.raises(ValueError, match="delta must be positive and finite, got inf"):
        fit_parametric(N, D, L, delta=math.inf)
    for shape in ((4,), (0, 5), (5, 4)):
        with pytest.raises(ValueError, match=r"starts must be of shape \(s, 5\), got \("):
            fit_parametric(N, D, L, starts=np.zeros(shape))


def test_six_runs_of_three_sizes_and_three_numbers_of_tokens_are_enough():
    N, D = np.array([1e7, 1e8, 1e9, 1e7, 1e8, 1e9]), np.array([1e9, 1e9, 1e9, 1e10, 1e10, 1e11])
    start = np.array([[*np.log([1.69, 406.4, 410.7]), 0.34, 0.28]])
    fit = fit_parametric(N, D, law(N, D, **HOFFMANN), starts=start, bootstrap=0)
    assert fit.predict(N, D) == pytest.approx(law(N, D, **HOFFMANN))
    assert fit.alpha == pytest.approx(0.34, rel=1e-4)


def test_a_law_that_the_runs_do_not_show_is_reported():
    N, D = design()
    rising = law(N, 1.0, 1.0, 1e-3, 0.0, -0.2, 0.0) + 400 / D**0.3
    with pytest.warns(RuntimeWarning, match="do not show the whole law: .*alpha is -"):
        fit_parametric(N, D, rising, bootstrap=0)
    message = "^these runs do not show the whole law: the term of E vanishes, alpha is -0.2$"
    with pytest.warns(RuntimeWarning, match=message):
        fit_parametric(N, D, law(N, D, 0.0, 0.1, 400.0, -0.2, 0.3), bootstrap=0)
    no_floor = law(N, D, **HOFFMANN | {"E": 0.0})
    with pytest.warns(RuntimeWarning, match="the term of E vanishes"):
        fit_parametric(N, D, no_floor, bootstrap=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_parametric(N, D, law(N, D, **HOFFMANN), bootstrap=0)


@pytest.mark.parametrize("estimator", ["huber", "projection"])
def test_many_runs_are_fitted_from_a_part_of_them(estimator, monkeypatch):
    N, D, L = noisy(3, sizes=30, budgets=20)
    whole = fit_parametric(N, D, L, estimator=estimator, bootstrap=0)
    monkeypatch.setattr(parametric, "MANY", 100)
    part = fit_parametric(N, D, L, estimator=estimator, bootstrap=0)
    assert part.objective == pytest.approx(whole.objective, rel=1e-9)
    assert part.table().loc[["alpha", "beta"], "fit"].tolist() == pytest.approx(
        [whole.alpha, whole.beta], rel=1e-5
    )
