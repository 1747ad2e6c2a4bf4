"""Addresses stay: those of pages, equations, theorems, exercises and questions are in a file."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("A3_SITE", ROOT / "_build" / "html"))
FILE = ROOT / "docs" / "addresses.txt"
book = pytest.importorskip("book", reason="the docs extra is not installed")
frame = pytest.importorskip("frame", reason="the docs extra is not installed")
soup = pytest.importorskip("bs4", reason="the docs extra is not installed").BeautifulSoup

DIRECTIVE = r"(?:\.\. ([\w:-]+)::|[`:]{3,}\{([\w:-]+)\})[^\n]*\n(?:(?:# )? *:\w+:[^\n]*\n|#\n)*?"
LABELLED = re.compile(DIRECTIVE + r"(?:# )? *:label: *([\w-]+)")


def addresses():
    """Those that the sources give, page by page."""
    found = set()
    for page, source in book.executed_pages().items():
        found.add(f"{page}.html")
        for rst, myst, label in LABELLED.findall(source.read_text(encoding="utf-8")):
            anchor = f"equation-{label}" if (rst or myst) == "math" else label
            found.add(f"{page}.html#{anchor}")
    for row in frame.questions():
        found |= {f"{row['Page']}.html#{anchor}" for anchor in frame.anchors(row).values()}
    return found


def test_no_address_has_vanished_and_new_ones_are_written_down():
    kept = FILE.read_text(encoding="utf-8").splitlines()
    now = addresses()
    assert not {*kept} - now, "links from outside lead there: give the label or the page back"
    assert not now - {*kept}, f"add these to {FILE.name}"
    assert kept == sorted({*kept})


def test_every_label_of_the_sources_is_seen():
    for page, source in book.executed_pages().items():
        text = source.read_text(encoding="utf-8")
        labels = re.findall(r"^(?:# )? *:label: *([\w-]+)", text, re.M)
        assert len(LABELLED.findall(text)) == len(labels), page


@pytest.mark.parametrize("page", sorted(book.executed_pages()))
def test_every_address_is_on_its_page(page):
    if not (SITE / f"{page}.html").is_file():
        pytest.skip("the page is not built")
    html = soup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    anchors = {part["id"] for part in html.find_all(id=True)}
    wanted = [each.partition("#")[2] for each in addresses() if each.startswith(f"{page}.html#")]
    assert {*wanted} <= anchors
