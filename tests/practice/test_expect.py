"""What can be said of an answer."""

import sys
import types

import numpy as np
import pytest
import torch

from a3.practice.expect import (
    ANSWER,
    Wrong,
    expect_gradients,
    expect_pair,
    expect_shape,
    expect_type,
    expect_value,
    in_double,
    same,
    steps,
)


def reader(code):
    """A function f of a reader's file."""
    module = types.ModuleType(ANSWER)
    exec(code, module.__dict__)
    return module.f


def test_steps_count_the_readers_loops_and_nothing_else():
    loop = reader("def f(n):\n    return sum([i * i for i in range(n)])")
    whole = reader("def f(n):\n    return sum(range(n))")
    before = sys.gettrace()
    assert 0 < steps(lambda: loop(3)) < steps(lambda: loop(30))
    assert 0 < steps(lambda: whole(3)) == steps(lambda: whole(30))
    assert steps(lambda: [i * i for i in range(30)]) == 0  # ours
    assert sys.gettrace() is before


def test_tracing_ends_if_the_call_fails():
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        steps(lambda: reader("def f(n):\n    return n / 0")(1))
    assert sys.gettrace() is before


@pytest.mark.parametrize("result", [(1, 2), [1, 2], np.array([1, 2])])
def test_a_pair_may_be_of_several_types(result):
    assert expect_pair(result, "m", "c") == (1, 2)


@pytest.mark.parametrize(
    ("result", "said"), [(None, "returns None"), ((1, 2, 3), "3 things"), (1.0, "of type float")]
)
def test_what_is_no_pair_is_said(result, said):
    with pytest.raises(Wrong, match=said):
        expect_pair(result, "m", "c")


def test_a_shape_is_said_beside_that_which_is_right():
    with pytest.raises(Wrong, match=r"\(rows, columns\), here \(2, 3\); yours has \(3, 2\)"):
        expect_shape(torch.ones(3, 2), "it", "rows, columns", (2, 3))
    with pytest.raises(Wrong, match="must be a tensor; yours is None"):
        expect_shape(None, "it", "rows, columns", (2, 3))


def test_a_known_mistake_is_named_and_another_is_not():
    expect_value(1.0, 1.0, {"Never.": 1.0}, "Otherwise.")
    with pytest.raises(Wrong, match="Twice"):
        expect_value(2.0, 1.0, {"Twice.": 2.0}, "Otherwise.")
    with pytest.raises(Wrong, match="Otherwise"):
        expect_value(3.0, 1.0, {"Twice.": 2.0}, "Otherwise.")
    assert not same(float("nan"), float("nan")) and not same([1.0], [1.0, 1.0])


def test_double_precision_must_last_to_its_last_digits():
    x = in_double(torch.ones(3))
    assert x.dtype == torch.float64 and not torch.equal(x.float().double(), x)
    expect_type(lambda: x * 1, x, "x")
    with pytest.raises(Wrong, match="digits of single precision"):
        expect_type(lambda: x.float().double(), x, "x")
    with pytest.raises(Wrong, match="yours is torch.float32"):
        expect_type(x.float, x, "x")


def test_a_gradient_may_be_cut_off_as_a_whole_or_in_part():
    x = torch.ones(3, requires_grad=True)
    expect_gradients(x * x, x**2, {"x": x}, "y")
    with pytest.raises(Wrong, match="No gradient comes back"):
        expect_gradients((x * x).detach(), x**2, {"x": x}, "y")
    with pytest.raises(Wrong, match="its gradient with respect to x is not"):
        expect_gradients(x * x.detach(), x**2, {"x": x}, "y")
    other = torch.ones(3, requires_grad=True)
    with pytest.raises(Wrong, match="No gradient reaches z"):
        expect_gradients(x * 1, x * other, {"x": x, "z": other}, "y")
