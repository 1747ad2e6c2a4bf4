import errno
import os
import resource
import stat
import subprocess
from contextlib import contextmanager

import pytest
import torch

from a3.lab.saved_runs import CheckpointError, SavedRun, kept, load, restore, save, state_of


def test_what_was_written_is_read_by_the_same_run_only(tmp_path):
    path = tmp_path / "run.pt"
    assert SavedRun(path, {"seed": 0}).read() is None
    SavedRun(path, {"seed": 0}).write({"steps": 3})
    assert SavedRun(path, {"seed": 0}).read()["steps"] == 3
    with pytest.raises(
        CheckpointError,
        match=r"run\.pt belongs to another run: seed is 0 there and 1 here; .*delete",
    ):
        SavedRun(path, {"seed": 1}).read()
    with pytest.raises(CheckpointError, match="it was written with other settings; start afresh"):
        SavedRun(path, {"steps": 1}, "start afresh").read()
    SavedRun(path, [0, 1]).write({})
    with pytest.raises(CheckpointError, match="another run: 1 there and 2 here;"):
        SavedRun(path, [0, 2]).read()


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


def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save({"old": 1}, path)
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", no_space)
        with pytest.raises(CheckpointError, match=r"cannot write .*run\.pt: the disk is full"):
            save({"new": torch.zeros(10)}, path)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["run.pt"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_reported_and_leaves_the_old_file(small_disk):
    save({"old": 1}, small_disk / "run.pt")
    match = r"cannot write .*run\.pt: the disk is full, .*small has [\d.]+ of 1.0 MB left"
    with pytest.raises(CheckpointError, match=match):
        save({"new": torch.zeros(1_000_000)}, small_disk / "run.pt")
    assert os.listdir(small_disk) == ["run.pt"] and load(small_disk / "run.pt") == {"old": 1}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_a_file_is_as_the_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save({"x": 1}, tmp_path / "run.pt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.pt").stat().st_mode) == mode


def test_what_is_kept_is_given_and_what_is_damaged_is_named(tmp_path):
    path = tmp_path / "run.pt"
    assert kept(path) is None
    save({"x": 1}, path)
    assert kept(path) == {"x": 1}
    path.write_bytes(b"damaged")
    with pytest.warns(RuntimeWarning, match=r"run\.pt.*damaged[^;]*; it is made again$") as record:
        assert kept(path) is None
    assert len(record) == 1 and "delete" not in str(record[0].message)


def test_a_damaged_checkpoint_is_to_be_deleted(tmp_path):
    (tmp_path / "run.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged.*; delete it to start again$"):
        SavedRun(tmp_path / "run.pt", []).read()


def parts(seed):
    """A run of each kind of thing whose state is kept."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(2)]
    torch.manual_seed(seed)
    model, weights = torch.nn.Linear(2, 2), {"w": torch.randn(2, requires_grad=True)}
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer, "generators": generators, "weights": weights}


def test_the_parts_of_a_run_are_restored(tmp_path):
    one, other = parts(seed=0), parts(seed=1)
    save(state_of(**one), tmp_path / "run.pt")
    restore(load(tmp_path / "run.pt"), **other)
    assert torch.equal(one["model"].weight, other["model"].weight)
    assert torch.equal(one["weights"]["w"], other["weights"]["w"])
    moments = [each["optimizer"].state_dict()["state"][0]["exp_avg"] for each in (one, other)]
    assert torch.equal(*moments)
    drawn = [[torch.rand(3, generator=g) for g in each["generators"]] for each in (one, other)]
    assert all(map(torch.equal, *drawn))


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
    reported = pytest.raises(
        CheckpointError, match=r"cannot write .*run\.pt: File too large.*another folder"
    )
    with reported, small_files_only():
        save({"new": torch.zeros(100_000)}, path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["run.pt"]


def test_an_interrupt_while_writing_leaves_the_old_file_alone(tmp_path, monkeypatch):
    save({"old": 1}, tmp_path / "run.pt")
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save({"new": 1}, tmp_path / "run.pt")
    assert os.listdir(tmp_path) == ["run.pt"] and load(tmp_path / "run.pt") == {"old": 1}
