"""The letters of the notation page are in the equations of the pages that it names."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTATION = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")


def source(page):
    """The script or the text of a page."""
    script = ROOT / f"{page}.py"
    return script if script.is_file() else ROOT / "docs" / f"{page}.md"


@cache
def equations(page):
    """All mathematics of a page, as one text."""
    text = source(page).read_text(encoding="utf-8")
    if source(page).suffix == ".py":
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        found = re.findall(r":math:`([^`]*)`|\.\. math::(.*?)(?=\n\S)", text, flags=re.DOTALL)
    else:
        text = re.sub(r"```\{code-cell\}.*?\n```", "", text, flags=re.DOTALL)
        pattern = r"\$\$(.*?)\$\$|```\{math\}(.*?)```|\$([^$]+)\$"
        found = re.findall(pattern, text, flags=re.DOTALL)
    found = " ; ".join("".join(parts) for parts in found)
    return re.sub(r":label: .*|\\(?:text|operatorname)\{[^}]*\}", "", found)


def letters(section):
    """The symbols in the first column of a section's table."""
    for row in re.findall(r"^\| (\$.*?) \|", section, flags=re.MULTILINE):
        for symbol in re.findall(r"\$([^$]+)\$", row):
            yield symbol.split("=")[0].split("(")[0].strip()


def pattern(symbol):
    """A letter, with any index if it has one that runs, and not as a part of a longer command."""
    letter, *index = symbol.split("_", 1)
    command = letter.startswith("\\")
    before = "" if command else r"(?<![A-Za-z\\])"
    if not index:
        after = r"(?![A-Za-z_])"
    elif re.fullmatch(r"\{?[a-z]{1,2}\}?|\{i-j\}", index[0]):
        after = r"_"
    else:
        after = "_" + re.escape(index[0])
    return before + re.escape(letter) + after


SECTIONS = dict(
    re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", NOTATION, flags=re.MULTILINE | re.DOTALL)
)
PAGES = {
    title: re.findall(r"\{doc\}`([^`]+)`", section.split("| letter |")[0])
    for title, section in SECTIONS.items()
}
PAGES["Everywhere"] = sorted({page for pages in PAGES.values() for page in pages})
CASES = [(title, symbol) for title, section in SECTIONS.items() for symbol in letters(section)]


def test_the_page_has_its_tables():
    assert len(SECTIONS) >= 8 and len(CASES) > 80
    assert all(source(page).is_file() for pages in PAGES.values() for page in pages)
    assert all(PAGES.values())


@pytest.mark.parametrize(("title", "symbol"), CASES)
def test_a_letter_is_in_the_equations_of_its_pages(title, symbol):
    in_pages = " ; ".join(map(equations, PAGES[title]))
    assert re.search(pattern(symbol), in_pages), f"{symbol} is on no page of {title}"


@pytest.mark.parametrize("title", SECTIONS)
def test_a_letter_has_one_line_in_its_table(title):
    symbols = [*letters(SECTIONS[title])]
    assert len(symbols) == len(set(symbols))


CHAPTERS = ["architecture", "robustness", "resources"]
RULES = {
    r"\\sigma(?!_\{\\max\})": {
        "resources/learning_rate",
        "resources/best_schedule",
        "robustness/nearly_right",
        "robustness/wrong_answers",
    },
    r"\\mathcal\{L\}": set(),
    r"(?<![A-Za-z\\])s(?![A-Za-z_])": set(),
    r"(?<![A-Za-z\\])L(?![A-Za-z])": set(),
}
"""Letters that had several meanings, and the chapters in which they may still be."""


@pytest.mark.parametrize("letter", RULES)
def test_a_letter_keeps_to_its_chapters(letter):
    files = [path for part in CHAPTERS for path in sorted((ROOT / "docs" / part).glob("*.md"))]
    pages = [*CHAPTERS, *(str(path.relative_to(ROOT / "docs").with_suffix("")) for path in files)]
    found = {page for page in pages if re.search(letter, equations(page))}
    assert found == RULES[letter]
