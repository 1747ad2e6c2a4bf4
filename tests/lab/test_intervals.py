import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from a3.lab.intervals import check_options, interval, resampling_counts, share, student


@given(st.integers(1, 20), st.integers(0, 30), st.integers(0, 99))
def test_each_resample_has_as_many_runs(runs, number, seed):
    counts = resampling_counts(runs, number, seed)
    assert counts.shape == (number, runs)
    assert (counts.sum(1) == runs).all()
    assert np.array_equal(counts, resampling_counts(runs, number, seed))


def test_runs_of_a_group_are_drawn_together():
    group = np.array(["b", "a", "b", "c", "a", "b"])
    counts = resampling_counts(6, 200, 0, group)
    for name in "abc":
        own = counts[:, group == name]
        assert (own == own[:, :1]).all()
    firsts = counts[:, [1, 0, 3]]
    assert (firsts.sum(1) == 3).all()
    assert firsts.mean(0) == pytest.approx([1, 1, 1], abs=0.2)
    assert resampling_counts(4, 50, 0, np.array([0, 1, 1, 0])).max() == 2  # two are enough
    with pytest.raises(ValueError, match="groups are resampled, .* got only 7"):
        resampling_counts(3, 10, 0, np.array([7, 7, 7]))


def test_percentiles_of_many_values():
    samples = np.random.default_rng(0).permutation(np.arange(10_001.0))[:, None]
    assert interval(samples, np.zeros(1), 0.9).ravel() == pytest.approx([500, 9_500], abs=1e-6)


def test_few_degrees_of_freedom_widen_the_percentiles_as_student_does():
    samples = stats.norm.ppf((np.arange(1_000_000) + 0.5) / 1_000_000)
    low, high = interval(samples, np.array(0.0), 0.95, freedom=4)
    assert -low == pytest.approx(stats.t.ppf(0.975, 4), rel=1e-3) == pytest.approx(high, rel=1e-3)


def test_the_interval_of_a_mean_of_groups_is_students():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    counts = resampling_counts(4, 200_000, 0, np.arange(4))
    got = interval(counts @ values / 4, values.mean(), 0.95, groups=4)
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert got == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("options", [{}, {"groups": 3}, {"freedom": 5}])
def test_failed_resamples_are_passed_over(options):
    samples = np.array([[1.0, math.nan], [2.0, math.nan], [math.nan, math.nan], [3.0, math.nan]])
    got = interval(samples, np.array([2.0, 5.0]), 0.9, **options)
    without = interval(samples[[0, 1, 3]][:, :1], np.array([2.0]), 0.9, **options)
    assert got[:, :1].tolist() == without.tolist()
    assert np.isnan(got[:, 1]).all()
    assert np.isnan(interval(samples[:0], np.zeros(2), 0.9, **options)).all()


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="bootstrap must be at least 0, got -1"):
        check_options(-1, 0.95)
    for level in (0, 1, 95, math.nan):
        with pytest.raises(ValueError, match="level must lie between 0 and 1"):
            check_options(10, level)


def test_students_interval_of_a_mean_is_scipys():
    values = np.random.default_rng(0).normal(size=6)
    low, high = stats.t.interval(0.9, 5, values.mean(), stats.sem(values))
    reach = student(6, 0.9) * values.std(ddof=1)
    assert (values.mean() - reach, values.mean() + reach) == pytest.approx((low, high))
    with pytest.raises(ValueError, match="an interval needs two values, got 1"):
        student(1)
    assert student(6) == student(6, 0.95)
    few = np.array([3.0, 4.0])
    assert student(2) * few.std(ddof=1) == pytest.approx(
        3.5 - stats.t.interval(0.95, 1, 3.5, stats.sem(few))[0]
    )
    for level in (0, 1, 95):
        with pytest.raises(ValueError, match=f"level must lie between 0 and 1, got {level}"):
            student(3, level)


def test_trials_that_succeed_together_are_fewer():
    hits = np.repeat([1, 0, 1, 1, 0, 1, 0, 1], 5)
    together = share(hits, 0.1, group=np.repeat(range(8), 5))
    apart, few = share(hits, 0.1), share(hits[::5], 0.1)
    assert together.value == apart.value and together.n == 40
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert together.low < few.low < apart.low  # Student's t instead of the normal distribution
    with pytest.raises(ValueError, match="two groups or more, got only 3"):
        share([1, 0], 0.1, group=[3, 3])


@pytest.mark.parametrize("groups", [2, 5, 12])
@pytest.mark.parametrize("seeds", [None, 3])
def test_the_interval_of_groups_is_wilsons_of_as_many_trials_as_their_spread_says(groups, seeds):
    """Groups of one size, so that the variance is that of the mean of their shares."""
    generator = np.random.default_rng(groups)
    apart = generator.random((groups, 1)) < 0.5
    apart[:2] = [[False], [True]]
    hits = np.where(generator.random((seeds or 1, groups, 10)) < 0.9, apart, ~apart)
    value, means = hits.mean(), hits.mean(axis=(0, 2))
    n = value * (1 - value) / (means.var(ddof=1) / groups)
    z = stats.t.ppf(0.95, groups - 1)
    # the ends solve (value - x)^2 = z^2 x (1 - x) / n
    low, high = sorted(np.roots([1 + z**2 / n, -2 * value - z**2 / n, value**2]))
    hits = hits.reshape(-1, groups * 10)
    got = share(hits if seeds else hits[0], 0.1, 0.9, group=np.repeat(range(groups), 10))
    assert n < 10 * groups and (got.low, got.high) == pytest.approx((low, high))


def test_shares_at_levels_that_are_none_are_refused():
    for level in (0, 1, 95, math.nan):
        with pytest.raises(ValueError, match="level must lie between 0 and 1"):
            share([1, 0], 0.5, level)


def test_trials_of_a_group_each_are_independent_but_for_student():
    hits = np.random.default_rng(0).random(2_000) < 0.3
    by_itself, plain = share(hits, 0.1, group=range(2_000)), share(hits, 0.1)
    assert (by_itself.low, by_itself.high) == pytest.approx((plain.low, plain.high), abs=1e-4)


def test_shares_of_none_and_all_have_as_many_trials_as_groups():
    sure = share(np.ones(40), 0.1, group=np.repeat(range(8), 5))
    assert sure.high == pytest.approx(1) and sure.low < share(np.ones(8), 0.1).low
