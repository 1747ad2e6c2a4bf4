"""How gradients pass through depth: scalar chains of ReLUs, and recurrent networks.

A derivative here is that of the whole map from input to output. It is never put together from a
bound or from layer factors that assume the answer; those are computed beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from a3.theory._arguments import check_floating, whole, within_range

__all__ = [
    "jacobian_bound", "relu_chain", "relu_chain_bound", "relu_chain_derivative", "rnn",
    "rnn_jacobian",
]  # fmt: skip


def relu_chain(x: Tensor, weights: Tensor) -> Tensor:
    r"""A network of one unit a layer: :math:`h_i = \max(0, w_i h_{i-1})`, from :math:`h_0 = x`.

    Equation :eq:`relu-chain` of the book; questions 1.1.1 and 1.1.2 (2025).

    Parameters
    ----------
    x : Tensor, shape (...)
    weights : Tensor, shape (..., n)
        :math:`w_1, …, w_n`, first layer first; n may be 0.

    Returns
    -------
    Tensor, shape (...)
        :math:`h_n`; shapes are broadcast. Infinite only if it is beyond the range of its type.

    Raises
    ------
    ValueError
        If there is no axis of layers, shapes cannot be broadcast, or something is not finite.
    """
    _check_chain(x, weights)
    h = x.expand(_broadcast(x.shape, weights.shape[:-1]))
    dtype, h = x.dtype, h.double()
    power = torch.zeros_like(h, dtype=torch.int64)
    for w in weights.double().unbind(-1):
        (h, of_h), (w, of_w) = _split(h), _split(w)  # so that nothing overflows on the way
        h, power = torch.relu(w * h), power + of_h + of_w
    return _joined(h, power).to(dtype)


def relu_chain_derivative(x: Tensor, weights: Tensor) -> Tensor:
    r"""The exact derivative of :func:`relu_chain` by its input; arguments and shape as there.

    .. math:: f'(x) = \prod_{i=1}^{n} w_i \, [w_i h_{i-1} > 0]

    At a kink the slope is taken as 0, as torch does: it is 0 or the product of all weights.
    Equation :eq:`relu-chain-derivative` of the book, worked out as :eq:`relu-chain-alive`.
    """
    _check_chain(x, weights)
    x = x.expand(_broadcast(x.shape, weights.shape[:-1]))
    signs = weights.sign()
    # Behind the first layer nothing is negative: the first weight must match the sign of x, and
    # every later one must be positive.
    matches = x.sign() * signs[..., 0] > 0 if weights.shape[-1] else x == x
    alive = matches & (signs[..., 1:] > 0).all(-1)
    return torch.where(alive, _product(weights), 0.0)


def relu_chain_bound(weights: Tensor) -> Tensor:
    r"""The most that the slope of :func:`relu_chain` can be, of shape (...): :math:`\prod_i |w_i|`.

    Equation :eq:`relu-chain-bound` of the book; ``weights`` as there. Infinite beyond the range of
    the type.
    """
    _check_weights(weights)
    return _product(weights.abs())


def rnn(
    x: Tensor,
    W: Tensor,
    n: int,
    *,
    activation: Callable[[Tensor], Tensor] = torch.sigmoid,
    residual: bool = False,
) -> Tensor:
    r"""The states :math:`x_1, …, x_n` of :math:`x_{t+1} = \phi(W x_t)`.

    Equation :eq:`sigmoid-rnn` of the book; question 1.2.1 (2025).

    Parameters
    ----------
    x : Tensor, shape (..., d)
        First states :math:`x_1`.
    W : Tensor, shape (..., d, d)
        Recurrent weights; their leading axes are broadcast with those of ``x``.
    n : int
        Number of states, the first included: n - 1 layers.
    residual : bool
        Whether each layer adds its input: :math:`x_{t+1} = x_t + \phi(W x_t)`. The activation
        :math:`\phi` is applied to each entry.

    Returns
    -------
    Tensor, shape (..., n, d)

    Raises
    ------
    ValueError
        If shapes do not match, ``n`` is less than 1, or something is not finite.
    """
    _check_rnn(x, W, n)
    batch = _broadcast(x.shape[:-1], W.shape[:-2])
    return within_range(
        "the states are", _states(x.expand(*batch, x.shape[-1]), W, n, activation, residual)
    )


def rnn_jacobian(
    x: Tensor,
    W: Tensor,
    n: int,
    *,
    activation: Callable[[Tensor], Tensor] = torch.sigmoid,
    residual: bool = False,
) -> Tensor:
    r"""The Jacobians :math:`\partial x_t / \partial x_1` of :func:`rnn` for every :math:`t \le n`.

    Each is the derivative of the whole map by reverse-mode differentiation, not a product of
    the derivatives of layers. Question 1.2.1 (2025); arguments as there.

    Returns
    -------
    Tensor, shape (..., n, d, d)
        The first is the identity.
    """
    _check_rnn(x, W, n)
    batch, d = _broadcast(x.shape[:-1], W.shape[:-2]), x.shape[-1]
    whole_map = vmap(jacrev(lambda x, W: _states(x, W, n, activation, residual)))
    J = whole_map(x.expand(*batch, d).reshape(-1, d), W.expand(*batch, d, d).reshape(-1, d, d))
    return within_range("the states are", J.reshape(*batch, n, d, d))


def jacobian_bound(n: int, sigma: float, slope: float = 0.25) -> float:
    r"""The most that the largest singular value of :math:`\partial x_n / \partial x_1` can be.

    Equation :eq:`jacobian-bound` of the book; question 1.2.1 (2025). Infinite beyond the range of
    floats. There are ``n`` states, so n - 1 layers; ``sigma`` is the largest singular value of the
    recurrent weights, ``slope`` the largest of the activation: 1/4 for the sigmoid, 1 for tanh.

    Raises
    ------
    ValueError
        If ``n`` is less than 1, or a factor is negative or not finite.
    """
    if whole("the number of states", n) < 1:
        raise ValueError(f"the number of states must be at least 1, got {n}")
    for name, value in (("sigma", sigma), ("slope", slope)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a number of at least 0, got {value}")
    try:
        return (slope * sigma) ** (n - 1)
    except OverflowError:
        return math.inf


def _product(weights: Tensor) -> Tensor:
    """The product along the last axis; powers of two are kept apart, so that none overflows."""
    parts, powers = _split(weights.double())
    product, power = torch.ones_like(weights[..., :1].sum(-1), dtype=torch.float64), powers.sum(-1)
    for some in parts.split(1_000, dim=-1):  # each part is 1/2 or more
        product, more = _split(product * some.prod(-1))
        power = power + more
    return _joined(product, power).to(weights.dtype)


def _joined(h: Tensor, power: Tensor) -> Tensor:
    """``h`` times two to a power, in steps within the range of floats."""
    power = power.clamp(-2200, 2200)
    for part in (power // 4, power // 4, power // 4, power - 3 * (power // 4)):
        h = h * torch.exp2(part.double())
    return h


def _split(h: Tensor) -> tuple[Tensor, Tensor]:
    """A number between 1/2 and 1 in size, and a power of two."""
    power = h.detach().frexp().exponent.to(torch.int64)
    half = -power // 2
    return h * torch.exp2(half.double()) * torch.exp2((-power - half).double()), power


def _states(x: Tensor, W: Tensor, n: int, activation: Callable, residual: bool) -> Tensor:
    states = [x]  # (..., d)
    for _ in range(n - 1):
        new = activation((W @ states[-1].unsqueeze(-1)).squeeze(-1))
        states.append(states[-1] + new if residual else new)
    return torch.stack(states, dim=-2)  # (..., n, d)


def _broadcast(*shapes: torch.Size) -> torch.Size:
    try:
        return torch.broadcast_shapes(*shapes)
    except RuntimeError:
        axes = " and ".join(str(tuple(shape)) for shape in shapes)
        raise ValueError(f"the leading axes {axes} cannot be broadcast") from None


def _check_rnn(x: Tensor, W: Tensor, n: int) -> None:
    check_floating(x=x, W=W)
    if W.dim() < 2 or W.shape[-1] != W.shape[-2] or not x.dim() or x.shape[-1] != W.shape[-1]:
        raise ValueError(
            f"expected states (..., d) and square weights (..., d, d), got {tuple(x.shape)} "
            f"and {tuple(W.shape)}"
        )
    if whole("the number of states", n) < 1:
        raise ValueError(f"the number of states must be at least 1, got {n}")
    _check_finite(x=x, W=W)


def _check_chain(x: Tensor, weights: Tensor) -> None:
    check_floating(x=x, weights=weights)
    _check_weights(weights)
    _check_finite(x=x)


def _check_weights(weights: Tensor) -> None:
    check_floating(weights=weights)
    if not weights.dim():
        raise ValueError("expected weights of shape (..., n), one a layer; got a single number")
    _check_finite(weights=weights)


def _check_finite(**tensors: Tensor) -> None:
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise ValueError(f"{name} must be finite, but holds inf or nan")
