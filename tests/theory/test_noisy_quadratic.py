import math
from itertools import product

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from a3.theory.noisy_quadratic import NoisyQuadratic

seeds = st.integers(0, 2**32 - 1)
batches = st.sampled_from([1.0, 32.0, math.inf]) | st.floats(1e-2, 1e4)
numbers_of_steps = st.sampled_from([0, 1, 2]) | st.integers(0, 200)
few = settings(max_examples=30)
mp.dps = 60


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def size(low, high):
    """A number over many orders of magnitude."""
    return st.floats(math.log(low), math.log(high)).map(math.exp)


@st.composite
def problems(draw, flat=True, noiseless=True, at_bottom=True):
    """Of up to three directions, of which some may lack curvature, noise or a start."""
    d = draw(st.integers(1, 3))
    none = st.just(0.0)
    vectors = [
        draw(st.lists(none | value if may_be_0 else value, min_size=d, max_size=d))
        for value, may_be_0 in (
            (st.sampled_from([0.5, 1.0]) | size(1e-3, 10), flat),
            (size(1e-4, 1e2), noiseless),
            (size(1e-3, 1e2), at_bottom),
        )
    ]
    return NoisyQuadratic(*map(tensor, vectors))


@st.composite
def problems_and_rates(draw, unstable=True, **options):
    """Also with rates of 0, of exactly 1/h and 2/h, and beyond."""
    problem = draw(problems(**options))
    curvatures = problem.curvature.tolist()
    h = (draw(st.sampled_from(curvatures)) if unstable else max(curvatures)) or 1.0
    x = (
        st.sampled_from([0.0, 1.0, 2.0]) | st.floats(1e-3, 2.5)
        if unstable
        else st.floats(1e-3, 1.9)
    )
    return problem, draw(x) / h


def recursion(problem, steps, eta, B):
    """The two parts of the second moment, one step and one direction at a time."""
    means, variances = [], []
    vectors = (problem.curvature, problem.noise, problem.start)
    for h, c, start in zip(*(vector.tolist() for vector in vectors), strict=True):
        mean, variance = start, 0.0
        for _ in range(steps):
            mean = (1 - eta * h) ** 2 * mean
            variance = (1 - eta * h) ** 2 * variance + eta**2 * c / B
        means.append(mean), variances.append(variance)
    return means, variances


def limit(problem):
    return 2 / problem.curvature.max().item()


def rates(problem, number=2_000, low=1e-8):
    """Many stable learning rates."""
    return torch.logspace(math.log10(low), 0, number).double() * limit(problem)


@given(problems_and_rates(), numbers_of_steps, batches)
def test_the_closed_form_equals_the_recursion(problem_and_rate, steps, B):
    problem, eta = problem_and_rate
    moments = problem.second_moment(steps, eta, B)
    for got, expected in zip(moments, recursion(problem, steps, eta, B), strict=True):
        assert got.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-290)


@given(problems_and_rates(), numbers_of_steps, batches)
def test_the_loss_weights_the_second_moments_with_half_the_curvature(problem_and_rate, steps, B):
    problem, eta = problem_and_rate
    mean, variance = recursion(problem, steps, eta, B)
    moments = zip(problem.curvature.tolist(), mean, variance, strict=True)
    expected = math.fsum(h * (m + v) / 2 for h, m, v in moments)
    assert problem.loss(steps, eta, B).item() == pytest.approx(expected, rel=1e-9, abs=1e-290)


@pytest.mark.parametrize("h", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("T", [1, 7, 10**6])
def test_rates_of_one_and_two_over_the_curvature_exactly(h, T):
    problem, B = NoisyQuadratic([h], [3.0], [5.0]), 2.0
    mean, variance = problem.second_moment(T, 1 / h, B)  # each step lands on the noise alone
    assert mean == 0 and variance.item() == pytest.approx(3 / (h**2 * B), rel=1e-12)
    mean, variance = problem.second_moment(T, 2 / h, B)  # each step changes sides
    assert mean == 5 and variance.item() == pytest.approx(T * 4 * 3 / (h**2 * B), rel=1e-12)


@given(problems(), numbers_of_steps, batches)
def test_a_rate_of_0_and_no_steps_leave_the_start(problem, steps, B):
    for moments in (problem.second_moment(steps, 0.0, B), problem.second_moment(0, 0.7, B)):
        assert torch.equal(moments[0], problem.start) and not moments[1].any()


@given(st.floats(0, 10), numbers_of_steps, size(1e-3, 10), batches)
def test_without_curvature_noise_adds_up_and_no_loss(start, steps, eta, B):
    problem = NoisyQuadratic([0.0], [2.0], [start])
    mean, variance = problem.second_moment(steps, eta, B)
    assert mean == start
    assert variance.item() == pytest.approx(steps * eta**2 * 2 / B, rel=1e-12)
    assert problem.loss(steps, eta, B) == 0 == problem.steady_loss(eta, B)


@given(problems_and_rates(), numbers_of_steps)
def test_an_infinite_batch_has_no_noise(problem_and_rate, steps):
    problem, eta = problem_and_rate
    assert not problem.second_moment(steps, eta, math.inf)[1].any()


@given(problems_and_rates(), numbers_of_steps, size(1e-2, 1e3), size(0.1, 10))
def test_only_the_noise_per_example_of_the_batch_matters(problem_and_rate, steps, B, factor):
    problem, eta = problem_and_rate
    other = NoisyQuadratic(problem.curvature, factor * problem.noise, problem.start)
    torch.testing.assert_close(
        other.second_moment(steps, eta, factor * B), problem.second_moment(steps, eta, B)
    )


def test_steps_rates_and_batch_sizes_are_broadcast():
    problem = NoisyQuadratic([1.0, 0.1], [1.0, 2.0], [3.0, 4.0])
    T, eta, B = tensor([1.0, 5.0]).view(2, 1, 1), tensor([0.1, 1.0, 3.0]).view(3, 1), tensor([1, 8])
    mean, variance = problem.second_moment(T, eta, B)
    losses = problem.loss(T, eta, B)
    assert variance.shape == (2, 3, 2, 2) and losses.shape == (2, 3, 2)
    for i, j, k in product(range(2), range(3), range(2)):
        one = T[i, 0, 0], eta[j, 0], B[k]
        torch.testing.assert_close(losses[i, j, k], problem.loss(*one))
        torch.testing.assert_close(variance[i, j, k], problem.second_moment(*one)[1])
    steady = problem.steady_loss(eta[:2], B)
    assert steady.shape == (2, 2) and steady[1, 0] == problem.steady_loss(1.0, 1.0)
    best, loss = problem.best_learning_rate(T[:, 0], B)
    assert best.shape == loss.shape == (2, 2) and torch.equal(problem.loss(T[:, 0], best, B), loss)


def test_where_moments_overflow_nothing_stays_nothing():
    mean, variance = NoisyQuadratic([1.0] * 3, [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]).second_moment(
        10_000, 3.0, 1.0
    )
    assert mean.tolist() == [math.inf, 0, 0] and variance.tolist() == [0, math.inf, 0]


SCALES = [1e-300, 1e-170, 1.0, 1e160, 1e300]


@pytest.mark.parametrize("h", SCALES)
@pytest.mark.parametrize("x", [0.25, 1.5, 2.0, 3.0, 1e100, 1e170, 1e250])
def test_moments_and_losses_are_true_at_any_scale_or_infinite(h, x):
    eta = x / h
    if not 0 < eta < math.inf:
        return
    for noise, start, B, T in product(SCALES, SCALES, (1.0, 1e100, math.inf), (0, 1, 2, 3, 50)):
        problem = NoisyQuadratic([h], [noise], [start])
        step, c = eta * mpf(h), mpf(noise) / mpf(B) if B < math.inf else mpf(0)
        shrink = (1 - step) ** 2
        total = T if shrink == 1 else (1 - shrink**T) / (1 - shrink)
        moments = shrink**T * mpf(start), mpf(eta) ** 2 * c * total
        got = (*problem.second_moment(T, eta, B), problem.loss(T, eta, B))
        for value, true in zip(got, (*moments, mpf(h) * sum(moments) / 2), strict=True):
            assert float(value) == pytest.approx(float(true), rel=1e-11, abs=1e-320), (T, B)


@pytest.mark.parametrize("h", [1e-300, 1e160, 1e300])
def test_optima_and_steady_losses_follow_the_units_of_the_curvature(h):
    one = NoisyQuadratic([1.0, 0.1], [2.0, 1.0], [1.0, 3.0])
    problem = NoisyQuadratic(one.curvature * h, one.noise * h, one.start / h)  # the same losses
    rate, loss = one.best_learning_rate(7, 4.0)
    of_problem = problem.best_learning_rate(7, 4.0)
    assert [v.item() for v in of_problem] == pytest.approx([rate.item() / h, loss.item()], rel=1e-6)
    steady = one.steady_loss(0.5, 4.0).item()
    assert problem.steady_loss(0.5 / h, 4.0).item() == pytest.approx(steady)
    assert problem.fewest_steps(0.2, 40.0)[0] == one.fewest_steps(0.2, 40.0)[0]
    newton = problem.preconditioned(1)
    assert newton.curvature.tolist() == [1, 1]
    torch.testing.assert_close(newton.start, problem.start * problem.curvature)


@pytest.mark.parametrize("h", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("T", [1, 5, 2_000])
def test_the_slope_by_the_learning_rate_is_true_at_any_scale(h, T):
    problem = NoisyQuadratic([h, 0.1 * h], [h, 2 * h], [1 / h, 3 / h])
    eta = tensor(0.3 / h).requires_grad_()
    (slope,) = torch.autograd.grad(problem.loss(T, eta, 10.0), eta)
    with torch.no_grad():
        above, below = (problem.loss(T, eta * (1 + e), 10.0) for e in (1e-6, -1e-6))
    assert (slope * eta).item() == pytest.approx((above - below).item() / 2e-6, rel=1e-6)


def test_what_is_beyond_the_range_of_floats_is_refused():
    steep = NoisyQuadratic([1e200], [1.0], [1e200])
    with pytest.raises(ValueError, match="before the first step is beyond the range"):
        steep.fewest_steps(1.0, 1.0)
    with pytest.raises(ValueError, match="noise must be finite"):
        NoisyQuadratic([1e-200], [1.0], [1.0]).preconditioned(2)
    with pytest.raises(ValueError, match="largest stable learning rate is beyond the range"):
        NoisyQuadratic([1e-310], [1.0], [1.0]).best_learning_rate(1, 1.0)
    with pytest.raises(ValueError, match="the weights are beyond the range of torch.float64"):
        steep.simulate(9, 1.0, 1.0, trajectories=2, generator=torch.Generator().manual_seed(0))


def test_a_fixed_problem_agrees_with_simulation_within_its_error():
    problem = NoisyQuadratic([2.0, 0.3, 0.0, 1.0], [1.0, 4.0, 0.5, 0.0], [1.0, 0.0, 2.0, 3.0])
    eta, B, runs = tensor([[0.05], [0.5], [1.0], [1.2]]), tensor([1.0, 16.0]), 4_000
    w = problem.simulate(8, eta, B, trajectories=runs, generator=torch.Generator().manual_seed(0))
    assert w.shape == (9, runs, 4, 2, 4)
    squares, T = w.square(), torch.arange(9).view(9, 1, 1)
    mean, variance = problem.second_moment(T, eta, B)
    error = squares.std(1) / math.sqrt(runs)
    assert ((squares.mean(1) - mean - variance).abs() <= 5 * error + 1e-12).all()
    path = (1 - eta[..., None] * problem.curvature) ** T[..., None] * problem.start.sqrt()
    assert ((w.mean(1) - path).abs() <= 5 * w.std(1) / math.sqrt(runs) + 1e-12).all()
    assert (error[-1, ..., :3] > 0).all()
    losses = (problem.curvature * squares / 2).sum(-1)
    within = 5 * losses.std(1) / math.sqrt(runs)
    assert ((losses.mean(1) - problem.loss(T, eta, B)).abs() <= within + 1e-12).all()


@few
@given(problems_and_rates(), st.integers(0, 6), batches, seeds)
def test_each_step_goes_down_the_gradient_with_its_noise(problem_and_rate, steps, B, seed):
    problem, eta = problem_and_rate
    generators = [torch.Generator().manual_seed(seed) for _ in range(2)]
    got = problem.simulate(steps, eta, B, trajectories=3, generator=generators[0])
    w = problem.start.sqrt().expand(3, -1)
    assert got.shape == (steps + 1, *w.shape)
    for t in range(steps + 1):
        torch.testing.assert_close(got[t], w, atol=1e-12, rtol=1e-9)
        noise = torch.empty_like(w.contiguous()).normal_(generator=generators[1])
        w = w - eta * (problem.curvature * w + (problem.noise / B).sqrt() * noise)


def test_simulations_repeat_with_their_generator_and_leave_the_global_one_alone():
    problem, before = NoisyQuadratic([1.0], [1.0], [1.0]), torch.random.get_rng_state()
    runs = [
        problem.simulate(4, 0.1, 1.0, trajectories=2, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    assert not torch.equal(runs[0][:, 0], runs[0][:, 1])
    assert torch.equal(torch.random.get_rng_state(), before)


@given(
    st.lists(st.just(0.0) | st.floats(0.1, 1), min_size=1, max_size=3),
    st.floats(0.05, 1.95),
    batches,
)
def test_the_steady_loss_is_that_of_many_steps_and_stays(curvatures, x, B):
    d = len(curvatures)
    problem = NoisyQuadratic(curvatures, [2.0, 0.5, 1.0][:d], [3.0] * d)
    eta = x / (max(curvatures) or 1.0)
    steady = problem.steady_loss(eta, B)
    torch.testing.assert_close(steady, problem.loss(1e5, eta, B), rtol=1e-9, atol=1e-300)
    h = problem.curvature
    moments = torch.where(h > 0, eta * problem.noise / (B * h * (2 - eta * h)), 0.0)
    torch.testing.assert_close(steady, (h * moments).sum() / 2)
    there = NoisyQuadratic(h, problem.noise, moments)
    torch.testing.assert_close(there.loss(3, eta, B), steady)


@given(problems_and_rates(unstable=False), st.integers(1, 20), size(1e-2, 1e4))
def test_the_slope_of_the_loss_by_the_learning_rate_equals_finite_differences(
    problem_and_rate, steps, B
):
    problem, value = problem_and_rate
    # Near 1, powers of 1 - x change within the step, and at 1 autograd meets log 0.
    assume(((value * problem.curvature - 1).abs() > 0.05).all())
    eta, step = tensor(value).requires_grad_(), 1e-6 * value
    (slope,) = torch.autograd.grad(problem.loss(steps, eta, B), eta)
    low, high = problem.loss(steps, value + tensor([-step, step]), B)
    expected = ((high - low) / (2 * step)).item()
    assert slope.item() == pytest.approx(expected, rel=1e-5, abs=1e-7 * high.item() / value)


@given(problems(), st.integers(1, 1_000), batches)
def test_at_a_rate_of_0_the_loss_falls_as_the_noiseless_start_says(problem, steps, B):
    eta = tensor(0.0).requires_grad_()
    (slope,) = torch.autograd.grad(problem.loss(steps, eta, B), eta)
    torch.testing.assert_close(slope, -steps * (problem.curvature**2 * problem.start).sum())


@given(size(1e-3, 10), size(1e-3, 1e3), size(1e-3, 1e2), size(1e-2, 1e4))
def test_the_best_rate_for_one_step_is_that_of_the_book(a, c, start, B):
    eta, loss = NoisyQuadratic([a], [c], [start]).best_learning_rate(1, B)
    expected = 1 / a * B / (B + c / (a**2 * start))
    assert eta.item() == pytest.approx(expected, rel=1e-7 / math.sqrt(a * expected))
    least = a * start / 2 * (1 - a * expected)
    assert loss.item() == pytest.approx(least, rel=1e-12, abs=1e-13 * a * start)


@few
@given(problems(at_bottom=False), batches)
def test_the_best_rate_for_one_step_of_many_directions_is_a_ratio_of_means(problem, B):
    h, c, start = problem.curvature, problem.noise, problem.start
    assume(h.any())
    expected = ((h**2 * start).sum() / (h**3 * start + h * c / B).sum()).item()
    eta, loss = problem.best_learning_rate(1, B)
    share = 1 - (loss / problem.loss(0, 0, 1)).item()
    assume(share > 1e-12)
    precision = 1e-7 / math.sqrt(share)
    assert eta.item() == pytest.approx(min(expected, limit(problem)), rel=precision)


@few
@given(problems(), st.integers(1, 300), batches, seeds)
def test_no_stable_rate_is_better_than_the_best(problem, steps, B, seed):
    assume(problem.curvature.any())
    eta, loss = problem.best_learning_rate(steps, B)
    assert 0 < eta <= limit(problem) * (1 + 1e-12)
    assert loss == problem.loss(steps, eta, B)
    some = torch.rand(2_000, generator=torch.Generator().manual_seed(seed)).double()
    grid = torch.cat([rates(problem), some * limit(problem), 1 / problem.curvature[:1]])
    least = problem.loss(steps, grid[grid <= limit(problem)], B).min()
    assert loss <= least * (1 + 1e-12) + 1e-15 * problem.loss(0, 0, 1)


@few
@given(problems(noiseless=False, at_bottom=False), st.integers(1, 300), size(1e-2, 1e4))
def test_at_the_best_rate_the_loss_neither_rises_nor_falls(problem, steps, B):
    assume(problem.curvature.any())
    eta, loss = problem.best_learning_rate(steps, B)
    if eta < 0.99 * limit(problem):
        eta.requires_grad_()
        (slope,) = torch.autograd.grad(problem.loss(steps, eta, B), eta)
        h, c = problem.curvature.max().item(), problem.noise.max().item()
        curve = steps**2 * h**3 * problem.start.max().item() + steps * h * c / B
        assert abs(eta * slope) <= 1e-6 * (loss + eta**2 * curve)


@few
@given(problems(flat=False, noiseless=False, at_bottom=False), st.integers(1, 25), batches)
def test_the_fewest_steps_are_those_which_brute_force_finds(problem, enough, B):
    target = problem.best_learning_rate(enough, B)[1].item() * (1 + 1e-6) + 1e-9
    steps, eta = problem.fewest_steps(target, B)
    if problem.loss(0, 0, 1) <= target:
        assert steps == eta == 0
        return
    assert 1 <= steps <= enough and steps == steps.round()
    assert problem.loss(steps, eta, B) <= target
    fewer = torch.arange(1, int(steps)).double()
    grid = torch.cat([rates(problem), 1 / problem.curvature])
    grid = grid[grid <= limit(problem), None]
    assert (problem.loss(fewer, grid, B) > target * (1 - 1e-9)).all()


@pytest.mark.parametrize(
    ("problem", "reached"),
    [
        (NoisyQuadratic([0.0467, 4e-4], [0.0, 1.1e-2], [34.0, 1.1e-2]), 1),
        (NoisyQuadratic([0.93, 0.9, 7e-4], [0.0, 0.0, 5.3], [7.5e5, 3.7e4, 0.92]), 3),
        (NoisyQuadratic([0.51, 0.63, 2.3e-4], [0.0, 0.0, 1.3], [2.6e5, 1.4e4, 0.3]), 5),
    ],
)
def test_a_few_large_steps_can_do_what_a_few_more_cannot(problem, reached):
    losses = problem.best_learning_rate(torch.arange(1, 30), 1.0)[1]
    assert losses[reached] > losses[reached - 1] * 1.02  # one step more is worse
    target = losses[reached - 1].item() * 1.005
    assert int((losses <= target).nonzero()[0]) + 1 == reached
    assert problem.fewest_steps(target, tensor([1.0, 1e-3]))[0][0] == reached


@few
@given(problems(flat=False), st.floats(0.01, 0.9))
def test_larger_batches_never_need_more_steps(problem, share):
    target = share * problem.loss(0, 0, 1).item()
    assume(target)
    steps, eta = problem.fewest_steps(target, torch.logspace(0, 6, 7))
    assert steps.shape == eta.shape == (7,) and (steps.diff() <= 0).all()
    alone = problem.fewest_steps(target, 100.0)
    torch.testing.assert_close((steps[2], eta[2]), alone, rtol=1e-6, atol=0)
    assert problem.fewest_steps(target, math.inf)[0] <= steps[-1]


def test_a_target_that_is_already_met_needs_no_steps():
    problem = NoisyQuadratic([1.0, 2.0], [1.0, 1.0], [2.0, 3.0])
    for target in (4.0, 4.5):
        steps, eta = problem.fewest_steps(target, tensor([1.0, 2.0]))
        assert steps.tolist() == eta.tolist() == [0, 0]
    assert problem.fewest_steps(3.999, 1.0)[0] >= 1
    assert NoisyQuadratic([0.0], [1.0], [1.0]).fewest_steps(1e-9, 1.0)[0] == 0


@given(problems(flat=False), st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-1, 2))
def test_preconditioning_keeps_the_loss_of_the_start(problem, power):
    other = problem.preconditioned(power)
    torch.testing.assert_close(other.loss(0, 0.0, 1.0), problem.loss(0, 0.0, 1.0))
    torch.testing.assert_close(other.curvature, problem.curvature ** (1 - power))


@given(problems(flat=False))
def test_a_power_of_0_changes_nothing_and_of_1_makes_all_curvatures_one(problem):
    same, newton = problem.preconditioned(0.0), problem.preconditioned(1.0)
    for name in ("curvature", "noise", "start"):
        assert torch.equal(getattr(same, name), getattr(problem, name))
    torch.testing.assert_close(newton.curvature, torch.ones_like(problem.curvature))
    assert newton.loss(1, 1.0, math.inf) <= 1e-20 * newton.loss(0, 0, 1)


@few
@given(problems_and_rates(flat=False), st.floats(-1, 2), st.integers(0, 5), batches, seeds)
def test_preconditioning_is_a_descent_with_each_gradient_divided(
    problem_and_rate, power, steps, B, seed
):
    problem, eta = problem_and_rate
    h, c = problem.curvature, problem.noise
    P, other = h**-power, problem.preconditioned(power)
    generators = [torch.Generator().manual_seed(seed) for _ in range(2)]
    got = other.simulate(steps, eta, B, trajectories=2, generator=generators[0])
    w, moment = problem.start.sqrt().expand(2, -1).contiguous(), problem.start
    for t in range(steps + 1):
        torch.testing.assert_close(got[t] * P.sqrt(), w, atol=1e-12, rtol=1e-8)
        torch.testing.assert_close(
            sum(other.second_moment(t, eta, B)) * P, moment, rtol=1e-8, atol=0
        )
        noise = torch.empty_like(w).normal_(generator=generators[1])
        w = w - eta * P * (h * w + (c / B).sqrt() * noise)
        moment = (1 - eta * P * h) ** 2 * moment + (eta * P) ** 2 * c / B


@given(st.integers(1, 6), size(1e-2, 2), size(1e-3, 10), size(1e-3, 10), numbers_of_steps, batches)
def test_equal_directions_merge_into_one(m, h, c, start, steps, B):
    many = NoisyQuadratic([h] * m, [c] * m, [start] * m)
    one = NoisyQuadratic([h], [m * c], [m * start])
    eta = tensor([0.0, 0.3, 0.9]) / h
    torch.testing.assert_close(many.loss(steps, eta, B), one.loss(steps, eta, B))
    torch.testing.assert_close(many.steady_loss(eta[1:], B), one.steady_loss(eta[1:], B))


@pytest.mark.parametrize("name", ["curvature", "noise", "start"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, -1.0], "{} must be finite and not negative, got .*-1"),
        ([1.0, math.nan], "{} must be finite and not negative, got .*nan"),
        ([math.inf, 1.0], "{} must be finite and not negative, got .*inf"),
        (1.0, "{} must be a vector"),
        ([], "must be a vector, of one length with the curvature"),
        ([[1.0, 1.0]], "{} must be a vector"),
        ([1.0, 1.0, 1.0], "must be a vector, of one length with the curvature"),
    ],
)
def test_a_problem_that_is_none_is_refused(name, value, message):
    vectors = dict.fromkeys(("curvature", "noise", "start"), [1.0, 1.0]) | {name: value}
    with pytest.raises(ValueError, match=message.format(name)):
        NoisyQuadratic(**vectors)


def test_a_problem_without_directions_is_refused():
    with pytest.raises(ValueError, match="curvature must be a vector"):
        NoisyQuadratic([], [], [])


PROBLEM = NoisyQuadratic([1.0, 0.5], [1.0, 1.0], [1.0, 1.0])
ARGUMENTS = [
    ((-1, 0.1, 1.0), "number of steps must be finite and at least 0, got -1"),
    ((math.nan, 0.1, 1.0), "number of steps must be finite and at least 0, got nan"),
    ((1, -0.1, 1.0), "learning rate must be finite and at least 0, got -0.1"),
    ((1, math.inf, 1.0), "learning rate must be finite and at least 0, got inf"),
    ((1, math.nan, 1.0), "learning rate must be finite and at least 0, got nan"),
    ((1, 0.1, 0.0), "batch size must be positive, got 0.0"),
    ((1, 0.1, -2.0), "batch size must be positive, got -2.0"),
    ((1, 0.1, math.nan), "batch size must be positive, got nan"),
    ((1, tensor([0.1, 0.2]), torch.ones(3)), r"shapes \(\), \(2,\) and \(3,\) cannot be broadcast"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS)
def test_arguments_out_of_their_range_are_refused(arguments, message):
    for function in (PROBLEM.second_moment, PROBLEM.loss):
        with pytest.raises(ValueError, match=message):
            function(*arguments)
    if not math.isnan(arguments[0]):
        with pytest.raises(ValueError, match=message):
            PROBLEM.simulate(*arguments, trajectories=2, generator=torch.Generator())


def test_steps_of_another_shape_than_the_rates_are_refused():
    for function in (PROBLEM.second_moment, PROBLEM.loss):
        with pytest.raises(ValueError, match=r"shapes \(4,\), \(2,\) and \(\) cannot be broadcast"):
            function(torch.ones(4), tensor([0.1, 0.2]), 1.0)


def test_one_trajectory_is_enough():
    w = PROBLEM.simulate(2, 0.1, 1.0, trajectories=1, generator=torch.Generator().manual_seed(0))
    assert w.shape == (3, 1, 2)


@pytest.mark.parametrize("trajectories", [0, -1])
def test_no_trajectories_are_refused(trajectories):
    with pytest.raises(ValueError, match=f"trajectories must be at least 1, got {trajectories}"):
        PROBLEM.simulate(1, 0.1, 1.0, trajectories=trajectories, generator=torch.Generator())


@pytest.mark.parametrize("eta", [0.0, 2.0, 5.0, tensor([0.5, 2.0])])
def test_a_steady_loss_of_rates_that_are_not_stable_is_refused(eta):
    with pytest.raises(ValueError, match="only for learning rates between 0 and 2, got"):
        PROBLEM.steady_loss(eta, 1.0)


@pytest.mark.parametrize("B", [0.0, -1.0, math.nan])
@pytest.mark.parametrize(
    "function",
    [
        lambda B: PROBLEM.steady_loss(0.1, B),
        lambda B: PROBLEM.best_learning_rate(5, B),
        lambda B: PROBLEM.fewest_steps(0.1, B),
    ],
)
def test_batch_sizes_that_are_not_positive_are_refused(function, B):
    with pytest.raises(ValueError, match=f"batch size must be positive, got {B}"):
        function(B)


def test_a_best_rate_for_no_steps_or_no_curvature_is_refused():
    with pytest.raises(ValueError, match="needs at least one step, got 0"):
        PROBLEM.best_learning_rate(0, 1.0)
    with pytest.raises(ValueError, match="number of steps must be finite and at least 0, got -1"):
        PROBLEM.best_learning_rate(-1, 1.0)
    with pytest.raises(ValueError, match="without curvature every learning rate"):
        NoisyQuadratic([0.0], [1.0], [1.0]).best_learning_rate(1, 1.0)


@pytest.mark.parametrize("target", [0.0, -1.0, math.inf, math.nan])
def test_a_target_that_is_not_positive_is_refused(target):
    with pytest.raises(ValueError, match=f"must be positive and finite, got {target}"):
        PROBLEM.fewest_steps(target, 1.0)


@pytest.mark.parametrize(
    ("problem", "target"), [(PROBLEM, 1e-30), (NoisyQuadratic([1, 1e-17], [0, 0], [0, 1e18]), 0.1)]
)
def test_a_target_beyond_any_number_of_steps_is_refused(problem, target):
    with pytest.raises(ValueError, match=rf"a loss of {target:g} needs more than 2\*\*53 steps"):
        problem.fewest_steps(target, 1.0)


def test_a_direction_without_curvature_cannot_be_preconditioned():
    with pytest.raises(ValueError, match="a positive curvature in every direction"):
        NoisyQuadratic([1.0, 0.0], [1.0, 1.0], [1.0, 1.0]).preconditioned(1.0)
    with pytest.raises(ValueError, match="curvature must be finite"):
        PROBLEM.preconditioned(math.nan)
