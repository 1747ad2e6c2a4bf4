"""How to cite: files for programs agree with the package, and each page has its own entry."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

import a3

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("A3_SITE", ROOT / "_build" / "html"))
book = pytest.importorskip("book", reason="the docs extra is not installed")
citing = pytest.importorskip("citing", reason="the docs extra is not installed")
yaml = pytest.importorskip("yaml", reason="the docs extra is not installed")
soup = pytest.importorskip("bs4", reason="the docs extra is not installed").BeautifulSoup

PAGES = sorted(page for page in book.executed_pages() if (SITE / f"{page}.html").is_file())


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def cff():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_version_is_one(project, cff):
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    newest = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    versions = {a3.__version__, project["version"], cff["version"], zenodo["version"], newest[1]}
    assert versions == {a3.__version__}
    assert cff["title"] == zenodo["title"] and cff["license"] == zenodo["license"]
    assert cff["license"] == project["license"]
    assert cff["title"] == citing.TITLE
    authors = cff["authors"], zenodo["creators"], project["authors"]
    assert len({tuple(each["name"] for each in those) for those in authors}) == 1


def test_the_citation_has_a_date_and_an_address_as_soon_as_the_book_has(project, cff):
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## [\d.]+, (\d{4}-\d\d-\d\d)$", changes, re.M)
    first = re.search(r"^## .*$", changes, re.M)[0]
    assert str(cff.get("date-released", "")) == (released[1] if released else "")
    assert released or first.endswith("not yet released")
    assert cff.get("repository-code") == project.get("urls", {}).get("Repository")
    assert cff.get("url") == project.get("urls", {}).get("Documentation")


class App:
    """What an entry is made of."""

    class config:
        author, project, release = "The authors", "a3", "1.2"
        copyright, html_baseurl = "2026, the authors", "https://book.example/a3/"

    class env:
        class title:
            astext = staticmethod(lambda: "Causal attention")

        titles = {"part/causal": title}

    class builder:
        get_target_uri = staticmethod("{}.html".format)


def test_an_entry_has_a_link_as_soon_as_the_book_has_an_address(monkeypatch):
    found = citing.entry("misc", "a3-causal", citing.of_page(App, "part/causal"))
    assert found.startswith("@misc{a3-causal,\n") and found.endswith("\n}")
    assert "= {{Causal attention}}," in found and "= {1.2}," in found
    assert "= {https://book.example/a3/part/causal.html}" in found
    monkeypatch.setattr(App.config, "html_baseurl", "")
    assert "url" not in citing.of_page(App, "part/causal")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_its_entry_and_its_version(page):
    html = soup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    assert html.select_one('.page-bar a[href="#cite-this-page"]')
    text = html.find(id="cite-this-page").pre.get_text()
    title = html.h1.get_text().rstrip("#").strip()
    assert title in text and f"{{{a3.__version__}}}" in text
    version = html.select_one(".book-version").get_text()
    assert f"Version {a3.__version__}" in version
    if (ROOT / ".git").exists():
        assert re.search(r", commit [0-9a-f]{7}", version)
