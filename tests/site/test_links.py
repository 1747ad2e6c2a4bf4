"""Links arrive: what they lead to exists once, is seen on arrival, and is told by its page."""

import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("A3_SITE", ROOT / "_build" / "html"))
frame = pytest.importorskip("frame", reason="the docs extra is not installed")
soup = pytest.importorskip("bs4", reason="the docs extra is not installed").BeautifulSoup

PAGES = {
    path.relative_to(SITE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(SITE.glob("**/*.html"))
    if not path.relative_to(SITE).parts[0].startswith("_")
}
parsed = cache(lambda page: soup(PAGES[page], "html.parser"))
ROWS = [row for row in frame.questions() if f"{row['Page']}.html" in PAGES]
ARRIVE = """async (anchors) => {
    const failed = [];
    for (const anchor of anchors) {
        document.querySelectorAll("details[open]").forEach((part) => (part.open = false));
        history.replaceState(null, "", location.pathname);
        await new Promise((arrived) => {
            addEventListener("hashchange", () => setTimeout(arrived), {once: true});
            location.hash = anchor;
        });
        const target = document.getElementById(anchor);
        if (!target) { failed.push(`${anchor} is not there`); continue; }
        const {top} = target.getBoundingClientRect();
        if (!target.checkVisibility()) failed.push(`${anchor} is not shown`);
        else if (top < -5 || top > innerHeight) failed.push(`${anchor} is at ${top}`);
        for (let box = target.closest("details"); box; box = box.parentElement.closest("details"))
            if (box.scrollTop || !box.open) failed.push(`${anchor}: the fold is scrolled or shut`);
    }
    return failed;
}"""


def linked():
    """Map each page to the anchors on it that anything links to."""
    anchors = {page: set() for page in PAGES}
    for page, content in PAGES.items():
        for link in re.findall(r'<a [^>]*?href="([^"]*#[^"]+)"', content):
            parts = urlsplit(link.replace("&amp;", "&"))
            if not parts.scheme:
                path = os.path.normpath(Path(page).parent / parts.path) if parts.path else page
                if path in anchors:
                    anchors[path].add(unquote(parts.fragment))
    return anchors


LINKED = {page: sorted(anchors) for page, anchors in linked().items() if anchors}


@pytest.mark.parametrize("page", LINKED)
def test_what_is_linked_is_seen_on_arrival(window, page):
    assert window.open(page).evaluate(ARRIVE, LINKED[page]) == []


@pytest.mark.parametrize("page", PAGES)
def test_no_id_stands_twice(page):
    ids = re.findall(r'<[^>]*?\sid="([^"]*)"', re.sub(r"(?s)<script.*?</script>", "", PAGES[page]))
    assert sorted(set(ids)) == sorted(ids)


@pytest.mark.parametrize("page", PAGES)
def test_numbers_count_on_their_page(page):
    counted = {}
    for number in parsed(page).select("article .caption-number"):
        kind, _, count = number.get_text().strip().rpartition(" ")
        counted.setdefault(kind, []).append(int(count))
    for kind, counts in counted.items():
        assert counts == list(range(1, len(counts) + 1)), kind


@pytest.mark.parametrize("page", PAGES)
def test_a_number_on_another_page_names_it(page):
    for link in parsed(page).select("article a.reference.internal"):
        url, text = link["href"], link.get_text()
        bare = re.fullmatch(r"\(\d+\)|(Theorem|Lemma|Definition|Exercise) \d+", text)
        assert not bare or url.startswith("#"), f"{text} says no page: {url}"


FOLDED = [
    ("tutorials/nmt/attention.html", "n1-answer", "#n1-answer .in-short"),
    ("tutorials/nmt/encoder_decoder.html", "equation-e1-decoder", "#equation-e1-decoder"),
    ("robustness/attacks.html", "attacks-size-answer", "#attacks-size-answer .in-short"),
]


@pytest.mark.parametrize(("page", "anchor", "seen"), FOLDED)
def test_a_cold_start_in_a_fold_opens_it(window, page, anchor, seen):
    if page not in PAGES:
        pytest.skip("not on this site")
    opened = window.open(f"{page}#{anchor}")
    assert opened.locator(seen).first.is_visible()
    assert opened.evaluate("scrollY") > 0


def test_words_that_the_browser_finds_in_a_fold_open_it(window):
    """By a text fragment, which Chromium looks for as it does for words typed into its search."""
    page = window.open("tutorials/nmt/attention.html")
    inside = page.locator("article details.solution p:not(.admonition-title)").nth(2)
    words = " ".join(inside.text_content().split()[:6])
    assert not inside.is_visible()
    page.goto("about:blank")
    window.open(f"tutorials/nmt/attention.html#:~:text={quote(words)}")
    inside.wait_for()  # until it is seen


def answers(page):
    return page.locator("article details.solution")


def test_an_answer_opens_without_javascript_and_on_paper(chromium, address):
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/tutorials/nmt/attention.html")
    answer = answers(page).first
    inside = answer.locator("p:not(.admonition-title)").first
    assert not inside.is_visible()
    answer.locator("summary").first.click()
    assert inside.is_visible()
    answer.locator("summary").first.click()
    page.emulate_media(media="print")
    assert inside.is_visible()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["Answer"])
def test_a_question_has_its_number_as_an_anchor(row):
    table = parsed("every_question.html").find("table", class_="questions")
    page = parsed(f"{row['Page']}.html")
    for edition, anchor in frame.anchors(row).items():
        box = page.find(id=anchor)
        box = box if "exercise" in box.get("class", ()) else box.parent
        assert box.find(class_="admonition-title").get_text().startswith("Question: ")
        link = table.find("a", href=f"{row['Page']}.html#{anchor}")
        assert link and link.find_parent("tr").find("a", string=row[edition])


def test_every_question_shows_one_edition_or_both(window):
    page = window.open("every_question.html")
    shown = """(parts) => [...document.querySelectorAll(parts)].filter(
        (part) => part.checkVisibility()).length"""
    assert page.evaluate(shown, ".questions tbody tr") == len(frame.questions())
    for edition in frame.EDITIONS:
        page.locator(f".edition-switch [value='{edition}']").check()
        asked = sum(bool(row[edition]) for row in frame.questions())
        assert page.evaluate(shown, ".questions tbody tr") == asked
        page.locator(".key-switch input").check()  # the answers, in the place of the table
        assert page.evaluate(shown, ".key .one") == asked
        assert page.evaluate(shown, ".questions tbody tr") == 0
        page.locator(".key-switch input").uncheck()
    page.set_viewport_size({"width": 360, "height": 740})
    assert not page.locator(".questions thead").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    table = page.locator(".questions").first
    assert table.evaluate("(table) => table.scrollWidth <= table.parentElement.clientWidth")
