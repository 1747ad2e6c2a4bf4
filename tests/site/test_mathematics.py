"""Formulas are rendered when the book is built; what a page loads is what it needs."""

import io
import json
import re
from pathlib import Path

import pytest

mathematics = pytest.importorskip("mathematics", reason="the docs extra is not installed")
weight = pytest.importorskip("weight", reason="the docs extra is not installed")
from bs4 import BeautifulSoup  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.util.docutils import docutils_namespace  # noqa: E402

ROOT = Path(__file__).parents[2]
ICONS = ROOT / "docs" / "_static" / "vendor" / "fontawesome" / "LICENSE.txt"
CONF = """
extensions = ["mathematics", "weight"]
html_math_renderer = "katex"
math_eqref_format = "({number})"
"""
PAGE = r"""
A heading with :math:`x^2`
==========================

Inline :math:`a < b` twice, :math:`a < b`.

.. math::
   :label: one

   \frac{a}{b}

.. math:: \begin{aligned} a &= b \\ &< c \end{aligned}

==========  ====
:math:`y`   cell
==========  ====

.. math:: E
   :label: two

By :eq:`two` and :eq:`one`.

.. raw:: html

   <p>Code gave <span class="math inline">\(\alpha &lt; 1\)</span>, too.</p>

.. toctree::

   plain
"""


def build(folder, **pages):
    """Build pages of reStructuredText; give the pages, the search index and the warnings."""
    source = folder / "source"
    source.mkdir()
    (source / "conf.py").write_text(CONF)
    for name, text in pages.items():
        (source / f"{name}.rst").write_text(text, encoding="utf-8")
    warnings = io.StringIO()
    out, doctrees = folder / "html", folder / "doctrees"
    with docutils_namespace():
        Sphinx(source, source, out, doctrees, "html", None, None, warnings).build()
    html = {
        name: BeautifulSoup((out / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        for name in pages
    }
    index = (out / "searchindex.js").read_text(encoding="utf-8")
    return html, json.loads(index[index.index("{") : -1]), warnings.getvalue()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    plain = "Plain\n=====\n\nNothing.\n"
    return build(tmp_path_factory.mktemp("book"), index=PAGE, plain=plain)


def test_formulas_are_rendered_for_the_eye_and_for_screen_readers(built):
    html, _, warnings = built
    formulas = html["index"].find(class_="body").select(".math")
    assert len(formulas) == 8 and warnings == ""
    for formula in formulas:
        assert formula.math and formula.find(class_="katex-html")["aria-hidden"] == "true"
    assert not html["index"].find("annotation")
    assert formulas[-1].math.get_text() == "α<1"


def test_no_line_ends_between_a_formula_and_its_comma(built):
    formulas = built[0]["index"].find(class_="body").select("span.math")
    after = [str(formula.next_sibling or "")[:2] for formula in formulas]
    assert after == ["<a", " t", "\u2060.", "", "\u2060,"]


def test_displayed_formulas_have_their_box_number_and_links(built):
    page = built[0]["index"]
    first, aligned, second = page.select("div.math")
    assert first["id"] == "equation-one" and second["id"] == "equation-two"
    assert first.find(class_="eqno").contents[0] == "(1)"
    assert first.find(class_="headerlink")["href"] == "#equation-one"
    assert not aligned.find(class_="eqno") and aligned.find("mtable")
    labels = [formula.find(role="group")["aria-label"] for formula in (first, aligned, second)]
    assert labels == ["Equation (1)", "Equation", "Equation (2)"]
    links = {link.get_text(): link["href"] for link in page.select("p a.internal")}
    assert links == {"(1)": "#equation-one", "(2)": "#equation-two"}


def test_only_a_page_with_formulas_loads_their_styles_and_none_a_script(built):
    def loads(page, name):
        return "katex" in " ".join(str(part) for part in built[0][page].find_all(name))

    assert loads("index", "link") and not loads("plain", "link")
    assert not loads("index", "script")


def test_the_search_index_has_no_formula(built):
    words = set(built[1]["terms"])
    assert {"inlin", "cell", "gave"} <= words
    assert not words & {"frac", "begin", "align", "alpha", "lt", "mathnorm"}


def test_what_katex_cannot_read_is_a_warning_with_its_line(tmp_path):
    text = "Title\n=====\n\nText.\n\n.. math:: \\frac{a}{b\n\nAnd :math:`\\nosuch`, :math:`é`.\n"
    html, _, warnings = build(tmp_path, index=text)
    assert re.search(r"index\.rst:6: WARNING: KaTeX parse error: .*expected '}'", warnings)
    assert re.search(r"index\.rst:8: WARNING: KaTeX parse error: .*\\nosuch", warnings)
    assert re.search(r"index\.rst:8: WARNING: .* strict mode .*é", warnings)
    shown = [code.get_text().strip() for code in html["index"].select("code.katex-error")]
    assert shown == ["\\frac{a}{b", "\\nosuch", "é"]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (".in .use{a:b}", True),
        (".in .gone{a:b}", False),
        (".gone,.use{a:b}", True),
        (".gone:not(.use),.gone>p{a:b}", False),
        ("p:not(.gone),.gone{a:b}", True),
        (":is(.gone, .use) p{a:b}", True),
        ('a[href$=".gone"]{a:b}', True),
        (".bs-tooltip{a:b}", True),
        (r".w\:1{a:b}", True),
        ("@font-face{a:url(x.gone)}", True),
        ("p{color:red; &.gone{a:b}}", True),
    ],
)
def test_rules_for_what_is_on_no_page_are_dropped(rule, kept):
    words = {"in", "use", "w:1"}
    assert weight.without_unused(f"/* x.y */@media print{{{rule}}}", words) == (
        f"@media print{{{rule if kept else ''}}}"
    )


def test_figures_of_a_page_are_files_of_known_size_fetched_when_shown(window):
    page = window.open("architecture/recurrent.html")
    figures = page.locator("article img").evaluate_all(
        "all => all.map(i => [i.getAttribute('src'), i.loading, +i.getAttribute('width'), "
        "+i.getAttribute('height'), i.matches('.only-dark'), i.naturalWidth])"
    )
    assert {dark for *_, dark, _ in figures} == {False, True}
    for source, loading, width, height, dark, fetched in figures:
        assert source.startswith("../_images/") and loading == "lazy" and width > height > 0
        assert not dark or fetched == 0


def test_every_icon_is_in_the_font(window):
    page = window.open("architecture/recurrent.html")
    codes = page.evaluate("""() => [...document.querySelectorAll("*")].flatMap(
        (part) => ["::before", "::after"].map((end) => getComputedStyle(part, end))
            .filter((style) => style.fontFamily.includes("Awesome"))
            .map((style) => style.content.replaceAll('"', "").codePointAt(0)))""")
    inside = {int(code, 16) for code in re.findall(r"\b[0-9A-F]{4}\b", ICONS.read_text())}
    assert len(set(codes)) > 5 and {code for code in codes if code > 255} <= inside


def test_an_equation_that_scrolls_is_reached_by_keyboard(window):
    page = window.open("architecture/recurrent.html")
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    boxes = "all => all.map(box => [box.scrollWidth > box.clientWidth, box.tabIndex])"
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(200)
        seen = page.locator("div.math > .box").evaluate_all(boxes)
        assert all(index == (0 if scrolls else -1) for scrolls, index in seen)
        assert any(scrolls for scrolls, _ in seen) or width > 360
        if width == 360:  # and it fades where it goes on
            box = page.locator("div.math > .box[tabindex]").first
            assert box.evaluate("(box) => box.matches('.goes-on')")
            box.evaluate("(box) => box.scrollTo(box.scrollWidth, 0)")
            page.locator("div.math > .box[tabindex]:not(.goes-on)").first.wait_for()
