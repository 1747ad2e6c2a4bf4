"""The directive ``page-figure``: the first figure of another page, for the landing page."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class page_figure(nodes.General, nodes.Element):
    """Stands for the figure until every page has run."""


class PageFigure(SphinxDirective):
    """``{page-figure} DOCNAME``: shown light and dark, with the other page's alternative text."""

    required_arguments = 1

    def run(self):
        self.env.note_reread()
        return [page_figure(page=self.arguments[0])]


def first_figure(doctree):
    """Give copies of the images of the first figure: one for light pages and one for dark."""
    images = []
    for node in doctree.findall(nodes.image):
        if {"only-light", "only-dark"} & set(node["classes"]):
            images.append(node.deepcopy())
        if len(images) == 2:
            break
    return images


def add_figures(app, doctree, docname):
    for place in list(doctree.findall(page_figure)):
        images = first_figure(app.env.get_doctree(place["page"]))
        place.replace_self(nodes.container("", *images, classes=["page-figure"]))


def setup(app):
    app.add_node(page_figure)
    app.add_directive("page-figure", PageFigure)
    app.connect("doctree-resolved", add_figures)
    return {"parallel_read_safe": True}
