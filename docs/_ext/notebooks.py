"""A notebook of each executed page, beside it: text, code, and what the code showed in this build.

It begins with a cell that installs the book's package, of this version, where there is none. Folded
code stays folded. A folded answer is one ``details`` after the other, since a notebook cannot fold
cells together; its code is hidden until it is asked for.
"""

import base64
import html
import mimetypes
from importlib.metadata import metadata
from pathlib import Path

import nbformat
from book import executed_pages
from docutils import nodes
from folds import fold, fold_title
from frame import folded_lines, is_code, is_of_gallery, is_output
from nbformat import v4
from notebook_text import Markdown
from numbering import labelled
from sphinx.transforms.post_transforms import SphinxPostTransform

INSTALL = """\
# The book's package, as of the version that this notebook is of.
from importlib.util import find_spec

if find_spec("a3") is None:
    %pip install -q {package}"""

GOES_ON = ", continued"


class Notebook:
    """Collects the cells of a page."""

    def __init__(self, page, text, folder, folded=()):
        self.text, self.folder, self.folded = text, folder, folded
        about = metadata("a3-book")
        package = f"{about['Name']}=={about['Version']}"
        self.cells = [v4.new_code_cell(INSTALL.format(package=package))]
        self.said, self.folds, self.lines = [], [], ()
        self.add(page, 0)
        self.flush()

    def notebook(self):
        for number, cell in enumerate(self.cells):
            cell["id"] = f"cell-{number}"  # the same in every build
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        made = v4.new_notebook(cells=self.cells, metadata={"kernelspec": kernel})
        nbformat.validate(made)
        return made

    def flush(self):
        """Make what has been said so far a cell."""
        text = "\n\n".join(part for part in self.said if part)
        self.said = []
        if not text:
            return
        for i, title in reversed([*enumerate(self.folds)]):
            text = f"<details><summary>{html.escape(title)}</summary>\n\n{text}\n\n</details>"
            self.folds[i] = f"{title.removesuffix(GOES_ON)}{GOES_ON}"
        self.cells.append(v4.new_markdown_cell(text))

    def add(self, node, level):
        """Add what stands in a node, which is ``level`` sections deep."""
        for child in node.children:
            if isinstance(child, nodes.comment):
                self.lines = lines_of(child) or self.lines
            elif isinstance(child, nodes.section):
                title = child.next_node(nodes.title, ascend=False)
                if title is not None and title.parent is child:
                    self.said.append("#" * min(level + 1, 6) + " " + self.text.line(title))
                self.add(child, level + (title is not None and title.parent is child))
            elif is_of_gallery(child):
                continue
            elif is_code(child):
                first, last = self.lines or (0, -1)
                self.code(child, any(first <= line <= last for line in self.folded))
            elif child.get("nb_element") == "cell_code":
                self.cell(child)
            elif is_output(child) and self.after_code():
                self.output(child)
            elif isinstance(child, fold):
                self.fold(child, level)
            elif title := heading(child):
                self.box(child, self.text.line(title), level)
            elif is_group(child):
                self.add(child, level)
            else:
                self.said.append(self.text.block(child))

    def box(self, node, title, level):
        """An admonition, an exercise or a theorem: quoted, if no code has to run in it."""
        node.remove(heading(node))
        if any(map(is_cell, node.findall(nodes.Element))):
            self.said.append(f"**{title}**")
            self.add(node, level)
        else:
            self.said.append(self.text.boxed(node, title))

    def fold(self, node, level):
        title = node.next_node(fold_title)
        self.flush()
        self.folds.append(" ".join(title.astext().split()))
        node.remove(title)
        if begins_with_code(node):
            self.said.append("It begins with the cell below.")
        self.add(node, level)
        self.flush()
        self.folds.pop()

    # -- Code and what it showed -------------------------------------------------------------------
    def code(self, node, hidden):
        """A cell of code, folded as it is on the page."""
        self.flush()
        cell = v4.new_code_cell(node.astext().strip("\n"))
        if hidden or self.folds:
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["tags"] = ["hide-input"]
        if self.folds:
            cell.metadata["jupyter"]["outputs_hidden"] = True
            cell.metadata["tags"] = ["hide-cell"]
        self.cells.append(cell)

    def cell(self, node):
        """A cell of a chapter: its code, then what it showed."""
        source, *shown = node.children
        self.code(source, node.get("hide_mode") == "input")
        for output in shown:
            self.output(output)

    def after_code(self):
        """Whether a cell of the page's code was the last thing."""
        return not any(self.said) and len(self.cells) > 1 and self.cells[-1].cell_type == "code"

    def output(self, node):
        """What the last cell of code showed: text, HTML and pictures."""
        cell = self.cells[-1]
        for part in node.findall():
            if isinstance(part, nodes.image) and "only-dark" not in part.get("classes", ()):
                cell.outputs.append(self.picture(part))
            elif isinstance(part, nodes.raw) and part.get("format") == "html":
                bundle = {"text/html": part.astext()}
                cell.outputs.append(v4.new_output("display_data", bundle))
            elif isinstance(part, nodes.literal_block):
                text = part.astext().rstrip("\n") + "\n"
                cell.outputs.append(v4.new_output("stream", text=text))

    def picture(self, node):
        """A picture with its alternative text, kept in the notebook."""
        file, alt = self.folder / node["uri"], node.get("alt", "")
        kind = mimetypes.guess_type(file.name)[0]
        data = base64.b64encode(file.read_bytes()).decode()
        width = f' width="{node["width"].removesuffix("px")}"' if node.get("width") else ""
        shown = f'<img alt="{html.escape(alt)}"{width} src="data:{kind};base64,{data}">'
        return v4.new_output("display_data", {"text/html": shown, "text/plain": alt})


def heading(node):
    """The title of a box; None if a node is no box."""
    if isinstance(node, nodes.Element) and not isinstance(node, nodes.section) and node.children:
        first = node[0]
        if isinstance(first, nodes.title) or first.__class__.__name__.endswith("_title"):
            return first
    return None


def is_cell(node):
    return is_code(node) or node.get("nb_element") == "cell_code"


def begins_with_code(node):
    """Whether a cell of code is the first that is seen of a box."""
    seen = nodes.TextElement | nodes.image
    for part in node.findall(nodes.Element):
        if is_cell(part):
            return True
        if isinstance(part, seen) and not isinstance(part, nodes.comment):
            return False
    return False


def is_group(node):
    """Whether a node only holds others."""
    return not isinstance(node, nodes.TextElement) and any(
        is_cell(part) or isinstance(part, fold) for part in node.findall(nodes.Element)
    )


def lines_of(comment):
    """The lines of the script that the gallery has made the next code of."""
    words = comment.astext().removeprefix("GENERATED FROM PYTHON SOURCE LINES ").split("-")
    return tuple(map(int, words)) if len(words) == 2 and all(map(str.isdigit, words)) else ()


def name_boxes(document, env):
    """Put into the titles what the page shows there: names, numbers, whose answer it is."""
    for link in list(document.findall(nodes.reference)):
        if "headerlink" in link["classes"]:
            link.parent.remove(link)
    numbers, named = env.toc_fignumbers.get(env.docname, {}), {}
    for box in document.findall(labelled):
        kind = box.get("realtype", "exercise")
        number = numbers.get(box.get("countertype", kind), {}).get(box["ids"][0])
        if number:  # a question is called one already
            box[0].insert(0, nodes.Text(" ".join([kind.title(), *map(str, number), ""])))
        named[box["label"]] = box[0].astext()
    for answer in document.findall(fold):
        known = env.sphinx_exercise_registry.get(next(iter(answer["ids"]), ""), {})
        if "node" in known and (title := named.get(known["node"]["target_label"])):
            answer[0].insert(1, nodes.Text(f" to {title}"))


class WriteNotebook(SphinxPostTransform):
    """Write the notebook of a page while its code still stands before what it shows."""

    default_priority = 189  # before frame.py folds code
    formats = ("html",)

    def run(self, **kwargs):
        page = self.env.docname
        pages = executed_pages()
        if page not in pages:
            return
        script = pages[page]
        folded = folded_lines(script.read_text(encoding="utf-8")) if script.suffix == ".py" else ()
        base = self.app.config.html_baseurl
        address = f"{base.rstrip('/')}/{self.app.builder.get_target_uri(page)}" if base else ""
        document = self.document.deepcopy()
        name_boxes(document, self.env)
        made = Notebook(document, Markdown(address), Path(self.app.srcdir), folded).notebook()
        file = Path(self.app.outdir, f"{page}.ipynb")
        file.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made, file)


def setup(app):
    app.add_post_transform(WriteNotebook)
    return {"parallel_read_safe": True}
