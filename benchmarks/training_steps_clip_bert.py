"""Time training steps of the parts on BERT and CLIP: this checkout against an older one.

Each checkout has a process of its own, on one thread; the two take turns, a block of steps each.
The last column is how far apart their losses are after all the steps, relative to the loss.

Usage: python benchmarks/training_steps_clip_bert.py OLD [--kinds KIND ...] [--repeats R]
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

from paired import cpu, table, with_range

HERE = Path(__file__).resolve()


def module(*names):
    """The first of these modules that the checkout has."""
    for name in names:
        if importlib.util.find_spec(name):
            return importlib.import_module(name)
    raise ModuleNotFoundError(f"none of {names}")


def small_clip(**changes):
    training, data = module("a3.clip.training"), module("a3.clip.emoji")
    emoji = data.load_emoji(progress=False)
    settings = module("a3.clip.small").SmallClip(**changes)
    run = training._Run(settings, emoji, module("a3.clip.emoji_split").split(emoji).seen)
    return lambda: run.step() or run.losses[-1]


def pretraining():
    runs, language = module("a3.runs.pretraining"), module("a3.bert.masked_language")
    text = runs.corpus_text("mathematics", 0, 40_000)
    run = language._Run(text, runs.task_vocabulary(), language.Pretraining(), {})
    return lambda: run.step() or run.losses[-1]


def side_by_side():
    import torch

    runs, tuning = module("a3.runs.pretraining"), module("a3.bert.side_by_side")
    arithmetic = module("a3.bert.verbal_arithmetic")
    vocabulary, data = runs.task_vocabulary(), arithmetic.verbal_arithmetic()
    inputs, labels = vocabulary([*data["sentence"]])["input_ids"], torch.tensor([*data["label"]])
    models = [runs._classifier(len(vocabulary), None, 0, draw) for draw in range(15)]
    settings, generator = tuning.SideBySide(), torch.Generator().manual_seed(0)
    dealt = [tuning.dealt(torch.arange(640), settings, generator) for _ in models]
    batches = torch.stack(dealt, dim=1)
    return stepped(
        lambda: tuning.fine_tune_side_by_side(models, inputs, labels, batches, settings)
    )


def minilm():
    import torch

    tuning, arithmetic = module("a3.bert.fine_tuning"), module("a3.bert.verbal_arithmetic")
    folder = module("a3.bert.pretrained").minilm()
    model, tokenizer = module("a3.bert").load_classifier(folder)
    every = tuning.encode(tokenizer, arithmetic.verbal_arithmetic())
    rows = torch.tensor([*arithmetic.splits(0)[0].index])
    settings = tuning.FineTuning(epochs=100, learning_rate=3e-4)
    return stepped(lambda: tuning.fine_tune(model, every[rows], every[rows[:1]], settings))


def stepped(function):
    """Steps of a function with a loop of its own: it is let go on to the next step of AdamW."""
    import torch

    go, done = threading.Semaphore(0), threading.Semaphore(0)
    losses, started, inner = [], [], torch.optim.AdamW.step
    cross_entropy = torch.nn.functional.cross_entropy

    def kept(*arguments, **settings):
        loss = cross_entropy(*arguments, **settings)
        losses.append(loss.detach().mean().item())
        return loss

    def paused(*arguments, **settings):
        inner(*arguments, **settings)
        done.release()
        go.acquire()

    def run():
        go.acquire()
        function()

    def step():
        if not started:
            started.append(threading.Thread(target=run, daemon=True))
            started[0].start()
        go.release()
        done.acquire()
        return losses[-1]

    torch.nn.functional.cross_entropy, torch.optim.AdamW.step = kept, paused
    return step


KINDS = {
    "small CLIP": small_clip,
    "small CLIP, short run": lambda: small_clip(image_size=32, batch_size=48, steps=500),
    "pretraining": pretraining,
    "15 side by side": side_by_side,
    "MiniLM": minilm,
}


def work(kind):
    """Build a step, then do as many as each line of input says; answer with seconds and loss."""
    out, sys.stdout = sys.stdout, sys.stderr
    step = KINDS[kind]()
    for line in sys.stdin:
        begun = time.perf_counter()
        for _ in range(int(line)):
            loss = step()
        print(json.dumps([time.perf_counter() - begun, loss]), file=out, flush=True)


class Worker:
    """A process that imports a3 from a checkout."""

    def __init__(self, checkout, kind):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE), "--work", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        )

    def __call__(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def compare(kind, old, repeats):
    """A row of the table."""
    pair = [Worker(old, kind), Worker(HERE.parents[1], kind)]
    for worker in pair:
        worker(3)  # to warm up
    steps = max(2, round(0.5 / (pair[0](2)[0] / 2)))  # half a second of them
    pair[1](2)
    times, losses = [], []
    for _ in range(repeats):
        answers = [worker(steps) for worker in pair]
        times.append([seconds / steps for seconds, _ in answers])
        losses.append([loss for _, loss in answers])
    for worker in pair:
        worker.process.stdin.close()
        worker.process.terminate()
    before, after = (1e3 * median(column) for column in zip(*times, strict=True))
    first, last = (abs(b - a) / a for a, b in (losses[0], losses[-1]))
    return [
        kind,
        f"{before:.1f}",
        f"{after:.1f}",
        with_range([b / a for a, b in times], 2),
        f"{first:.0e} after {5 + steps}, {last:.0e} after {5 + repeats * steps}",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old", nargs="?", type=Path, help="another checkout of this repository")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], default=[*KINDS])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
    else:
        print(f"{cpu()}, 1 thread.")
        old, repeats = arguments.old.resolve(), arguments.repeats
        rows = [compare(kind, old, repeats) for kind in arguments.kinds]
        table(["kind", "ms old", "ms new", "new / old", "difference of loss"], *rows)
