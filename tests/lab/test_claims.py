import os
import signal
import subprocess
import sys
import threading

import pytest

from a3.lab.claims import claim

pytest.importorskip("fcntl", reason="there are no such locks on Windows")

HOLD = """
import sys, time
from pathlib import Path
from a3.lab.claims import claim
with claim(Path(sys.argv[1])) as held:
    held.write(b"mine")
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a claim."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "x.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_process_holds_a_claim_until_it_is_killed(tmp_path, holder):
    path = tmp_path / "x.lock"
    with claim(path) as held:
        assert held is None
    assert path.exists()
    threading.Timer(0.5, os.kill, (holder.pid, signal.SIGKILL)).start()
    with claim(path, wait=True) as held:
        held.seek(0)
        assert held.read() == b"mine"
        with claim(path) as other:
            assert other is None
    assert not path.exists()


def test_who_waited_for_a_claim_that_was_given_up_holds_a_new_one(tmp_path):
    path, order = tmp_path / "x.lock", []

    def wait():
        with claim(path, wait=True):
            order.append("second")
            with claim(path) as other:
                order.append(other)

    with claim(path):
        thread = threading.Thread(target=wait)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second", None] and not path.exists()


def test_where_no_file_can_be_made_whoever_asks_holds_it(tmp_path):
    (tmp_path / "file").touch()
    with claim(tmp_path / "file" / "x.lock") as held:
        assert held is not None
