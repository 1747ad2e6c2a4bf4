"""Numbers count on their page, links from elsewhere name that page, and an anchor stands once.

Numbers
    Theorems, exercises and the like are numbered page by page, as equations are, so that a number
    stays when another page gets one more. The handouts' questions have their own numbers. A link
    from another page says which page: ``(ridge 3)`` for its third equation, with the name of its
    file, and ``Theorem 1 of Adversarial examples``.
Anchors
    Each exercise and theorem links to itself by its label, which stays when others are put before.
    A question of the handouts has its number as an anchor too: ``#q2025-2-3-3``, ``#q2023-3-3-3``.
    The extensions give the same id to the inside of every box; it is taken away.
"""

from docutils import nodes
from frame import anchors, questions
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

INSIDES = {"exercise-content", "solution-content", "proof-content", "proof"}


def number_by_page(app, builder):
    """Count anew on each page what Sphinx has numbered through the book, but for questions."""
    answers = getattr(app.env, "sphinx_exercise_registry", {})
    asked = {
        answers[row["Answer"]]["node"]["target_label"]
        for row in questions()
        if row["Answer"] in answers
    }
    for kinds in app.env.toc_fignumbers.values():
        for kind, numbers in kinds.items():
            counted = [label for label in numbers if label not in asked]
            kinds[kind] = {label: (count,) for count, label in enumerate(counted, 1)}


class NamePages(SphinxPostTransform):
    """Resolve links to numbers on other pages, and have them name the page."""

    default_priority = 9  # just before Sphinx resolves the links that are left

    def run(self, **kwargs):
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link.get("refexplicit") or not (page := self.page_of(link["reftarget"], link)):
                continue
            if page == self.env.docname:
                continue
            domain = self.env.domains[link["refdomain"]]
            where = self.env.docname, self.app.builder, link["reftype"], link["reftarget"]
            made = domain.resolve_xref(self.env, *where, link, link[0].deepcopy())
            title = self.env.titles[page].astext()
            (text,) = made.findall(nodes.Text)
            if link["reftype"] == "eq":
                name = page.rpartition("/")[2].replace("_", " ")
                said = f"({name} {text.strip('()')})"
            else:
                said = f"{text} of {title.partition(':')[0]}"
            text.parent.replace(text, nodes.Text(said))
            made["reftitle"] = title
            link.replace_self(made)

    def page_of(self, label, link):
        """Give the page of a numbered thing, or None for another kind of link."""
        if link["reftype"] == "eq":
            return self.env.domains["math"].equations.get(label, (None,))[0]
        if link.get("refdomain") == "prf":
            return getattr(self.env, "proof_list", {}).get(label, {}).get("docname")
        if link["reftype"] == "numref":
            registry = getattr(self.env, "sphinx_exercise_registry", {})
            return registry.get(label, {}).get("docname")
        return None


class Anchors(SphinxPostTransform):
    default_priority = 25  # after sphinx-exercise has made the titles, before answers are folded
    formats = ("html",)

    def run(self, **kwargs):
        boxes = {box["label"]: box for box in self.document.findall() if labelled(box)}
        for row in questions():
            if row["Page"] == self.env.docname and row["Answer"] in boxes:
                question = boxes[boxes[row["Answer"]]["target_label"]]
                question["ids"] = [*question["ids"], *anchors(row).values()]
                _, *title, _ = question[0].children  # a blank and parentheses
                question[0].children = [nodes.Text("Question: "), *title]
        for label, box in boxes.items():
            if "target_label" not in box:  # of an answer, the title opens it
                box[0] += nodes.reference("", "#", refid=label, classes=["headerlink"])
        for inside in self.document.findall(nodes.Element):
            if INSIDES & set(inside["ids"]):
                inside["ids"] = [label for label in inside["ids"] if label not in INSIDES]


def labelled(node):
    """Whether a node is an exercise, an answer or a theorem."""
    return isinstance(node, nodes.Admonition) and isinstance(node.get("label"), str)


def setup(app):
    app.connect("write-started", number_by_page)
    app.add_post_transform(NamePages)
    app.add_post_transform(Anchors)
    return {"parallel_read_safe": True}
