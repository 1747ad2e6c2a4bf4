"""The line through the best sizes of all budgets (2025, 2.3-3; 2023, 3.3-3)."""

import numpy as np


def fit_linear_log(x, y):
    """Fit a line to log10 of ``y`` against log10 of ``x`` by least squares.

    Parameters
    ----------
    x, y : array, shape (budgets,)
        Budgets in FLOPs, and the best number of parameters, or of tokens, at each.

    Returns
    -------
    m, c : float
        Slope and intercept: ``10 ** (m * np.log10(x) + c)`` draws the line.
    """
    raise NotImplementedError  # your lines
