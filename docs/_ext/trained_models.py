"""The directive ``trained-models``: a table of each experiment's runs, as they are kept."""

import hashlib
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from a3.runs.notebook import runs


class trained_models(nodes.General, nodes.Element):
    """Stands for the tables until every page has run, and so every run is kept."""


class TrainedModels(SphinxDirective):
    """Tables of the runs: name, settings, size and digest of the file."""

    def run(self):
        self.env.note_reread()
        return [trained_models()]


def fill(app, doctree, docname):
    """Put the tables where the directive stands."""
    for place in list(doctree.findall(trained_models)):
        by_experiment = {}
        for run in runs():
            by_experiment.setdefault(run.name.partition("/")[0], []).append(run)
        parts = []
        for name, those in by_experiment.items():
            parts += [nodes.rubric("", name), shown_on(app, docname, those[0]), table(app, those)]
        place.replace_self(parts)


def shown_on(app, docname, run):
    """A line of links to the pages that show an experiment."""
    line = nodes.paragraph("", "Shown on ")
    for number, page in enumerate(run.experiment.pages):
        uri = app.builder.get_relative_uri(docname, page)
        title = app.env.titles[page].astext()
        line += [nodes.Text(", ")] if number else []
        line += nodes.reference("", title, refuri=uri, internal=True)
    line += nodes.Text(".")
    return line


def table(app, those):
    """One row a run."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (20, 50, 10, 20)), cols=4)
    group += nodes.thead("", row([nodes.Text(n) for n in ("run", "settings", "kB", "SHA-256")]))
    group += (body := nodes.tbody())
    for run in those:
        name, size, digest = nodes.literal("", run.name), "", "missing"
        if run.kept:
            content = run.path.read_bytes()
            size, digest = f"{len(content) / 1e3:,.0f}", hashlib.sha256(content).hexdigest()[:12]
        if Path(app.outdir, "results", run.path.name).is_file():
            name = nodes.reference("", "", name, refuri=f"results/{run.path.name}")
        body += row([name, nodes.Text(run.summary), nodes.Text(size), nodes.literal("", digest)])
    return nodes.table("", group, classes=["trained-models"])


def row(cells):
    """A row of a table."""
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app):
    app.add_node(trained_models)
    app.add_directive("trained-models", TrainedModels)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True}
