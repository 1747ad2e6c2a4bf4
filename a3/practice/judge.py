"""The judge of an answer: runs its checks in this process, and says what is wrong."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
import types
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from a3.practice.expect import ANSWER, Wrong
from a3.practice.questions import QUESTIONS, Question
from a3.practice.trial import Verdict

__all__ = ["judge"]


def judge(question: Question, file: str | Path) -> Verdict:
    """Judge a reader's file here: the checks in order, up to the first that fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # shown, and no errors
        return _judge(question, file)


def _judge(question: Question, file: str | Path) -> Verdict:
    right: list[str] = []
    try:
        answer = _load(file)[question.defines]
    except Exception as error:
        return Verdict((), "run", _stopped(error, file))
    for name, check in _checks(question).items():
        try:
            check(answer)
        except Wrong as wrong:
            return Verdict(tuple(right), name, str(wrong))
        except NotImplementedError as error:
            return Verdict(tuple(right), name, f"The blank is still empty{_place(error, file)}.")
        except Exception as error:
            return Verdict(tuple(right), name, _stopped(error, file))
        right.append(name)
    return Verdict(tuple(right))


def _checks(question: Question) -> dict[str, Callable]:
    return importlib.import_module(question.module).CHECKS[question.name]


def _load(file: str | Path) -> dict:
    """The names of a file, whose functions know it as :data:`a3.practice.expect.ANSWER`."""
    module = types.ModuleType(ANSWER)
    module.__file__ = str(file)
    sys.modules[ANSWER] = module  # transformers looks for it there
    exec(compile(Path(file).read_bytes(), str(file), "exec"), module.__dict__)
    return module.__dict__


def _place(error: Exception, file: str | Path) -> str:
    """The last line of the reader's own file that an error went through."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    return f" in line {lines[-1]}" if lines else ""


def _stopped(error: Exception, file: str | Path) -> str:
    message = (str(error).strip().splitlines() or [""])[0]
    kind = type(error).__name__
    return f"Your code stops{_place(error, file)}: {kind}{': ' * bool(message)}{message:.300}"


def main(name: str, file: str, told: str) -> None:
    """Judge, and write the verdict to a file: what :func:`a3.practice.trial.trial` starts."""
    question = next(question for question in QUESTIONS if question.name == name)
    Path(told).write_text(json.dumps(asdict(judge(question, file))), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
