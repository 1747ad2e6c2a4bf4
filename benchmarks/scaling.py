"""Time the scaling-law fits of ``a3`` against a plain loop.

Everything is timed in one run, on the same threads, in alternating pairs; the tables give
medians, and of the ratios the range too.

1. Bootstrap fits of L = E + A/N^alpha + B/D^beta: all resamples as one batch, as
   ``fit_parametric`` makes them, against a loop of SciPy's L-BFGS-B, one resample after another.
   Objective, resamples, start (the fit to all runs) and gradient (by hand) are the same. The loop
   is timed on a part of the resamples, and its time for all is in proportion. It stops at the
   loosest of a few tolerances at which nine in ten of its fits come within a millionth of the
   lowest objective; the table has the share that does.

Usage: python benchmarks/scaling.py [--threads N] [--repeats R]
"""

from statistics import median

import numpy as np
import scipy
import torch
from paired import alternate, start, table, with_range
from scipy.optimize import minimize

from a3.bootstrap import resampling_counts
from a3.loss_law import fit_laws, huber_objective
from a3.parametric import fit_parametric

DELTA = 1e-3
RESAMPLES, IN_THE_LOOP = 1_000, 20


def noisy_runs(sizes, budgets):
    """log N, log D and log loss of runs at every size and budget, with 1 % of noise."""
    n, c = np.meshgrid(np.linspace(16, 23, sizes), np.linspace(41, 48, budgets))
    n, d = n.ravel(), c.ravel() - np.log(6) - n.ravel()
    law = 1.69 + 406.4 * np.exp(-0.34 * n) + 410.7 * np.exp(-0.28 * d)
    return n, d, np.log(law) + 0.01 * np.random.default_rng(0).standard_normal(len(n))


def loop(start, n, d, y, counts, tolerance):
    """Fit the law to each resample by L-BFGS-B."""
    scale = 1 / DELTA**2  # L-BFGS-B takes tiny values for small changes

    def objective(law, weights):
        terms = np.stack([np.full_like(n, law[0]), law[1] - law[3] * n, law[2] - law[4] * d])
        highest = terms.max(0)
        shares = np.exp(terms - highest)
        total = shares.sum(0)
        shares /= total
        residual = highest + np.log(total) - y
        slope = np.clip(residual, -DELTA, DELTA)
        value = weights @ (slope * (residual - slope / 2))
        pull = weights * slope * shares
        gradient = np.array([*pull.sum(1), -pull[1] @ n, -pull[2] @ d])
        return scale * value, scale * gradient

    options = {"maxiter": 15_000, "maxfun": 100_000, "ftol": tolerance, "gtol": 1e-9}
    return np.array([
        minimize(objective, start, (w,), jac=True, method="L-BFGS-B", options=options).x
        for w in counts
    ])  # fmt: skip


def bootstrap_fits(sizes, budgets, repeats):
    """One row of the table of bootstrap fits."""
    n, d, y = noisy_runs(sizes, budgets)
    n, d = n - n.mean(), d - d.mean()
    fit = fit_parametric(*np.exp([n, d, y]), bootstrap=0)
    start = np.array([*np.log([fit.E, fit.A, fit.B]), fit.alpha, fit.beta])
    counts = resampling_counts(len(y), RESAMPLES, seed=0)
    part = counts[:IN_THE_LOOP]
    tensors = [torch.from_numpy(x) for x in (n, d, y)]
    everything, starts = torch.from_numpy(counts), torch.from_numpy(start).expand(RESAMPLES, -1)

    def batched():
        return fit_laws(starts, *tensors, everything, DELTA, easing=())

    lowest = batched()[1][:IN_THE_LOOP]
    for tolerance in (1e-6, 1e-8, 1e-10, 1e-12, 1e-14):
        found = torch.from_numpy(loop(start, n, d, y, part, tolerance))
        values, _, _ = huber_objective(found, *tensors, everything[:IN_THE_LOOP], DELTA)
        reached = (values <= (1 + 1e-6) * lowest).double().mean().item()
        assert (values >= lowest * (1 - 1e-9)).all(), "the loop found a better fit than the batch"
        if reached >= 0.9:
            break
    ours, theirs = alternate(batched, lambda: loop(start, n, d, y, part, tolerance), repeats)
    theirs = [t * RESAMPLES / IN_THE_LOOP for t in theirs]
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    cells = [len(y), f"{median(ours):.3f}", f"{median(theirs):.1f}"]
    return [*cells, with_range(ratios), f"{reached:.0%}"]


def main():
    arguments = start(__doc__, f", SciPy {scipy.__version__}")
    print(f"Medians of {arguments.repeats}; a ratio above 1 says that ours is faster.\n")
    print(f"Seconds for {RESAMPLES:,} bootstrap fits of the parametric law; the loop's from")
    print(f"{IN_THE_LOOP} of them, in proportion.\n")
    table(
        ["runs", "one batch", "SciPy in a loop", "ratio (range)", "of the loop at the minimum"],
        *(bootstrap_fits(*shape, arguments.repeats) for shape in ((6, 5), (8, 6), (16, 15))),
    )


if __name__ == "__main__":
    main()
