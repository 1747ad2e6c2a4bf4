"""How to cite the book, and each of its executed pages: BibTeX that is filled in from the build.

The directive ``cite-the-book`` gives the book's entry. A page has its own in a box at its end, to
which the bar under its title leads. An entry has a link as soon as the book has an address.
"""

import re

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

TITLE = "a3: the executable course text on attention, scaling and pretraining"


def entry(kind, key, fields):
    """A BibTeX entry as text."""
    width = max(map(len, fields))
    lines = [f"  {name:{width}} = {{{value}}}" for name, value in fields.items()]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def of_book(config):
    """The fields of the whole book."""
    fields = {
        "author": f"{{{config.author}}}",
        "title": TITLE,
        "year": re.search(r"\d{4}", config.copyright)[0],
        "version": config.release,
    }
    return fields | ({"url": config.html_baseurl} if config.html_baseurl else {})


def of_page(app, docname):
    """The fields of a page, by its name in the book."""
    fields = of_book(app.config)
    fields["howpublished"] = f"In: {fields['title']}"
    fields["title"] = f"{{{app.env.titles[docname].astext()}}}"
    if "url" in fields:
        page = app.builder.get_target_uri(docname)
        fields["url"] = f"{fields.pop('url').rstrip('/')}/{page}"
    return fields


class CiteTheBook(SphinxDirective):
    def run(self):
        text = entry("software", self.config.project, of_book(self.config))
        return [nodes.literal_block(text, text, language="bibtex")]


def add_box(app, doctree, docname):
    """Put the entry of an executed page at its end."""
    title = next(doctree.findall(nodes.title), None)
    if docname not in getattr(app.env, "book_timings", {}) or title is None:
        return
    key = f"{app.config.project}-{docname.rpartition('/')[2].replace('_', '-')}"
    text = entry("misc", key, of_page(app, docname))
    box = nodes.container(classes=["run-page"], ids=["cite-this-page"])
    whole = app.builder.get_relative_uri(docname, "cite")
    words = nodes.paragraph("", "Cite this page, or ")
    words += nodes.reference("", "the book", refuri=whole, internal=True)
    words += nodes.Text(":")
    box += [words, nodes.literal_block(text, text, language="bibtex")]
    title.parent += box


def setup(app):
    app.add_directive("cite-the-book", CiteTheBook)
    app.connect("doctree-resolved", add_box)
    return {"parallel_read_safe": True}
