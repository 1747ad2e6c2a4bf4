"""Every public function of a3.theory, on any type, scale and shape: the true value or our error.

References are worked out with mpmath, which neither overflows nor underflows.
"""

import importlib
import pkgutil
import traceback
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf

import a3.theory
from a3.theory import gradients, relative_attention, robustness
from a3.theory.noisy_quadratic import NoisyQuadratic

mpmath.mp.dps = 60
HERE = Path(a3.theory.__file__).parent
TYPES = {
    torch.float16: (1e-3, 1.0, 200.0),
    torch.float32: (1e-30, 1e-3, 1.0, 1e20),
    torch.float64: (1e-200, 1e-3, 1.0, 1e200),
}
CASES = [(dtype, scale) for dtype, scales in TYPES.items() for scale in scales]


def numbers(dtype, scale, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def exact(values):
    """A tensor as nested lists of mpf."""
    if values.dim():
        return [exact(value) for value in values]
    return mpf(float(values))


def chain(x, weights):
    for w in exact(weights):
        x = max(mpf(0), w * x)
    return x


def product(values):
    return mpmath.fprod(values)


def dot(a, b):
    return mpmath.fdot(zip(a, b, strict=True))


# Each takes a type and a scale, and gives what the function returned and what is true, as lists.
def relu_chain(dtype, scale):
    x, w = numbers(dtype, scale, 4, seed=1), numbers(dtype, scale, 4, 5).abs()
    w[0, 2], w[1] = 0, 1 / w[1]
    w[1, 1:] = w[1, 1:].flip(-1)
    x = x.where(w.isfinite().all(-1), 1)
    w = w.where(w.isfinite(), 1)
    return gradients.relu_chain(x, w), [chain(a, v) for a, v in zip(exact(x), w, strict=True)]


def relu_chain_derivative(dtype, scale):
    x, w = numbers(dtype, scale, 4, seed=1).abs(), numbers(dtype, scale, 4, 5).abs()
    w[0, 2] = 0
    return gradients.relu_chain_derivative(x, w), [product(v) for v in exact(w)]


def relu_chain_bound(dtype, scale):
    w = numbers(dtype, scale, 3, 4)
    w[0, 1], w[1] = 0, torch.tensor([scale, 1 / scale if dtype != torch.float16 else 1, 1, 1])
    return gradients.relu_chain_bound(w), [product(map(abs, v)) for v in exact(w)]


def rnn(dtype, scale):
    x, W = numbers(dtype, scale, 3), numbers(dtype, 1.0, 3, 3, seed=1)
    true = [exact(x)]
    true.append([1 / (1 + mpmath.exp(-dot(row, true[0]))) for row in exact(W)])
    return gradients.rnn(x, W, 2), true


def rnn_jacobian(dtype, scale):
    x, W = numbers(dtype, min(scale, 1.0), 2), numbers(dtype, 1.0, 2, 2, seed=1)
    state = [1 / (1 + mpmath.exp(-dot(row, exact(x)))) for row in exact(W)]
    slopes = [s * (1 - s) for s in state]
    true = [[d * w for w in row] for d, row in zip(slopes, exact(W), strict=True)]
    return gradients.rnn_jacobian(x, W, 2), [[[1, 0], [0, 1]], true]


def jacobian_bound(dtype, scale):
    bound = double(gradients.jacobian_bound(4, scale))
    return bound.to(dtype), (mpf(scale) / 4) ** 3


def linear(dtype, scale):
    w, x = numbers(dtype, min(scale, 1e100), 3), numbers(dtype, 1.0, 2, 3, seed=1)
    return w, x, lambda x: x @ w


def fgm(dtype, scale):
    w, x, f = linear(dtype, scale)
    step = mpf(float(torch.tensor(0.5, dtype=dtype)))
    return robustness.fgm(f, x, 0.5), [
        [a - step * b for a, b in zip(row, exact(w), strict=True)] for row in exact(x)
    ]


def fgsm(dtype, scale):
    w, x, f = linear(dtype, scale)
    return robustness.fgsm(f, x, 0.5), [
        [a - mpmath.sign(b) / 2 for a, b in zip(row, exact(w), strict=True)] for row in exact(x)
    ]


def radius(function, power):
    def case(dtype, scale):
        w, X = numbers(dtype, scale, 3).abs() + scale, numbers(dtype, 1.0, 2, 3, seed=1).abs()
        size = sum(abs(v) ** power for v in exact(w))
        return function(w, X), [dot(exact(w), x) / size for x in exact(X)]

    return case


def ridge(dtype, scale):
    X, t = numbers(dtype, scale, 3, 1), numbers(dtype, scale, 3, seed=1)
    x = [row[0] for row in exact(X)]
    total = dot(x, exact(t)) / (dot(x, x) + 2 * 3 * mpf(0.25))
    return robustness.ridge(X, t, 0.25), [total]


def ridge_loss(dtype, scale):
    X, t, w = (numbers(dtype, scale, *shape, seed=len(shape)) for shape in ((3, 2), (3,), (2,)))
    errors = [dot(x, exact(w)) - y for x, y in zip(exact(X), exact(t), strict=True)]
    true = dot(errors, errors) / 6 + dot(exact(w), exact(w)) / 4
    return robustness.ridge_loss(w, X, t, 0.25), true


def softmax_mean(scores, values):
    largest = max(scores)
    weights = [mpmath.exp(s - largest) for s in scores]
    return dot(weights, values) / sum(weights)


def attention(dtype, scale):
    Q, K, V = (numbers(dtype, s, 3, 1, seed=i) for i, s in enumerate((scale, 1.0, 1.0)))
    p = numbers(dtype, 1.0, 5, seed=3)
    k, v = ([row[0] for row in exact(part)] for part in (K, V))
    scores = [[exact(Q)[i][0] * k[j] + exact(p)[i - j + 2] for j in range(3)] for i in range(3)]
    output = relative_attention.relative_attention(Q, K, V, p)[0]
    return output, [[softmax_mean(row, v)] for row in scores]


def layer(dtype, scale):
    x = numbers(dtype, scale, 3).abs()
    weights = relative_attention.as_max_pooling(1, 3, 100.0)
    scores = [[100 * a * b for b in exact(x)] for a in exact(x)]
    scores[0][2] = scores[2][0] = -mpmath.inf
    output = relative_attention.relative_attention_layer(x, *weights)[0]
    return output, [softmax_mean(row, exact(x)) for row in scores]


def distance_scores(dtype, scale):
    p = relative_attention.distance_scores({-1: scale, 0: 1.0}, 2, -scale)
    return p.to(dtype), [scale, 1, -scale]


def as_convolution(dtype, scale):
    W_V, p = relative_attention.as_convolution([2 * scale, 0.0, scale], 3)
    log = [-mpmath.inf, mpmath.log(scale), -mpmath.inf, mpmath.log(2 * scale), -mpmath.inf]
    return torch.cat([p.new_tensor([W_V]), p]).to(dtype), [3 * mpf(scale), *log]


def convolution_error_bound(dtype, scale):
    bound = relative_attention.convolution_error_bound([2.0, 0.0, 1.0], 9, 3.0, scale)
    leak = 7 * mpmath.exp(-3)
    return double(bound).to(dtype), leak / (3 + leak) * 3 * scale


def as_max_pooling(dtype, scale):
    *weights, p = relative_attention.as_max_pooling(1, 3, scale)
    hidden = -mpmath.inf
    return torch.cat([p.new_tensor(weights), p]).to(dtype), [scale, 1, 1, hidden, 0, 0, 0, hidden]


def max_pooling_error_bound(dtype, scale):
    x = numbers(dtype, scale, 3).abs()
    worst = mpmath.lambertw(2 / mpmath.e)
    return relative_attention.max_pooling_error_bound(x, 1, 7.0), [worst / 7 / v for v in exact(x)]


def noisy_quadratic(dtype, scale):
    h = torch.tensor([scale], dtype=dtype)
    loss = NoisyQuadratic(h, [1.0], [1.0]).loss(2, 0.5 / h.item(), 4)
    return loss.to(dtype), mpf(h.item()) / 2 * (mpf(1) / 16 + mpf(5) / 64 / mpf(h.item()) ** 2)


FUNCTIONS = {
    "as_convolution": as_convolution, "as_max_pooling": as_max_pooling,
    "convolution_error_bound": convolution_error_bound, "distance_scores": distance_scores,
    "fgm": fgm, "fgm_radius": radius(robustness.fgm_radius, 2), "fgsm": fgsm,
    "fgsm_radius": radius(robustness.fgsm_radius, 1), "jacobian_bound": jacobian_bound,
    "max_pooling_error_bound": max_pooling_error_bound, "NoisyQuadratic": noisy_quadratic,
    "relative_attention": attention, "relative_attention_layer": layer, "relu_chain": relu_chain,
    "relu_chain_bound": relu_chain_bound, "relu_chain_derivative": relu_chain_derivative,
    "ridge": ridge, "ridge_loss": ridge_loss, "rnn": rnn, "rnn_jacobian": rnn_jacobian,
}  # fmt: skip


def ours(error):
    """Whether our own code raised it."""
    *_, innermost = traceback.extract_tb(error.__traceback__)
    return Path(innermost.filename).parent == HERE and str(error)


def test_no_public_function_is_left_out():
    modules = [
        importlib.import_module(f"a3.theory.{module.name}")
        for module in pkgutil.iter_modules(a3.theory.__path__)
    ]
    public = {name for module in modules for name in getattr(module, "__all__", ())}
    assert public == set(FUNCTIONS) | {"Halves", "halves", "threes_and_eights"}  # data: test_digits


@pytest.mark.parametrize(("dtype", "scale"), CASES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_value_is_true_at_any_type_and_scale_or_the_error_is_ours(name, dtype, scale):
    try:
        got, true = FUNCTIONS[name](dtype, scale)
    except (TypeError, ValueError) as error:
        assert ours(error) and scale != 1
        return
    assert got.dtype == dtype
    with np.errstate(over="ignore"):
        true = torch.tensor(np.array(true, dtype=object).astype(np.float64)).to(dtype)
    assert got.shape == true.shape and not got.isnan().any()
    finfo = torch.finfo(dtype)
    infinite = true.isinf() | (true.abs() > 0.999 * finfo.max)
    assert (
        got[infinite].sign() * true[infinite].sign() * got[infinite].abs() > 0.99 * finfo.max
    ).all()
    error, size = (got - true)[~infinite].double().abs(), true[~infinite].double().abs()
    slack = 64 * finfo.eps if dtype != torch.float16 else 16 * finfo.eps
    if name == "relative_attention":
        slack *= 1 + 10 * scale  # scores of this size are rounded
    elif name == "relative_attention_layer":
        slack *= 1 + 1_000 * scale**2
    if name.startswith("relative_attention") or name in ("rnn_jacobian", "fgm"):
        size = true.double().abs().max()  # sums, of which single ones may cancel
    assert (error <= slack * size + 2 * finfo.tiny).all()


x, W = torch.rand(3).double(), torch.rand(3, 3).double()
FLOATING = [
    lambda x: gradients.relu_chain(x[0], x),
    lambda x: gradients.relu_chain_derivative(x[0], x),
    gradients.relu_chain_bound,
    lambda x: gradients.rnn(x, x[None] * x[:, None], 3),
    lambda x: gradients.rnn_jacobian(x, x[None] * x[:, None], 3),
    lambda x: robustness.fgm(lambda x: x.sum(-1), x, 0.1),
    lambda x: robustness.fgsm(lambda x: x.sum(-1), x, 0.1),
    lambda x: robustness.fgm_radius(x, x[None]),
    lambda x: robustness.fgsm_radius(x, x[None]),
    lambda x: robustness.ridge(x[None], x[:1], 0.1),
    lambda x: robustness.ridge_loss(x, x[None], x[:1], 0.1),
    lambda x: relative_attention.relative_attention(*[x[:, None]] * 3, torch.zeros(5)),
    lambda x: relative_attention.relative_attention_layer(x, 1.0, 1.0, 1.0, torch.zeros(5)),
    lambda x: relative_attention.max_pooling_error_bound(x, 1, 2.0),
]
NUMBERS = "^[a-zA-Z]+ must hold floating-point numbers, got torch"
KINDS = {
    "integers": (torch.tensor([1, 2, 3]), rf"{NUMBERS}\.int64$"),
    "truth values": (torch.tensor([True, False, True]), rf"{NUMBERS}\.bool$"),
    "complex": (x + 0j, rf"{NUMBERS}\.complex128$"),
    "NumPy": (x.numpy(), "^[a-zA-Z]+ must be a torch tensor, got (ndarray|float64)$"),
}


@pytest.mark.parametrize("function", FLOATING)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_floating_point_tensor_is_refused_in_our_words(function, kind):
    values, message = KINDS[kind]
    with pytest.raises(TypeError, match=message) as error:
        function(values)
    assert ours(error.value), error.value


KIND = "expected one type and one device, got {} torch.float32 on cpu"
MIXED = [
    (lambda: gradients.relu_chain(x[0].float(), x), KIND.format("x")),
    (
        lambda: gradients.rnn(x, W.float(), 2),
        "expected one type .*, got x torch.float64 on cpu, W torch.float32 on cpu$",
    ),
    (lambda: robustness.fgm_radius(x.float(), W), KIND.format("w")),
    (lambda: robustness.ridge_loss(x.float(), W, x, 0.1), KIND.format("w")),
    (
        lambda: relative_attention.relative_attention(W.float(), W, W, torch.zeros(5)),
        KIND.format("Q"),
    ),
    (lambda: gradients.jacobian_bound(2.5, 1.0), "^the number of states must be a whole number"),
    (lambda: gradients.rnn(x, W, 2.5), "^the number of states must be a whole number, got 2.5"),
    (lambda: relative_attention.as_max_pooling(0.5, 9, 1.0), "^a window must be a whole number"),
    (
        lambda: relative_attention.as_convolution([1.0], 3.5),
        "^the length of a sequence must be a whole number, got 3.5",
    ),
    (
        lambda: relative_attention.distance_scores({}, 3.5),
        "^the length of a sequence must be a whole number, got 3.5",
    ),
    (
        lambda: relative_attention.distance_scores({0.5: 1.0}, 3),
        "^a distance must be a whole number, got 0.5",
    ),
    (
        lambda: robustness.fgm(lambda x: x.sum(-1), x, "large"),
        "^epsilon must be a number or a tensor, got 'large'",
    ),
    (lambda: robustness.ridge(W, [1.0, 2.0, 3.0], 0.1), "^t must be a torch tensor of real"),
]


@pytest.mark.parametrize(("call", "message"), MIXED)
def test_mixed_types_and_numbers_that_are_not_whole_are_refused_in_our_words(call, message):
    with pytest.raises(TypeError, match=message) as error:
        call()
    assert ours(error.value), error.value


one = torch.ones(1)
LARGE = [
    (lambda: gradients.rnn(one, 1e30 * one[None], 3, activation=torch.relu), "the states are"),
    (
        lambda: gradients.rnn_jacobian(one * 1e-9, 1e20 * one[None], 3, activation=torch.relu),
        "the states are",
    ),
    (lambda: robustness.fgm(lambda x: x.sum(-1), one, 1e39), "epsilon would be"),
    (lambda: robustness.ridge(1e-30 * one[None], 1e30 * one, 1e-70), "the weights would be"),
    (lambda: robustness.ridge_loss(1e30 * one, one[None], one, 0.1), "the loss would be"),
]


@pytest.mark.parametrize(("call", "what"), LARGE)
def test_what_is_beyond_the_range_of_its_type_is_named(call, what):
    with pytest.raises(ValueError, match=f"^{what} beyond the range of torch.float32$"):
        call()


def test_an_attack_in_inference_mode_is_refused_in_our_words():
    with torch.inference_mode(), pytest.raises(ValueError, match="leave torch.inference_mode"):
        robustness.fgm(lambda x: x.sum(-1), torch.ones(2), 0.1)


def test_a_score_elsewhere_above_0_is_refused():
    with pytest.raises(ValueError, match="the score elsewhere must be at most 0, got 5.0"):
        relative_attention.as_convolution([1.0, 1.0, 1.0], 5, elsewhere=5.0)


@pytest.mark.parametrize(
    ("got", "true"),
    [
        (lambda: robustness.fgm_radius(torch.tensor([1e20]), torch.ones(1, 1)), 1e-20),
        (lambda: robustness.fgm_radius(torch.tensor([1e-23]), torch.ones(1, 1)), 1e23),
        (lambda: robustness.fgm_radius(double([300.0]).half(), torch.ones(1, 1).half()), 1 / 300),
        (lambda: robustness.ridge(torch.tensor([[1e20]]), torch.tensor([1e20]), 1.0), 1.0),
        (lambda: gradients.relu_chain(double(1e200), double([1e200, 0.0])), 0.0),
        (lambda: gradients.relu_chain_bound(double([1e200, 1e200, 0.0])), 0.0),
    ],
)  # fmt: skip
def test_where_squares_and_products_overflow_the_value_is_true(got, true):
    assert got().item() == pytest.approx(true, rel=1e-3 if got().dtype == torch.float16 else 1e-6)
