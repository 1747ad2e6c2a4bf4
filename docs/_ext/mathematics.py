r"""Mathematics is rendered when the book is built: a page needs a stylesheet for it, and no script.

KaTeX (``katex.min.js`` beside this file, of the same version as its stylesheet) runs in an engine
that pip installs. A formula becomes MathML for screen readers, and beside it what is seen. What it
cannot read, or could only read as LaTeX would not, is a warning.

The search index leaves formulas out. The formulas of a short answer, which code has put into HTML
as ``\(...\)``, become formulas like the others.
"""

import atexit
import html
import re
from functools import cache
from pathlib import Path

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

KATEX = Path(__file__).with_name("katex.min.js")
RENDER = """
function render(tex, displayMode) {
    try {
        return {html: katex.renderToString(tex, {displayMode, strict: true})};
    } catch (error) {
        return {fault: error.message};
    }
}"""
NOT_NEEDED = re.compile(r' xmlns="[^"]*"|</?semantics>|<annotation.*?</annotation>', re.DOTALL)
IN_HTML = re.compile(r'<span class="math inline">\\\((.*?)\\\)</span>', re.DOTALL)
JOINER = "&#8288;"  # no line ends between a formula and what it touches
logger = logging.getLogger(__name__)


@cache
def engine():
    """Start JavaScript with KaTeX in it."""
    started = MiniRacer()
    atexit.register(started.close)  # or Python would wait for it for ever
    started.eval(KATEX.read_text(encoding="utf-8") + RENDER)
    return started


@cache
def rendered(tex, display):
    """Give a formula as HTML, or else what is wrong with it: a pair of which one is None."""
    answer = engine().call("render", tex, display)
    fault = answer.get("fault", "").replace("\N{COMBINING LOW LINE}", "")
    return (None, fault) if fault else (NOT_NEEDED.sub("", answer["html"]), None)


def formula(node):
    """Give the HTML of a formula; warn of one that cannot be read, and show its TeX."""
    text, fault = rendered(node.astext(), isinstance(node, nodes.math_block))
    if fault:
        logger.warning("%s", fault, location=node, type="mathematics")
    return text or f'<code class="katex-error">{html.escape(node.astext())}</code>'


def visit_inline(self, node):
    parts = [nodes.Text(""), *node.parent.children, nodes.Text("")]
    place = parts.index(node)
    before, after = parts[place - 1].astext(), parts[place + 1].astext()
    self.body += [
        JOINER if before.endswith(("(", "[", "“")) else "",
        *(self.starttag(node, "span", "", CLASS="math"), formula(node), "</span>"),
        JOINER if re.match(r"[.,;:!?)\]’”%-]", after) else "",
    ]
    raise nodes.SkipNode


def visit_displayed(self, node):
    self.body.append(self.starttag(node, "div", "", CLASS="math"))
    number = f"({get_node_equation_number(self, node)})" if node["number"] else ""
    if number:
        self.body.append(f'<span class="eqno">{number}')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    label = f"Equation {number}".strip()
    self.body.append(f'<div class="box" role="group" aria-label="{label}">{formula(node)}</div>')
    self.body.append("</div>\n")
    raise nodes.SkipNode


def prepare(app, doctree, docname):
    """Find the formulas in HTML, and keep all from the search index."""
    for raw in list(doctree.findall(nodes.raw)):
        text, *others = IN_HTML.split(raw.astext())
        if others and raw["format"] == "html":
            parts = [nodes.raw("", text, format="html")]
            for tex, text in zip(others[::2], others[1::2], strict=True):
                parts += [nodes.math("", html.unescape(tex)), nodes.raw("", text, format="html")]
            raw.replace_self(parts)
    for node in doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block)):
        node["classes"].append("no-search")


def add_stylesheet(app, page, template, context, doctree):
    if context.get("has_maths_elements"):
        app.add_css_file("katex/katex.min.css")


def setup(app):
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_displayed, None))
    app.connect("doctree-resolved", prepare)
    app.connect("html-page-context", add_stylesheet)
    return {"parallel_read_safe": True, "parallel_write_safe": False}  # no engine survives a fork
