"""The command line of the practice mode, and the process that an answer is tried in."""

import os
import subprocess
import sys

import pytest

from a3.practice.__main__ import main
from a3.practice.questions import QUESTIONS
from a3.practice.trial import trial

from .answers import QUESTION, changed, right

STOPS = {
    "loops": ("    while True:\n        pass\n", "time", "not finished after 25 seconds"),
    "leaves": ("    import os\n    os._exit(3)\n", "run", "before a verdict, with exit status 3"),
    "exits": ("    raise SystemExit(4)\n", "run", "before a verdict, with exit status 4"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_without_a_word_it_lists_all_questions(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(q.name in listed and q.defines in listed for q in QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_name_writes_its_blank_once(question, here, capsys):
    assert main([question.name]) == 0
    file = here / f"{question.name}.py"
    assert file.read_text() == question.blank
    file.write_text("mine")
    assert main([question.name]) == 2
    assert file.read_text() == "mine" and "stays as it is" in capsys.readouterr().err


def test_an_answer_is_tried_in_another_process(here, capfd):
    here.joinpath("line.py").write_text(right("line") + "\nprint('imported')\n")
    assert main(["check", "line.py"]) == 0
    out = capfd.readouterr().out
    assert "imported" in out and "line: right (shapes, line, inputs)" in out


def test_a_wrong_answer_is_named_with_what_is_right_so_far(here, capfd):
    here.joinpath("mine.py").write_text(changed("line", "return m, c", "return c, m"))
    assert main(["check", "mine.py"]) == 1
    out = capfd.readouterr().out
    assert "line: line wrong (right so far: shapes)\n  Slope and intercept have changed" in out


def test_a_file_may_answer_several_questions(here, capfd):
    both = right("line") + "\n\n" + changed("best_size", "(2 * p[0])", "p[0]")
    here.joinpath("both.py").write_text(both)
    assert main(["check", "both.py"]) == 1
    out = capfd.readouterr().out
    assert "line: right" in out and "best_size: lowest point wrong" in out


@pytest.mark.slow
@pytest.mark.parametrize("how", STOPS)
def test_whatever_an_answer_does_the_process_that_asked_goes_on(how, here):
    body, wrong_at, sentence = STOPS[how]
    file = here / "line.py"
    file.write_text(f"def fit_linear_log(x, y):\n{body}")
    verdict = trial(QUESTION["line"], file, 25)
    assert verdict.wrong == wrong_at and sentence in verdict.why


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "No such file"),
        ("def f(:\n", "line 1: "),
        ("x = 1\n", "defines none of these: ScaledDotAttention"),
        ("x = '\0'\n", "null bytes"),
    ],
)
def test_a_file_that_cannot_be_taken_is_said_in_a_line(text, sentence, here, capsys):
    if text is not None:
        here.joinpath("mine.py").write_text(text)
    assert main(["check", "mine.py"]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_seconds_are_a_positive_number(seconds, here, capsys):
    with pytest.raises(SystemExit):
        main(["check", "line.py", "--seconds", seconds])
    assert "expected seconds" in capsys.readouterr().err


def test_the_door_opens_from_a_shell_without_torch(here):
    code = "import runpy, sys; sys.argv = ['a3.practice']\n"
    code += "try: runpy.run_module('a3.practice', run_name='__main__')\n"
    code += "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert done.stdout.endswith("0 False\n"), done.stderr
