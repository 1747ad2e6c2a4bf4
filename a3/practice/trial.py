"""The trial of an answer: in a process of its own, which is ended when its time is over."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from a3.practice.questions import Question

__all__ = ["Verdict", "trial"]


@dataclass(frozen=True)
class Verdict:
    """What came out."""

    right: tuple[str, ...]
    """What was looked at and found right, in order."""
    wrong: str = ""
    """What was looked at then; empty if all is right."""
    why: str = ""
    """What is wrong with it, in words."""


def trial(question: Question, file: str | Path, seconds: float) -> Verdict:
    """Judge a reader's file in another process, for so many seconds at most.

    What the reader's code prints goes to the shell. Its end, its crash or its endless loop does not
    reach the process that asked.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "verdict.json")
        command = [sys.executable, "-m", "a3.practice.judge", question.name]
        try:
            ended = subprocess.run(
                [*command, str(file), str(told)], timeout=seconds, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            why = f"It was not finished after {seconds:g} seconds: does a loop go on for ever?"
            return Verdict((), "time", why)
        try:
            return Verdict(**json.loads(told.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            why = f"The process ended before a verdict, with exit status {ended.returncode}."
            return Verdict((), "run", why)
