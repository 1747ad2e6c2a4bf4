"""Results written for others and taken from them, from folders and from a real HTTP server."""

import functools
import hashlib
import http.server
import json
import pickle
import threading
import time
import warnings

import pytest
import torch

from a3.lab import published
from a3.lab.published import export, fetch
from a3.lab.saved_runs import CheckpointError, load, save
from a3.lab.sweeps import result_path, run_all


def square(x):
    return {"y": x * x, "weights": torch.full((3,), float(x))}


def forbidden(x):
    raise AssertionError("it ran")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "first"))
    monkeypatch.delenv("A3_RESULTS", raising=False)
    published._entries.cache_clear()
    published._silent.clear()


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Two results, exported; then another, empty, cache."""
    run_all(square, [{"x": 2}, {"x": 3}], workers=1, progress=False)
    paths = {f"square/{x}": result_path(square, {"x": x}) for x in (2, 3)}
    export(tmp_path / "book", paths, {name: "x" for name in paths})
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "second"))
    return tmp_path / "book"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Halves(Quiet):
    """Sends half of what it promises."""

    def copyfile(self, source, output):
        content = source.read()
        output.write(content[: len(content) // 2])


def served(folder, handler=Quiet):
    handler = functools.partial(handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


def made(setting=None):
    """A call whose result is looked up: whether it was fetched, the warnings, and its path."""
    path = result_path(square, setting or {"x": 2})
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        there = fetch(path) is not None
    assert all("\n" not in str(note.message) for note in notes)
    return there, [str(note.message) for note in notes], path


def test_the_manifest_names_what_was_written_and_how_it_was_made(book):
    entries = json.loads((book / "manifest.json").read_text())["results"]
    assert [entry["name"] for entry in entries] == ["square/2", "square/3"]
    for entry in entries:
        content = (book / f"{entry['key']}.pt").read_bytes()
        assert entry["bytes"] == len(content) and entry["by"].endswith(".square")
        assert {"sha256", "seconds", "date", "processor", "python", "torch"} <= {*entry}


@pytest.mark.parametrize("place", ["folder", "url"])
def test_a_sweep_takes_what_is_published_and_makes_the_rest(book, place, monkeypatch):
    server, address = served(book)
    with server:
        monkeypatch.setenv("A3_RESULTS", str(book) if place == "folder" else f"{address}/")
        before = {path.name: path.read_bytes() for path in book.glob("*.pt")}
        results = run_all(square, [{"x": 2}, {"x": 4}], workers=1, progress=False)
        server.shutdown()
    assert [result["y"] for result in results] == [4, 16]
    assert result_path(square, {"x": 2}).read_bytes() == before[result_path(square, {"x": 2}).name]


def test_what_is_kept_is_not_fetched(book, monkeypatch):
    run_all(square, [{"x": 2}], workers=1, progress=False)
    monkeypatch.setenv("A3_RESULTS", "/no/such/place")
    assert run_all(square, [{"x": 2}], workers=1, progress=False)[0]["y"] == 4


@pytest.mark.parametrize("place", ["/no/such/folder", "http://127.0.0.1:9", "nonsense://x"])
def test_a_place_that_is_not_there_is_named_once(book, place, monkeypatch):
    monkeypatch.setenv("A3_RESULTS", place)
    there, notes, _ = made()
    assert not there and len(notes) == 1
    assert notes[0].startswith(f"no results are taken from A3_RESULTS, {place}: ")
    assert made()[1] == []


def test_a_url_without_a_manifest_is_named(tmp_path, monkeypatch):
    server, address = served(tmp_path)
    with server:
        monkeypatch.setenv("A3_RESULTS", address)
        there, notes, _ = made()
        server.shutdown()
    assert not there and "404" in notes[0]


def test_half_a_file_is_named_and_made_again(book, monkeypatch):
    whole, halves = served(book), served(book, Halves)
    with whole[0], halves[0]:
        monkeypatch.setenv("A3_RESULTS", whole[1])
        entries = published._entries(whole[1])
        monkeypatch.setattr(published, "_entries", lambda place: entries)
        monkeypatch.setenv("A3_RESULTS", halves[1])
        there, notes, path = made()
        for server, _ in (whole, halves):
            server.shutdown()
    assert not there and not path.exists()
    assert len(notes) == 1 and notes[0].startswith(f"square/2 is not taken from {halves[1]}/")


def test_a_file_that_is_not_the_manifests_is_refused(book, monkeypatch):
    monkeypatch.setenv("A3_RESULTS", str(book))
    two, three = (book / result_path(square, {"x": x}).name for x in (2, 3))
    two.write_bytes(three.read_bytes())  # of another run, as large
    there, notes, path = made()
    assert not there and not path.exists() and "SHA-256 is not the manifest's" in notes[0]
    two.write_bytes(b"short")
    assert "it has not" in made()[1][0]


def test_a_file_that_would_run_code_is_refused(book, monkeypatch, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    monkeypatch.setenv("A3_RESULTS", str(book))
    file = book / result_path(square, {"x": 2}).name
    torch.save({"result": Trap()}, file, pickle_module=pickle)
    manifest = json.loads((book / "manifest.json").read_text())
    content = file.read_bytes()
    for entry in manifest["results"]:
        if entry["key"] == file.stem:
            entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (book / "manifest.json").write_text(json.dumps(manifest))
    there, notes, path = made()
    assert not there and not path.exists() and not (tmp_path / "ran").exists()
    assert "damaged" in notes[0]


def test_a_manifest_that_leads_to_another_folder_or_is_none_is_named(book, monkeypatch):
    monkeypatch.setenv("A3_RESULTS", str(book))
    file = book / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["results"][0]["key"] = "../../secret"
    file.write_text(json.dumps(manifest))
    there, notes, _ = made({"x": 3})
    assert there and notes == [f"{file} has 1 entries that name no result"]
    for text in ("[1, 2]", "{", "{}", "null", "<html>", '{"results": 7}'):
        file.write_text(text)
        published._entries.cache_clear()
        assert "manifest.json is not one that python -m a3.runs export writes" in made()[1][0]


@pytest.mark.parametrize(
    "wrong",
    [7, None, [], {}, {"bytes": True}, {"bytes": -1}, {"bytes": 10**30}, {"name": "a\n\x1b[31mb"}]
    + [{"name": "x" * 101}, {"sha256": 1}],
    ids=str,
)
def test_an_entry_that_is_none_leaves_the_others(book, monkeypatch, wrong):
    monkeypatch.setenv("A3_RESULTS", str(book))
    file = book / "manifest.json"
    manifest = json.loads(file.read_text())
    if isinstance(wrong, dict) and wrong:
        manifest["results"][0] |= wrong
    else:
        manifest["results"].append(wrong)
    file.write_text(json.dumps(manifest))
    there, notes, _ = made({"x": 3})
    assert there and notes == [f"{file} has 1 entries that name no result"]


def replaced(book, content):
    """The first result with other content, and a manifest that fits it."""
    file = book / result_path(square, {"x": 2}).name
    save(content, file)
    manifest = json.loads((book / "manifest.json").read_text())
    for entry in manifest["results"]:
        if entry["key"] == file.stem:
            data = file.read_bytes()
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (book / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "content",
    [{"result": {"y": 4}}, {"result": [1]}, {"a": 1}]
    + [{"result": {}, "seconds": 1.0, "made": "by hand"}, {"result": {}, "seconds": 1, "made": {}}],
    ids=str,
)
def test_a_file_that_holds_no_result_of_a_run_is_refused(book, monkeypatch, content):
    monkeypatch.setenv("A3_RESULTS", str(book))
    replaced(book, content)
    there, notes, path = made()
    assert not there and not path.exists()
    assert notes[0].endswith("cannot read it: it holds no result of a run")
    monkeypatch.delenv("A3_RESULTS")
    save(content, path)  # nor is it taken where it is kept already
    with pytest.warns(RuntimeWarning, match="it holds no result of a run; it is made again"):
        assert run_all(square, [{"x": 2}], workers=1, progress=False)[0]["y"] == 4


def test_what_another_sweep_has_kept_meanwhile_stays(book, monkeypatch):
    monkeypatch.setenv("A3_RESULTS", str(book))
    path = result_path(square, {"x": 2})
    good = (book / path.name).read_bytes()

    def slow(source, most, read=published._read):
        if source.endswith(".json"):
            return read(source, most)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(good)
        return b"half"

    monkeypatch.setattr(published, "_read", slow)
    assert not made()[0]
    assert path.read_bytes() == good


def test_what_cannot_be_kept_is_used_all_the_same(book, monkeypatch):
    monkeypatch.setenv("A3_RESULTS", str(book))

    def full(content, file):
        raise CheckpointError("cannot write: the disk is full")

    monkeypatch.setattr(published, "write_whole", full)
    with pytest.warns(RuntimeWarning, match="square/2 is not kept: cannot write: the disk is full"):
        assert run_all(square, [{"x": 2}], workers=1, progress=False)[0]["y"] == 4
    assert not result_path(square, {"x": 2}).exists()


class Drips(Quiet):
    """Sends a manifest at once, and a byte of all else now and then."""

    asked = 0

    def copyfile(self, source, output):
        if self.path.endswith(".json"):
            return super().copyfile(source, output)
        type(self).asked += 1
        for byte in source.read():
            output.write(bytes([byte]))
            time.sleep(0.05)


def test_a_server_that_is_too_slow_is_given_up(book, monkeypatch):
    monkeypatch.setattr(published, "_PATIENCE", 0.2)
    monkeypatch.setattr(Drips, "asked", 0)
    server, address = served(book, Drips)
    with server:
        monkeypatch.setenv("A3_RESULTS", address)
        begun = time.monotonic()
        assert "it comes too slowly" in made()[1][0]
        assert made({"x": 3})[:2] == (False, [])  # nor is it asked again
        assert time.monotonic() - begun < 5 and Drips.asked == 1
        server.shutdown()


def test_a_manifest_without_end_is_not_read_to_its_end(book, monkeypatch):
    monkeypatch.setenv("A3_RESULTS", str(book))
    monkeypatch.setattr(published, "_LONGEST", 100)
    assert "manifest.json is not one" in made()[1][0]


def test_a_password_is_not_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("A3_RESULTS", "http://user:secret@127.0.0.1:9")
    assert "secret" not in made()[1][0]


def test_an_export_keeps_what_was_exported_before_and_no_other_manifest(book):
    before = json.loads((book / "manifest.json").read_text())["results"]
    assert export(book, {}, {}) == []
    assert json.loads((book / "manifest.json").read_text())["results"] == before
    (book / "manifest.json").write_text('{"name": "an app"}')
    with pytest.raises(ValueError, match="is not a manifest of results: give another folder"):
        export(book, {}, {})
    assert (book / "manifest.json").read_text() == '{"name": "an app"}'


def test_a_full_disk_half_way_leaves_the_manifest_that_was_there(book, monkeypatch):
    before = (book / "manifest.json").read_text()
    path = result_path(square, {"x": 5})
    save({"result": {}, "seconds": 0.0, "made": {"by": "me"}}, path)

    def full(content, file, instead):
        raise CheckpointError("cannot write: the disk is full")

    monkeypatch.setattr(published, "write_whole", full)
    with pytest.raises(CheckpointError, match="disk is full"):
        export(book, {"five": path}, {"five": ""})
    assert (book / "manifest.json").read_text() == before


def test_a_damaged_result_is_left_out_and_named(book):
    path = result_path(square, {"x": 7})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no result")
    with pytest.warns(RuntimeWarning, match="left out: cannot read"):
        assert export(book, {"seven": path}, {"seven": ""}) == []
    assert load(next(book.glob("*.pt")))
