"""Answers are folded when a page is made: a ``details``, which opens without a script.

What has the class ``dropdown`` is one. A browser opens it for a link into it and for a word that
is looked for on the page; where it does not, ``book.js`` opens it for links. Paper shows it open.
"""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class fold(nodes.General, nodes.Element):
    """A box of which the title is seen, and the rest when it is opened."""


class fold_title(nodes.TextElement):
    """The title of a fold."""


class FoldAnswers(SphinxPostTransform):
    default_priority = 30  # after sphinx-exercise has made the titles
    formats = ("html",)

    def run(self, **kwargs):
        for box in list(self.document.findall(nodes.Admonition)):
            if "dropdown" in box["classes"]:
                title, *content = box.children
                hint = nodes.inline(classes=["fold-hint"])
                head = fold_title("", "", *title.children, hint)
                box.replace_self(fold("", head, *content, ids=box["ids"], classes=box["classes"]))


def visit(tag, **attributes):
    return (
        lambda self, node: self.body.append(self.starttag(node, tag, "", **attributes)),
        lambda self, node: self.body.append(f"</{tag}>\n"),
    )


def setup(app):
    app.add_node(fold, html=visit("details", CLASS="admonition"))
    app.add_node(fold_title, html=visit("summary", CLASS="admonition-title"))
    app.add_post_transform(FoldAnswers)
    return {"parallel_read_safe": True}
