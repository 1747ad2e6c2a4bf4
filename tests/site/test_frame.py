"""The frame of a page: what its first screen shows, and the short answer to each question."""

import os
import re
from pathlib import Path

import pytest

from a3.practice.questions import QUESTIONS

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("A3_SITE", ROOT / "_build" / "html"))
book = pytest.importorskip("book", reason="the docs extra is not installed")
frame = pytest.importorskip("frame", reason="the docs extra is not installed")
soup = pytest.importorskip("bs4", reason="the docs extra is not installed").BeautifulSoup

PAGES = sorted(page for page in book.executed_pages() if (SITE / f"{page}.html").is_file())
ROWS = [row for row in frame.questions() if row["Page"] in PAGES]
FIRST_SCREEN = """() => {
    const seen = (part) => {
        const box = part.getBoundingClientRect();
        return Math.max(0, Math.min(box.bottom, innerHeight) - box.top) / box.height;
    };
    const figures = document.querySelectorAll("article :is(img, svg[aria-label])");
    const figure = [...figures].find((image) =>
        image.checkVisibility() && image.getBoundingClientRect().height > 60);
    return {
        title: seen(document.querySelector("article h1")),
        promise: seen([...document.querySelectorAll("article p")].find(
            (text) => text.innerText.includes("After this"))),
        figure: figure ? seen(figure) : 0,
    };
}"""


@pytest.mark.parametrize("width, height", [(1280, 800), (360, 740)])
@pytest.mark.parametrize("page", PAGES)
def test_first_screen_shows_title_promise_and_figure(window, page, width, height):
    opened = window.open(f"{page}.html")
    opened.set_viewport_size({"width": width, "height": height})
    if opened.locator(".live").count():
        opened.locator(".live svg").first.wait_for()
    seen = opened.evaluate(FIRST_SCREEN)
    assert seen["title"] == seen["promise"] == 1
    assert seen["figure"] > 0.5


def sentences(text):
    """Count the sentences of a text: what ends in a stop before a new word or the end."""
    return len(re.findall(r"[.!?][\"”’)]*(?=\s+[\"“(]?[A-Z\d$]|\s*$)", text.strip()))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("One. Two? Three!", 3),
        ("It is 0.26, e.g. for one.", 1),
        ("It (the loss) falls. (So it should.)", 2),
        ("At $x$. $y$ too.", 2),
    ],
)
def test_sentences_are_counted(text, number):
    assert sentences(text) == number


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["Answer"])
def test_answer_begins_with_what_is_handed_in(row):
    page = soup((SITE / f"{row['Page']}.html").read_text(encoding="utf-8"), "html.parser")
    solution = page.find(id=row["Answer"])
    assert solution and "solution" in solution["class"]
    first = solution.section.find(["p", "pre", "img", "table"]).find_parent(class_="in-short")
    assert first, "the answer does not begin with In short"
    first.find(class_="admonition-title").extract()
    code = row["Sentences"] == "code"
    if code:
        assert first.find_next("div", class_="highlight"), "no code that fills the blanks"
    for measured in first.find_all(class_="measured"):
        measured.replace_with("N")
    for formula in first.find_all(class_="math"):
        formula.replace_with("$x$")
    text = " ".join(first.get_text().split())
    assert 0 < sentences(text) <= (3 if code else int(row["Sentences"])), text
    typed = re.search(r"\S*\d\S*", text)
    assert typed is None, f"typed by hand: {typed[0]}"


def test_every_question_shows_the_short_answers_by_a_switch(window):
    page = window.open("every_question.html")
    answers = page.locator(".key .in-short")
    assert answers.count() == len(frame.questions())
    assert not answers.first.is_visible()
    page.locator(".key-switch input").check()
    assert answers.first.is_visible() and answers.last.is_visible()


def test_a_link_into_a_folded_answer_opens_it(window):
    page = window.open("tutorials/nmt/four_runs.html#n4-answer")
    assert page.locator("#n4-answer .in-short").is_visible()

    page = window.open("tutorials/nmt/encoder_decoder.html")
    equation = page.locator("#equation-e1-decoder")
    assert not equation.is_visible()
    for _ in range(2):  # the second time from where one is already
        page.evaluate("document.body.insertAdjacentHTML('afterbegin', `<a href=#${id}>to</a>`)"
                      .replace("${id}", "equation-e1-decoder"))
        page.locator("body > a", has_text="to").first.click()
        equation.wait_for(state="visible")
        page.locator("#e1-answer > .admonition-title").click()
        assert not equation.is_visible()


def test_the_bar_has_numbers_points_times_and_the_script(window):
    page = window.open("tutorials/nmt/four_runs.html")
    bar = page.locator(".page-bar").inner_text()
    assert "2025: 2.1-4 (4 points)" in bar and "2023: 3.1-4 (1 point)" in bar
    assert re.search(r"\d+ min to read", bar) and re.search(r"ran in \d+ s", bar)
    assert page.locator("a[href$='.ipynb'], a[href$='.zip']").count() == 1
    notebook = page.locator(".page-bar a", has_text="notebook")
    assert notebook.get_attribute("href") == "four_runs.ipynb"
    link = page.locator(".page-bar a", has_text="script").get_attribute("href")
    downloaded = (SITE / "tutorials" / "nmt" / link).read_text(encoding="utf-8")
    assert downloaded == (ROOT / "tutorials/nmt/four_runs.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_read_in_one_sitting(page):
    source = book.executed_pages()[page].read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 300


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_the_page_of_a_programming_question_says_how_to_practise_it(question):
    if question.page not in PAGES:
        pytest.skip("the page is not built")
    page = soup((SITE / f"{question.page}.html").read_text(encoding="utf-8"), "html.parser")
    before = page.find("details", id=question.answer).find_previous_sibling("div")
    assert f"python -m a3.practice {question.name} writes" in " ".join(before.get_text().split())


def test_every_code_question_of_the_handouts_can_be_practised():
    answers = {row["Answer"] for row in frame.questions() if row["Sentences"] == "code"}
    assert answers <= {question.answer for question in QUESTIONS}


def test_folded_lines():
    script = '"""\nTitle\n"""\n\nimport a\n\n# %%\n# Text.\n\nf()\n'
    script += '\n# %% tags=["hide-input"]\n# Text.\n\ng()\nh()\n'
    assert frame.folded_lines(script) == [5, 15]
