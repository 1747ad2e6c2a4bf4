import errno
import os
import resource
from contextlib import contextmanager

import pytest
import torch

from a3.lab.saved_runs import CheckpointError, SavedRun, load, save


def test_what_was_written_is_read_by_the_same_run_only(tmp_path):
    path = tmp_path / "run.pt"
    assert SavedRun(path, {"seed": 0}).read() is None
    SavedRun(path, {"seed": 0}).write({"steps": 3})
    assert SavedRun(path, {"seed": 0}).read()["steps"] == 3
    with pytest.raises(CheckpointError, match=r"run\.pt belongs to another run.*delete it"):
        SavedRun(path, {"seed": 1}).read()


def test_a_run_is_written_when_the_last_time_was_some_seconds_ago(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("a3.lab.saved_runs.time.perf_counter", lambda: clock[0])
    asked = []
    run = SavedRun(tmp_path / "run.pt", [])
    for clock[0] in (101.0, 119.0, 121.0, 140.0, 142.0):
        run.write_at_times(lambda: asked.append(clock[0]) or {"at": clock[0]})
    assert asked == [121.0, 142.0] and run.read()["at"] == 142.0


def test_without_a_path_nothing_is_kept_or_worked_out(monkeypatch):
    monkeypatch.setattr("a3.lab.saved_runs._SECONDS", 0)
    run = SavedRun(None, {})
    run.write({"steps": 1})
    run.write_at_times(lambda: pytest.fail("nobody needs the state"))
    assert run.read() is None


def test_a_missing_file_is_not_taken_for_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "run.pt")


def no_space(*args, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(*args, **options):
    raise KeyboardInterrupt


def half_written(state, file):
    file.write(b"half")
    no_space()


def torch_has_no_space(state, file):
    raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")


@pytest.mark.parametrize(
    ("name", "failure"),
    [("torch.save", half_written), ("torch.save", torch_has_no_space), ("os.replace", no_space)],
)
def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path, monkeypatch, name, failure):
    path = tmp_path / "run.pt"
    save({"old": 1}, path)
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(name, failure)
        with pytest.raises(CheckpointError, match=r"cannot write .*run\.pt: .*Free some space"):
            save({"new": torch.zeros(10)}, path)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["run.pt"]


@contextmanager
def small_files_only():
    """No file may grow beyond some bytes, as on a full disk; pytest's own log neither."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_reported(tmp_path):
    path = tmp_path / "run.pt"
    path.write_bytes(b"old")
    reported = pytest.raises(CheckpointError, match=r"cannot write .*run\.pt: .*Free some space")
    with reported, small_files_only():
        save({"new": torch.zeros(100_000)}, path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["run.pt"]


def test_an_interrupt_while_writing_leaves_the_old_file_alone(tmp_path, monkeypatch):
    save({"old": 1}, tmp_path / "run.pt")
    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save({"new": 1}, tmp_path / "run.pt")
    assert os.listdir(tmp_path) == ["run.pt"] and load(tmp_path / "run.pt") == {"old": 1}
