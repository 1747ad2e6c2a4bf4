import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from a3.lab.page import in_short, script, show

TUTORIALS = Path(__file__).parents[2] / "tutorials"


def test_in_short_marks_what_was_measured():
    text = "At $n = 2$ the *loss* is {loss:.2f},\n    for `f` {times} times."
    answer = in_short(text, loss=0.256, times=3)
    assert answer.text == "At $n = 2$ the *loss* is 0.26, for `f` 3 times."
    assert answer._repr_html_() == (
        '<div class="admonition in-short"><p class="admonition-title">In short</p>\n'
        r'<p>At <span class="math inline">\(n = 2\)</span> the <em>loss</em> is '
        '<span class="measured">0.26</span>, for <code>f</code> '
        '<span class="measured">3</span> times.</p>\n</div>'
    )


@pytest.mark.parametrize(
    ("text", "values", "fault"),
    [
        ("The loss is 0.26.", {}, "'0.26.' was typed"),
        ("The loss is {loss}.", {"loss": 1, "more": 2}, "no field for more"),
        ("The loss is {loss}.", {}, "loss"),
    ],
)
def test_in_short_refuses(text, values, fault):
    with pytest.raises((ValueError, KeyError), match=fault):
        in_short(text, **values)


def test_a_notebook_shows_what_a_shell_prints(monkeypatch, capsys):
    table = pd.DataFrame({"loss": [0.256]}).style.hide().format(precision=2)
    assert script() is None and show(table) is table
    main = type(sys)("__main__")
    main.__file__ = "elsewhere/four_runs.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert show(table) is None
    assert in_short("It is {x}.", x=1) is None
    assert capsys.readouterr().out == "loss\n0.26\n\nIn short\n\nIt is 1.\n\n"


def test_a_shell_prints_labels_of_several_levels(monkeypatch, capsys):
    table = pd.DataFrame({"loss": [1, 2]}, pd.MultiIndex.from_product([["small"], [32, 64]]))
    main = type(sys)("__main__")
    main.__file__ = "elsewhere/four_runs.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    show(pd.concat({"low": table}, axis="columns").style)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert rows == [["low"], ["loss"], ["small", "32", "1"], ["small", "64", "2"]]


@pytest.mark.slow
def test_a_script_saves_its_figures_and_says_where(tmp_path):
    page = tmp_path / "attention.py"  # a copy, as a reader has downloaded it
    page.write_text((TUTORIALS / "nmt" / "attention.py").read_text(encoding="utf-8"))
    run = subprocess.run(
        [sys.executable, page.name], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    figures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert figures and all(f": {name}\n" in run.stdout for name in figures)
    assert "page attention of the book" in run.stdout


def test_a_script_that_breaks_saves_nothing(tmp_path):
    page = tmp_path / "attention.py"
    page.write_text("from a3.lab.figures import subplots\nsubplots(alt='A line')\n1 / 0\n")
    run = subprocess.run([sys.executable, page], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1 and "ZeroDivisionError" in run.stderr
    assert list(tmp_path.glob("*.png")) == [] and run.stdout == ""
