"""Markdown, as notebooks show it, of the text of a page whose links have been resolved.

Formulas stand on one line each, since a notebook takes them out before it reads the Markdown. A
link leads to the book's address; while the book has none, its words stay without a link.
"""

import re
import textwrap
from urllib.parse import urljoin, urlsplit

from docutils import nodes
from sphinx import addnodes

SPECIAL = re.compile(r"([\\`*_\[\]<>$|~])")
LIST_OR_HEADING = re.compile(r"^(\d*)([.)#+-] )")  # what would make a line one
LEFT_OUT = (
    nodes.comment | nodes.raw | nodes.target | nodes.title | nodes.substitution_definition
    | nodes.system_message | addnodes.download_reference | addnodes.index | addnodes.toctree
)  # fmt: skip


class Markdown:
    """Writes the nodes of one page, whose own address is ``address``, or empty."""

    def __init__(self, address=""):
        self.address = address

    # -- In a line ---------------------------------------------------------------------------------
    def line(self, node):
        """What stands in a node, as one line."""
        return re.sub(r"\s+", " ", self.pieces(node)).strip()

    def pieces(self, node):
        return "".join(map(self.piece, node.children))

    def piece(self, node):
        if isinstance(node, nodes.Text):
            return escaped(node.astext())
        if isinstance(node, nodes.math):
            return f"${one_line(node.astext())}$"
        if isinstance(node, nodes.literal):
            return code(node.astext())
        if isinstance(node, nodes.image | LEFT_OUT):
            return ""
        text = self.pieces(node)
        if isinstance(node, nodes.reference) and node.get("refuri", node.get("refid")):
            return self.link(text, node)
        if isinstance(node, nodes.emphasis | nodes.title_reference):
            return around("*", text)
        if isinstance(node, nodes.strong):
            return around("**", text)
        if isinstance(node, nodes.subscript | nodes.superscript):
            tag = "sub" if isinstance(node, nodes.subscript) else "sup"
            return f"<{tag}>{text}</{tag}>"
        return text

    def link(self, text, node):
        target = node.get("refuri") or f"#{node['refid']}"
        if not urlsplit(target).scheme:
            if not self.address:
                return text
            target = urljoin(self.address, target)
        return f"[{text}]({target})" if text.strip() else ""

    # -- Blocks ------------------------------------------------------------------------------------
    def block(self, node):
        """A node as Markdown without an empty line around it; empty if nothing is to be read."""
        if isinstance(node, LEFT_OUT):
            return ""
        if isinstance(node, nodes.math_block):
            return self.formula(node)
        if isinstance(node, nodes.literal_block):
            language = node.get("language", "").replace("none", "").lower()
            return f"```{language}\n{node.astext()}\n```"
        if isinstance(node, nodes.bullet_list | nodes.enumerated_list):
            return self.list(node)
        if isinstance(node, nodes.definition_list):
            return "\n\n".join(map(self.definition, node.children))
        if isinstance(node, nodes.table):
            return self.table(node)
        if isinstance(node, nodes.image):
            return around("*", escaped(node.get("alt", "")))
        if isinstance(node, nodes.rubric):
            return around("**", self.line(node))
        if isinstance(node, nodes.TextElement):
            return LIST_OR_HEADING.sub(r"\1\\\2", self.line(node))
        if isinstance(node, nodes.block_quote):
            return quoted(self.blocks(node))
        return self.blocks(node)

    def blocks(self, node):
        """The children of a node, an empty line between them."""
        inside = [
            self.line(nodes.inline("", "", child)) if is_inline(child) else self.block(child)
            for child in node.children
        ]
        return "\n\n".join(part for part in inside if part)

    def boxed(self, node, title):
        """A quoted block with a title."""
        inside = self.blocks(node)
        return quoted(f"**{title}**\n\n{inside}" if inside else f"**{title}**")

    def formula(self, node):
        tag = rf" \tag{{{node['number']}}}" if node.get("number") else ""
        return f"$${one_line(node.astext())}{tag}$$"

    def list(self, node):
        """A list, its items numbered if the page's are."""
        numbered, items = isinstance(node, nodes.enumerated_list), []
        for number, item in enumerate(node.children, node.get("start", 1)):
            mark = f"{number}. " if numbered else "- "
            inside = textwrap.indent(self.blocks(item), " " * len(mark))
            items.append(mark + inside[len(mark) :])
        return "\n".join(items)

    def definition(self, node):
        term, *rest = node.children
        return f"**{self.line(term)}**  \n" + " ".join(self.blocks(part) for part in rest)

    def table(self, node):
        head = [self.row(row) for row in node.findall(nodes.row) if in_head(row)]
        body = [self.row(row) for row in node.findall(nodes.row) if not in_head(row)]
        width = max(len(row) for row in head + body)
        head = head or [[""] * width]
        rows = [*head, ["---"] * width, *body]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)

    def row(self, node):
        return [" ".join(self.blocks(entry).split("\n")) for entry in node.children]


def escaped(text):
    return SPECIAL.sub(r"\\\1", text)


def is_inline(node):
    return isinstance(node, nodes.Text | nodes.Inline) and not isinstance(node, nodes.raw)


def in_head(row):
    return isinstance(row.parent, nodes.thead)


def one_line(tex):
    """A formula without ends of lines, and with no sign that HTML knows."""
    return " ".join(tex.split()).replace("<", r"\lt ").replace(">", r"\gt ")


def code(text):
    """Words as code, between more backticks than stand in it."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " * (len(ticks) > 1)
    return f"{ticks}{space}{text}{space}{ticks}"


def around(mark, text):
    """Words between marks, which must not touch a blank."""
    words = text.strip()
    if not words:
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{mark}{words}{mark}{after}"


def quoted(text):
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
