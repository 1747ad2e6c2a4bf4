"""Count how often the intervals of scaling fits hold planted truths, and what the report says.

Each case plants a law and a design, and draws runs anew for each trial. A share is of the trials
whose 95 % interval of the exponent a, or of the best size at ten times the largest budget, holds
the truth. ``IsoFLOP`` is what ``fit_isoflop`` gives, ``line`` the fit that ``diagnose`` would have
one use: the same, corrected for the bias of the parabolas where that matters. ``distrusted`` is
the share of reports that say that the intervals are not to be trusted; the last column has the
shares of the verdicts.

It prints Markdown, which the reference includes: ``> docs/_coverage.md``.

Usage: python benchmarks/coverage.py [--trials N] [--verdicts N] [--threads N] [--case NAME]
"""

import argparse
import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
import torch
from paired import table

from a3.scaling import compute_optimal, diagnose, fit_isoflop, fit_parametric
from a3.scaling.checks import between_sizes
from a3.scaling.findings import correct

E, A, B, ALPHA, BETA = 1.69, 406.4, 410.7, 0.34, 0.28  # Hoffmann et al. (2022)
a = BETA / (ALPHA + BETA)
FAR = 1e22


def best_size(C):
    return (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA)) * (C / 6) ** a


def losses(N, D):
    return E + A / N**ALPHA + B / D**BETA


def runs_of(C, N, L, **more):
    columns = {"params": N, "tokens": C / (6 * N), "flops": C + 0 * N, "loss": L} | more
    return pd.DataFrame({name: np.ravel(column) for name, column in columns.items()})


def parabolas(random, noise=0.003, scatter=0.0, sizes=7, budgets=5):
    """Losses that are parabolas in log N, whose lowest points may lie off the line."""
    C = np.geomspace(1e18, 1e21, budgets)[:, None]
    x = np.linspace(-2, 2, sizes) + 0 * C
    off = scatter * random.standard_normal(C.shape)
    L = 2 + 30 * C**-0.08 + 0.08 * (x - off) ** 2
    return runs_of(C + 0 * x, best_size(C) * np.exp(x), L * noisy(random, noise, x))


def moving(random, noise=0.003, sizes=9, budgets=5, seeds=1, tilt=0.0):
    """Hoffmann's law on a grid that follows the best size; the runs of a seed may err together."""
    C = np.geomspace(1e18, 1e21, budgets)[:, None]
    N = best_size(C) * np.geomspace(0.1, 10, sizes)
    C, N, seed = np.broadcast_arrays(C, N, np.arange(seeds)[:, None, None])
    lean = tilt * random.standard_normal((seeds, 1, 1)) * np.log(N / best_size(C))
    L = losses(N, C / (6 * N)) * noisy(random, noise, N) * np.exp(lean)
    more = {"seed": seed} if seeds > 1 else {}
    return runs_of(C, N, L, **more)


def fixed(random, noise=0.003, by_size=0.0, sizes=12, budgets=6):
    """Hoffmann's law on the same sizes at every budget; errors may stick to a size."""
    C = np.geomspace(1e18, 1e21, budgets)[:, None]
    N = np.geomspace(best_size(1e18) / 6, best_size(1e21) * 6, sizes) + 0 * C
    sticks = np.exp(by_size * random.standard_normal(sizes))
    return runs_of(C + 0 * N, N, losses(N, C / (6 * N)) * sticks * noisy(random, noise, N))


def alone(random, noise=0.003, runs=48):
    """Hoffmann's law, every run with a budget of its own: no IsoFLOP fit is possible."""
    C = np.exp(random.uniform(np.log(1e18), np.log(1e21), runs))
    N = best_size(C) * np.exp(random.uniform(-2.3, 2.3, runs))
    return runs_of(C, N, losses(N, C / (6 * N)) * noisy(random, noise, N)).drop(columns="flops")


def noisy(random, noise, like):
    return np.exp(noise * random.standard_normal(like.shape))


CASES = {
    "parabolas, noise 0.3 %": parabolas,
    "parabolas, optima off by 10 %": partial(parabolas, scatter=0.1),
    "law, grid follows, 0.3 %": moving,
    "law, grid follows, 1 %": partial(moving, noise=0.01),
    "law, 12 fixed sizes, 0.1 %": partial(fixed, noise=0.001),
    "law, 12 fixed sizes, 0.3 %": fixed,
    "law, 12 fixed sizes, 1 %": partial(fixed, noise=0.01),
    "law, fixed, 0.5 % by size": partial(fixed, noise=0.001, by_size=0.005),
    "law, 3 seeds": partial(moving, seeds=3, sizes=7),
    "law, 5 seeds that lean": partial(moving, seeds=5, sizes=7, tilt=0.002),
    "law, a budget a run": alone,
}


def trial(case, seed, verdict, bootstrap=200):
    """Whether each interval holds the truth, and what the report says."""
    runs = CASES[case](np.random.default_rng(seed))
    options = {"data": runs, "bootstrap": bootstrap}
    options |= {"group": "seed"} if "seed" in runs else {}
    law = fit_parametric("params", "tokens", "loss", **options)
    fits = {} if case.startswith("parabolas") else {"law": law}
    if "flops" in runs:
        fits["IsoFLOP"] = fit_isoflop("params", "tokens", "flops", "loss", **options)
        fits["line"] = correct(fits["IsoFLOP"], law)[0] or fits["IsoFLOP"]
    row = {"distrusted": between_sizes(law)[1] < 0.01}
    for name, fit in fits.items():
        low, high = fit.intervals["a"]
        row[f"a, {name}"] = low <= a <= high
        low, high = compute_optimal(fit, FAR).intervals["params"]
        row[f"N, {name}"] = low <= best_size(FAR) <= high
    if verdict:
        flops = "flops" if "flops" in runs else None
        row[diagnose("params", "tokens", flops, "loss", unit="nats", **options).verdict] = True
    return row


VERDICTS = ["forecast", "forecast with care", "do not forecast"]
COLUMNS = [f"{what}, {fit}" for what in "aN" for fit in ("IsoFLOP", "line", "law")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--verdicts", type=int, default=20, help="of the trials, fewer: slow")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", choices=CASES, action="append")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    rows = []
    for case in options.case or CASES:
        frame = pd.DataFrame(
            [trial(case, seed, seed < options.verdicts) for seed in range(options.trials)]
        )
        share = frame.mean()
        cells = [f"{share[name]:.0%}" if name in share else "" for name in COLUMNS]
        said = " / ".join(f"{frame[each].sum() / options.verdicts:.0%}" if each in frame
                          else "0%" for each in VERDICTS)  # fmt: skip
        rows.append([case, *cells, f"{share['distrusted']:.0%}", said])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    print(f"{options.trials} draws of the runs a case, the verdicts of {options.verdicts}.\n")
    table(["planted", *COLUMNS, "distrusted", "verdicts"], *rows)


if __name__ == "__main__":
    main()
