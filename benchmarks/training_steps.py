"""Time training steps of this checkout against those of an older one, in alternating blocks.

Each checkout has a worker process, on one thread, which imports its ``a3``; the two take turns,
so that whatever else the machine does slows both. A step is what the run itself does: the next
batch, forward, backward, Adam. The ratio is new to old, its median and its range over the blocks;
'apart' is how far the two losses are from each other after the last block, relative.

Usage: python benchmarks/training_steps.py OLDER_CHECKOUT [--kinds WORD ...] [--blocks N]
"""

import argparse
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from statistics import median

import torch
from paired import cpu, table, with_range

BLOCK = 0.25  # seconds of a block, about


def a3(*names):
    """The first of these modules of a3 that this checkout has: new path first."""
    for name in names:
        try:
            return import_module(f"a3.{name}")
        except ModuleNotFoundError as error:
            if not f"a3.{name}".startswith(error.name or " "):
                raise
    raise ModuleNotFoundError(f"a3 has none of {names}")


def epochs(batches, *arguments):
    """The batches of one epoch after another."""
    while True:
        yield from batches(*arguments)


def sweep(hidden, seeds):
    """A step of the scaling sweep: ``seeds`` models side by side."""

    def build():
        runs = a3("translation.to_budget", "scaling_runs")
        run = runs._Run(hidden, 4, list(range(seeds)), 1e12, 5e-4, "small")
        batches = epochs(run.batches, 64)

        def step():
            batch, lengths = next(batches)
            run.step(batch, 5e-4)
            run.flops_of(lengths).mean(dim=1)
            return batch

        def loss(batch):
            return float(run.ensemble.losses(batch).mean())

        return step, loss

    return build


def translator(words, architecture, hidden, layers, batch_size):
    """A step of :func:`train` on a word list."""

    def build():
        kinds = {
            "encoder-decoder": (a3("translation.encoder_decoder", "translation"), "EncoderDecoder"),
            "decoder-only": (
                a3("translation.decoder_only", "decoder_only"),
                "DecoderOnlyTransformer",
            ),
        }
        lists = a3("translation.pig_latin", "pig_latin")
        words_of = {"small": lists.small_words, "large": lists.large_words}[words]
        data, _ = a3("translation.word_pairs", "word_pairs").WordPairs(words_of()).split()
        if architecture == "decoder-only":
            data = a3("translation.prompts", "prompts").Prompts(data)
        module, name = kinds[architecture]
        model = getattr(module, name)(hidden, layers)
        model.train()
        joined = getattr(a3("translation.training", "training"), "joined", list)  # newer has it
        parameters = joined(model.parameters())
        parameters = parameters if isinstance(parameters, list) else [parameters]
        adam = torch.optim.Adam(parameters, lr=5e-4, fused=True)
        batches = epochs(data.batches, batch_size, torch.Generator().manual_seed(0))

        def step():
            batch = next(batches).to("cpu")
            total, tokens = model.loss(batch)
            loss = total / tokens
            adam.zero_grad(set_to_none=joined is list)
            loss.backward()
            adam.step()
            loss.item()
            return batch

        def loss(batch):
            total, tokens = model.loss(batch)
            return total.item() / tokens

        return step, loss

    return build


KINDS = {
    **{f"sweep {hidden}, 5 seeds": sweep(hidden, 5) for hidden in (16, 32)},
    **{f"sweep {hidden}, 1 seed": sweep(hidden, 1) for hidden in (48, 64, 96, 128)},
    "large 64": translator("large", "encoder-decoder", 64, 3, 512),
    "large 32": translator("large", "encoder-decoder", 32, 3, 512),
    "small 32": translator("small", "encoder-decoder", 32, 4, 64),
    "small 64": translator("small", "encoder-decoder", 64, 3, 64),
    "one stack, 128": translator("small", "decoder-only", 128, 4, 64),
    "two stacks, 90": translator("small", "encoder-decoder", 90, 3, 64),
}
"""Name of each kind of run to a function that builds, from whichever a3 is imported, ``step()``,
which takes a step and returns its batch, and ``loss(batch)``."""


def work(kind):
    """A worker: for each number on standard input, so many steps; answers seconds and loss."""
    torch.set_num_threads(1)
    step, loss = KINDS[kind]()
    for line in sys.stdin:
        begun = time.process_time()
        for _ in range(int(line)):
            batch = step()
        spent = time.process_time() - begun
        with torch.no_grad():
            print(spent, loss(batch), flush=True)


class Worker:
    """A process that takes steps of one kind with the a3 of one checkout."""

    def __init__(self, checkout, kind):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", kind],
            env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def steps(self, number):
        print(number, file=self.process.stdin, flush=True)
        seconds, loss = map(float, self.process.stdout.readline().split())
        return seconds, loss

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def compare(kind, old, new, blocks):
    """A row of the table."""
    workers = [Worker(checkout, kind) for checkout in (old, new)]
    warm = [worker.steps(20) for worker in workers]
    number = max(1, round(20 * BLOCK / warm[0][0]))
    times, losses = [], warm
    for i in range(blocks):
        order = workers if i % 2 else workers[::-1]  # neither is always the first
        both = {worker: worker.steps(number) for worker in order}
        losses = [both[worker][1] for worker in workers]
        times.append([both[worker][0] / number for worker in workers])
    for worker in workers:
        worker.end()
    before, after = (1e3 * median(column) for column in zip(*times, strict=True))
    ratios = [new / old for old, new in times]
    first, last = abs(warm[1][1] / warm[0][1] - 1), abs(losses[1] / losses[0] - 1)
    steps = 20 + blocks * number
    cells = [f"{before:.2f}", f"{after:.2f}", with_range(ratios, 2)]
    return [kind, *cells, f"{first:.0e}", f"{last:.0e} ({steps})"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("older", type=Path, nargs="?", help="the older checkout")
    parser.add_argument("--kinds", nargs="*", default=[""], help="only kinds with such a word")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--work", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work)
    if arguments.older is None or not (arguments.older / "a3").is_dir():
        parser.error("expected the path of an older checkout")
    kinds = [kind for kind in KINDS if any(word in kind for word in arguments.kinds)]
    newer = Path(__file__).resolve().parents[1]
    print(f"{cpu()}, 1 thread, torch {torch.__version__}.\n")
    table(
        ["run", "old, ms", "new, ms", "new / old", "apart after 20 steps", "after all (steps)"],
        *(compare(kind, arguments.older.resolve(), newer, arguments.blocks) for kind in kinds),
    )


if __name__ == "__main__":
    main()
