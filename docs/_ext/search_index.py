"""The search index: what a reader can find, written for ``docs/_static/search.js``.

An entry is a section of a page, a question, a term of the glossary or a name of the package. It has
words only: no code, no output of code, and of mathematics what reads as a word. Sphinx's own index
is not made. Both files are scripts, so that the search also works from a disk.
"""

import csv
import json
import re
from functools import cache
from pathlib import Path

from docutils import nodes
from frame import EDITIONS, box_of, is_of_gallery, questions
from sphinx import addnodes
from sphinx.util.display import progress_message

ROOT = Path(__file__).parents[2]
BACK_MATTER = set(
    "index preface every_question notation references how_it_was_run trained_models changes cite "
    "errata 404".split()
)
SILENT = (  # what is not read as text
    nodes.comment,
    nodes.field_list,
    nodes.literal_block,
    nodes.math_block,
    nodes.title,
    nodes.subtitle,
    nodes.system_message,
    nodes.target,
    nodes.topic,
    addnodes.glossary,
    addnodes.toctree,
    addnodes.desc_signature,
)
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def formula(tex):
    """Give a formula as text if it needs no TeX, else an ellipsis."""
    tex = re.sub(r"\^\{?(-?\d+)\}?", lambda power: power[1].translate(RAISED), tex)
    return "…" if re.search(r"[\\{}^_&]", tex) else tex


def words_of_html(text):
    """Give the text of a short answer that code has written; of other HTML, nothing."""
    if "in-short" not in text:
        return ""
    text = re.sub(r"\\\((.*?)\\\)", lambda tex: formula(tex[1]), text, flags=re.DOTALL)
    return re.sub(r"<p class=\"admonition-title\">.*?</p>|<[^>]+>", " ", text)


def is_section(node):
    """Whether a node is a section with a title, which has an entry of its own."""
    return isinstance(node, nodes.section) and isinstance(node.next_node(descend=True), nodes.title)


def text_of(node):
    """Give the words of a node, without those of the entries inside it."""
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, nodes.math):
        return formula(node.astext())
    if isinstance(node, nodes.raw):
        return words_of_html(node.astext())
    if isinstance(node, SILENT) or is_of_gallery(node) or node.get("refdomain") == "cite":
        return ""
    if node.get("reftype") in ("eq", "ref", "numref") and not node.get("refexplicit"):
        return "…"  # a number, or a label
    inner = [
        text_of(child)
        for child in node.children
        if not is_section(child) and not isinstance(child, addnodes.desc)
    ]
    return ("" if isinstance(node, nodes.TextElement) else " ").join(inner)


def entries_of(docname, doctree, titles):
    """List the entries of a page: kind, page, anchor, title and text."""
    kind = "reference" if docname.startswith("api") else "page"
    kind = "back" if docname in BACK_MATTER else kind
    for place in doctree.findall():
        if is_section(place):
            top = isinstance(place.parent, nodes.document)
            title = titles[docname] if top else "".join(map(text_of, place[0])).strip()
            if title != "References":
                yield kind, docname, "" if top else place["ids"][0], title, text_of(place)
        elif isinstance(place, addnodes.desc):
            signature = place[0]
            if signature["ids"]:
                yield "name", docname, signature["ids"][0], signature["fullname"], text_of(place)
        elif isinstance(place, nodes.term) and place["ids"] and docname == "glossary":
            definition = place.next_node(nodes.definition, descend=False, siblings=True)
            yield "term", docname, place["ids"][0], place.astext(), text_of(definition)


def entries_of_questions(env, doctree_of):
    """List the questions of the table: as above, the text what is asked; then the numbers."""
    for row in questions():
        if row["Page"] not in env.found_docs:
            continue
        by_id = {}
        for node in doctree_of(row["Page"]).findall(nodes.Element):
            by_id.update(dict.fromkeys(node["ids"], node))
        label = by_id[row["Answer"]]["target_label"]
        exercise = by_id.get(label)
        text = text_of(exercise) if exercise else ""
        numbers = [(edition, row[edition]) for edition in EDITIONS if row[edition]]
        yield "question", row["Page"], box_of(row, label), row["Question"], text, numbers


def tidy(entry, titles):
    """Leave single spaces in an entry's text, titles for addresses, and no TeX from literals."""
    *parts, text = entry[:5]
    text = re.sub(r"[\w/]+/\w+", lambda page: titles.get(page[0].strip("/"), page[0]), text)
    text = " ".join(re.sub(r"\S*[\\$]\S*", "…", text).split())
    text = re.sub(r"…( …)+", "…", text)
    return [*parts, re.sub(r" (?=[.,;:?!)])", "", text), *entry[5:]]


def write(app, exception):
    if exception or app.builder.format != "html":
        return
    with progress_message("writing the search index"):
        write_data(app.env, Path(app.outdir))


def write_data(env, folder):
    """Write the entries, the titles of the pages, what pages use, and the synonyms."""
    titles = {page: env.titles[page].astext() for page in sorted(env.found_docs)}
    doctree_of = cache(env.get_doctree)  # that of a page with questions is asked for more than once
    entries = [tidy(entry, titles) for entry in entries_of_questions(env, doctree_of)]
    for page in sorted(titles.keys() - {"changes"}):  # which are no subject
        of_page = entries_of(page, doctree_of(page), titles)
        entries += [tidy(entry, titles) for entry in of_page]
    uses = {}
    for name, pages in sorted(env.book_users.items()):
        for page in pages:
            uses.setdefault(page, []).append(name.rpartition(".")[2])
    with open(ROOT / "docs" / "synonyms.csv", encoding="utf-8", newline="") as rows:
        synonyms = [[row["A reader says"], row["The book says"]] for row in csv.DictReader(rows)]
    data = {"titles": titles, "entries": entries, "uses": uses, "synonyms": synonyms}
    script = f"const searchData = {json.dumps(data, ensure_ascii=False, separators=(',', ':'))};\n"
    (folder / "_static" / "search_data.js").write_text(script, encoding="utf-8")
    for name in ("searchindex.js", "_static/searchtools.js", "_static/language_data.js"):
        (folder / name).unlink(missing_ok=True)  # of Sphinx's own search


def without_sphinx_index(app):
    app.builder.search = False


def search_page(app):
    return [("search", {}, "search.html")]


def setup(app):
    app.connect("builder-inited", without_sphinx_index)
    app.connect("html-collect-pages", search_page)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}
