"""The frame of an executed page: folded code, a bar under the title, and the key of all answers.

Code
    A cell whose code only draws is tagged ``hide-input``, in a script after its ``# %%``. So is,
    without a tag, the first cell of a script, with its imports. What the cell shows comes first,
    its code folded below it.
Bar
    Under the title: the question's numbers and points, minutes to read, seconds it ran, the script,
    the notebook, and where the lines are that run it: at the end of the page.
Every question
    The directive ``every-question`` lists the rows of ``questions.csv``, of one edition or both, or
    in their place, by a switch, the short answers of the pages. A short answer is the first thing
    in the solution that the row names.
"""

import csv
import re
from functools import cache
from pathlib import Path

from docutils import nodes
from page_tables import link_to, table
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
EDITIONS = ("2025", "2023")
WORDS_A_MINUTE = 200
GALLERY = {"sphx-glr-download-link-note", "sphx-glr-footer", "sphx-glr-timing"}
EDITION = "".join(
    f'<label><input type="radio" name="edition" value="{value}"{checked}> {words}</label>'
    for value, words, checked in [
        ("both", "both editions", " checked"),
        *((edition, edition, "") for edition in EDITIONS),
    ]
)
FILTER = f'<fieldset class="edition-switch"><legend>Questions of</legend>{EDITION}</fieldset>'
SWITCH = '<label class="key-switch"><input type="checkbox"> Show the short answers</label>'


@cache
def questions(file=ROOT / "docs" / "questions.csv"):
    """Read the rows of the table of questions."""
    with open(file, encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def anchors(row):
    """Map each edition that asks a question to the anchor that ``numbering.py`` gives it."""
    numbers = {edition: re.sub(r"\W+", "-", row[edition]).strip("-") for edition in EDITIONS}
    return {edition: f"q{edition}-{number}" for edition, number in numbers.items() if number}


def box_of(row, label):
    """Give the anchor of a question's box: its number, or for one of ours the exercise's label."""
    return next(iter(anchors(row).values()), label)


# -- Code ------------------------------------------------------------------------------------------
def folded_lines(script):
    """Give the numbers of the lines at which the folded cells of a script begin."""
    cells, tag = [], True  # the first cell holds the imports
    docstring = None
    for number, line in enumerate(script.splitlines(), 1):
        if docstring is None and (quote := re.match(r'r?("""|\'\'\')', line)):
            docstring = quote[1]
            line = line[quote.end() :]
        if docstring:
            docstring = "" if docstring in line else docstring
        elif line.startswith("# %%"):
            tag = "hide-input" in line
        elif tag and line.strip() and not line.startswith("#"):
            cells.append(number)
            tag = False
    return cells


class FoldCode(SphinxPostTransform):
    """Fold the code of tagged cells, below what they show."""

    default_priority = 190  # before MyST-NB, which folds above the output
    formats = ("html",)

    def run(self, **kwargs):
        from myst_nb.sphinx_ import HideCodeCellNode

        def folded(code):
            return HideCodeCellNode(
                "", code, prompt_show="Show the code", prompt_hide="Hide the code"
            )

        for cell in list(self.document.findall(nodes.container)):
            if cell.get("hide_mode") == "input" and cell.get("nb_element") == "cell_code":
                cell["hide_mode"] = ""
                code, *output = cell.children
                cell.children = []
                cell += [*output, folded(code)]

        script = ROOT / f"{self.env.docname}.py"
        if not script.is_file():
            return
        begin = folded_lines(script.read_text(encoding="utf-8"))
        for comment in list(self.document.findall(nodes.comment)):
            lines = re.match(r"GENERATED FROM PYTHON SOURCE LINES (\d+)-(\d+)", comment.astext())
            siblings, place = comment.parent.children, comment.parent.index(comment) + 1
            if not lines or not any(int(lines[1]) <= line <= int(lines[2]) for line in begin):
                continue
            if place == len(siblings) or not is_code(siblings[place]):
                continue
            code = siblings.pop(place)
            while place < len(siblings) and is_output(siblings[place]):
                place += 1
            comment.parent.insert(place, folded(code))


def is_code(node):
    """Whether a node is the code of a cell, which the gallery has perhaps filled with links."""
    return isinstance(node, nodes.Element) and "Python" in (node.get("language"), node.get("lang"))


def is_of_gallery(node):
    """Whether a node is the gallery's word on the page: its links or its running time."""
    return isinstance(node, nodes.Element) and not GALLERY.isdisjoint(node.get("classes", []))


def is_output(node):
    """Whether the gallery made a node from what a cell showed."""
    return (
        isinstance(node, nodes.image | nodes.raw)
        or "sphx-glr-script-out" in node.get("classes", [])
        or "output_subarea" in " ".join(node.get("classes", []))
    )


# -- The bar ---------------------------------------------------------------------------------------
def points(row, edition):
    number = row[f"Points {edition}"]
    return f" ({number} point{'s' * (number != '1')})" if number not in ("", "0") else ""


def add_bar(app, doctree, docname):
    """Put the bar of an executed page under its title, and the gallery's links out of its way."""
    seconds = getattr(app.env, "book_timings", {}).get(docname)
    title = next(doctree.findall(nodes.title), None)
    if seconds is None or title is None:
        return
    rows = [row for row in questions() if row["Page"] == docname]
    items = []
    for edition in EDITIONS:
        asked = [f"{row[edition]}{points(row, edition)}" for row in rows if row[edition]]
        items += [f"{edition}: {', '.join(asked)}"] if asked else []
    words = sum(len(part.astext().split()) for part in doctree.findall(nodes.paragraph))
    items += [f"{max(1, round(words / WORDS_A_MINUTE))} min to read", f"ran in {seconds:.0f} s"]
    bar = nodes.bullet_list(classes=["page-bar"])
    bar += [nodes.list_item("", nodes.paragraph("", item)) for item in items]
    for link in list(doctree.findall(addnodes.download_reference)):
        if link["reftarget"].endswith(f"{Path(docname).name}.py"):
            link.children = [nodes.Text("script")]
            bar += nodes.list_item("", nodes.paragraph("", "", link.deepcopy()))
    attributes = f'class="reference download internal" download href="{Path(docname).name}.ipynb"'
    notebook = nodes.raw("", f"<a {attributes}>notebook</a>", format="html")
    bar += nodes.list_item("", nodes.paragraph("", "", notebook))
    for part in list(doctree.findall(is_of_gallery)):  # the bar has what it says
        part.parent.remove(part)
    run = nodes.reference("", "run", refid="run-this-page")
    bar += nodes.list_item("", nodes.paragraph("", "", run))
    cite = nodes.reference("", "cite", refid="cite-this-page")
    bar += nodes.list_item("", nodes.paragraph("", "", cite))
    title.parent.insert(title.parent.index(title) + 1, bar)
    preface = app.builder.get_relative_uri(docname, "preface") + "#run-it-yourself"
    title.parent += how_to_run(docname, preface)


def how_to_run(docname, preface):
    """Give the lines that run a page, in a box for its end."""
    if (ROOT / f"{docname}.py").is_file():
        lines = f"make .venv/installed\n.venv/bin/python {docname}.py"
    else:
        lines = f"# change docs/{docname}.md\nmake html"
    box = nodes.container(classes=["run-page"], ids=["run-this-page"])
    how = nodes.reference("", "in a copy of the repository", refuri=preface)
    box += nodes.paragraph("", "", nodes.Text("Run this page, "), how, nodes.Text(":"))
    box += nodes.literal_block(lines, lines, language="sh")
    return box


# -- Every question --------------------------------------------------------------------------------
class every_question(nodes.General, nodes.Element):
    """Stands for the table and the key until every page has run."""


class EveryQuestion(SphinxDirective):
    def run(self):
        self.env.note_reread()
        return [every_question()]


def short_answer(solution):
    """Give the nodes of the short answer with which a solution begins, with its code, if any."""
    for node in solution.findall():
        if isinstance(node, nodes.Element) and "in-short" in node["classes"]:
            code = node.next_node(is_code, descend=False, siblings=True)
            return [node, code] if code and "with-code" in node["classes"] else [node]
        if isinstance(node, nodes.raw) and "in-short" in node.astext():
            return [node]
    return []


def of_editions(row):
    return [f"in-{edition}" for edition in anchors(row)]


def without_ids(part):
    """Take the anchors off a copy, since they are those of its page."""
    for node in part.findall(nodes.Element):
        node["ids"] = []
    return part


class ListQuestions(SphinxPostTransform):
    """Put the table and the short answers where the directive stands."""

    default_priority = 5  # before references are resolved, those in the answers with them

    def run(self, **kwargs):
        doctree_of = cache(self.env.get_doctree)  # a page has several questions
        for place in list(self.document.findall(every_question)):
            page = self.env.docname
            key = nodes.container(classes=["key"])
            for row in questions():
                title = [f"{edition}: {row[edition]}" for edition in EDITIONS if row[edition]]
                key += (one := nodes.container(classes=["one", *of_editions(row)]))
                one += nodes.rubric("", " · ".join([*title, row["Question"]]))
                for solution in doctree_of(row["Page"]).findall(nodes.Element):
                    if row["Answer"] in solution.get("ids", ()):
                        one += [without_ids(node.deepcopy()) for node in short_answer(solution)]
                link = self.link(page, row, row["Answer"])
                one += nodes.paragraph("", "", nodes.Text("From "), link)
            switches = nodes.raw("", FILTER + SWITCH, format="html")
            place.replace_self([switches, self.table(page), key])

    def table(self, page):
        header = ("", "Question", "2025", "Points", "2023", "Points", "Type", "Page")
        columns = ("Part", "Question", "2025", "Points 2025", "2023", "Points 2023", "Type")
        rows = []
        for row in questions():
            cells = {column: row[column] for column in columns}
            named = anchors(row)
            for edition, anchor in named.items():
                cells[edition] = self.link(page, row, anchor, row[edition])
            solution = self.env.sphinx_exercise_registry[row["Answer"]]["node"]
            anchor = box_of(row, solution["target_label"])
            rows.append([*cells.values(), self.link(page, row, anchor)])
        listed = table(rows, header, (5, 30, 8, 6, 8, 6, 5, 32), classes=["questions"])
        for line, row in zip(listed[0][-1], questions(), strict=True):
            line["classes"] = of_editions(row)
        return listed

    def link(self, page, row, anchor, text=None):
        """Make a link to the box of a question or of its answer."""
        link = link_to(self.app, page, row["Page"])
        link["refuri"] += f"#{anchor}"
        if text:
            link.children = [nodes.Text(text)]
        return link


def setup(app):
    app.add_node(every_question)
    app.add_directive("every-question", EveryQuestion)
    app.add_post_transform(FoldCode)
    app.add_post_transform(ListQuestions)
    app.connect("doctree-resolved", add_bar)
    return {"parallel_read_safe": True}
