"""What a page weighs, and so how soon it is read.

Figures
    Those of chapters are files, as those of scripts are. Each says its width and height, so that
    nothing moves when it comes, and is fetched when it is shown: of two, that for the colours of
    the page.
Styles
    When all is written, the stylesheets of the theme and of the extensions lose the rules for what
    is on no page: three quarters of them.
"""

import html
import os
import re
from base64 import b64decode
from itertools import count
from pathlib import Path

from docutils import nodes
from sphinx.util.images import get_image_size

FIGURE = re.compile(
    r'<img class="([^"]*)" alt="([^"]*)" width="(\d+)" src="data:image/png;base64,([^"]*)">'
)
BUILT = "bs-"  # class names that scripts put together begin so


# -- Figures ---------------------------------------------------------------------------------------
def save_figures(app, doctree):
    """Put the figures that the kernel of a chapter gave as text into files."""
    page, numbers = app.env.current_document.docname, count(1)
    folder = Path(app.doctreedir, "figures")
    folder.mkdir(parents=True, exist_ok=True)
    for raw in list(doctree.findall(nodes.raw)):
        images = []
        for classes, alt, width, data in FIGURE.findall(raw.astext()):
            file = folder / f"{page.replace('/', '-')}-{next(numbers)}.png"
            file.write_bytes(b64decode(data))
            uri = "/" + os.path.relpath(file, app.srcdir).replace(os.sep, "/")
            images += [nodes.image(uri=uri, alt=html.unescape(alt), width=width)]
            images[-1]["classes"] = classes.split()
        if images:
            raw.replace_self(images)


def size_images(app, doctree, docname):
    """Give each image its width and height on the page, and have it fetched when it is shown."""
    for image in list(doctree.findall(nodes.image)):
        image["loading"] = "lazy"
        size = get_image_size(Path(app.srcdir, image["uri"]))
        if size and "height" not in image:
            width = round(nodes.parse_measure(image.get("width", str(size[0])))[0])
            image["width"], image["height"] = str(width), str(round(width * size[1] / size[0]))
        if not isinstance(image.parent, nodes.TextElement):  # on a telephone it scrolls in a box
            box = nodes.container(classes=["figure-box"])
            image.replace_self(box)
            box += image


# -- Styles ----------------------------------------------------------------------------------------
def without_unused(css, words):
    """Drop the rules of a stylesheet of which each selector has a class that is not in use."""

    def used(selector):
        names = (name.replace("\\", "") for name in re.findall(r"\.((?:\\.|[\w-])+)", selector))
        return all(name in words or name.startswith(BUILT) for name in names)

    def kept(rule):
        selectors = rule[1]
        while selectors != (less := re.sub(r"\([^()]*\)|\[[^][]*\]", "", selectors)):
            selectors = less  # what may or may not be, such as in :not(...)
        whole = ";" in selectors or selectors.lstrip().startswith("@")
        return rule[0] if whole or any(map(used, selectors.split(","))) else ""

    css = re.sub(r"/\*(?!!).*?\*/", "", css, flags=re.DOTALL)
    return re.sub(r"([^{}]+)\{[^{}]*\}", kept, css)


def take_styles_anew(app, builder):
    """Remove the stylesheets of the build before, for Sphinx copies onto nothing that differs."""
    for file in Path(app.outdir, "_static").rglob("*.css"):
        file.unlink()


def drop_unused_styles(app, exception):
    """Shorten the stylesheets to what the pages and the scripts name."""
    if exception or app.builder.format != "html":
        return
    words, static = set(), Path(app.outdir, "_static")
    for file in [*Path(app.outdir).rglob("*.html"), *static.rglob("*.js")]:
        if file.name != "fontawesome.js":  # no page loads it: see webpack-macros.html
            words.update(re.findall(r"[\w-]+", file.read_text(encoding="utf-8")))
    for file in static.rglob("*.css"):
        css = file.read_text(encoding="utf-8")
        file.write_text(without_unused(css, words), encoding="utf-8")


def setup(app):
    app.connect("doctree-read", save_figures, priority=100)  # before Sphinx collects the images
    app.connect("doctree-resolved", size_images)
    app.connect("write-started", take_styles_anew)
    app.connect("build-finished", drop_unused_styles, priority=900)  # after extensions copy theirs
    return {"parallel_read_safe": True}
