"""The directive ``how-it-was-run``: the machine, the versions and the seconds of each page."""

import platform
from importlib.metadata import version
from pathlib import Path

import joblib
import psutil
from docutils import nodes
from page_tables import link_to, table
from sphinx.util.docutils import SphinxDirective


class how_it_was_run(nodes.General, nodes.Element):
    """Stands for the tables until every page has run."""


class HowItWasRun(SphinxDirective):
    """Tables of the machine, the versions and the seconds of each page of this build."""

    def run(self):
        self.env.note_reread()
        return [how_it_was_run()]


def processor():
    """Name of the processor, as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def fill(app, doctree, docname):
    """Put the tables where the directive stands."""
    for place in list(doctree.findall(how_it_was_run)):
        machine = [
            ("Processor", processor()),
            ("Processors the build may use", str(joblib.cpu_count())),
            ("Memory", f"{psutil.virtual_memory().total / 2**30:.1f} GiB"),
            ("System", f"{platform.system()} {platform.machine()}"),
            ("Profile", app.config.a3_profile),
        ]
        packages = (
            "a3-book torch numpy scipy scikit-learn transformers open_clip_torch matplotlib sphinx "
            "sphinx-gallery myst-nb"
        )
        versions = [(package, version(package)) for package in packages.split()]
        timings = app.env.book_timings
        pages = []
        for page, seconds in timings.items():
            link = link_to(app, docname, page)
            pages.append((link, "failed" if seconds is None else f"{seconds:.1f} s"))
        place.replace_self(
            [
                nodes.rubric("", "Machine and profile"),
                table(machine),
                nodes.rubric("", "Versions"),
                table([("Python", platform.python_version()), *versions]),
                nodes.rubric("", "Seconds of each page"),
                table([*pages, ("Together", f"{sum(filter(None, timings.values())):.1f} s")]),
            ]
        )


def setup(app):
    app.add_node(how_it_was_run)
    app.add_directive("how-it-was-run", HowItWasRun)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True}
