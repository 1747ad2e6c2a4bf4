"""Kill a short sweep again and again, and count what is lost, what is left and what lives on.

Each time a sweep of eight runs on two cores begins in an empty folder. After a random while its
process is killed, or in every fourth case one of its workers; then it is started again until it
ends. Its results must be those of a sweep left alone, to the bit; no process may outlive it for
more than three seconds, and nothing but results may be left in the folder. ::

    python benchmarks/crashes.py --kills 100
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

from a3.lab.saved_runs import SavedRun, load
from a3.lab.sweeps import run_all

STEPS = 15


def walk(seed, checkpoint):
    """Some random steps, each kept."""
    generator = torch.Generator().manual_seed(seed)
    saved = SavedRun(checkpoint, [seed])
    x, done = torch.zeros(1_000), 0
    if state := saved.read():
        x, done = state["x"], state["done"]
        generator.set_state(state["generator"])
    for step in range(done, STEPS):
        x = x + torch.randn(1_000, generator=generator)
        time.sleep(0.005)
        saved.write({"x": x, "done": step + 1, "generator": generator.get_state()})
    return {"x": x}


def sweep():
    """What a process that may be killed does."""
    run_all(walk, [{"seed": seed} for seed in range(8)], workers=2, progress=False)


def start(folder):
    """The sweep, in a process of its own."""
    environment = os.environ | {"A3_CACHE": str(folder)}
    command = [sys.executable, __file__, "--sweep"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def digest(folder):
    """Of all results, in the order of their keys."""
    results = [load(path)["result"]["x"] for path in sorted(folder.glob("*.pt"))]
    return hashlib.sha256(b"".join(x.numpy().tobytes() for x in results)).hexdigest()


def living(processes, seconds):
    """Those that are still there after so long, but for what is only to be collected."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def descendants(process):
    """The processes that it has started."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(process, wait, chance, worker):
    """Kill it or one of its workers after a while; what it had started by then."""
    time.sleep(wait)
    started = descendants(process)
    victims = [p for p in started if "popen_loky" in " ".join(p.cmdline())] if worker else []
    if victims:
        chance.choice(victims).kill()
    elif not worker:
        process.send_signal(signal.SIGKILL)
    return started


def main():
    """Print what came of all kills."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--sweep", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sweep:
        return sweep()
    home, chance = Path(tempfile.mkdtemp()), random.Random(0)
    equal = orphans = left = struck = 0
    try:
        begun = time.monotonic()
        assert start(home / "alone").wait() == 0
        takes = time.monotonic() - begun
        expected = digest(home / "alone")
        for i in range(arguments.kills):
            folder = home / str(i)
            process = start(folder)
            started = kill(process, chance.uniform(0, takes), chance, worker=i % 4 == 3)
            process.communicate()
            struck += process.returncode != 0
            orphans += len(living(started, 3.0))
            again = start(folder)
            _, said = again.communicate()
            if again.returncode:
                print(said)
            equal += again.returncode == 0 and digest(folder) == expected
            others = [path.name for path in folder.iterdir() if path.suffix != ".pt"]
            left += len(others)
            shutil.rmtree(folder)
        print(
            f"{arguments.kills} kills, {struck} of which ended the sweep: {equal} equal "
            f"results, {orphans} orphan processes, {left} leftover files"
        )
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
