"""The directive ``live-figure``: knobs for the figure before it, where scripts run.

``{live-figure} NAME`` stands below the code that draws a still figure. The page gets an empty place
before that figure, which ``docs/_static/live/NAME.js`` fills. The still figure is then shown on
paper only; without scripts it is what is there. Lines ``key: value`` are handed to the script.

Data that a page shows as :class:`a3.lab.live.Arrays` become a script of their name, which figures
on any page load when they need it: a page from a disk can load a script, and nothing else.
"""

import re
import shutil
from pathlib import Path

from docutils import nodes
from failures import fail
from sphinx.util.docutils import SphinxDirective

SCRIPTS = {  # what a figure needs besides its frame
    "attacks": ("attacks.js",),
    "batch_size": ("noisy_quadratic.js",),
    "convolution": ("relative_attention.js",),
    "isoflop": ("isoflop.js",),
    "learning_rate": ("noisy_quadratic.js",),
    "max_pooling": ("relative_attention.js",),
    "recurrent": ("singular_values.js",),
    "temperature": ("temperature.js",),
    "translate": ("translator.js", "translate.js"),
}
FRAME = ("figure.js", "drawing.js")
DATA = re.compile(r'<script class="live-data"[^>]* data-name="([\w-]+)">(.*?)</script>', re.DOTALL)


class live_figure(nodes.General, nodes.Element):
    """The place of a live figure."""


class LiveFigure(SphinxDirective):
    required_arguments = 1
    has_content = True

    def run(self):
        name = self.arguments[0]
        if name not in SCRIPTS:
            raise self.error(f"no live figure {name!r}: expected one of {', '.join(SCRIPTS)}")
        data = dict(line.split(": ", 1) for line in self.content)
        return [live_figure(live=name, data=data)]


def stand_before_the_still(app, doctree, docname):
    """Move each place before the figure that was last drawn above it, and mark that as still."""
    for place in list(doctree.findall(live_figure)):
        before = []
        for node in doctree.findall():
            if node is place:
                break
            if isinstance(node, nodes.container) and "figure-box" in node["classes"]:
                before.append(node)
        place.parent.remove(place)
        still = before[-2:]  # for light pages, and for dark
        if len(still) < 2:
            fail(docname, f"{docname}: no figure stands before the live figure {place['live']}")
            continue
        for box in still:
            box["classes"].append("live-still")
        still[0].parent.insert(still[0].parent.index(still[0]), place)


def folder_of(app, docname):
    """Where the data of a page are kept, beside its doctree."""
    return Path(app.doctreedir, "live", docname.replace("/", "-"))


def save_data(app, doctree):
    """Put the data that a page has shown into files."""
    folder = folder_of(app, app.env.current_document.docname)
    for raw in list(doctree.findall(nodes.raw)):
        found = DATA.findall(raw.astext())
        for name, data in found:
            folder.mkdir(parents=True, exist_ok=True)
            new = folder / f"{name}.new"
            new.write_text(f'liveData("{name}", {data});\n', encoding="utf-8")
            new.replace(folder / f"{name}.js")
        if found:
            raw.parent.remove(raw)


def forget_data(app, env, docname):
    """Remove the data of a page that is gone, or read again."""
    shutil.rmtree(folder_of(app, docname), ignore_errors=True)


def copy_data(app, exception):
    """Put the data into the built book."""
    if exception or app.builder.format != "html":
        return
    to = Path(app.outdir, "_static", "live", "data")
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for file in sorted(Path(app.doctreedir, "live").glob("*/*.js")):
        shutil.copy(file, to)


def add_scripts(app, pagename, templatename, context, doctree):
    """Have a page load the scripts of its figures, and one without a figure load none."""
    names = [place["live"] for place in doctree.findall(live_figure)] if doctree else []
    files = dict.fromkeys(file for name in names for file in (*FRAME, *SCRIPTS[name]))
    if files:
        app.add_css_file("live/live.css")
    for file in files:
        app.add_js_file(f"live/{file}", loading_method="defer")


def visit(self, node):
    data = {"live": node["live"]} | node["data"]
    data = {f"data-{key}": value for key, value in data.items()}
    self.body.append(self.starttag(node, "div", "", CLASS="live", **data))


def depart(self, node):
    self.body.append("</div>\n")


def setup(app):
    app.add_node(live_figure, html=(visit, depart))
    app.add_directive("live-figure", LiveFigure)
    app.connect("env-purge-doc", forget_data)
    app.connect("doctree-read", save_data)
    app.connect("doctree-resolved", stand_before_the_still, priority=700)  # after weight.py's boxes
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", copy_data, priority=950)  # after weight.py has read the scripts
    return {"parallel_read_safe": True}
