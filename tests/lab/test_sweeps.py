import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import asdict
from pathlib import Path

import joblib
import pytest
import torch

import a3.lab.sweeps
from a3.lab.environment import cache_folder, profile
from a3.lab.saved_runs import CheckpointError, load, save
from a3.lab.sweeps import about, result_path, run_all, run_calls
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.training import Hyperparameters, train
from a3.translation.word_pairs import WordPairs


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def calls(tmp_path):
    """A folder in which every call leaves a file."""
    (tmp_path / "calls").mkdir()
    return tmp_path / "calls"


def square(x, folder):
    Path(folder, f"{x} {uuid.uuid4()}").touch()
    if x < 0:
        raise ValueError(f"{x} is negative")
    return {"y": x * x, "tensor": torch.full((3,), float(x))}


def run(numbers, calls, workers=1, function=square):
    settings = [{"x": x, "folder": str(calls)} for x in numbers]
    return run_all(function, settings, workers=workers, progress=False)


def count(calls):
    return len(os.listdir(calls))


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_settings_and_are_made_once(calls, workers):
    results = run([3, 1, 2], calls, workers)
    assert [result["y"] for result in results] == [9, 1, 4]
    assert count(calls) == 3
    again = run([2, 3, 1], calls, workers)
    assert [result["y"] for result in again] == [4, 9, 1]
    assert torch.equal(again[0]["tensor"], torch.full((3,), 2.0))
    assert count(calls) == 3
    assert [result["y"] for result in run([1, 5], calls, workers)] == [1, 25]
    assert count(calls) == 4


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_runs_go_to_the_backend_that_the_caller_has_chosen(calls, backend):
    """Multiprocessing stands for those that give all results at once, such as Ray's."""
    with joblib.parallel_config(backend, n_jobs=2):
        results = run([3, 1, 2], calls, function=who)
    assert [result["y"] for result in results] == [9, 1, 4]
    inside = {result["pid"] == os.getpid() for result in results}
    assert inside == {backend == "threading"}


def who(x, folder):
    return square(x, folder) | {"pid": os.getpid()}


def test_another_function_makes_its_own_results(calls):
    run([3], calls)

    def cube(x, folder):
        return square(x, folder) | {"y": x**3}

    assert run([3], calls, function=cube) == [{"y": 27, "tensor": pytest.approx([3, 3, 3])}]
    assert count(calls) == 2


def test_no_settings_give_no_results():
    assert run_all(square, []) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_run_is_named_and_the_others_are_kept(calls, workers):
    with pytest.raises(
        RuntimeError, match="1 of 3 runs failed.*\n.*'x': -1.*ValueError: -1 is neg"
    ):
        run([2, -1, 3], calls, workers)
    assert count(calls) == 3
    assert [result["y"] for result in run([2, 3], calls, workers)] == [4, 9]
    assert count(calls) == 3


@pytest.mark.parametrize("damage", [b"", b"\x80\x04damaged", None], ids=["empty", "bytes", "cut"])
def test_a_damaged_result_is_made_again_with_one_warning(cache, calls, damage):
    run([2, 3], calls)
    path = sorted(cache.glob("*.pt"))[0]
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.warns(RuntimeWarning, match=f"{path.name}.*damaged.*made again") as record:
        results = run([2, 3], calls)
    assert len(record) == 1 and [result["y"] for result in results] == [4, 9]
    assert count(calls) == 3
    assert [result["y"] for result in run([2, 3], calls)] == [4, 9]  # without a warning
    assert count(calls) == 3


def test_a_cache_that_cannot_be_written_gives_one_warning_and_the_results(
    tmp_path, calls, monkeypatch
):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "file" / "cache"))
    for made in (2, 4):
        with pytest.warns(RuntimeWarning, match="cannot write to .*Set A3_CACHE") as record:
            results = run([2, 3], calls)
        assert len(record) == 1 and [result["y"] for result in results] == [4, 9]
        assert count(calls) == made


def test_a_disk_that_fills_up_gives_one_warning_and_the_results(cache, calls, monkeypatch):
    def no_space(state, path):
        if state:
            raise CheckpointError(f"cannot write {path}: No space left on device")
        save(state, path)

    monkeypatch.setattr(a3.lab.sweeps, "save", no_space)
    with pytest.warns(RuntimeWarning, match="not kept:\n.*\n.*No space left") as record:
        results = run([2, 3], calls)
    assert len(record) == 1 and [result["y"] for result in results] == [4, 9]
    assert list(cache.iterdir()) == []


def test_a_read_only_cache_still_gives_what_is_kept(calls, monkeypatch):
    run([2, 3], calls)

    def read_only(state, path):
        raise CheckpointError(f"cannot write {path}: Read-only file system")

    monkeypatch.setattr(a3.lab.sweeps, "save", read_only)
    assert [result["y"] for result in run([2, 3], calls)] == [4, 9]
    assert count(calls) == 2


def unreadable(x, folder):
    return square(x, folder) | {"object": Path(folder)}


def test_a_result_that_cannot_be_kept_is_reported_when_it_is_made(calls):
    with pytest.warns(RuntimeWarning, match="not kept:\n.*'x': 2"):
        assert run([2], calls, function=unreadable)[0]["y"] == 4


class Killed(WordPairs):
    """Words whose third epoch kills the process, if ``alive`` exists."""

    def batches(self, batch_size, generator=None):
        yield from super().batches(batch_size, generator)
        self.epoch = getattr(self, "epoch", 0) + (generator is not None)
        if self.epoch == 3 and self.alive.exists():
            self.alive.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def learn(folder, checkpoint):
    Path(folder, str(uuid.uuid4())).touch()
    pairs = Killed(["team", "quick", "string", "my"])
    pairs.alive = Path(folder).parent / "alive"
    model = EncoderDecoder(8, 1)
    hp = Hyperparameters(epochs=5, batch_size=2)
    history = train(model, pairs, WordPairs(["you"]), hp, checkpoint=checkpoint, progress=False)
    return {"history": asdict(history) | {"seconds": []}, "weights": model.state_dict()}


RUN_AND_DIE = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.lab.test_sweeps import learn, run_all
run_all(learn, [{"folder": sys.argv[2]}], workers=1, progress=False)
"""


@pytest.fixture
def killed(tmp_path, calls):
    """A run of which two epochs were done when its process was killed."""
    (tmp_path / "alive").touch()
    command = [sys.executable, "-c", RUN_AND_DIE, str(Path(__file__).parents[2]), str(calls)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def assert_learnt(calls, cache):
    (result,) = run_all(learn, [{"folder": str(calls)}], workers=1, progress=False)
    expected = learn(str(calls), checkpoint=None)
    assert result["history"] == expected["history"]
    for name, weight in expected["weights"].items():
        assert torch.equal(result["weights"][name], weight)
    assert [path.suffix for path in cache.iterdir()] == [".pt"]  # no checkpoint left


def test_a_killed_run_resumes_to_the_same_result(cache, calls, killed):
    checkpoint, lock = sorted(cache.iterdir())
    assert (checkpoint.suffix, lock.suffix) == (".checkpoint", ".lock")
    assert len(load(checkpoint)["history"]["valid_loss"]) == 2
    assert_learnt(calls, cache)


def test_a_killed_run_whose_checkpoint_is_damaged_starts_again(cache, calls, killed):
    (checkpoint,) = cache.glob("*.checkpoint")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1_000])
    with pytest.warns(
        RuntimeWarning, match="checkpoint: the file is damaged.*made again"
    ) as record:
        assert_learnt(calls, cache)
    assert len(record) == 1


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "full"), ("full", "full"), ("quick", "quick")]
)
def test_the_profile_is_that_of_the_environment(monkeypatch, value, expected):
    monkeypatch.delenv("A3_PROFILE", raising=False)
    if value:
        monkeypatch.setenv("A3_PROFILE", value)
    assert profile() == expected


@pytest.mark.parametrize("value", ["fast", "Quick", ""])
def test_another_profile_is_refused(monkeypatch, value):
    monkeypatch.setenv("A3_PROFILE", value)
    with pytest.raises(ValueError, match=f"must be 'full' or 'quick', got '{value}'"):
        profile()


def test_the_cache_is_where_the_environment_says_or_in_the_home_folder(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("A3_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "a3"


@pytest.mark.parametrize("value", ["", "~/kept"])
def test_an_empty_cache_is_the_default_and_a_tilde_is_the_home_folder(monkeypatch, tmp_path, value):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("A3_CACHE", value)
    assert cache_folder() == tmp_path / (value.removeprefix("~/") or ".cache/a3")


def cube(x):
    return {"y": x**3}


def test_calls_of_several_functions_share_a_sweep(calls):
    own = {"x": 3, "folder": str(calls)}
    both = [(square, own), (cube, {"x": 2})]
    assert [each["y"] for each in run_calls(both, seconds=[60, 1], progress=False)] == [9, 8]
    assert run_all(cube, [{"x": 2}]) == [{"y": 8}] and result_path(cube, {"x": 2}).exists()
    assert run_calls([(square, own)])[0]["y"] == 9 and count(calls) == 1


def test_how_a_result_was_made_is_kept_with_it():
    run_all(cube, [{"x": 2}], workers=1, progress=False)
    made = about(result_path(cube, {"x": 2}))
    assert 0 <= made["seconds"] < 60 and made["torch"] == torch.__version__
    assert set(made) == {"by", "seconds", "date", "processor", "python", "torch"}
    with pytest.raises(FileNotFoundError):
        about(result_path(cube, {"x": 5}))


def test_what_a_process_left_that_was_killed_at_the_very_end_is_deleted(cache):
    run_all(cube, [{"x": 2}, {"x": 3}], workers=1, progress=False)
    path = result_path(cube, {"x": 2})
    for suffix in (".lock", ".checkpoint", ".pt.0123.tmp"):
        path.with_name(path.stem + suffix).touch()
    other = cache / "another.checkpoint"
    other.touch()
    assert run_all(cube, [{"x": 2}]) == [{"y": 8}]
    assert sorted(cache.iterdir()) == sorted([other, path, result_path(cube, {"x": 3})])


def dies(x, folder, times):
    """Kill the process in the first calls of a number of ``x``."""
    square(x, folder)
    if x == 2 and sum(name.startswith("2 ") for name in os.listdir(folder)) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"y": x * x}


@pytest.mark.parametrize("workers", [2, -1])
def test_a_run_whose_process_is_killed_is_tried_again(cache, calls, workers):
    settings = [{"x": x, "folder": str(calls), "times": 1} for x in (2, 3, 4)]
    results = run_all(dies, settings, workers=workers, progress=False)
    assert [result["y"] for result in results] == [4, 9, 16] and count(calls) == 4
    assert {path.suffix for path in cache.iterdir()} == {".pt"}


def test_a_run_that_is_killed_twice_is_named_and_the_others_are_kept(calls):
    settings = [{"x": x, "folder": str(calls), "times": 2} for x in (2, 3, 4)]
    with pytest.raises(RuntimeError, match="1 of 3 runs failed.*\n.*'x': 2.*killed twice.*SIGKILL"):
        run_all(dies, settings, workers=2, progress=False)
    assert count(calls) == 4
    assert [each["y"] for each in run_all(dies, settings[1:])] == [9, 16] and count(calls) == 4


def slow(x, folder, seconds):
    square(x, folder)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not (Path(folder).parent / "go").exists():
        time.sleep(min(0.05, seconds))
    Path(folder, f"end {x}").touch()
    return {"y": x * x}


def test_when_time_is_up_what_is_finished_is_kept(cache, calls):
    def slow_calls(*seconds):
        return [(slow, {"x": i, "folder": str(calls), "seconds": s}) for i, s in enumerate(seconds)]

    run_calls([(cube, {"x": x}) for x in (1, 2)], workers=2)  # the processes are there
    many = slow_calls(0, 0, 60, 60, 60)
    begun = time.monotonic()
    results = run_calls(many, workers=2, minutes=0.1, progress=False)
    assert time.monotonic() - begun < 20
    assert [each and each["y"] for each in results] == [0, 1, None, None, None]
    started = count(calls)
    assert run_calls(many[:2]) == results[:2] and count(calls) == started <= 6


SLOW = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.lab.test_sweeps import slow, run_all
settings = [{"x": x, "folder": sys.argv[2], "seconds": float(sys.argv[3])} for x in range(4)]
print([each["y"] for each in run_all(slow, settings, workers=2, progress=False)])
"""


def start(calls, seconds):
    """A sweep of four slow runs in a process, and a session, of its own."""
    command = [sys.executable, "-c", SLOW, str(Path(__file__).parents[2]), str(calls), str(seconds)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def await_calls(calls, number):
    until = time.monotonic() + 120
    while count(calls) < number:
        assert time.monotonic() < until, "the sweep does not begin"
        time.sleep(0.05)


def alive(session):
    """Processes of a session, but for those that are only to be collected."""
    listed = subprocess.run(["ps", "-eo", "sess=,stat=,pid="], capture_output=True, text=True)
    lines = [line.split() for line in listed.stdout.splitlines()]
    return [pid for own, state, pid in lines if int(own) == session and state[0] != "Z"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whole", [False, True], ids=["parent", "group"])
def test_no_process_outlives_its_sweep(calls, number, whole):
    sweep = start(calls, 600)
    await_calls(calls, 2)
    (os.killpg if whole else os.kill)(sweep.pid, number)
    sweep.wait(60)
    until = time.monotonic() + 30
    while alive(sweep.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert alive(sweep.pid) == []
    _, said = sweep.communicate()
    assert "resource_tracker" not in said


def test_two_sweeps_on_one_folder_share_the_work(cache, calls):
    sweeps = [start(calls, 1.0) for _ in range(2)]
    assert [sweep.communicate()[0] for sweep in sweeps] == ["[0, 1, 4, 9]\n"] * 2
    assert count(calls) == 8  # a start and an end of each of the four
    assert {path.suffix for path in cache.iterdir()} == {".pt"}


@pytest.mark.slow
def test_what_a_dead_sweep_had_claimed_is_done_by_another(cache, calls):
    first = start(calls, 600)
    await_calls(calls, 2)
    other = start(calls, 600)
    await_calls(calls, 4)  # it has begun with the others
    first.kill()
    first.communicate()
    (calls.parent / "go").touch()  # nothing waits any longer
    assert other.communicate()[0] == "[0, 1, 4, 9]\n"
    assert count(calls) == 6 + 4
    assert {path.suffix for path in cache.iterdir()} == {".pt"}
