"""Every built page, opened in a real browser with the network cut."""

import os
from pathlib import Path

import pytest

SITE = Path(os.environ.get("A3_SITE", Path(__file__).parents[2] / "_build" / "html"))
BUILT = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("**/*.html"))
BUILT = [page for page in BUILT if not page.startswith("_")] or ["index.html"]
WHOLE = {"index.html", "search.html", "api.html", "tutorials/nmt/attention.html"}  # with its frame
TUTORIALS = [page for page in BUILT if page.startswith("tutorials/")]
LOOK = """() => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const shown = (part) => part.checkVisibility({visibilityProperty: true});
    const parts = (answer) => [...answer.children].filter(
        (part) => !part.matches(".admonition-title, button"));
    return {
        unrendered: all(".math").filter((f) => !f.querySelector(".katex")).map((f) => f.innerText),
        wrong: all(".katex-error").map((formula) => formula.innerText),
        images: all("article img").map((i) => [i.src.slice(0, 100), i.alt, i.naturalWidth]),
        answers: all("article .solution").map((answer) => parts(answer).map(shown)),
        references: all("section#references").map(
            (section) => section.querySelectorAll("li, .citation").length),
    };
}"""

# What must be scrolled at 1280 pixels, with all answers unfolded.
CUT = """() => [...document.querySelectorAll("article :is(pre, .output_html, div.math > .box)")]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => [box.scrollWidth - box.clientWidth, box.innerText.slice(0, 200)])"""

# The smallest letters of drawings are 12 px, those of figures at their own width about 10.
SMALL = """() => [
    ...[...document.querySelectorAll("article svg.drawing text")].filter((text) =>
        parseFloat(text.getAttribute("font-size")) * text.getScreenCTM().a < 9),
    ...[...document.querySelectorAll("article .figure-box img")].filter((image) =>
        image.clientWidth && image.clientWidth < image.getAttribute("width")
        && !image.closest(".hero, .parts")),  // the landing page has them as pictures
].map((part) => part.outerHTML.slice(0, 200))"""

# Words of names in the text that a line ends in.
SPLIT = """() => [...document.querySelectorAll("article :is(.sig, p code) .pre")].flatMap(
    (name) => [...name.childNodes].filter((part) => {
        const range = document.createRange();
        range.selectNodeContents(part);
        return /^[\\w.]{1,28}$/.test(part.data) && range.getClientRects().length > 1;
    }).map((part) => part.data))"""

FETCH = """() => Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.complete || new Promise((end) => { image.onload = image.onerror = end; });
}))"""


@pytest.mark.parametrize("path", BUILT)
def test_page(window, path):
    page = window.open(path)
    assert window.faults == []

    page.evaluate(FETCH)
    assert window.faults == []
    found = page.evaluate(LOOK)
    assert found["unrendered"] == found["wrong"] == []
    for source, alternative, width in found["images"]:
        assert width > 0, f"{source} did not load"
        assert len(alternative.split()) > 1, f"{source} has no alternative text"
    for parts in found["answers"]:
        assert parts and not any(parts), "an answer is not folded"
    assert all(found["references"]), "an empty list of references"

    assert window.barriers("html" if path in WHOLE else "article") == []

    assert page.evaluate(CUT) == []

    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(SMALL) == page.evaluate(SPLIT) == []


def test_a_barrier_is_found(window):
    page = window.open("index.html")
    faint = "<p style='color: #888; background: #999'>Faint words</p>"
    page.locator("article").evaluate(
        "(article, text) => article.insertAdjacentHTML('beforeend', text)", faint
    )
    assert all("color-contrast" in fault for fault in window.barriers())
    assert len(window.barriers()) == 2


def test_a_page_prints_light(window):
    page = window.open("index.html")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    for event, theme in (("beforeprint", "light"), ("afterprint", "dark")):
        page.evaluate(f"dispatchEvent(new Event('{event}'))")
        assert page.evaluate("document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("kind", [".math", "img.only-light", "img.only-dark", ".solution"])
def test_tutorials_have_what_is_looked_at_above(window, kind):
    assert any(window.open(path).locator(f"article {kind}").count() for path in TUTORIALS)


def test_answer_opens(window):
    page = window.open("tutorials/nmt/attention.html")
    answer = page.locator("article .solution").first
    answer.locator(":scope > .admonition-title").click()
    assert answer.locator(":scope > :not(.admonition-title, button)").first.is_visible()


def test_a_square_of_the_grids_is_read_by_pointer_touch_and_keyboard(window):
    page = window.open("tutorials/bert/predictions.html")
    grid, line = (page.locator(f".error-grids {part}").first for part in ("svg", "output"))
    squares = grid.locator("title").all_text_contents()
    assert len(squares) == 400
    square = grid.locator("rect:has(title), circle:has(title)").nth(43)
    square.scroll_into_view_if_needed()
    square.dispatch_event("pointerdown", {"bubbles": True})  # as a finger has it
    assert line.inner_text() == squares[43]
    square.hover()
    grid.focus()
    for key, place in (("ArrowRight", 44), ("ArrowUp", 24), ("ArrowLeft", 23), ("ArrowDown", 43)):
        page.keyboard.press(key)
        assert line.inner_text() == squares[place]


def test_dark_mode(window):
    page = window.open("tutorials/nmt/attention.html")
    style = """() => [getComputedStyle(document.body).backgroundColor, ...["light", "dark"].map(
        mode => getComputedStyle(document.querySelector(`article img.only-${mode}`)).display)]"""
    seen = {}
    for theme in ("dark", "light"):
        page.locator(".theme-switch-button:visible").first.click()
        page.locator(f".theme-change-button[data-mode={theme}]:visible").first.click()
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        seen[theme] = page.evaluate(style)
    assert seen["light"][1] != "none" == seen["light"][2]
    assert seen["dark"][1] == "none" != seen["dark"][2]
    assert seen["light"][0] != seen["dark"][0]


def test_a_request_to_another_host_is_a_fault(window):
    window.open("index.html").evaluate("fetch('https://example.org/').catch(() => {})")
    assert window.faults and "example.org" in window.faults[0]
