"""The reference lists every module of the package, once, and names questions by edition."""

import re
from pathlib import Path

import pytest

frame = pytest.importorskip("frame", reason="the docs extra is not installed")

ROOT = Path(__file__).parents[2]


def test_every_module_is_in_the_reference_once():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   (a3[\w.]+)$", text, re.MULTILINE)
    files = (file.relative_to(ROOT).with_suffix("") for file in (ROOT / "a3").rglob("*.py"))
    modules = {
        ".".join(file.parts) for file in files if file.name[0] != "_" or file.name == "__main__"
    }
    modules = {name for name in modules if not name.startswith("a3.practice.blanks.")}  # to fill in
    assert sorted(listed) == sorted(modules | {"a3.scaling"})


def test_questions_named_in_docstrings_are_of_that_edition():
    named = re.compile(r"questions? ([\d.(a-z)-]+)(?: to ([\d.(a-z)-]+))? \((20\d\d)\)")
    more = re.compile(r"\) and ([\d.(a-z)-]+) \((20\d\d)\)")
    asked = {(edition, row[edition]) for row in frame.questions() for edition in frame.EDITIONS}
    seen = set()
    for file in sorted((ROOT / "a3").rglob("*.py")):
        text = " ".join(file.read_text(encoding="utf-8").split())
        for *numbers, edition in named.findall(text) + more.findall(text):
            for number in filter(None, numbers):
                assert (edition, number) in asked, f"{file}: {number} ({edition})"
                seen.add(edition)
    assert seen == {*frame.EDITIONS}
