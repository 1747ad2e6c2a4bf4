"""Time the runs and the fits of the scaling laws against what a user would write instead.

Everything is timed in one run, on the same threads, in alternating pairs; the tables give
medians, and of the ratios the range too.

1. Bootstrap fits of L = E + A/N^alpha + B/D^beta: all resamples as one batch, as
   ``fit_parametric`` makes them, against a loop of SciPy's L-BFGS-B, one resample after another.
   Objective, resamples, start (the fit to all runs) and gradient (by hand) are the same. The loop
   is timed on a part of the resamples, and its time for all is in proportion. It stops at the
   loosest of a few tolerances at which nine in ten of its fits come within a millionth of the
   lowest objective; the table has the share that does.
2. Whole fits, with the search for a start, in a process of their own: core seconds and memory.
3. Training steps of five seeds of each width, side by side as the sweep trains them, against one
   model after another with ``torch.nn`` modules: floating-point operations a second, counted as
   the handouts count, and their share of the measured peak of a large matrix product.
4. The sweep itself, six widths and five seeds, in seconds of one core to 1.28 TFLOPs each, by
   these rates; and whether both ways of training end at the same losses.
5. The sweep's runs on one worker process and on two.

Usage: python benchmarks/scaling.py [--threads N] [--repeats R] [--fits-only]
"""

import os
import subprocess
import sys
import tempfile
from statistics import median

import numpy as np
import scipy
import torch
from paired import alternate, seconds, start, table, with_range
from scipy.optimize import minimize

from a3.lab.intervals import resampling_counts
from a3.lab.sweeps import run_all
from a3.runs.scaling import BUDGETS, SIDE_BY_SIDE, WIDTHS
from a3.scaling.loss_law import fit_laws, huber_objective
from a3.scaling.parametric import fit_parametric
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.pig_latin import small_words
from a3.translation.prompts import Prompts
from a3.translation.side_by_side import Ensemble, StackedBatch
from a3.translation.to_budget import train_to_budget
from a3.translation.word_pairs import WordPairs

DELTA = 1e-3
RESAMPLES, IN_THE_LOOP = 1_000, 20
SEEDS = 5


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
    part, starts = counts[:IN_THE_LOOP], np.tile(start, (RESAMPLES, 1))

    def batched():
        return fit_laws(starts, n, d, y, counts, DELTA, easing=())

    lowest = batched()[1][:IN_THE_LOOP]
    for tolerance in (1e-6, 1e-8, 1e-10, 1e-12, 1e-14):
        found = loop(start, n, d, y, part, tolerance)
        values, _, _ = huber_objective(found, n, d, y, part, DELTA)
        reached = (values <= (1 + 1e-6) * lowest).mean()
        assert (values >= lowest * (1 - 1e-9)).all(), "the loop found a better fit than the batch"
        if reached >= 0.9:
            break
    ours, theirs = alternate(batched, lambda: loop(start, n, d, y, part, tolerance), repeats)
    theirs = [t * RESAMPLES / IN_THE_LOOP for t in theirs]
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    cells = [len(y), f"{median(ours):.3f}", f"{median(theirs):.1f}"]
    return [*cells, with_range(ratios), f"{reached:.0%}"]


WHOLE = """
import re, sys, time
import numpy as np
from a3.scaling import fit_isoflop, fit_parametric

sizes, budgets, resamples, fits = map(int, sys.argv[1:])
n, c = np.meshgrid(np.linspace(16, 23, sizes), np.log(1.3) * np.arange(budgets) + 41)
N, C = np.exp([n.ravel(), c.ravel()])
D = C / (6 * N)
L = (1.69 + 406.4 / N**0.34 + 410.7 / D**0.28) * np.exp(
    0.01 * np.random.default_rng(0).standard_normal(len(N)))
begun = time.process_time()
if fits > 0:
    fit_parametric(N, D, L, bootstrap=resamples)
if fits > 1:
    fit_isoflop(N, D, C, L, bootstrap=resamples)
with open("/proc/self/status") as status:  # Linux alone says what a process itself has needed
    (peak,) = re.findall("VmHWM:\\s*(\\d+)", status.read())
print(time.process_time() - begun, int(peak) / 1024)
"""


def whole(sizes, budgets, resamples, fits):
    """Core seconds of the fits of one table, in a process of their own, and its peak in MB."""
    call = [sys.executable, "-W", "ignore", "-c", WHOLE]
    numbers = [str(each) for each in (sizes, budgets, resamples, fits)]
    done = subprocess.run([*call, *numbers], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def whole_fits(sizes, budgets, resamples, repeats):
    """A row of the table of whole fits: the law alone, both, and what importing takes."""
    law, both, bare = (
        np.median([whole(sizes, budgets, resamples, fits) for _ in range(repeats)], axis=0)
        for fits in (1, 2, 0)
    )
    cells = [f"{law[0]:.1f}", f"{law[1]:.0f}", f"{both[0]:.1f}", f"{both[1]:.0f}", f"{bare[1]:.0f}"]
    return [f"{sizes * budgets:,}", f"{resamples:,}", *cells]


def peak():
    """Floating-point operations a second of a large product in single precision."""
    A = torch.randn(2048, 2048)
    return 2 * 2048**3 / min(seconds(lambda: A @ A) for _ in range(10))


class Training:
    """An epoch of five seeds of one width, either way: the same models on the same batches."""

    def __init__(self, hidden):
        splits = [Prompts(WordPairs(small_words())).split(seed=i)[0] for i in range(SEEDS)]
        self.batches = list(zip(*(prompts.batches(64) for prompts in splits), strict=True))
        self.models = [DecoderOnlyTransformer(hidden, 4, seed=i) for i in range(SEEDS)]
        self.adam = [torch.optim.Adam(m.parameters(), 5e-4, fused=True) for m in self.models]
        size = SEEDS if hidden <= SIDE_BY_SIDE else 1
        self.together = [
            (slice(i, i + size), Ensemble(self.models[i : i + size])) for i in range(0, SEEDS, size)
        ]
        self.adam_together = [
            torch.optim.Adam(ensemble.weights.values(), 5e-4, fused=True)
            for _, ensemble in self.together
        ]
        self.flops = 3 * sum(m.flops(p) for m, p in zip(self.models, splits, strict=True))

    def one_by_one(self):
        for i, (model, adam) in enumerate(zip(self.models, self.adam, strict=True)):
            for batches in self.batches:
                total, tokens = model.loss(batches[i])
                adam.zero_grad()
                (total / tokens).backward()
                adam.step()

    def side_by_side(self):
        for (seeds, ensemble), adam in zip(self.together, self.adam_together, strict=True):
            for batches in self.batches:
                adam.zero_grad()
                ensemble.losses(StackedBatch.of(batches[seeds])).sum().backward()
                adam.step()

    def apart(self):
        """How far the losses of the two are from each other, relative, at most."""
        batches, distances = self.batches[0], []
        with torch.no_grad():
            for seeds, ensemble in self.together:
                ours = ensemble.losses(StackedBatch.of(batches[seeds]))
                pairs = zip(self.models[seeds], batches[seeds], strict=True)
                theirs = [total / tokens for total, tokens in (m.loss(b) for m, b in pairs)]
                distances.append((ours / torch.stack(theirs) - 1).abs().max().item())
        return max(distances)


def rates(hidden, highest, repeats):
    """A row of the table of training rates, and core seconds to the last budget either way."""
    training = Training(hidden)
    ours, theirs = alternate(training.side_by_side, training.one_by_one, repeats)
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    our, their = (training.flops / median(times) for times in (ours, theirs))
    row = [
        hidden,
        "together" if hidden <= SIDE_BY_SIDE else "one by one",
        f"{our / 1e9:.1f}",
        f"{their / 1e9:.1f}",
        with_range(ratios, 2),
        f"{our / highest:.0%}",
        f"{training.apart():.0e}",
    ]
    return row, SEEDS * BUDGETS[-1] / np.array([our, their])


def on_workers(workers):
    """Run a small sweep on so many processes, afresh."""
    settings = [{"hidden": 64, "seeds": [seed], "budget": 0.04e12} for seed in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["A3_CACHE"] = folder
        run_all(train_to_budget, settings, workers=workers, progress=False)


def main():
    only = {"action": "store_true", "help": "leave the training out"}
    arguments = start(__doc__, f", SciPy {scipy.__version__}", **{"--fits-only": only})
    print(f"Medians of {arguments.repeats}; a ratio above 1 says that ours is faster.\n")
    print(f"Seconds for {RESAMPLES:,} bootstrap fits of the parametric law; the loop's from")
    print(f"{IN_THE_LOOP} of them, in proportion.\n")
    table(
        ["runs", "one batch", "SciPy in a loop", "ratio (range)", "of the loop at the minimum"],
        *(bootstrap_fits(*shape, arguments.repeats) for shape in ((6, 5), (8, 6), (16, 15))),
    )
    print("Whole fits, each in a process of its own, with the search for a start: core seconds and")
    print("the largest memory in MB, of the law, of both fits, and of the imports.\n")
    repeats = min(3, arguments.repeats)
    table(
        ["runs", "resamples", "law, s", "MB", "both, s", "MB", "imports, MB"],
        *(whole_fits(*each, repeats) for each in ((16, 15, 1000), (4000, 25, 10))),
    )
    if arguments.fits_only:
        return
    highest = peak()
    print(f"Training steps of {SEEDS} seeds, billions of operations a second; a large matrix")
    print(f"product reaches {highest / 1e9:.0f}. 'Apart' is how far both ways' losses end up, at")
    print("most, relative.\n")
    head = ["width", "seeds", "ours", "modules", "ratio (range)", "of the peak", "apart"]
    rows, spent = zip(
        *(rates(hidden, highest, arguments.repeats) for hidden in WIDTHS), strict=True
    )
    table(head, *rows)
    ours, theirs = sum(spent)
    print(
        f"The sweep, {len(WIDTHS)} widths and {SEEDS} seeds to {BUDGETS[-1]:.3g} FLOPs each, takes"
    )
    print(f"{ours:.0f} core seconds, with modules {theirs:.0f}.\n")
    one, two = alternate(lambda: on_workers(1), lambda: on_workers(2), min(3, arguments.repeats))
    ratios = [a / b for a, b in zip(one, two, strict=True)]
    print("Seconds for four of its runs, each stopped at 0.04 TFLOPs, by worker processes.\n")
    table(
        ["1 worker", "2 workers", "ratio (range)"],
        [f"{median(one):.1f}", f"{median(two):.1f}", with_range(ratios, 2)],
    )


if __name__ == "__main__":
    main()
