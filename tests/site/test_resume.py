"""A build that is stopped goes on the next time, and warnings are not forgotten."""

import signal

import pytest
from tiny_book import TinyBook

pytest.importorskip("sphinx_gallery", reason="the docs extra is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The site of a build that nobody stopped."""
    book = TinyBook(tmp_path_factory.mktemp("whole"))
    code, said, ran = book.build()
    assert code == 0, said
    assert sorted(ran) == ["first", "one", "second", "third", "two"]
    return book.site()


@pytest.mark.parametrize(
    ("words", "how", "again"),
    [
        ("part... [100%]", signal.SIGTERM, {"first", "second", "third", "two"}),
        ("docs/second.md: Executing", signal.SIGKILL, {"second", "third"}),
        ("docs/second.md: Executing", signal.SIGINT, {"second", "third"}),
        ("writing output... [ 57%]", signal.SIGINT, set()),
        ("writing the search index", signal.SIGKILL, set()),
    ],
)
def test_a_stopped_build_goes_on(tmp_path, whole, words, how, again):
    book = TinyBook(tmp_path)
    ran = book.stop_at(words, how)
    code, said, ran_again = book.build()
    assert code == 0, said
    assert set(ran_again) <= again
    assert {*ran, *ran_again} == {"first", "one", "second", "third", "two"}
    assert book.site().keys() == whole.keys()
    assert book.site()["_static/search_data.js"] == whole["_static/search_data.js"]


def test_a_page_that_changed_before_the_stop_is_written(tmp_path):
    book = TinyBook(tmp_path)
    assert book.build()[0] == 0
    for name in ("first", "second"):
        book.chapter(name, "print('changed word')")
    assert "first" in book.stop_at("docs/second.md: Executing")
    code, said, ran = book.build()
    assert code == 0 and ran == ["second"], said
    for name in ("first", "second"):
        assert b"changed word" in book.site()[f"{name}.html"]


def test_warnings_come_again_and_only_of_their_pages(tmp_path):
    book = TinyBook(tmp_path)
    book.write("docs/plain.md", "# A plain page\n\n```{nonsense}\n```\n")  # warns when it is read
    text = book.path("docs/third.md").read_text()
    book.write("docs/third.md", text + "\n{py:obj}`a3.nonsense`\n")  # warns when it is written
    for runs in (["first", "one", "second", "third", "two"], []):
        code, said, ran = book.build()
        assert code != 0 and sorted(ran) == runs
        assert "nonsense" in said and "a3.nonsense" in said
    book.stop_at("writing the search index")
    code, said, ran = book.build()
    assert code != 0 and ran == [] and "nonsense" in said and "a3.nonsense" in said
    book.write("docs/plain.md", "# A plain page\n")
    book.write("docs/third.md", text)
    code, said, ran = book.build()
    assert code == 0 and ran == ["third"], said
