"""The notebook of each page: its code is the page's, its text has none of the book's markup."""

import os
import re
import textwrap
from pathlib import Path

import pytest

import a3

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("A3_SITE", ROOT / "_build" / "html"))
nbformat = pytest.importorskip("nbformat", reason="the docs extra is not installed")
notebooks = pytest.importorskip("notebooks", reason="the docs extra is not installed")
book = pytest.importorskip("book", reason="the docs extra is not installed")
soup = pytest.importorskip("bs4", reason="the docs extra is not installed").BeautifulSoup

PAGES = sorted(page for page in book.executed_pages() if (SITE / f"{page}.html").is_file())
RUN = ("tutorials/nmt/attention", "robustness/turning", "practice")  # of each kind, and quick
MARKUP = {
    "a directive": r"^\s*\.\. [\w:-]+::|^\s*[`:]{3,}\{",
    "an option of a directive": r"^[\s>]*:\w+:",
    "a role": r":\w[\w:-]*:`|\{[a-z][\w:-]*\}`",
    "a label": r"\\label\{|\\eqref",
    "a reference that was not found": r"\[\\?\[?\\?\]\(|\\\[\\\]",
}


def read(page):
    return nbformat.read(SITE / f"{page}.ipynb", 4)


def text(page):
    return "\n\n".join(cell.source for cell in read(page).cells if cell.cell_type == "markdown")


def code_of(page):
    """The cells of code in the source of a page."""
    source = book.executed_pages()[page].read_text(encoding="utf-8")
    if source.startswith("---"):
        cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", source, re.M | re.S)
        return [re.sub(r"\A(:.*\n)+", "", cell).strip() for cell in cells]
    cells, docstring = [], True
    for block in re.split(r"^# %%.*\n", source, flags=re.M):
        if docstring:
            block = re.sub(r'\Ar?""".*?"""', "", block, flags=re.S)
            docstring = False
        cells.append(re.sub(r"\A(#.*\n)+", "", block).strip())
    return [cell for cell in cells if cell and not re.fullmatch(r"(#.*\n?)+", cell)]


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_begins_with_the_package_and_has_the_code_of_its_page(page):
    notebook = read(page)
    nbformat.validate(notebook)
    first, *cells = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert notebook.cells[0].source == first and 'find_spec("a3") is None' in first
    assert first.endswith(f"=={a3.__version__}")
    assert cells == code_of(page)


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_has_no_markup_of_the_book(page):
    words = re.sub(r"^([\s>]*```)\w*\n.*?^[\s>]*```$", "", text(page), flags=re.M | re.S)
    assert "# " in words
    for what, sign in MARKUP.items():
        found = re.search(sign, words, re.M)
        assert not found, f"{what}: {words[max(found.start() - 60, 0) : found.end() + 60]}"


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_has_the_equations_answers_and_pictures_of_its_page(page):
    html = soup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser").article
    words = text(page)
    numbers = [number.get_text().strip("()#") for number in html.select("article .eqno")]
    numbers = [re.search(r"\d+", number)[0] for number in numbers]
    assert re.findall(r"\\tag\{(\d+)\}", words) == numbers
    answers = len(html.select("details.solution"))
    assert len(re.findall(r"<summary>(?:(?!, continued</summary>).)*</summary>", words)) == answers
    outputs = [output for cell in read(page).cells for output in cell.get("outputs", ())]
    shown = [output.get("data", {}).get("text/plain") for output in outputs]
    assert {image["alt"] for image in html.select("img:not(.only-dark)")} <= {*shown}
    code = html.select("details.solution :is(.highlight-Python, .cell_input)")
    hidden = [cell for cell in read(page).cells if "hide-cell" in cell.metadata.get("tags", ())]
    assert len(hidden) == len(code)
    for box in html.select(".exercise > .admonition-title"):
        assert box.get_text().split("(")[0].strip(" #\n") in words


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_a_notebook_runs(page, tmp_path, monkeypatch):
    if page not in PAGES:
        pytest.skip("the page is not built")
    nbclient = pytest.importorskip("nbclient", reason="the docs extra is not installed")
    monkeypatch.setenv("A3_PROFILE", "quick")
    notebook = read(page)
    for cell in notebook.cells:
        cell.outputs = [] if cell.cell_type == "code" else None
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", timeout=600, resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs") or ()]
    assert any("image/png" in output.get("data", {}) for output in outputs)


# -- The text --------------------------------------------------------------------------------------
def markdown(rst, address=""):
    from docutils.core import publish_doctree
    from notebook_text import Markdown

    tree = publish_doctree(textwrap.dedent(rst))
    return Markdown(address).blocks(tree)


@pytest.mark.parametrize(
    ("rst", "expected"),
    [
        ("An *apple* and a **pear**, ``x_1``.", "An *apple* and a **pear**, `x_1`."),
        ("A price of 3 \\* 4 $, a_b and <c>.", "A price of 3 \\* 4 \\$, a\\_b and \\<c\\>."),
        ("Let :math:`a < b`.", "Let $a \\lt b$."),
        (".. math::\n\n   a\n   + b", "$$a + b$$"),
        ("- one\n- two\n\n  more", "- one\n- two\n\n  more"),
        ("3. three\n4. four", "3. three\n4. four"),
        ("::\n\n    f(x)\n", "```\nf(x)\n```"),
        ("== ==\na  b\n== ==\n1  2\n== ==", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("``a`b``", "`` a`b ``"),
        ("\\- no list", "\\- no list"),
        ("\\1. no list", "1\\. no list"),
    ],
)
def test_text_becomes_markdown(rst, expected):
    assert markdown(rst) == expected


def test_html_and_pictures_in_the_text_are_no_output_of_a_cell(tmp_path):
    from docutils.core import publish_doctree
    from notebook_text import Markdown

    rst = "Text.\n\n.. raw:: html\n\n   <b>no</b>\n\n.. image:: a.png\n   :alt: A *line*"
    made = notebooks.Notebook(publish_doctree(rst), Markdown(), tmp_path).notebook()
    first, words = made.cells
    assert not first.outputs and words.source == "Text.\n\n*A \\*line\\**"


def test_links_lead_to_the_book_and_are_words_while_it_has_no_address():
    rst = "See `this <../b.html#c>`__ and `that <https://d.example/>`__."
    assert markdown(rst) == "See this and [that](https://d.example/)."
    found = markdown(rst, "https://book.example/part/a.html")
    assert found == "See [this](https://book.example/b.html#c) and [that](https://d.example/)."
