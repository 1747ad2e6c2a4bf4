import os
import socket
import sys
import threading
import time
import types
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from a3.lab.environment import hub_reachable


@pytest.fixture(autouse=True)
def ask_again(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    hub_reachable.cache_clear()
    yield
    hub_reachable.cache_clear()


@contextmanager
def hub_that_answers(status, monkeypatch):
    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


def test_a_hub_that_answers_is_reachable(monkeypatch):
    with hub_that_answers(200, monkeypatch):
        assert hub_reachable()
    assert hub_reachable(), "it must be asked once only"


def test_a_refusal_is_not_an_answer(monkeypatch):
    with hub_that_answers(403, monkeypatch):
        assert not hub_reachable()


def test_without_network_its_libraries_are_put_offline(monkeypatch):
    def cut(*_, **__):
        raise OSError("the network is cut")

    monkeypatch.setattr(socket, "create_connection", cut)
    constants = types.ModuleType("huggingface_hub.constants")
    constants.HF_HUB_OFFLINE = False
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", constants)
    assert not hub_reachable()
    assert os.environ["HF_HUB_OFFLINE"] == "1" and constants.HF_HUB_OFFLINE


def test_the_variable_is_believed_without_asking(monkeypatch):
    monkeypatch.setattr("a3.lab.environment._answers", lambda _: pytest.fail("it was asked"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "yes")
    assert not hub_reachable()


def test_a_name_that_never_resolves_costs_the_timeout(monkeypatch):
    monkeypatch.setattr("a3.lab.environment._answers", lambda _: time.sleep(5))
    started = time.perf_counter()
    assert not hub_reachable(timeout=0.2)
    assert time.perf_counter() - started < 2
