"""What can be said of an answer: shapes, values beside known mistakes, types, gradients, steps."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "ANSWER", "Wrong", "expect_gradients", "expect_pair", "expect_shape", "expect_steps",
    "expect_type", "expect_unchanged", "expect_value", "in_double", "same", "steps",
]  # fmt: skip

ANSWER = "a3_practice_answer"
"""Name under which the reader's file is loaded."""


class Wrong(Exception):
    """What is wrong with an answer, in words."""


def same(found: Any, expected: Any, tolerance: float = 1e-5) -> bool:
    """Whether two tensors have one shape and nearly the same values."""
    found, expected = (
        x.double() if isinstance(x, Tensor) else torch.from_numpy(np.array(x, dtype=float))
        for x in (found, expected)
    )
    return found.shape == expected.shape and torch.allclose(
        found, expected, rtol=tolerance, atol=tolerance
    )


def expect_pair(result: Any, first: str, second: str) -> tuple[Any, Any]:
    """What a function returns if it is two things."""
    several = isinstance(result, tuple | list | np.ndarray)
    if not several or len(result) != 2:
        count = f"{len(result)} things" if several else _kind(result)
        raise Wrong(f"It must return two things, {first} and {second}; yours returns {count}.")
    return result[0], result[1]


def expect_shape(found: Any, name: str, axes: str, shape: Sequence[int]) -> None:
    """A tensor of the shape."""
    if not isinstance(found, Tensor):
        raise Wrong(f"{name} must be a tensor; yours is {_kind(found)}.")
    if found.shape != torch.Size(shape):
        raise Wrong(
            f"{name} must have the shape ({axes}), here {(*shape,)}; yours has {(*found.shape,)}."
        )


def expect_value(
    found: Any, expected: Any, mistakes: Mapping[str, Any], otherwise: str, tolerance: float = 1e-5
) -> None:
    """The value; if it is that of a known mistake, its sentence is what is wrong."""
    if same(found, expected, tolerance):
        return
    for sentence, value in mistakes.items():
        if same(found, value, tolerance):
            raise Wrong(sentence)
    raise Wrong(otherwise)


def in_double(given: Tensor | nn.Module) -> Any:
    """A tensor or a model in double precision, with numbers that single precision cannot hold."""
    given = given.double()
    with torch.no_grad():
        for x in given.parameters() if isinstance(given, nn.Module) else [given]:
            x.mul_(1 + 1e-9 * math.pi)
    return given


def expect_type(call: Callable[[], Any], expected: Any, name: str) -> None:
    """Results in double precision from inputs in double precision, to its digits."""
    try:
        found = call()
    except (RuntimeError, TypeError) as error:
        raise Wrong(
            f"In double precision your code stops: {_line(error)} Does it make a tensor of a "
            "fixed type, or turn one into another type?"
        ) from None
    if not isinstance(found, Tensor) or found.dtype != torch.float64:
        kind = found.dtype if isinstance(found, Tensor) else _kind(found)
        raise Wrong(f"From inputs of torch.float64 {name} must be torch.float64; yours is {kind}.")
    if not same(found, expected, 1e-10):
        raise Wrong(
            f"In double precision {name} has the digits of single precision only: something on "
            "the way is turned into a shorter type."
        )


def expect_gradients(
    found: Tensor, expected: Tensor, inputs: Mapping[str, Tensor], name: str
) -> None:
    """The gradients of what is expected, with respect to each of the named inputs."""
    if not found.requires_grad:
        raise Wrong(
            f"No gradient comes back through {name}: something cuts it off, such as detach, "
            "no_grad, item or a way through NumPy."
        )
    weights = torch.linspace(0.5, 1.5, found.numel(), dtype=found.dtype).reshape(found.shape)
    try:
        of_found, of_expected = (
            torch.autograd.grad((x * weights).sum(), [*inputs.values()], allow_unused=True)
            for x in (found, expected)
        )
    except RuntimeError as error:
        raise Wrong(f"The gradient cannot be worked out: {_line(error)}") from None
    for what, ours, theirs in zip(inputs, of_found, of_expected, strict=True):
        if ours is None and theirs is not None:
            raise Wrong(
                f"No gradient reaches {what}: something cuts it off, such as detach, no_grad, "
                "item or a way through NumPy."
            )
        if theirs is not None and not same(ours, theirs):
            raise Wrong(
                f"The value is right, but its gradient with respect to {what} is not: a part of "
                "it is cut off on the way."
            )


def steps(call: Callable[[], Any]) -> int:
    """How many steps of the reader's own code a call takes: instructions of Python."""
    count = 0

    def step(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return step

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_globals.get("__name__") != ANSWER:
            return None
        frame.f_trace_opcodes = True
        return step

    before = sys.gettrace()
    for _ in range(2):  # from Python 3.12 on not all is counted the first time
        count = 0
        sys.settrace(enter)
        try:
            call()
        finally:
            sys.settrace(before)
    return count


def expect_steps(calls: Mapping[str, tuple[Callable[[], Any], Callable[[], Any]]]) -> None:
    """As many steps for large as for small: no loop of Python over what a name says."""
    for what, (small, large) in calls.items():
        few, many = steps(small), steps(large)
        if many > few:
            raise Wrong(
                f"A Python loop goes over {what}: your code takes {few} steps for few and {many} "
                "for more. One product or one call on whole tensors takes its place."
            )


def expect_unchanged(before: Iterable[Any], after: Iterable[Any], names: Iterable[str]) -> None:
    """Inputs as they were."""
    for old, new, name in zip(before, after, names, strict=True):
        if not same(old, new, 0):
            raise Wrong(f"Your code changes {name} in place; whoever called it still needs that.")


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _line(error: Exception) -> str:
    """The first sentence of an error."""
    return str(error).strip().splitlines()[0].partition(". ")[0].rstrip(".") + "."
