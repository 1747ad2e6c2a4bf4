"""The directive ``trained-models``: a table of each experiment's runs, as they are kept."""

import hashlib
from pathlib import Path

from docutils import nodes
from page_tables import link_to, table
from sphinx.util.docutils import SphinxDirective

HEADER = ("run", "settings", "kB", "SHA-256")


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
        from a3.runs.notebook import runs  # takes seconds, which a build without the page is spared

        by_experiment = {}
        for run in runs():
            by_experiment.setdefault(run.name.partition("/")[0], []).append(run)
        parts = []
        for name, those in by_experiment.items():
            rows = [kept(app, run) for run in those]
            parts += [nodes.rubric("", name), shown_on(app, docname, those[0])]
            parts += [table(rows, HEADER, (20, 50, 10, 20), classes=["trained-models"])]
        place.replace_self(parts)


def shown_on(app, docname, run):
    """A line of links to the pages that show an experiment."""
    line = nodes.paragraph("", "Shown on ")
    for number, page in enumerate(run.experiment.pages):
        line += [nodes.Text(", ")] if number else []
        line += link_to(app, docname, page)
    line += nodes.Text(".")
    return line


def kept(app, run):
    """The cells of one run: name, settings, size and digest of its file."""
    name, size, digest = nodes.literal("", run.name), "", "missing"
    if run.kept:
        content = run.path.read_bytes()
        size, digest = f"{len(content) / 1e3:,.0f}", hashlib.sha256(content).hexdigest()[:12]
    if Path(app.outdir, "results", run.path.name).is_file():
        name = nodes.reference("", "", name, refuri=f"results/{run.path.name}")
    return name, run.summary, size, nodes.literal("", digest)


def setup(app):
    app.add_node(trained_models)
    app.add_directive("trained-models", TrainedModels)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True}
