"""Every built page, opened in a real browser with the network cut."""

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "_build" / "html"
BUILT = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("**/*.html"))
BUILT = [page for page in BUILT if not page.startswith("_")] or ["index.html"]
TUTORIALS = [page for page in BUILT if page.startswith("tutorials/")]
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

    for references in page.locator("section#references").all():
        assert references.locator("li, .citation").count(), "an empty list of references"

    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("kind", [".math", "img.only-light", "img.only-dark", ".solution"])
def test_tutorials_have_what_is_looked_at_above(window, kind):
    assert any(window.open(path).locator(f"article {kind}").count() for path in TUTORIALS)


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
