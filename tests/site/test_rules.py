"""The rules that a build enforces: a page must run, and a figure must have alternative text."""


import matplotlib.pyplot as plt
import pytest
from docutils import nodes

book = pytest.importorskip("book", reason="the docs extra is not installed")
used_on = pytest.importorskip("used_on", reason="the docs extra is not installed")


@pytest.mark.parametrize(
    ("code", "seconds", "fault"),
    [
        ('"""Only text."""', 1.0, "has no code"),
        ("", 1.0, "has no code"),
        ("x = 1", None, "was not executed"),
        ("x = 1", 0.0, "was executed in no time"),
        ("x = 1", 0.5, None),
    ],
)
def test_page_must_run(code, seconds, fault):
    assert book.why_nothing_ran(code, seconds) == fault


def test_script_that_was_not_run_has_failed(tmp_path, monkeypatch):
    script = tmp_path / "tutorials" / "part" / "page.py"
    script.parent.mkdir(parents=True)
    script.write_text('"""\nTitle\n=====\n"""\nprint(1)\n')
    monkeypatch.setattr(book, "executed_pages", lambda: {"tutorials/part/page": script})
    monkeypatch.setattr(book.failures, "failed", {})

    class App:
        srcdir = outdir = tmp_path / "html"

    App.env = App
    book.record_timings(App, App)
    assert "page was not executed" in book.failures.failed["tutorials/part/page"]


def test_image_without_alternative_text_fails_its_page(monkeypatch):
    monkeypatch.setattr(book.failures, "failed", {})

    class App:
        class env:
            @staticmethod
            def doc2path(page):
                return book.ROOT / "docs" / f"{page}.md"

    page = nodes.section("", nodes.image(uri="a.png", alt="A line"), nodes.image(uri="b.png"))
    book.refuse_images_without_text(App, page, "page")
    assert book.failures.failed == {
        "page": "docs/page.md: an image or figure has no alternative text (b.png)"
    }


def test_chapters_are_known_by_their_front_matter(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "chapter.md").write_text("---\nfile_format: mystnb\n---\n# Chapter\n")
    (tmp_path / "docs" / "plain.md").write_text("# Plain\n")
    assert set(book.executed_pages(tmp_path)) == {"chapter"}


def scrape(tmp_path):
    paths = iter([str(tmp_path / "figure_001.png")])
    block_vars = {"image_path_iterator": paths, "src_file": "page.py"}
    try:
        return book.save_figures(None, block_vars, {"src_dir": str(tmp_path)})
    finally:
        plt.close("all")


def test_figure_without_alternative_text_is_refused(tmp_path):
    plt.figure()
    with pytest.raises(book.BookError, match="no alternative text"):
        scrape(tmp_path)


def test_figure_is_saved_for_light_and_dark(tmp_path):
    plt.figure(label="A line that rises").gca().plot([1, 2])
    text = scrape(tmp_path)
    assert text.count(":alt: A line that rises") == 2
    assert {path.name for path in tmp_path.iterdir()} == {"figure_001.png", "figure_001_dark.png"}
    assert plt.get_fignums() == []


def test_names_used():
    code = "import a3\nfrom a3.lab import figures as f\n"
    code += "from a3.translation.attention import X as Y\n"
    code += "f.band(Y)\na3.lab.keys.key(1)\n"
    assert used_on.names_used(code) >= {
        "a3.lab.figures.band",
        "a3.translation.attention.X",
        "a3.lab.keys.key",
    }


def test_names_are_followed_to_where_they_are_defined():
    code = "from a3.scaling import fit_isoflop\nfrom a3 import scaling\nscaling.find_optimal_params"
    assert used_on.names_used(code) >= {
        "a3.scaling.isoflop.fit_isoflop",
        "a3.scaling.parabola.find_optimal_params",
    }


@pytest.mark.parametrize("name", ["a3.scaling.isoflop.fit_isoflop", "a3.scaling.fit_isoflop"])
def test_used_on_links_from_every_place_of_a_name(name):
    class App:
        class env:
            book_users = {"a3.scaling.isoflop.fit_isoflop": ["tutorials/nmt/isoflop"]}

    lines = ["Fit."]
    used_on.add_used_on(App, "function", name, None, None, lines)
    assert ":doc:`/tutorials/nmt/isoflop`" in "".join(lines)


def test_page_that_cannot_be_parsed_has_a_digest_and_no_names(tmp_path):
    page = tmp_path / "page.py"
    page.write_text("x = (")
    assert book.digest(page, "full") != book.digest(page, "quick")
    assert used_on.names_used("x = (") == set()


def test_digest_follows_profile_and_code(tmp_path):
    page = tmp_path / "page.py"
    page.write_text("from a3.translation import attention")
    full, quick = book.digest(page, "full"), book.digest(page, "quick")
    page.write_text("from a3.lab import figures")
    assert len({full, quick, book.digest(page, "full")}) == 3


def test_digest_follows_the_table_of_a_page_that_reads_it(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "ROOT", tmp_path)
    (tmp_path / "constraints.txt").write_text("")
    page, table = tmp_path / "page.py", tmp_path / "a3" / "lab" / "elsewhere.csv"
    table.parent.mkdir(parents=True)
    for code, differs in (("from a3.lab import elsewhere", True), ("import a3", False)):
        page.write_text(code)
        digests = set()
        for number in "12":
            table.write_text(number)
            digests.add(book.digest(page, "full"))
        assert (len(digests) == 2) == differs


def test_what_was_made_of_a_script_that_is_gone_goes(tmp_path, monkeypatch):
    made = tmp_path / "tutorials" / "part"
    made.mkdir(parents=True)
    for name in ("index.rst", "gone.rst", "gone.py.md5", "gone.zip", "here.rst", "here.zip"):
        (made / name).touch()
    here = tmp_path / "here.py"
    here.write_text("x = 1")
    monkeypatch.setattr(book, "executed_pages", lambda: {"tutorials/part/here": here})

    class App:
        srcdir = tmp_path

        class config:
            a3_profile = "full"

    book.forget_stale_scripts(App)
    assert {path.name for path in made.iterdir()} == {"index.rst", "here.rst", "here.zip"}
