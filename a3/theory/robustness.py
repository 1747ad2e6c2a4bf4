r"""Adversarial examples for a scalar logit, ridge regression, and how far each input is from harm.

A classifier here gives one number, the logit; its sign is the prediction. An attack moves the input
to lower the logit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from a3.theory._arguments import check_floating, within_range

__all__ = ["fgm", "fgm_radius", "fgsm", "fgsm_radius", "ridge", "ridge_loss"]


def fgm(f: Callable[[Tensor], Tensor], x: Tensor, epsilon: float | Tensor) -> Tensor:
    """The fast gradient method: a step down the gradient of the logit.

    Equation :eq:`fgm` of the book; question 1.1.2 (2023).

    The classifier ``f`` maps inputs, (..., d), to logits, (...), each from its own input. Attacked
    inputs have the shape of ``x``, and ``epsilon``, the size of the step, is broadcast to it.

    Raises
    ------
    ValueError
        If ``epsilon`` is negative, not finite or of a shape that does not fit, ``f`` does not give
        one logit an input, or the inputs or the gradient are not finite.
    """
    _check_epsilon(epsilon, x)
    return x - _as(epsilon, x) * _gradient(f, x)


def fgsm(f: Callable[[Tensor], Tensor], x: Tensor, epsilon: float | Tensor) -> Tensor:
    """The fast gradient sign method: a step of one size wherever the derivative is not zero.

    Equation :eq:`fgsm` of the book; question 1.1.1 (2023); Goodfellow et al. (2015). Arguments and
    shape are those of :func:`fgm`; ``epsilon`` is how far each such coordinate moves.
    """
    _check_epsilon(epsilon, x)
    return x - _as(epsilon, x) * _gradient(f, x).sign()


def fgm_radius(w: Tensor, X: Tensor) -> Tensor:
    r"""The :math:`\epsilon` at which :func:`fgm` brings a linear logit to zero.

    Of shape (..., n), for the weights ``w``, (..., d), of one or several classifiers and inputs
    ``X``, (n, d); 0 where the logit is zero without any attack, and infinite only beyond the range
    of the type. Equation :eq:`fgm-radius` of the
    book; question 1.2.3 (2023).

    Raises
    ------
    ValueError
        If the shapes do not match, or something is not finite.
    """
    return _radius(w, X, power=2)


def fgsm_radius(w: Tensor, X: Tensor) -> Tensor:
    r"""As :func:`fgm_radius`, for :func:`fgsm`: the :math:`\epsilon` that brings a linear logit to
    zero.

    It is the distance in the largest coordinate from x to the boundary: equation
    :eq:`fgsm-radius` of the book; question 1.2.4 (2023). For a single input coordinate it is
    :math:`|x|`, whatever the weight: :eq:`weight-decay-fgsm-epsilon`.
    """
    return _radius(w, X, power=1)


def ridge(X: Tensor, t: Tensor, weight_decay: float | Tensor) -> Tensor:
    r"""The weights of ridge regression, for one or many weight decays at once.

    .. math:: w^* = (X^\top X + 2 n \lambda I)^{-1} X^\top t

    Equation :eq:`ridge-solution` of the book; question 1.2.2 (2023). It is computed from the
    singular values of X, :eq:`ridge-svd`, so that it stays exact as the weight decay goes to zero,
    where it becomes the solution of least norm.

    Parameters
    ----------
    X : Tensor, shape (n, d)
    t : Tensor, shape (n,)
    weight_decay : float or Tensor, shape (...)
        :math:`\lambda > 0`.

    Returns
    -------
    Tensor, shape (..., d)

    Raises
    ------
    ValueError
        If a weight decay is not positive, shapes do not match, or something is not finite.
    """
    _check_data(X, t)
    decay = torch.as_tensor(weight_decay, dtype=torch.float64, device=X.device).unsqueeze(-1)
    if not ((decay > 0) & decay.isfinite()).all():
        raise ValueError(f"the weight decay must be positive and finite, got {weight_decay}")
    U, s, Vt = torch.linalg.svd(X.double(), full_matrices=False)
    s = torch.where(s > s.max() * max(X.shape) * torch.finfo(X.dtype).eps, s, 0.0)
    # s / (s^2 + 2 n decay), without squares that would overflow
    shrunk = torch.where(s > 0, (U.T @ t.double()) / (s + 2 * len(X) * decay / s), 0.0)
    return within_range("the weights would be", (shrunk @ Vt).to(X.dtype))


def ridge_loss(w: Tensor, X: Tensor, t: Tensor, weight_decay: float) -> Tensor:
    r"""Half the mean squared error plus the penalty: what :func:`ridge` minimises, shape (...).

    Equation :eq:`ridge-loss` of the book; Section 1.2 (2023). Weights are (..., d), and
    :math:`\lambda \ge 0`: 0 gives plain least squares.

    Raises
    ------
    ValueError
        If the weight decay is negative, the shapes do not match, or something is not finite.
    """
    _check_data(X, t)
    _check_weights(w, X)
    if not 0 <= weight_decay < math.inf:
        raise ValueError(f"the weight decay must be finite and at least 0, got {weight_decay}")
    dtype, w = w.dtype, w.double()
    residual = w @ X.T.double() - t  # (..., n)
    loss = residual.square().sum(-1) / (2 * len(X)) + weight_decay * w.square().sum(-1)
    return within_range("the loss would be", loss.to(dtype))


def _gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    if torch.is_inference_mode_enabled() or x.is_inference():
        raise ValueError("an attack needs gradients: leave torch.inference_mode()")
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = f(x)
        if logits.shape != x.shape[:-1]:
            raise ValueError(
                f"expected one logit an input, shape {tuple(x.shape[:-1])}, got "
                f"{tuple(logits.shape)}"
            )
        gradient = None
        if logits.requires_grad:
            gradient = torch.autograd.grad(logits.sum(), x, allow_unused=True)[0]
    if gradient is None:
        raise ValueError("the logits do not depend on the inputs: there is no gradient")
    if not (x.isfinite().all() and gradient.isfinite().all()):
        raise ValueError("the inputs and the gradient of the logit must be finite")
    return gradient


def _radius(w: Tensor, X: Tensor, power: int) -> Tensor:
    """|w x| over the sum of |w|^power, for weights and inputs of which the largest is 1."""
    _check_weights(w, X)
    dtype, w, X = w.dtype, w.double(), X.double()
    largest_w = w.abs().amax(-1, keepdim=True)  # (..., 1)
    largest_X = X.abs().amax(-1)  # (n,)
    w = w / largest_w.where(largest_w > 0, 1.0)
    X = X / largest_X.where(largest_X > 0, 1.0).unsqueeze(-1)
    logits = (w @ X.T).abs()  # (..., n)
    ratio = logits / w.abs().pow(power).sum(-1, keepdim=True)
    if power == 2:  # one length of w is left in the denominator
        root = largest_w.sqrt()
        ratio = ratio / root * largest_X / root
    else:
        ratio = ratio * largest_X
    return torch.where(logits > 0, ratio, 0.0).to(dtype)


def _as(epsilon: float | Tensor, x: Tensor) -> Tensor:
    return within_range(
        "epsilon would be", torch.as_tensor(epsilon, dtype=x.dtype, device=x.device)
    )


def _check_epsilon(epsilon: float | Tensor, x: Tensor) -> None:
    check_floating(x=x)
    try:
        epsilon = torch.as_tensor(epsilon, dtype=torch.float64)  # else 1e39 is infinite
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"epsilon must be a number or a tensor, got {epsilon!r}") from None
    try:
        epsilon.expand(x.shape)
    except RuntimeError:
        raise ValueError(
            f"epsilon of shape {tuple(epsilon.shape)} must broadcast to {tuple(x.shape)}"
        ) from None
    if not ((epsilon >= 0) & epsilon.isfinite()).all():
        raise ValueError(f"epsilon must be finite and at least 0, got {epsilon}")


def _check_weights(w: Tensor, X: Tensor) -> None:
    check_floating(w=w, X=X)
    if X.dim() != 2 or not X.shape[1] or w.shape[-1:] != X.shape[1:]:
        raise ValueError(
            f"expected weights (..., d) and inputs (n, d), got {tuple(w.shape)} and "
            f"{tuple(X.shape)}"
        )
    if not (w.isfinite().all() and X.isfinite().all()):
        raise ValueError("weights and inputs must be finite")


def _check_data(X: Tensor, t: Tensor) -> None:
    check_floating(X=X)
    if not isinstance(t, Tensor) or t.is_complex():
        raise TypeError("t must be a torch tensor of real numbers")
    if X.dim() != 2 or not X.numel() or t.shape != X.shape[:1]:
        raise ValueError(
            f"expected inputs (n, d) and targets (n,), got {tuple(X.shape)} and {tuple(t.shape)}"
        )
    if not (X.isfinite().all() and t.isfinite().all()):
        raise ValueError("inputs and targets must be finite")
