"""The search: forty queries and more with what they must find, and what a reader does with it."""

import json
import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("A3_SITE", ROOT / "_build" / "html"))
FIRST = 3
QUERIES = {  # what must be among the first three; several of one query all must
    "2.3-3": "tutorials/nmt/extrapolation.html#q2025-2-3-3",
    "2025 2.3-3": "tutorials/nmt/extrapolation.html#q2025-2-3-3",
    "2023, 3.3-3": "tutorials/nmt/extrapolation.html#q2025-2-3-3",
    "1.2.2": "robustness/ridge.html#q2023-1-2-2",
    "2023 1.2.2": "robustness/ridge.html#q2023-1-2-2",
    "1.2.2 2023": "robustness/ridge.html#q2023-1-2-2",
    "q 2.3.3": "tutorials/nmt/extrapolation.html#q2025-2-3-3",
    "causal attention code": "tutorials/nmt/causal.html",
    "install": "preface.html#run-it-yourself",
    "isoflop profile": "glossary.html#term-IsoFLOP-profile",
    "2.1.2 (b)": "resources/batch_size.html#q2023-2-1-2-b",
    "atention": "tutorials/nmt/attention.html",
    "FGSM": "robustness/attacks.html",
    "IsoFLOP": "tutorials/nmt/isoflop.html",
    "softmax": "tutorials/nmt/attention.html",
    "weight decay": "robustness/weight_decay.html",
    "positional encoding": "tutorials/nmt/positions.html",
    "overfitting": "tutorials/nmt/repeated_words.html",
    "overfiting": "tutorials/nmt/repeated_words.html",
    "causal mask": "tutorials/nmt/causal.html",
    "cross-attention": "glossary.html#term-cross-attention",
    "vanishing gradient": "architecture/recurrent.html",
    "convolution": "architecture/convolution.html",
    "max pooling": "architecture/max_pooling.html",
    "ridge regression": "robustness/ridge.html",
    "adversarial example": "robustness/attacks.html",
    "critical batch size": "resources/batch_size.html",
    "learning rate": "resources/learning_rate.html",
    "learning rate decay": "tutorials/nmt/schedules.html",
    "Chinchilla": "resources/compute.html",
    "tokens per parameter": "tutorials/nmt/extrapolation.html",
    "majority class": "language_models.html",
    "freezing": "tutorials/bert/freezing.html",
    "MathBERT": "tutorials/bert/pretraining_data.html",
    "zero-shot": "tutorials/clip/zero_shot.html",
    "prompt": "tutorials/nmt/end_of_prompt.html",
    "scavenger hunt": "tutorials/clip/hunt.html",
    "temperature": "tutorials/clip/temperature.html",
    "contrastive loss": "tutorials/clip/contrastive_loss.html",
    "layer norm": "tutorials/nmt/modern.html",
    "rotary": "tutorials/nmt/modern.html",
    "teacher forcing": "glossary.html#term-teacher-forcing",
    "fit_isoflop": "tutorials/nmt/isoflop.html api/a3.scaling.html#a3.scaling.fit_isoflop",
    "practise": "practice.html",
    "seq2seq": "tutorials/nmt/encoder_decoder.html",
}
FIND = "async (query) => (await loadSearch()).find(query).map((result) => result.url)"


@pytest.fixture(scope="module")
def found(window):
    """The addresses of what a query finds, the best first."""
    page = window.open("search.html")
    return {query: page.evaluate(FIND, query) for query in QUERIES}


@pytest.mark.parametrize(
    ("query", "expected"),
    [(query, address) for query in QUERIES for address in QUERIES[query].split()],
)
def test_query_finds_the_page(found, query, expected):
    if not (SITE / expected.partition("#")[0]).is_file():
        pytest.skip("not on this site")
    addresses = [url if "#" in expected else url.partition("#")[0] for url in found[query][:FIRST]]
    assert expected in addresses


def data():
    script = (SITE / "_static" / "search_data.js").read_text(encoding="utf-8")
    return json.loads(script[script.index("{") : script.rindex("}") + 1])


def test_every_entry_has_its_place_and_no_tex():
    for _, page, anchor, title, text, *_ in data()["entries"]:
        assert not re.search(r"[\\$]", title + text), (page, anchor)
        if anchor:
            content = (SITE / f"{page}.html").read_text(encoding="utf-8")
            assert f'id="{anchor}"' in content, (page, anchor)


def test_a_synonym_leads_to_words_of_the_book():
    data_ = data()
    book = " ".join(" ".join(entry[3:5]) for entry in data_["entries"]).lower()
    for reader, words in data_["synonyms"]:
        for word in re.findall(r"\w{3,}", words.lower()):
            assert word[:5] in book, f"{reader}: the book does not say {words}"


def test_no_page_loads_the_index_before_a_reader_searches(window):
    page = window.open("index.html")
    loaded = "performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert not [name for name in page.evaluate(loaded) if re.search("minisearch|search_data", name)]
    for path in SITE.glob("**/*.html"):
        content = path.read_text(encoding="utf-8")
        assert "searchindex.js" not in content and "searchtools.js" not in content
    assert not (SITE / "searchindex.js").exists()
    page.keyboard.press("Control+k")
    page.wait_for_function(f"{loaded}.some((name) => name.includes('search_data'))")


def test_dialog_by_keyboard(window):
    page = window.open("index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("sinusoydal positions")
    hits = page.locator("#pst-search-dialog .search-list a")
    hits.first.wait_for()
    status = page.locator("#pst-search-dialog [role=status]").inner_text()
    assert re.fullmatch(r"\d+ results? for “sinusoidal position”", status)
    assert hits.first.locator("mark").count()
    assert not re.search(r"[\\$]", page.locator("#pst-search-dialog .search-list").inner_text())
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tutorials/nmt/positions.html*")
    assert window.faults == []


def test_a_number_leads_to_its_question_with_the_answer_folded(window):
    page = window.open("tutorials/nmt/extrapolation.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("2.3-3")
    page.locator(".search-list a[href$='#q2025-2-3-3']").wait_for()
    page.keyboard.press("Enter")
    page.locator("#pst-search-dialog").wait_for(state="hidden")
    question = page.locator("article .exercise", has_text="2.3-3").bounding_box()
    assert 0 <= question["y"] < 400
    assert not page.locator("#s3-answer .in-short").is_visible()


def test_nothing_found_says_what_to_try(window):
    page = window.open("search.html?q=zyxwvut")
    status = page.locator(".bd-search-container [role=status]")
    page.wait_for_function("document.querySelector('main [role=status]').textContent")
    assert "Nothing found" in status.inner_text() and "2.3-3" in status.inner_text()


@pytest.mark.parametrize("width", [1280, 360])
def test_search_page_from_a_disk(chromium, address, width):
    page = chromium.new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto(f"{(SITE / 'search.html').resolve().as_uri()}?q={quote('ridge regression')}")
    hit = page.locator("main .search-list a[href*='/robustness/ridge.html']").first
    hit.wait_for()
    assert "penalty" in page.locator("main .search-list").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    hit.click()
    page.wait_for_url("file://**/robustness/ridge.html*")


def test_search_page_without_javascript(chromium, address):
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/search.html")
    assert page.locator("main noscript p").is_visible()
