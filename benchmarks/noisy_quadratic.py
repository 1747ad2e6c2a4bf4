"""Time the closed form of ``a3.theory.noisy_quadratic`` and its simulation against a plain loop.

The expected loss of a noisy quadratic after T steps, for each learning rate and batch size of a
grid, is computed in three ways:

1. by the closed form, ``NoisyQuadratic.loss``, without any sampling;
2. by ``NoisyQuadratic.simulate``, all trajectories of the grid side by side;
3. by a loop in Python over the grid, its trajectories, their steps and the directions, as one
   would write it first. It runs fewer trajectories, and is compared by the time of one step of one
   trajectory.

The means of the last two must lie within five standard errors of the first, or the benchmark stops.
Everything is timed in one run, on the same threads, in alternating pairs; the tables give medians,
and of the ratios the range too.

Usage: python benchmarks/noisy_quadratic.py [--threads N] [--repeats R]
"""

import math
import random
from statistics import median

import torch
from paired import alternate, start, table, with_range

from a3.theory.noisy_quadratic import NoisyQuadratic

RATES, BATCH_SIZES = (0.02, 0.1, 0.5, 1.0), (1.0, 8.0, 64.0, 512.0)
TRAJECTORIES, FEW = 1_000, 20  # side by side, and in the loop


def spectrum(directions):
    """Curvatures that fall as 1/i, with as much noise."""
    curvature = 1 / torch.arange(1, directions + 1)
    return NoisyQuadratic(curvature, curvature, torch.ones(directions))


def closed_form(problem, steps):
    """The expected loss for each learning rate and batch size."""
    return problem.loss(steps, torch.tensor(RATES)[:, None], torch.tensor(BATCH_SIZES))


def simulation(problem, steps, seed=0):
    """The losses in which the trajectories of each learning rate and batch size end."""
    w = problem.simulate(
        steps,
        torch.tensor(RATES)[:, None],
        torch.tensor(BATCH_SIZES),
        trajectories=TRAJECTORIES,
        generator=torch.Generator().manual_seed(seed),
    )
    return (w[-1].square() * problem.curvature).sum(-1) / 2  # (trajectories, rates, batch sizes)


def plain_loop(problem, steps, trajectories=FEW, seed=0):
    """The same, one number at a time."""
    generator = random.Random(seed)
    curvature, start = problem.curvature.tolist(), problem.start.sqrt().tolist()
    spread = problem.noise.sqrt().tolist()
    losses = []
    for _ in range(trajectories):
        for eta in RATES:
            for B in BATCH_SIZES:
                w = list(start)
                for _ in range(steps):
                    for i, h in enumerate(curvature):
                        noise = generator.gauss(0, 1) * spread[i] / math.sqrt(B)
                        w[i] -= eta * (h * w[i] + noise)
                losses.append(sum(h * a * a for h, a in zip(curvature, w, strict=True)) / 2)
    return torch.tensor(losses).view(trajectories, len(RATES), len(BATCH_SIZES))


def errors(losses, expected):
    """How many standard errors the mean loss is off, at most over the grid."""
    error = losses.std(0) / math.sqrt(len(losses))
    return float(((losses.mean(0) - expected).abs() / error).max())


def row(directions, steps, repeats):
    """One row of each of the two tables: times, and agreement."""
    problem = spectrum(directions)
    grid = len(RATES) * len(BATCH_SIZES)
    fast, slow = alternate(
        lambda: simulation(problem, steps), lambda: plain_loop(problem, steps), repeats
    )
    fast = [t / (TRAJECTORIES * grid * steps) for t in fast]
    slow = [t / (FEW * grid * steps) for t in slow]
    exact, sampled = alternate(
        lambda: closed_form(problem, steps), lambda: simulation(problem, steps), repeats
    )
    ratios = [b / a for a, b in zip(fast, slow, strict=True)]
    savings = [b / a for a, b in zip(exact, sampled, strict=True)]
    expected = closed_form(problem, steps)
    off = [
        errors(simulation(problem, steps), expected),
        errors(plain_loop(problem, steps, 10 * FEW), expected),
    ]
    assert max(off) <= 5, f"the three do not agree: {off} standard errors apart"
    times = [directions, steps, f"{1e9 * median(fast):,.0f}", f"{1e9 * median(slow):,.0f}"]
    times += [with_range(ratios), f"{1e3 * median(exact):.2f}", f"{1e3 * median(sampled):,.0f}"]
    return [*times, with_range(savings)], [directions, steps, *(f"{value:.1f}" for value in off)]


def main():
    arguments = start(__doc__)

    grid = f"{len(RATES)} learning rates and {len(BATCH_SIZES)} batch sizes"
    print(f"Medians of {arguments.repeats}, over {grid}.")
    print("A ratio above 1 says that the first of the two is faster.\n")
    rows = [row(*sizes, arguments.repeats) for sizes in ((1, 50), (1, 500), (10, 50))]
    times, agreement = zip(*rows, strict=True)
    print("Simulation against the loop, in nanoseconds for one step of one trajectory: the loop")
    print(
        f"runs {FEW} trajectories for the other's {TRAJECTORIES:,}. Closed form against simulation,"
    )
    print("in milliseconds for the whole grid.\n")
    head = ["directions", "steps", "simulate, ns", "loop, ns", "ratio (range)"]
    table([*head, "closed form, ms", "simulate, ms", "ratio (range)"], *times)
    print("Largest distance of the mean losses from the closed form, in standard errors.\n")
    table(["directions", "steps", "simulate", "loop"], *agreement)


if __name__ == "__main__":
    main()
