"""A page that fails does not stop the others, and the build fails and says where."""

import os
import tempfile

import pytest
from tiny_book import TinyBook

chapters = pytest.importorskip("chapters", reason="the docs extra is not installed")
nbformat = pytest.importorskip("nbformat", reason="the docs extra is not installed")

pytestmark = pytest.mark.slow


def test_the_other_pages_are_built(tmp_path):
    book = TinyBook(tmp_path)
    book.script("one", "loss = [3.5, 2]\nassert loss[0] < 1")
    book.chapter("first", "rate = 4\nassert rate < 2\nprint('after it')")
    book.chapter("second", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    code, said, ran = book.build()
    assert code != 0
    assert sorted(ran) == ["first", "one", "second", "third", "two"]

    summary = said[said.index("3 pages failed") :]
    line = book.path("tutorials/part/one.py").read_text().split("\n").index("assert loss[0] < 1")
    assert f"tutorials/part/one.py, line {line + 1}: AssertionError" in summary
    assert "    assert loss[0] < 1\n" in summary and "    loss[0] = 3.5\n" in summary
    line = book.path("docs/first.md").read_text().split("\n").index("assert rate < 2")
    assert f"docs/first.md, line {line + 1}: AssertionError" in summary
    assert "    assert rate < 2\n" in summary and "    rate = 4\n" in summary
    assert "docs/second.md: DeadKernelError" in summary

    pages = {name: text.decode() for name, text in book.site().items() if name.endswith(".html")}
    for name in ("first", "tutorials/part/one"):
        page = pages[f"{name}.html"]
        assert "This page failed" in page and "AssertionError" in page
    assert "rate = 4" in pages["first.html"] and "The end of first" in pages["first.html"]
    for name in ("index", "third", "tutorials/part/two", "plain"):
        assert "This page failed" not in pages[f"{name}.html"]

    code, said, ran = book.build()
    assert code != 0 and "3 pages failed" in said
    assert sorted(ran) == ["first", "one", "second"]

    book.script("one", "print(2)")
    book.chapter("first", "print(2)")
    book.chapter("second", "print(2)")
    code, said, ran = book.build()
    assert code == 0, said
    assert sorted(ran) == ["first", "one", "second"]
    assert not any(b"This page failed" in text for text in book.site().values())

    code, said, ran = book.build()
    assert code == 0 and ran == []


def test_no_kernel_outlives_its_chapter(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cells = [nbformat.v4.new_code_cell("import os\nprint(os.getpid())")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    result = chapters.run(notebook, str(tmp_path), tmp_path / "said.json")
    assert result.err is None
    with pytest.raises(ProcessLookupError):
        os.kill(int(result.nb.cells[0].outputs[0].text), 0)
    assert list(tmp_path.iterdir()) == []
