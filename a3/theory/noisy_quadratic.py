r"""The noisy quadratic model: gradient descent on a bowl, with noise that the batch averages.

The loss :math:`\frac12 \sum_i h_i w_i^2` has curvatures :math:`h_i`. The gradient of one example
has noise of variance :math:`c_i` in direction i; that of a batch of B examples, :math:`c_i / B`
(equation :eq:`batch-variance` of the book).
All expectations have closed forms, so whole grids of learning rates, batch sizes and numbers of
steps are one array programme. The three are broadcast together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from a3.theory._arguments import within_range

__all__ = ["NoisyQuadratic"]

Numbers = float | Tensor


@dataclass(frozen=True, eq=False)
class NoisyQuadratic:
    """A quadratic loss with noisy gradients, diagonal in its own coordinates.

    Section 2.1.1 (2023); Zhang et al. (2019), Section 3.

    Parameters
    ----------
    curvature, noise, start : Tensor, shape (d,)
        In each direction the second derivative of the loss, the variance of the gradient of one
        example, and the expected square of the weight before the first step; none is negative.

    Raises
    ------
    ValueError
        If the shapes differ, or an entry is negative or not finite.
    """

    curvature: Tensor
    noise: Tensor
    start: Tensor

    def __post_init__(self):
        for name in ("curvature", "noise", "start"):
            value = torch.as_tensor(getattr(self, name), dtype=torch.float64)
            object.__setattr__(self, name, value)
            if value.dim() != 1 or not len(value) or value.shape != self.curvature.shape:
                raise ValueError(f"{name} must be a vector, of one length with the curvature")
            if not ((value >= 0) & value.isfinite()).all():
                raise ValueError(f"{name} must be finite and not negative, got {value}")

    def second_moment(
        self, steps: Numbers, learning_rate: Numbers, batch_size: Numbers
    ) -> tuple[Tensor, Tensor]:
        r"""The two parts of :math:`E[w_T^2]`: what is left of the start, and the noise added.

        .. math::
            E[w_T^2] = \underbrace{(1-\eta h)^{2T} \, E[w_0^2]}_{\text{mean}} +
            \underbrace{\frac{\eta^2 c}{B} \cdot
            \frac{1 - (1-\eta h)^{2T}}{1 - (1-\eta h)^2}}_{\text{variance}}

        Equation :eq:`second-moment` of the book, the solution of :eq:`moment-recursion`.

        There are :math:`T \ge 0` steps with the learning rate :math:`\eta \ge 0`, beyond
        :math:`2/h` of which the moments grow without bound, and batches of :math:`B > 0`; infinity
        for no noise.

        Returns
        -------
        mean, variance : Tensor, shape (..., d)

        Raises
        ------
        ValueError
            If an argument is out of its range.
        """
        T, eta, B = _grid(steps, learning_rate, batch_size)
        return self._moments(T, eta, B, torch.ones_like(self.curvature))

    def loss(self, steps: Numbers, learning_rate: Numbers, batch_size: Numbers) -> Tensor:
        r"""The expected loss :math:`\frac12 \sum_i h_i E[w_{T,i}^2]` after some steps, shape (...).

        Equation :eq:`steps-loss` of the book; arguments as for :meth:`second_moment`.
        """
        T, eta, B = _grid(steps, learning_rate, batch_size)
        mean, variance = self._moments(T, eta, B, self.curvature)
        return (mean + variance).sum(-1) / 2

    def steady_loss(self, learning_rate: Numbers, batch_size: Numbers) -> Tensor:
        r"""The expected loss that is left when the start is forgotten, shape (...).

        Equation :eq:`steady-loss` of the book. Directions without curvature have no loss.

        Raises
        ------
        ValueError
            If a learning rate is not stable, :math:`0 \lt \eta \lt 2/h_{\max}`, or a batch size not
            positive.
        """
        _, eta, B = _grid(0.0, learning_rate, batch_size)
        limit = (2 / self.curvature.max()).item()  # infinite without curvature
        if not ((eta > 0) & (eta < limit)).all():
            raise ValueError(
                f"there is a steady state only for learning rates between 0 and {limit:g}, "
                f"got {learning_rate}"
            )
        noise = torch.where(self.curvature > 0, self.noise, 0.0)
        return (noise / B * eta / (2 * (2 - eta * self.curvature))).sum(-1)

    def best_learning_rate(self, steps: Numbers, batch_size: Numbers) -> tuple[Tensor, Tensor]:
        r"""The stable learning rate of least expected loss after a number of steps, one or more.

        For one weight and one step it is equation :eq:`one-step-rate` of the book.

        Returns
        -------
        learning_rate : Tensor, shape (...)
            Between 1e-16 and 1 of the stability limit :math:`2/h_{\max}`. Its relative precision is
            about 1e-8 over the square root of the share of the loss that the steps take away.
        loss : Tensor, shape (...)

        Raises
        ------
        ValueError
            If an argument is out of its range, or there is no curvature.
        """
        T, _, B = (value.squeeze(-1) for value in _grid(steps, 0.0, batch_size))
        if not (T >= 1).all():
            raise ValueError(f"a best learning rate needs at least one step, got {steps}")
        return self._best(T, B, precision=1e-9)

    def fewest_steps(self, target: float, batch_size: Numbers) -> tuple[Tensor, Tensor]:
        """The fewest steps to a target loss, with the learning rate tuned at each batch size.

        The first number of steps T at which the best learning rate for T brings the expected loss
        to the target. It is found by bisection. More steps are no worse, with one exception: a few
        large steps can end at the bottom of a steep direction, and a step more adds noise to a
        flat one. So the first numbers of steps are tried one by one.

        Returns
        -------
        steps : Tensor, shape (...)
            Whole numbers.
        learning_rate : Tensor, shape (...)
            The best one for as many steps.

        Raises
        ------
        ValueError
            If the target is not positive, another argument is out of its range, the loss before the
            first step is beyond the range of floats, or more than 2**53 steps are needed.
        """
        if not 0 < target < math.inf:
            raise ValueError(f"the target loss must be positive and finite, got {target}")
        _, _, B = (value.squeeze(-1) for value in _grid(0.0, 0.0, batch_size))

        def missed(T: Tensor) -> Tensor:
            return self._best(T, B, precision=1e-7)[1] > target

        low, high = torch.zeros_like(B), torch.ones_like(B)
        before = self.loss(0, 0, 1).item()
        if before == math.inf:
            raise ValueError("the loss before the first step is beyond the range of floats")
        if before <= target:
            return low, torch.zeros_like(B)
        while (far := missed(high)).any():
            low, high = torch.where(far, high, low), torch.where(far, 2 * high, high)
            if high.max() > 2**53:  # whole numbers are not exact beyond
                raise ValueError(f"a loss of {target:g} needs more than 2**53 steps")
        while (high - low).max() > 1:
            middle = ((low + high) / 2).floor().clamp(min=1)
            far = missed(middle)
            low, high = torch.where(far, middle, low), torch.where(far, high, middle)
        # Large steps, eta h > 0.7, matter while they leave much of the start: 0.3^(2T) of it.
        for steps in range(1, min(int(low.max()), 1 + int(math.log(before / target))) + 1):
            T = torch.full_like(high, steps)
            high = torch.where((T < high) & ~missed(T), T, high)
        return high, self._best(high, B, precision=1e-9)[0]

    def preconditioned(self, power: float) -> NoisyQuadratic:
        r"""The same problem for a descent that divides each gradient by :math:`h_i^{\,power}`.

        Power 0 changes nothing, 1 is Newton's method. A step :math:`w - \eta P g` is a plain step
        in the coordinates :math:`P^{-1/2} w`, in which curvature and noise are multiplied by P and
        the start is divided by it. The loss is the same number in both.

        Raises
        ------
        ValueError
            If a direction has no curvature to divide by, or a result is beyond the range of floats.
        """
        if not (self.curvature > 0).all():
            raise ValueError("preconditioning needs a positive curvature in every direction")
        h = self.curvature
        return NoisyQuadratic(h ** (1 - power), self.noise * h**-power, self.start * h**power)

    def simulate(
        self,
        steps: int,
        learning_rate: Numbers,
        batch_size: Numbers,
        *,
        trajectories: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Descend many times at once, with noise drawn anew for each.

        There are so many independent trajectories for each learning rate and batch size, which are
        those of :meth:`second_moment`, broadcast together; all from the square root of ``start``.

        Returns
        -------
        Tensor, shape (steps + 1, trajectories, ..., d)
            The weights before the first step and after each.

        Raises
        ------
        ValueError
            If an argument is out of its range, or the weights leave the range of floats.
        """
        _, eta, B = _grid(steps, learning_rate, batch_size)
        if trajectories < 1:
            raise ValueError(f"the number of trajectories must be at least 1, got {trajectories}")
        shape = torch.broadcast_shapes(eta.shape, B.shape, self.curvature.shape)
        shrink, kick = 1 - eta * self.curvature, eta * (self.noise / B).sqrt()
        w = torch.empty(steps + 1, trajectories, *shape, dtype=torch.float64)
        w[0] = self.start.sqrt()
        for t in range(steps):
            w[t + 1].normal_(generator=generator).mul_(-kick).addcmul_(shrink, w[t])
        return within_range("the weights are", w)

    def _moments(self, T: Tensor, eta: Tensor, B: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The parts of the second moment, each times a weight of its direction."""
        x = (eta * self.curvature).clamp(max=torch.finfo(torch.float64).max)  # (..., d)
        log_shrink = 2 * T * torch.where(x < 1, torch.log1p(-x), (x - 1).log())
        log_shrink = torch.where(T == 0, 0.0, log_shrink)  # also where 1 - x is 0
        # The sum of (1 - x)^(2t) over T steps; it is T where every step keeps the length.
        keeps = (x == 0) | (x == 2)
        total = torch.where(keeps, T, -torch.expm1(log_shrink) / torch.where(keeps, 1, x * (2 - x)))
        # Nothing stays nothing, even where the moments overflow.
        mean = torch.where(self.start > 0, log_shrink.exp() * weight * self.start, 0.0)
        noisy = (self.noise > 0) & (B < math.inf)
        variance = torch.where(noisy, eta * weight * (eta * self.noise / B) * total, 0.0)
        # Where a factor is near the end of the range of floats, the product need not be.
        factors = (weight, self.start, self.noise, eta, B)
        if (log_shrink > 100).any() or any(map(_extreme, factors)):
            mean = _product(log_shrink, (weight, self.start))
            noise = (eta, weight, eta, self.noise)
            grown = _product(log_shrink, noise, over=(B, x, x - 2))
            summed = _product(torch.zeros_like(total), (*noise, total), over=(B,))
            variance = torch.where(log_shrink > 100, grown, summed)
        return mean, variance

    def _best(self, T: Tensor, B: Tensor, precision: float) -> tuple[Tensor, Tensor]:
        """The best of a grid of learning rates over 16 decades, then of ever finer ones."""
        if not self.curvature.any():
            raise ValueError("without curvature every learning rate has the same loss")
        limit = math.log(2) - math.log(self.curvature.max())
        if limit > math.log(torch.finfo(torch.float64).max):
            raise ValueError("the largest stable learning rate is beyond the range of floats")
        reach = math.log(1e16) / 2
        center = torch.full(torch.broadcast_shapes(T.shape, B.shape), limit - reach).double()
        offsets = torch.linspace(-1, 1, 65).double().view(-1, *[1] * center.dim())
        while reach > precision:
            grid = (center + reach * offsets).clamp(max=limit)  # (65, ...)
            best = self.loss(T, grid.exp(), B).argmin(0, keepdim=True)
            center = grid.gather(0, best).squeeze(0)
            reach /= 16
        return center.exp(), self.loss(T, center.exp(), B)


def _extreme(factor: Tensor) -> bool:
    """Whether a finite factor other than 0 is so large or small that five may leave the range."""
    return bool(((factor > 0) & (factor < math.inf) & (factor.log().abs() > 100)).any())


def _product(log: Tensor, factors: Sequence[Tensor], over: Sequence[Tensor] = ()) -> Tensor:
    """exp(log) times the factors, over others; powers of two are kept apart, so none overflows."""
    log = log.clamp(-1e6, 1e6)
    power = (log / math.log(2)).floor()
    value = (log - power * math.log(2)).exp()
    for sign, some in ((1, factors), (-1, over)):
        for factor in some:
            exponent = factor.detach().frexp().exponent.double()
            half = (exponent / 2).floor()
            part = factor * torch.exp2(-half) * torch.exp2(half - exponent)  # from 1/2 to 1
            value, power = value * part**sign, power + sign * exponent
    power = power.clamp(-4_000, 4_000)
    quarter = (power / 4).floor()
    for part in (quarter, quarter, quarter, power - 3 * quarter):
        value = value * torch.exp2(part)
    return value


def _grid(
    steps: Numbers, learning_rate: Numbers, batch_size: Numbers
) -> tuple[Tensor, Tensor, Tensor]:
    """The three with an axis for the directions, checked."""
    T, eta, B = (
        torch.as_tensor(value, dtype=torch.float64).unsqueeze(-1)
        for value in (steps, learning_rate, batch_size)
    )
    try:
        torch.broadcast_shapes(T.shape, eta.shape, B.shape)
    except RuntimeError:
        raise ValueError(
            f"steps, learning rates and batch sizes of shapes {tuple(T.shape[:-1])}, "
            f"{tuple(eta.shape[:-1])} and {tuple(B.shape[:-1])} cannot be broadcast"
        ) from None
    if not ((T >= 0) & T.isfinite()).all():
        raise ValueError(f"the number of steps must be finite and at least 0, got {steps}")
    if not ((eta >= 0) & eta.isfinite()).all():
        raise ValueError(f"the learning rate must be finite and at least 0, got {learning_rate}")
    if not (B > 0).all():
        raise ValueError(f"the batch size must be positive, got {batch_size}")
    return T, eta, B
