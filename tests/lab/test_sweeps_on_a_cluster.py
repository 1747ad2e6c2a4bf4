"""Sweeps on Dask: a real cluster of worker processes on this machine."""

import os
import signal
import time
from pathlib import Path

import joblib
import pytest

distributed = pytest.importorskip("distributed", reason="the test extra is not installed")

from a3.lab.sweeps import run_all, run_calls  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # a killed worker leaves warnings behind


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cluster(cache):
    """Two workers, each a process of its own."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield cluster


def slow(x, folder):
    """Leave a file that says who worked on it, then take a while."""
    Path(folder, f"{x}-{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(0.2)
    if x < 0:
        raise ValueError(f"{x} is negative")
    return {"y": x * x}


def run(numbers, folder):
    with joblib.parallel_config("dask"):
        return run_all(slow, [{"x": x, "folder": str(folder)} for x in numbers], progress=False)


def seen(folder):
    """Numbers and workers, one for each time that a run was started."""
    return [tuple(map(int, name.rsplit("-", 2)[:2])) for name in os.listdir(folder)]


def test_runs_go_to_the_workers_and_are_made_once(cluster, tmp_path):
    (folder := tmp_path / "calls").mkdir()
    assert [result["y"] for result in run(range(6), folder)] == [0, 1, 4, 9, 16, 25]
    numbers, workers = zip(*seen(folder), strict=True)
    assert sorted(numbers) == list(range(6))
    assert set(workers) == {worker.pid for worker in cluster.workers.values()}
    assert [result["y"] for result in run(range(7), folder)] == [0, 1, 4, 9, 16, 25, 36]
    assert len(seen(folder)) == 7


def test_a_failed_run_is_named_and_the_others_are_kept(cluster, tmp_path):
    (folder := tmp_path / "calls").mkdir()
    with pytest.raises(RuntimeError, match="1 of 3 runs failed.*\n.*-1 is negative"):
        run([2, -1, 3], folder)
    assert [result["y"] for result in run([2, 3], folder)] == [4, 9]
    assert len(seen(folder)) == 3


def kill_first(x, folder, killer):
    """The first run to start kills its own worker, once."""
    try:
        Path(killer).touch(exist_ok=False)
    except FileExistsError:
        return slow(x, folder)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_killed_in_mid_sweep_loses_nothing(cluster, tmp_path):
    (folder := tmp_path / "calls").mkdir()
    settings = [
        {"x": x, "folder": str(folder), "killer": str(tmp_path / "killed")} for x in range(8)
    ]
    with joblib.parallel_config("dask"):
        results = run_all(kill_first, settings, progress=False)
    assert (tmp_path / "killed").exists()
    assert [result["y"] for result in results] == [x * x for x in range(8)]


def cube(x):
    return {"y": x**3}


def test_calls_of_several_functions_go_to_the_workers(cluster, tmp_path):
    calls = [(slow, {"x": 2, "folder": str(tmp_path)}), (cube, {"x": 2}), (cube, {"x": 3})]
    with joblib.parallel_config("dask"):
        assert [each["y"] for each in run_calls(calls, progress=False)] == [4, 8, 27]
        late = [(cube, {"x": 4}), (cube, {"x": 3})]
        assert run_calls(late, minutes=0, progress=False) == [None, {"y": 27}]
