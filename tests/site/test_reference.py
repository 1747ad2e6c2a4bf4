"""The reference lists every module of the package, once."""

import re
from pathlib import Path

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
