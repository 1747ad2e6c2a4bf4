"""Every built page, opened in a real browser with the network cut."""

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "_build" / "html"
BUILT = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("**/*.html"))
BUILT = [page for page in BUILT if not page.startswith("_")] or ["index.html"]
TUTORIALS = [page for page in BUILT if page.startswith("tutorials/")] or ["tutorials"]
IMAGES = "[...document.querySelectorAll('article img')].map(i => [i.src, i.alt, i.naturalWidth])"


@pytest.mark.parametrize("path", BUILT)
def test_page(window, path):
    page = window.open(path)
    assert window.faults == []

    for formula in page.locator(".math").all():
        assert formula.locator(".katex").count(), f"not rendered: {formula.inner_text()}"
    assert page.locator(".katex-error").all_inner_texts() == []

    for source, alternative, width in page.evaluate(IMAGES):
        assert width > 0, f"{source[:100]} did not load"
        assert len(alternative.split()) > 1, f"{source[:100]} has no alternative text"

    for answer in page.locator("article .solution").all():
        content = answer.locator(":scope > :not(.admonition-title, button)")
        assert content.count()
        assert not any(part.is_visible() for part in content.all()), "an answer is not folded"

    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", TUTORIALS)
def test_tutorial_has_what_is_looked_at_above(window, path):
    page = window.open(path)
    for kind in (".math", "img.only-light", "img.only-dark", ".solution"):
        assert page.locator(f"article {kind}").count(), f"no {kind}"


def test_answer_opens(window):
    page = window.open("tutorials/nmt/attention.html")
    answer = page.locator("article .solution").first
    answer.locator(".admonition-title").click()
    assert answer.locator(":scope > :not(.admonition-title, button)").first.is_visible()


def test_search_as_you_type(window):
    page = window.open("index.html")
    page.locator("button.search-button-field:visible").click()
    page.keyboard.type("equivariance")
    page.locator("#search-results a[href*='glossary.html']").first.wait_for(timeout=5000)
    assert window.faults == []


def test_dark_mode(window):
    page = window.open("tutorials/nmt/attention.html")
    switch = page.locator(".theme-switch-button:visible").first
    figures = [page.locator(f"article img.only-{mode}").first for mode in ("light", "dark")]
    seen = {}
    for _ in range(3):  # light, dark and what the system prefers
        switch.click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        seen[theme] = (colour, [figure.is_visible() for figure in figures])
    assert seen["light"][1] == [True, False]
    assert seen["dark"][1] == [False, True]
    assert seen["light"][0] != seen["dark"][0]
