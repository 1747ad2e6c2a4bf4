"""The equations that the docstrings of the package name are in the book."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MATH = r"(?:\.\. math::|\{math\})\s*#?\s*:label: *([\w-]+)|\$\$ \(([\w-]+)\)"
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef


def labels():
    """The labels of all equations of the book."""
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("tutorials/**/*.py")]
    found = (re.findall(MATH, page.read_text(encoding="utf-8")) for page in pages)
    return {first or second for of_page in found for first, second in of_page}


def named():
    """The labels that docstrings name, each with its file."""
    for file in (ROOT / "a3").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = isinstance(node, DOCUMENTED) and ast.get_docstring(node)
            yield from ((label, file.name) for label in re.findall(":eq:`([^`]*)`", text or ""))


def test_equations_named_in_docstrings_are_in_the_book():
    in_book, in_docstrings = labels(), {*named()}
    assert len(in_book) > 100 and len(in_docstrings) > 40
    assert not {(label, file) for label, file in in_docstrings if label not in in_book}
