"""The lab notebook, on runs that take no time; and that it knows those of the book."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from a3.lab.experiments import Experiment
from a3.lab.saved_runs import load
from a3.lab.sweeps import result_path, run_all
from a3.runs import __main__ as command
from a3.runs import notebook
from a3.runs.notebook import experiments, named, runs, select, slowness, train

ROOT = Path(__file__).parents[2]


def squared(x):
    return {"y": x * x}


def added(x):
    """Needs what ``squared`` gave."""
    (before,) = run_all(squared, [{"x": x}], workers=1, progress=False)
    return {"y": before["y"] + 1}


def failing(x):
    raise OSError(f"{x} is no good")


def cases(*numbers):
    return lambda: [{"x": x} for x in numbers]


TINY = {
    "squares": Experiment(("index",), squared, cases(1, 2, 3), cases(1), lambda run: run["x"]),
    "some-squares": Experiment(("index",), squared, cases(2), cases(1), lambda run: 1.0),
    "sums": Experiment(
        ("index",), added, cases(3, 4), cases(1), lambda run: 9.0, after=("squares",)
    ),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("A3_PROFILE", raising=False)
    monkeypatch.delenv("A3_RESULTS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(notebook, "experiments", lambda: dict(TINY))


def test_every_experiment_of_the_book_names_pages_that_are_there():
    for name, experiment in experiments().items():
        assert experiment.pages, name
        for page in experiment.pages:
            sources = ROOT / f"{page}.py", ROOT / "docs" / f"{page}.md"
            text = "".join(file.read_text() for file in sources if file.is_file())
            assert "a3.runs" in text, f"{page} shows no run"


@pytest.mark.parametrize("profile", ["full", "quick"])
def test_every_run_of_the_book_has_one_name_and_one_place(profile, monkeypatch):
    monkeypatch.setenv("A3_PROFILE", profile)
    found = runs()
    assert len({run.name for run in found}) == len({run.path for run in found}) == len(found)
    assert {run.path for run in found} <= named()
    assert all(run.seconds > 0 and run.summary for run in found)
    assert not any(run.kept for run in found)


def test_a_run_that_two_experiments_share_is_listed_once(tiny):
    names = [run.name for run in runs()]
    assert names == ["squares/1", "squares/2", "squares/3", "sums/1", "sums/2"]
    assert [run.name for run in select(["some squares"])] == ["squares/2"]


def test_training_makes_what_is_missing_and_no_more(tiny):
    assert train(["squares/2"], progress=False) == []
    assert [run.name for run in runs() if run.kept] == ["squares/2"]
    made = {run.path: run.path.stat().st_mtime_ns for run in runs() if run.kept}
    assert train(progress=False) == [] and all(run.kept for run in runs())
    assert all(path.stat().st_mtime_ns == time for path, time in made.items())
    assert [load(run.path)["result"]["y"] for run in runs()] == [1, 4, 9, 10, 17]


def test_the_longest_begins_first_and_what_needs_another_last(tiny, monkeypatch):
    begun = []
    monkeypatch.setattr(notebook, "run_calls", lambda calls, **_: begun.extend(calls))
    train()
    assert [setting["x"] for _, setting in begun] == [3, 2, 1, 3, 4]


def test_without_time_every_run_is_named_as_missing(tiny):
    assert len(train(minutes=0, progress=False)) == 5


def test_an_unknown_name_is_refused_with_those_near(tiny):
    with pytest.raises(ValueError, match="no run 'squers'; near it are squares"):
        train(["squers"])


def test_a_slower_machine_would_take_longer():
    assert 0.05 < slowness() < 50


def test_the_table_says_what_is_kept_and_what_is_missing(tiny, capsys):
    train(["squares"], progress=False)
    assert command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["squares/1", "kept"] and lines[1].endswith("index: x=1")
    assert lines[4].split()[:2] == ["sums/1", "missing"]
    assert lines[-2].startswith("3 kept:") and lines[-1].startswith("2 missing:")
    assert command.main(["--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["kept"] for row in rows] == [True] * 3 + [False] * 2
    assert rows[0]["bytes"] == runs()[0].path.stat().st_size


def test_training_from_a_shell(tiny, capsys):
    assert command.main(["train", "--minutes", "0"]) == 3
    assert "5 missing: squares/1, squares/2" in capsys.readouterr().out
    assert command.main(["train", "squares", "sums/1"]) == 0
    assert command.main(["train", "triangles"]) == 2
    assert "there is no run 'triangles'" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["soon", "-1", "nan", "inf", "1e9"])
def test_minutes_must_be_a_number(minutes, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["train", "--minutes", minutes])
    assert f"expected minutes, 0 to 1,000,000, got {minutes!r}" in capsys.readouterr().err


def test_a_run_that_fails_is_named_and_the_others_are_kept(monkeypatch, capsys):
    bad = Experiment(("index",), failing, cases(5), cases(5), lambda run: 1.0)
    monkeypatch.setattr(notebook, "experiments", lambda: TINY | {"bad": bad})
    assert command.main(["train"]) == 1
    assert "{'x': 5}: OSError: 5 is no good" in capsys.readouterr().err
    assert [run.name for run in runs() if not run.kept] == ["bad/1"]


def test_what_is_exported_serves_another_machine(tiny, tmp_path, capsys, monkeypatch):
    train(progress=False)
    assert command.main(["export", str(tmp_path / "out")]) == 0
    assert "wrote 5 of 5 results" in capsys.readouterr().out
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("A3_RESULTS", str(tmp_path / "out"))
    monkeypatch.setattr("a3.lab.sweeps._call", pytest.fail)  # nothing runs
    assert train(progress=False) == []


def test_an_export_to_a_folder_that_cannot_be_is_one_line(tiny, tmp_path, capsys):
    (tmp_path / "file").touch()
    train(["squares/1"], progress=False)
    assert command.main(["export", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_pruning_removes_runs_of_a3_that_the_book_no_longer_has(tiny, cache, capsys, monkeypatch):
    train(progress=False)
    run_all(failing_not, [{"x": 1}], workers=1, progress=False)  # a reader's own
    monkeypatch.setattr(squared, "__module__", "a3.old")
    run_all(squared, [{"x": 8}], workers=1, progress=False)
    monkeypatch.undo()
    monkeypatch.setenv("A3_CACHE", str(cache))
    monkeypatch.setattr(notebook, "experiments", lambda: dict(TINY))
    before = {*cache.glob("*.pt")}
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert command.main(["prune"]) == 0 and {*cache.glob("*.pt")} == before
    assert command.main(["prune", "--yes"]) == 0
    assert "1 results of a3 that no run of this book names" in capsys.readouterr().out
    assert len(before - {*cache.glob("*.pt")}) == 1 and all(run.kept for run in runs())
    assert result_path(failing_not, {"x": 1}).is_file()
    assert command.main(["prune"]) == 0
    assert "Nothing to remove" in capsys.readouterr().out


def failing_not(x):
    return {"y": x}


def test_the_command_is_there():
    done = subprocess.run(
        [sys.executable, "-m", "a3.runs", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0 and "train" in done.stdout


def test_the_lines_of_the_page_on_trained_models_load_a_run(tiny):
    page = (ROOT / "docs" / "trained_models.md").read_text()
    lines = page.partition("```python\n")[2].partition("```")[0]
    names = {}
    exec(lines.replace("four-runs/1", "squares/3"), names)
    assert names["result"] == {"y": 9}
