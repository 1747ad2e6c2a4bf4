"""What the functions of this part take and give: finite floating-point tensors of one kind."""

from __future__ import annotations

import operator

import torch
from torch import Tensor

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_floating(**tensors: Tensor) -> None:
    """Raise a TypeError unless all are floating-point tensors of one type, on one device."""
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a torch tensor, got {type(value).__name__}")
        if value.dtype not in TYPES:
            raise TypeError(f"{name} must hold floating-point numbers, got {value.dtype}")
    kinds = {(value.dtype, value.device) for value in tensors.values()}
    if len(kinds) > 1:
        got = ", ".join(f"{name} {v.dtype} on {v.device}" for name, v in tensors.items())
        raise TypeError(f"expected one type and one device, got {got}")


def whole(name: str, value: int) -> int:
    """``value`` as an int; a TypeError if it is not a whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None


def within_range(what: str, value: Tensor) -> Tensor:
    """``value``; a ValueError that begins with ``what`` unless all of it is finite."""
    if not value.isfinite().all():
        raise ValueError(f"{what} beyond the range of {value.dtype}")
    return value
