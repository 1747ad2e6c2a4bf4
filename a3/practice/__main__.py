"""Practise the handouts' programming questions.

Without a word it lists the questions. A question's name writes a file with its blank, NAME.py,
here. With ``check`` it tries your answer and says what is wrong, without giving the answer away.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from a3.practice.questions import QUESTIONS, Question, asked_in
from a3.practice.trial import trial

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0; 1 if an answer is wrong; 2 for a call that cannot be taken.
    """
    parser = argparse.ArgumentParser(
        prog="python -m a3.practice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="NAME | check FILE")
    for question in QUESTIONS:
        writing = commands.add_parser(question.name, help=question.title)
        writing.set_defaults(question=question)
    checking = commands.add_parser("check", help="try the answers in a file")
    checking.add_argument("file", type=Path, metavar="FILE")
    checking.add_argument(
        "--seconds", type=_seconds, default=60.0, help="for each question (default: 60)"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            return _check(options.file, options.seconds)
        if options.command:
            return _write(options.question)
        return _list()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"expected seconds, up to 86,400, got {text!r}")
    return seconds


def _list() -> int:
    width = max(len(question.name) for question in QUESTIONS)
    for question in QUESTIONS:
        print(f"{question.name:{width}}  {question.title}: {question.defines}")
    print("\npython -m a3.practice NAME writes NAME.py to fill in; check NAME.py tries it.")
    return 0


def _write(question: Question) -> int:
    file = Path(f"{question.name}.py")
    try:
        with file.open("x", encoding="utf-8") as new:  # never over what is there
            new.write(question.blank)
    except FileExistsError:
        raise ValueError(f"{file} is here already and stays as it is; move it first") from None
    print(f"wrote {file}: fill in the blank, then run python -m a3.practice check {file}")
    return 0


def _check(file: Path, seconds: float) -> int:
    wrong = False
    for question in asked_in(file):
        verdict = trial(question, file, seconds)
        wrong |= bool(verdict.wrong)
        if verdict.wrong:
            so_far = f" (right so far: {', '.join(verdict.right)})" if verdict.right else ""
            print(f"{question.name}: {verdict.wrong} wrong{so_far}\n  {verdict.why}")
        else:
            print(f"{question.name}: right ({', '.join(verdict.right)})")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
