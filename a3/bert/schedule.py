"""How the learning rate goes up and down."""

from __future__ import annotations

import math

__all__ = ["warm_up_then_decay"]


def warm_up_then_decay(
    done: float, steps: int, warm_up: float, *, ahead: float = 0, cosine: bool = False
) -> float:
    """Factor, 0 to 1, on the highest learning rate: up in a line, then down to 0.

    Parameters
    ----------
    done, steps, warm_up : float
        Steps done, in all, and in which it rises; 0 for none.
    ahead : float
        How many steps ahead it rises: with 1 the first step has a rate above 0.
    cosine : bool
        Whether it falls as half a cosine, not in a line.
    """
    rising = (done + ahead) / warm_up if warm_up else 1.0
    left = (steps - done) / (steps - warm_up) if done > warm_up else 1.0
    return min(1.0, rising, 0.5 * (1 - math.cos(math.pi * left)) if cosine else left)
