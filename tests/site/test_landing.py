"""The page that a visitor sees first, and what every page says of itself."""

import re

import pytest
from docutils import nodes
from legible import first_sentences, mend, name_toggles

from .conftest import SITE


@pytest.mark.parametrize("size", [(1280, 800), (360, 740)])
def test_the_first_screen_says_what_this_is_and_shows_it(window, size):
    page = window.open("index.html")
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    for part in ("h1", ".hero p", ".hero .live svg"):
        assert page.locator(f"article {part}").first.bounding_box()["y"] < size[1] - 40
    if size[0] > 1000:  # and where to go
        for path in page.locator(".paths .sd-card").all():
            box = path.bounding_box()
            assert box["y"] + box["height"] <= size[1]


def test_three_paths_and_six_parts_lead_to_pages(window):
    page = window.open("index.html")
    links = page.locator("article .sd-card a").evaluate_all("(all) => all.map((a) => a.href)")
    assert len(links) == 9
    assert page.locator(".parts img.only-light").count() == 6
    for link in links:
        assert page.request.get(link).ok


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("2.3-3", "s3-answer", "In short"),
        ("2.1-2", "n2-answer", "full_like"),
        ("1.2.2", "ridge-closed-form-answer", "In short"),
    ],
)
def test_an_answer_is_three_clicks_from_here(window, number, answer, words):
    page = window.open("index.html")
    page.locator(".paths .sd-card", has_text="The assignment").click()
    page.get_by_role("link", name=number, exact=True).first.click()
    fold = page.locator(f"#{answer}")
    assert not fold.get_by_text(words).first.is_visible()
    fold.locator("summary").first.click()
    fold.get_by_text(words).first.wait_for()  # until it is seen


def test_every_page_has_a_description_of_its_own(address):
    seen = {}
    for file in SITE.glob("**/*.html"):
        text = file.read_text(encoding="utf-8")
        found = re.search('<meta name="description" content="([^"]*)">', text)
        if not file.relative_to(SITE).parts[0].startswith(("_", "search")):
            assert found and len(found[1]) > 20, file
            seen.setdefault(found[1], []).append(file.name)
    assert {text: files for text, files in seen.items() if len(files) > 1} == {}


def test_the_switches_of_the_list_of_pages_have_names():
    link = '<li><a class="current reference internal" href="#">Part <code>A</code> &amp; B</a>'
    named = name_toggles(f"{link}<details><summary><i></i></summary><ul></ul></details></li>")
    assert '<summary aria-label="Pages of Part A &amp; B">' in named
    assert name_toggles(f"{link}</li>") == f"{link}</li>"


def test_lists_and_headings_that_are_none_are_mended():
    lines = "<dd>a: int,</dd>\n<dd>b: int,</dd>\n"
    assert mend(f"<dl>\n{lines}</dl>") == (
        '<ul class="signature">\n<li>a: int,</li>\n<li>b: int,</li>\n</ul>'
    )
    true = "<dl>\n<dt>a</dt>\n<dd>A letter.</dd>\n</dl>"
    assert mend(true) == true
    assert mend('<th class="blank level0">&nbsp;</th>') == mend("<th></th>") == "<td></td>"
    assert mend('<summary aria-label="Toggle hidden content">') == "<summary>"
    for name, ends in (("a3.attention.ScaledDotAttention", 4), ("x_1", 0)):
        assert mend(f'<span class="pre">{name}</span>').count("<wbr>") == ends
    assert mend('<th class="col_heading">N</th>') == '<th class="col_heading">N</th>'


def test_a_description_ends_with_a_sentence():
    page = nodes.section("", nodes.bullet_list("", nodes.list_item("", nodes.paragraph("", "Bar"))))
    assert first_sentences(page) == ""
    page += nodes.paragraph("", "One is short.\nTwo, too. " + "Three is long, " * 20 + "very.")
    assert first_sentences(page) == "One is short. Two, too."
