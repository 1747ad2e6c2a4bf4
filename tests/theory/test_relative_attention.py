import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import toeplitz
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

from a3.theory.relative_attention import (
    as_convolution,
    as_max_pooling,
    convolution_error_bound,
    distance_scores,
    max_pooling_error_bound,
    relative_attention,
    relative_attention_layer,
)
from a3.translation.attention import scaled_dot_attention

seeds = st.integers(0, 2**32 - 1)
widths = st.integers(0, 3)  # k, of a window of 2 k + 1
lengths = st.integers(0, 6)  # places beside the window
betas = st.sampled_from([1e-3, 1.0, 1e3]) | st.floats(1e-2, 1e2)
places = st.sampled_from([0.0, 1.0]) | st.floats(1e-3, 10)  # entries of a sequence, with ties
kernels = widths.flatmap(
    lambda k: st.lists(
        st.sampled_from([0.0, 0.0, 1.0]) | st.floats(1e-3, 10),
        min_size=2 * k + 1,
        max_size=2 * k + 1,
    ).filter(any)
)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inside(kernel_or_width, n):
    """The places whose window lies in the sequence."""
    k = kernel_or_width if isinstance(kernel_or_width, int) else len(kernel_or_width) // 2
    return slice(k, n - k)


def convolution(x, kernel):
    """Torch's, at the places inside."""
    return F.conv1d(x[None, None], tensor(kernel)[None, None])[0, 0]


def attend_as_convolution(x, kernel, elsewhere=-math.inf):
    W_V, p = as_convolution(kernel, len(x), elsewhere)
    return relative_attention_layer(x, 0.0, 0.0, W_V, p)


def attend_as_max_pooling(x, k, beta):
    return relative_attention_layer(x, *as_max_pooling(k, x.shape[-1], beta))[0]


def windows(x, k):
    """The neighbours of each place, less those beyond the edges."""
    return [x[max(0, i - k) : i + k + 1] for i in range(len(x))]


@given(
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([(), (2,), (2, 3)]),
    seeds,
)
def test_relative_attention_equals_torchs_with_a_toeplitz_mask(n, d, m, batch, seed):
    Q, K = normal(*batch, n, d, seed=seed), normal(*batch, n, d, seed=seed + 1)
    V, p = normal(*batch, n, m, seed=seed + 2), 3 * normal(2 * n - 1, seed=seed + 3)
    hidden = uniform(2 * n - 1, seed=seed + 4) < 0.3
    hidden[n - 1] = False
    p[hidden] = -math.inf
    mask = tensor(toeplitz(p[n - 1 :], p[:n].flip(0)))  # p_0, p_1, … down the first column
    output, weights = relative_attention(Q, K, V, p)
    expected = F.scaled_dot_product_attention(Q, K, V, attn_mask=mask)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=1e-10)
    assert (weights >= 0).all() and (weights[..., mask == -math.inf] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(*batch, n).double())
    torch.testing.assert_close(weights @ V, output)


@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=6), st.tuples(*[st.floats(-2, 2)] * 3), seeds
)
def test_the_layer_equals_its_definition_in_loops(x, W, seed):
    n, (W_Q, W_K, W_V) = len(x), W
    p = normal(2 * n - 1, seed=seed).tolist()
    output, weights = relative_attention_layer(tensor(x), W_Q, W_K, W_V, tensor(p))
    for i in range(n):
        scores = [W_Q * x[i] * W_K * x[j] + p[i - j + n - 1] for j in range(n)]
        shares = [math.exp(score - max(scores)) for score in scores]
        means = [share / math.fsum(shares) for share in shares]
        assert weights[i].tolist() == pytest.approx(means, abs=1e-12)
        expected = W_V * math.fsum(a * b for a, b in zip(means, x, strict=True))
        assert output[i].item() == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(1 - n, n - 1))), seeds)
def test_a_single_distance_shifts_the_sequence_to_the_right(case, seed):
    n, distance = case
    x = normal(n, seed=seed)
    output, weights = relative_attention_layer(
        x, 0.0, 0.0, 1.0, distance_scores({distance: 5.0}, n)
    )
    for i in range(n):
        if 0 <= i - distance < n:
            assert output[i] == x[i - distance]
            assert weights[i, i - distance] == 1
        else:  # hidden from every place
            assert output[i] == 0 and (weights[i] == 0).all()


def test_a_query_from_which_all_is_hidden_has_weights_0_and_gives_no_gradient():
    parts = [normal(4, 3, seed=seed).requires_grad_() for seed in range(3)]
    p = distance_scores({1: 0.5, 2: 0.0}, 4).requires_grad_()
    output, weights = relative_attention(*parts, p)
    assert (output[0] == 0).all() and (weights[0] == 0).all()
    assert torch.allclose(weights[1:].sum(-1), torch.ones(3).double())
    gradients = torch.autograd.grad(output.sum() + weights.square().sum(), [*parts, p])
    assert all(gradient.isfinite().all() for gradient in gradients)
    (of_blind,) = torch.autograd.grad(relative_attention(*parts, p)[0][0].sum(), parts[0])
    assert (of_blind == 0).all()
    i = torch.arange(4)
    theirs = scaled_dot_attention(*parts, p.detach()[i[:, None] - i + 3] > -math.inf)
    flat = relative_attention(*parts, torch.where(p.detach() > -math.inf, 0.0, -math.inf))
    for ours, other in zip(flat, theirs, strict=True):
        torch.testing.assert_close(ours, other)


def test_scores_that_overflow_are_refused():
    x = torch.tensor([200.0, 200.0]).half()
    for p in ([0.0, 60_000, 0.0], [-60_000.0] * 3):
        with pytest.raises(ValueError, match="the scores are beyond the range of torch.float16"):
            relative_attention_layer(x, math.copysign(1, p[1]), 1.0, 1.0, tensor(p))


def test_distance_plus_one_is_the_neighbour_on_the_left():
    p = distance_scores({1: 0.0}, 4)
    assert p.tolist() == [-math.inf] * 4 + [0.0] + [-math.inf] * 2
    output, _ = relative_attention_layer(tensor([1.0, 2.0, 3.0, 4.0]), 0.0, 0.0, 1.0, p)
    assert output[1:].tolist() == [1.0, 2.0, 3.0]


def test_scores_of_distances_are_minus_infinity_or_as_given_elsewhere():
    assert distance_scores({0: 2.0}, 2, elsewhere=-9.0).tolist() == [-9.0, 2.0, -9.0]
    assert distance_scores({}, 1).tolist() == [-math.inf]


@given(seeds)
def test_a_layer_takes_batches_of_sequences(seed):
    x, p = normal(2, 3, 5, seed=seed), normal(9, seed=seed + 1)
    output, weights = relative_attention_layer(x, 1.0, 2.0, 3.0, p)
    assert output.shape == (2, 3, 5) and weights.shape == (2, 3, 5, 5)
    one = relative_attention_layer(x[1, 2], 1.0, 2.0, 3.0, p)
    torch.testing.assert_close((output[1, 2], weights[1, 2]), one)


def test_scores_are_brought_to_the_type_of_the_sequence():
    x = normal(6).float()
    output, _ = attend_as_convolution(x, [2.0, 0.0, 1.0])
    assert output.dtype == torch.float32
    torch.testing.assert_close(output[1:-1], 2 * x[:-2] + x[2:])


@given(kernels, lengths, seeds)
def test_a_kernel_becomes_attention_that_equals_torchs_convolution(kernel, more, seed):
    x = normal(len(kernel) + more, seed=seed)
    output, _ = attend_as_convolution(x, kernel)
    got = output[inside(kernel, len(x))]
    torch.testing.assert_close(got, convolution(x, kernel), atol=1e-12, rtol=1e-10)


def test_the_handouts_kernel_has_weights_of_two_thirds_and_one_third():
    W_V, p = as_convolution([2.0, 0.0, 1.0], 3)
    assert W_V == 3 and p.tolist() == [-math.inf, 0.0, -math.inf, math.log(2), -math.inf]
    _, weights = attend_as_convolution(tensor([5.0, 6.0, 7.0]), [2.0, 0.0, 1.0])
    assert weights[1].tolist() == pytest.approx([2 / 3, 0, 1 / 3], rel=1e-15)


@given(kernels, lengths, seeds)
def test_at_the_edges_the_kernel_is_scaled_to_its_own_sum_again(kernel, more, seed):
    x, k, s = normal(len(kernel) + more, seed=seed), len(kernel) // 2, math.fsum(kernel)
    output, _ = attend_as_convolution(x, kernel)
    for i in range(len(x)):
        seen = {j: kernel[j - i + k] for j in range(max(0, i - k), min(len(x), i + k + 1))}
        if any(seen.values()):
            total = math.fsum(w * x[j].item() for j, w in seen.items())
            expected = s * total / math.fsum(seen.values())
            assert output[i].item() == pytest.approx(expected, rel=1e-10, abs=1e-10)
        else:  # hidden from every place
            assert output[i] == 0


@given(kernels, lengths, st.sampled_from([0.0, 1.0]) | st.floats(0, 30), st.data())
def test_a_finite_score_elsewhere_misses_by_no_more_than_the_bound(kernel, more, M, data):
    n = len(kernel) + more
    x = tensor(data.draw(st.lists(places, min_size=n, max_size=n)))
    got = attend_as_convolution(x, kernel, elsewhere=-M)[0][inside(kernel, n)]
    bound = convolution_error_bound(kernel, n, M, x.max().item())
    error = (got - convolution(x, kernel)).abs().max()
    assert error <= bound + 1e-13 * math.fsum(kernel) * x.max()


@given(kernels, lengths, st.floats(0, 8), st.floats(0.1, 10), st.booleans(), st.data())
def test_the_bound_of_a_convolution_is_attained(kernel, more, M, largest, under, data):
    """By a sequence that is large where the kernel is not, or where it is, and else 0."""
    n, k = len(kernel) + more, len(kernel) // 2
    i = data.draw(st.integers(k, n - 1 - k))
    under_kernel = torch.zeros(n).bool()
    under_kernel[i - k : i + k + 1] = tensor(kernel) > 0
    x = largest * (under_kernel == under).double()
    got = attend_as_convolution(x, kernel, elsewhere=-M)[0][i]
    error = (got - convolution(x, kernel)[i - k]).abs().item()
    bound = convolution_error_bound(kernel, n, M, largest)
    scale = math.fsum(kernel) * largest
    assert error == pytest.approx(bound, rel=1e-9, abs=1e-14 * scale)


@given(kernels, lengths, st.floats(0, 20), st.floats(0.1, 5))
def test_the_bound_of_a_convolution_falls_to_0_with_the_score_elsewhere(kernel, more, M, further):
    n = len(kernel) + more
    near, far = (convolution_error_bound(kernel, n, m, 1.0) for m in (M, M + further))
    assert far < near or near == 0 == n - sum(map(bool, kernel))
    assert convolution_error_bound(kernel, n, math.inf, 1.0) == 0
    assert convolution_error_bound(kernel, n, M, 0.0) == 0


@given(widths, lengths, betas, st.data())
def test_max_pooling_falls_short_by_no_more_than_the_bound(k, more, beta, data):
    n = 2 * k + 1 + more
    x = tensor(data.draw(st.lists(places, min_size=n, max_size=n)))
    output, bounds = attend_as_max_pooling(x, k, beta), max_pooling_error_bound(x, k, beta)
    largest = torch.stack([window.max() for window in windows(x, k)])
    assert (output <= largest + 1e-12).all()
    assert (largest - output <= bounds * (1 + 1e-9) + 1e-12).all()


@given(
    st.integers(1, 3), lengths, betas, st.floats(1e-2, 10), st.floats(-2, 2), st.booleans(), seeds
)
def test_near_the_worst_sequence_max_pooling_stays_within_the_bound(
    k, more, beta, low, shift, same, seed
):
    """Where the gaps are those of the worst case, or near them, together or each on its own."""
    n, i = 2 * k + 1 + more, k
    worst = 1 + max_pooling_error_bound(tensor(1.0), k, 1.0)
    x = torch.full((n,), low).double()
    x[i + 1] += worst * math.exp(shift) / (beta * low)
    if not same:
        others = [j for j in range(2 * k + 1) if j not in (i, i + 1)]
        x[others] *= 1 + uniform(len(others), seed=seed) / (beta * low)
    short = x[: 2 * k + 1].max() - attend_as_max_pooling(x, k, beta)[i]
    bound = max_pooling_error_bound(x, k, beta)[i]
    assert short <= bound * (1 + 1e-9) + 1e-12 * x.max()


@given(st.integers(1, 5), lengths, st.floats(0.1, 10), st.floats(0.1, 10), st.data())
def test_the_bound_of_max_pooling_is_attained(k, more, beta, low, data):
    n = 2 * k + 1 + more
    i = data.draw(st.integers(k, n - 1 - k))
    largest = data.draw(st.sampled_from([i + m for m in range(-k, k + 1) if m]))
    gap = (1 + max_pooling_error_bound(tensor(low), k, beta) * beta * low) / (beta * low)
    x = torch.full((n,), low).double()
    x[largest] += gap
    short = x[largest] - attend_as_max_pooling(x, k, beta)[i]
    assert short.item() == pytest.approx(max_pooling_error_bound(x, k, beta)[i].item(), rel=1e-9)


@given(st.integers(1, 50))
def test_the_worst_gap_is_that_which_a_search_finds(k):
    search = minimize_scalar(
        lambda u: -2 * k * u / (math.exp(u) + 2 * k), bounds=(0, 20), method="bounded"
    )
    bound = max_pooling_error_bound(tensor(1.0), k, 1.0).item()
    assert bound == pytest.approx(-search.fun, rel=1e-9)


@given(st.integers(1, 3), lengths, betas, seeds)
def test_at_a_place_of_0_max_pooling_gives_the_mean(k, more, beta, seed):
    x = uniform(2 * k + 1 + more, seed=seed)
    x[k] = 0
    output = attend_as_max_pooling(x, k, beta)
    torch.testing.assert_close(output[k], x[: 2 * k + 1].mean())
    assert max_pooling_error_bound(x, k, beta)[k] == math.inf


@given(lengths, betas, seeds)
def test_a_window_of_one_place_changes_nothing(more, beta, seed):
    x = uniform(1 + more, seed=seed)
    x[0] = 0
    assert torch.equal(attend_as_max_pooling(x, 0, beta), x)
    assert (max_pooling_error_bound(x, 0, beta) == 0).all()


@given(widths, lengths, seeds, st.sampled_from([1e4, 1e8, 1e100, 1e300]))
def test_large_betas_give_torchs_max_pooling(k, more, seed, beta):
    x = 1 + torch.randperm(2 * k + 1 + more, generator=torch.Generator().manual_seed(seed)).double()
    expected = F.max_pool1d(x[None], 2 * k + 1, stride=1, padding=k)[0]
    torch.testing.assert_close(attend_as_max_pooling(x, k, beta), expected)


@given(kernels)
def test_a_window_as_wide_as_the_sequence_is_taken_and_a_wider_one_refused(kernel):
    n, k = len(kernel), len(kernel) // 2
    x = uniform(n, seed=n)
    expected = sum(w * a for w, a in zip(kernel, x.tolist(), strict=True))
    assert attend_as_convolution(x, kernel)[0][k].item() == pytest.approx(expected, rel=1e-10)
    assert attend_as_max_pooling(x, k, 1e6).shape == (n,)
    message = f"a window of {n} places is wider than the sequence of {n - 1}"
    for function in (
        lambda: as_convolution(kernel, n - 1),
        lambda: convolution_error_bound(kernel, n - 1, 5.0, 1.0),
        lambda: as_max_pooling(k, n - 1, 1.0),
    ):
        with pytest.raises(ValueError, match=message):
            function()


@pytest.mark.parametrize(
    ("Q", "K", "V", "p", "message"),
    [
        ((4, 2), (3, 2), (4, 1), 7, r"queries and keys \(..., n, d\) .* got \(4, 2\), \(3, 2\)"),
        ((4, 2), (4, 3), (4, 1), 7, r"queries and keys .* got \(4, 2\), \(4, 3\)"),
        ((4, 2), (4, 2), (3, 1), 7, r"values \(..., n, m\), got .* and \(3, 1\)"),
        ((4,), (4,), (4,), 7, r"queries and keys .* got \(4,\), \(4,\) and \(4,\)"),
        ((4, 2), (4, 2), (4,), 7, r"values \(..., n, m\), got .* and \(4,\)"),
        ((4, 0), (4, 0), (4, 1), 7, r"queries and keys .* got \(4, 0\)"),
        ((0, 2), (0, 2), (0, 1), 1, r"queries and keys .* got \(0, 2\)"),
        ((2, 4, 2), (3, 4, 2), (4, 1), 7, r"leading axes \(2,\), \(3,\) and \(\) cannot"),
        ((4, 2), (4, 2), (4, 1), 6, r"expected 7 scores of distances, got shape \(6,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(Q, K, V, p, message):
    with pytest.raises(ValueError, match=message):
        relative_attention(*map(torch.zeros, (Q, K, V, p)))


@pytest.mark.parametrize("score", [math.inf, math.nan])
def test_scores_that_are_none_are_refused(score):
    with pytest.raises(ValueError, match="must be numbers or minus infinity"):
        relative_attention_layer(torch.ones(2), 1.0, 1.0, 1.0, tensor([0.0, score, 0.0]))


@pytest.mark.parametrize("x", [1.0, [1.0, math.nan], [math.inf, 1.0]])
def test_a_sequence_that_is_none_is_refused(x):
    with pytest.raises(ValueError, match=r"expected finite numbers of shape \(..., n\)"):
        relative_attention_layer(tensor(x), 1.0, 1.0, 1.0, torch.zeros(3))


@pytest.mark.parametrize("place", range(3))
def test_weights_that_are_not_finite_are_refused(place):
    W = [1.0, 1.0, 1.0]
    W[place] = math.nan
    with pytest.raises(ValueError, match="weights must be finite, got .*nan"):
        relative_attention_layer(torch.ones(2), *W, torch.zeros(3))


def test_distances_that_do_not_occur_are_refused():
    for distance in (-3, 3):
        with pytest.raises(ValueError, match=f"no two of 3 places are at distance {distance}"):
            distance_scores({distance: 0.0}, 3)
    with pytest.raises(ValueError, match="at least 1 place, got 0"):
        distance_scores({}, 0)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ([], r"not negative and not all zero; got \[\]"),
        ([0.0, 0.0, 0.0], "not all zero"),
        ([1.0, -1.0, 2.0], r"must be finite, not negative .* got \[1.0, -1.0, 2.0\]"),
        ([math.nan, 1.0, 1.0], "must be finite"),
        ([math.inf, 1.0, 1.0], "must be finite"),
        ([math.inf, -math.inf, 1.0], "must be finite"),
        ([1e308, 1e308, 1e308], "must be finite"),
        ([1.0, 2.0], "positive, odd number of places, got 2"),
    ],
)
def test_a_kernel_that_is_none_is_refused(kernel, message):
    with pytest.raises(ValueError, match=message):
        as_convolution(kernel, 9)
    with pytest.raises(ValueError, match=message):
        convolution_error_bound(kernel, 9, 5.0, 1.0)


@pytest.mark.parametrize(
    ("M", "largest", "message"),
    [
        (-1.0, 1.0, "M must be at least 0, got -1.0"),
        (math.nan, 1.0, "M must be at least 0, got nan"),
        (5.0, -1.0, "finite and not negative, but its largest entry is -1.0"),
        (5.0, math.nan, "finite and not negative, but its largest entry is nan"),
        (5.0, math.inf, "finite and not negative, but its largest entry is inf"),
    ],
)
def test_a_bound_of_no_convolution_is_refused(M, largest, message):
    with pytest.raises(ValueError, match=message):
        convolution_error_bound([1.0], 4, M, largest)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.inf, math.nan])
def test_a_beta_that_is_not_positive_and_finite_is_refused(beta):
    with pytest.raises(ValueError, match=f"beta must be positive and finite, got {beta}"):
        as_max_pooling(1, 4, beta)
    with pytest.raises(ValueError, match="^expected finite x, .* and a positive, finite beta$"):
        max_pooling_error_bound(torch.ones(4), 1, beta)


@pytest.mark.parametrize("x", [[1.0, -0.1], [math.nan], [math.inf]])
def test_a_bound_for_sequences_that_are_negative_or_not_finite_is_refused(x):
    with pytest.raises(ValueError, match="expected finite x, not negative"):
        max_pooling_error_bound(tensor(x), 1, 1.0)


def test_a_negative_window_is_refused():
    for function in (
        lambda: as_max_pooling(-1, 4, 1.0),
        lambda: max_pooling_error_bound(torch.ones(4), -1, 1.0),
    ):
        with pytest.raises(ValueError, match="positive, odd number of places, got -1"):
            function()
