"""Runs of a planted law of the loss, for tests."""

import numpy as np
import pandas as pd

COLUMNS = ("params", "tokens", "flops", "loss")
LAW = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}


def best_size(C, E, A, B, alpha, beta):
    return (alpha * A / (beta * B)) ** (1 / (alpha + beta)) * (C / 6) ** (beta / (alpha + beta))


def planted_runs(budgets=5, sizes=7, noise=0.003, decades=1.0, seed=0, fixed=False, **law):
    """Sizes within so many decades of the best at each budget, or the same ones at all."""
    law = LAW | law
    C = np.geomspace(1e18, 1e21, budgets)
    middle = best_size(C, **law)
    if fixed:
        N = np.geomspace(middle[0] / 6, middle[-1] * 6, sizes) + 0 * C[:, None]
    else:
        N = middle[:, None] * 10 ** np.linspace(-decades, decades, sizes)
    D = C[:, None] / (6 * N)
    L = law["E"] + law["A"] / N ** law["alpha"] + law["B"] / D ** law["beta"]
    columns = N, D, 6 * N * D, L
    runs = pd.DataFrame(dict(zip(COLUMNS, (np.ravel(each) for each in columns), strict=True)))
    errors = np.random.default_rng(seed).standard_normal(len(runs))
    return runs.assign(loss=runs["loss"] * np.exp(noise * errors))
