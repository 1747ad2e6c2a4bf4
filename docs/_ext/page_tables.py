"""Tables and links that a directive puts on a page when every page has run."""

from docutils import nodes


def table(rows, header=(), widths=(50, 50), **attributes):
    """Make a table of rows of cells; each is text or a node."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=w) for w in widths), cols=len(widths))
    if header:
        group += nodes.thead("", _row(header))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group, **attributes)


def link_to(app, docname, page):
    """Make a link from one page to another, by its title."""
    uri = app.builder.get_relative_uri(docname, page)
    return nodes.reference("", app.env.titles[page].astext(), refuri=uri, internal=True)


def _row(cells):
    cells = [nodes.Text(cell) if isinstance(cell, str) else cell for cell in cells]
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))
