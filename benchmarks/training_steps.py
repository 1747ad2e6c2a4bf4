"""Time training steps of this checkout against those of an older one, in alternating blocks.

Each checkout has a worker process, on one thread, which imports its ``a3``; the two take turns,
so that whatever else the machine does slows both. A step is what the run itself does: the next
batch, forward, backward, the optimiser. Times are of the process. The ratio is new to old, its
median and range over the blocks; 'apart' is how far the two losses are from each other, relative.
The last line weights the kinds by the core seconds that their runs take in the book.

Usage: python benchmarks/training_steps.py OLDER_CHECKOUT [--kinds WORD ...] [--blocks N]
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from statistics import median

import torch
from paired import cpu, table, with_range

BLOCK = 0.25  # seconds of a block, about
FORMERLY = {  # what a room was called when a3 was one floor
    "bert.classifier": "bert",
    "bert.pretrained": "checkpoints",
    "clip.small": "small_clip",
    "clip.training": "small_clip_training",
    "runs.pretraining": "pretraining_runs",
    "translation.encoder_decoder": "translation",
    "translation.to_budget": "scaling_runs",
}


def room(name):
    """A module of a3, by its name of now; in an older checkout by the one it had."""
    try:
        return import_module(f"a3.{name}")
    except ModuleNotFoundError:
        return import_module(f"a3.{FORMERLY.get(name, name.partition('.')[2])}")


def epochs(batches, *arguments):
    """The batches of one epoch after another."""
    while True:
        yield from batches(*arguments)


def sweep(hidden, seeds):
    """Of the scaling sweep: models of some seeds side by side."""
    run = room("translation.to_budget")._Run(hidden, 4, list(range(seeds)), 1e12, 5e-4, "small")
    batches = epochs(run.batches, 64)

    def step():
        batch, _ = next(batches)
        run.step(batch, 5e-4)
        with torch.no_grad():
            return lambda: run.ensemble.losses(batch).mean().item()

    return step


def translator(words, hidden, layers, batch_size, one_stack=False):
    """Of a translator on a word list."""
    lists, training = room("translation.pig_latin"), room("translation.training")
    words = {"small": lists.small_words, "large": lists.large_words}[words]()
    data, _ = room("translation.word_pairs").WordPairs(words).split()
    if one_stack:
        data = room("translation.prompts").Prompts(data)
        model = room("translation.decoder_only").DecoderOnlyTransformer(hidden, layers)
    else:
        model = room("translation.encoder_decoder").EncoderDecoder(hidden, layers)
    joined = getattr(training, "joined", None)  # which an older checkout has not
    parameters = [joined(model.parameters())] if joined else model.parameters()
    adam = torch.optim.Adam(parameters, lr=5e-4, fused=True)
    batches = epochs(data.batches, batch_size, torch.Generator().manual_seed(0))

    def step():
        total, tokens = model.loss(next(batches))
        loss = total / tokens
        adam.zero_grad(set_to_none=not joined)
        loss.backward()
        adam.step()
        return loss.item

    return step


def small_clip(**changes):
    training, data = room("clip.training"), room("clip.emoji")
    emoji = data.load_emoji(progress=False)
    settings = room("clip.small").SmallClip(**changes)
    run = training._Run(settings, emoji, room("clip.emoji_split").split(emoji).seen)
    return lambda: run.step() or (lambda: run.losses[-1])


def pretraining():
    runs, language = room("runs.pretraining"), room("bert.masked_language")
    text = runs.corpus_text("mathematics", 0, 40_000)
    run = language._Run(text, runs.task_vocabulary(), language.Pretraining(), {})
    return lambda: run.step() or (lambda: run.losses[-1])


def side_by_side():
    runs, tuning = room("runs.pretraining"), room("bert.side_by_side")
    vocabulary = runs.task_vocabulary()
    data = room("bert.verbal_arithmetic").verbal_arithmetic()
    inputs, labels = vocabulary([*data["sentence"]])["input_ids"], torch.tensor([*data["label"]])
    models = [runs._classifier(len(vocabulary), None, 0, draw) for draw in range(15)]
    settings, generator = tuning.SideBySide(), torch.Generator().manual_seed(0)
    dealt = [tuning.dealt(torch.arange(640), settings, generator) for _ in models]
    batches = torch.stack(dealt, dim=1)
    return stepped(lambda: tuning.fine_tune_side_by_side(models, inputs, labels, batches, settings))


def minilm():
    tuning, arithmetic = room("bert.fine_tuning"), room("bert.verbal_arithmetic")
    model, tokenizer = room("bert.classifier").load_classifier(room("bert.pretrained").minilm())
    every = tuning.encode(tokenizer, arithmetic.verbal_arithmetic())
    rows = torch.tensor([*arithmetic.splits(0)[0].index])
    settings = tuning.FineTuning(epochs=100, learning_rate=3e-4)
    return stepped(lambda: tuning.fine_tune(model, every[rows], every[rows[:1]], settings))


def stepped(function):
    """Steps of a function with a loop of its own: it is let go on to the next step of AdamW."""
    go, done, losses, started = threading.Semaphore(0), threading.Semaphore(0), [], []
    inner, cross_entropy = torch.optim.AdamW.step, torch.nn.functional.cross_entropy

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
        return lambda: losses[-1]

    torch.nn.functional.cross_entropy, torch.optim.AdamW.step = kept, paused
    return step


KINDS = {
    **{f"sweep {hidden}": lambda hidden=hidden: sweep(hidden, 5) for hidden in (16, 32)},
    **{f"sweep {hidden}": lambda hidden=hidden: sweep(hidden, 1) for hidden in (48, 64, 96, 128)},
    "large 64": lambda: translator("large", 64, 3, 512),
    "large 32": lambda: translator("large", 32, 3, 512),
    "small 32": lambda: translator("small", 32, 4, 64),
    "small 64": lambda: translator("small", 64, 3, 64),
    "one stack": lambda: translator("small", 128, 4, 64, one_stack=True),
    "two stacks": lambda: translator("small", 90, 3, 64),
    "small CLIP": small_clip,
    "small CLIP, short": lambda: small_clip(image_size=32, batch_size=48, steps=500),
    "pretraining": pretraining,
    "side by side": side_by_side,
    "MiniLM": minilm,
}
"""Name of each kind of run to a function that builds ``step()``, which returns how to read its
loss, from whichever a3 is imported."""


def kind_of(run):
    """Which of ``KINDS`` a run of the book is of, if of any."""
    name, setting = run.name.partition("/")[0], run.setting
    if "budget" in setting:
        return f"sweep {setting['hidden']}"
    if name in ("four-runs", "tuned-runs"):
        return f"{setting['words']} {setting['hidden']}"
    if name == "one-or-two-stacks":
        return "one stack" if setting["hidden"] == 128 else "two stacks"
    if "CLIP" in name:
        return "small CLIP" if setting["settings"].image_size == 48 else "small CLIP, short"
    if "arm" in setting:
        return None if setting["arm"].startswith("frozen") else "MiniLM"
    return {"pretraining": "pretraining", "learning-curves": "side by side"}.get(name)


def seconds_in_the_book():
    """Core seconds of each kind, as kept or as expected, and of the runs of none."""
    from a3.lab.sweeps import about
    from a3.runs.notebook import runs

    spent = dict.fromkeys([*KINDS, None], 0.0)
    for run in runs():
        spent[kind_of(run)] += about(run.path)["seconds"] if run.kept else run.seconds
    return spent


def work(kind):
    """A worker: for each number on standard input, so many steps; answers seconds and loss."""
    torch.set_num_threads(1)
    out, sys.stdout = sys.stdout, sys.stderr
    step = KINDS[kind]()
    for line in sys.stdin:
        begun = time.process_time()
        for _ in range(int(line)):
            loss = step()
        print(time.process_time() - begun, loss(), file=out, flush=True)


class Worker:
    """A process that takes steps of one kind with the a3 of one checkout."""

    def __init__(self, checkout, kind):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", kind],
            env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def steps(self, number):
        print(number, file=self.process.stdin, flush=True)
        seconds, loss = map(float, self.process.stdout.readline().split())
        return seconds, loss


def compare(kind, old, new, blocks):
    """The median ratio of a kind, and its row of the table."""
    workers = [Worker(checkout, kind) for checkout in (old, new)]
    warm = [worker.steps(5) for worker in workers]
    number = max(1, round(5 * BLOCK / warm[0][0]))
    times, losses = [], warm
    for i in range(blocks):
        order = workers if i % 2 else workers[::-1]  # neither is always the first
        both = {worker: worker.steps(number) for worker in order}
        losses = [both[worker][1] for worker in workers]
        times.append([both[worker][0] / number for worker in workers])
    for worker in workers:
        worker.process.kill()
    before, after = (1e3 * median(column) for column in zip(*times, strict=True))
    ratios = [new / old for old, new in times]
    first, last = abs(warm[1][1] / warm[0][1] - 1), abs(losses[1] / losses[0] - 1)
    apart = f"{first:.0e} after 5, {last:.0e} after {5 + blocks * number}"
    return median(ratios), [kind, f"{before:.2f}", f"{after:.2f}", with_range(ratios, 2), apart]


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
    spent, ratios, rows = seconds_in_the_book(), {}, []
    for kind in kinds:
        ratios[kind], row = compare(kind, arguments.older.resolve(), newer, arguments.blocks)
        rows.append([*row, f"{spent[kind]:,.0f}"])
    table(["run", "old, ms", "new, ms", "new / old", "apart", "core seconds of the book"], *rows)
    now = sum(spent[kind] for kind in kinds)
    before = sum(spent[kind] / ratios[kind] for kind in kinds)
    print(f"together {now / before:.2f}, weighted; {spent[None]:,.0f} core seconds are of no kind")
    return None


if __name__ == "__main__":
    main()
