"""What the book needs of its build beyond Sphinx's settings.

Executed pages
    A *script page* is made by sphinx-gallery from ``tutorials/PART/NAME.py``. A *chapter* is a
    Markdown file that declares itself an executed notebook in its front matter
    (``file_format: mystnb`` or ``kernelspec``). Every other page is plain text and runs nothing.
Freshness
    An executed page runs again when its own code, the ``a3`` code it imports (directly or not), the
    table of others' numbers that it reads, the pinned versions or the profile change.
Failures
    A page that breaks does not stop the others; the build ends with an error that lists what broke
    where: see ``failures.py`` and ``claims.py``. A build that was stopped goes on: ``resume.py``.
Timings
    The seconds that each executed page took are kept in ``_build/timings.json``. An executed page
    that ran nothing, or in no time, is a failed page.
Order
    Scripts run in reading order, then chapters, several at once: ``chapters.py``.
Figures
    Each figure is saved for light and for dark pages: here for scripts, in ``chapter_kernel.py``
    for chapters. A page with a figure without alternative text is a failed page.
"""

import ast
import hashlib
import json
import os
import re
from pathlib import Path

import chapters
import failures
from docutils import nodes
from failures import fail
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from myst_nb.sphinx_ import NbMetadataCollector
from resume import Left
from sphinx.errors import SphinxError
from used_on import names_used

from a3.lab.keys import code_digest

ROOT = Path(__file__).parents[2]
NO_TIME = 1e-3  # seconds; a page that takes less has run nothing worth showing


class ReadingOrder:
    """Tutorials run in the order in which their part's introduction lists them.

    The page that explains a training run is then the one that waits for it.
    """

    def __init__(self, folder):
        part = Path(folder).name
        chapters = (path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
        self.listed = re.findall(rf"^tutorials/{part}/(\w+)$", "\n".join(chapters), re.MULTILINE)

    def __repr__(self):  # a setting of the gallery: must be the same in every build
        return type(self).__name__

    def __call__(self, file):
        place = {name: number for number, name in enumerate(self.listed)}
        return place.get(Path(file).stem, len(place)), file


class BookError(SphinxError):
    """A page breaks a rule of the book."""

    category = "Error in the book"


# -- Executed pages --------------------------------------------------------------------------------
def executed_pages(root=ROOT):
    """Map each executed page to its source file."""
    scripts = {
        f"tutorials/{source.parent.name}/{source.stem}": source
        for source in root.glob("tutorials/*/*.py")
    }
    chapters = {
        source.relative_to(root / "docs").with_suffix("").as_posix(): source
        for source in root.glob("docs/**/*.md")
        if is_myst_markdown_notebook(source.read_text(encoding="utf-8"))
    }
    return scripts | chapters


def code_of(source):
    """Give the code of a script, or of all the code cells of a chapter, as text."""
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".md":
        cells = read_myst_markdown_notebook(text).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return text


# -- Freshness -------------------------------------------------------------------------------------
def digest(source, profile):
    """Digest of what decides the result of a page, apart from its prose."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    text = code = code_of(source)
    try:
        code = code_digest(text)
    except SyntaxError:  # in the page or in what it imports; it fails when it is run
        pass
    if "elsewhere" in text:
        code += (ROOT / "a3" / "lab" / "elsewhere.csv").read_text(encoding="utf-8")
    return hashlib.sha256((code + pins + profile).encode()).hexdigest()


scripts_to_run = {}  # file of the digest of each, and the digest, by the name of the script


def forget_stale_scripts(app):
    """Drop the gallery's stamp of each script whose code, versions or profile have changed.

    The gallery stamps a script when it has run, before its page is written. So it also counts as
    stale until :func:`stamp_script` was called, which is at the very end.
    """
    scripts_to_run.clear()
    pages = executed_pages()
    for text in Path(app.srcdir).glob("tutorials/*/*.rst"):
        if text.stem != "index" and f"tutorials/{text.parent.name}/{text.stem}" not in pages:
            for made in text.parent.glob(f"{text.stem}.*"):  # of a script that is gone
                made.unlink()
    for page, source in pages.items():
        if source.suffix != ".py":
            continue
        generated = Path(app.srcdir, page)
        stamp, now = generated.with_suffix(".digest"), digest(source, app.config.a3_profile)
        if not stamp.is_file() or stamp.read_text() != now:
            generated.with_suffix(".py.md5").unlink(missing_ok=True)
            generated.with_suffix(".cost.json").unlink(missing_ok=True)
            stamp.unlink(missing_ok=True)
        scripts_to_run[source.name] = stamp, now


def stamp_script(gallery_conf, name, when):
    """Note what a script depended on when it ran to the end and its page was written."""
    stamp, now = scripts_to_run.get(name, (None, None))
    if when == "after" and stamp and stamp.with_suffix(".py.md5").is_file():
        stamp.write_text(now)


def outdated_pages(app, env, added, changed, removed):
    """Read again the chapters that are stale, and the reference pages whose users have changed."""
    pages = executed_pages()
    digests = {
        page: digest(source, app.config.a3_profile)
        for page, source in pages.items()
        if source.suffix == ".md"
    }
    known = getattr(env, "book_digests", {})
    stale = [page for page in digests if digests[page] != known.get(page)]
    users = {}
    for page, source in sorted(pages.items()):
        for name in names_used(code_of(source)):
            users.setdefault(name, []).append(page)
    if users != getattr(env, "book_users", None):
        stale += [page for page in env.found_docs if page.startswith("api/")]
    env.book_digests, env.book_users = digests, users
    return stale


# -- Timings ---------------------------------------------------------------------------------------
def seconds_of(env, page, source):
    """Seconds that an executed page took when it last ran, or None if it did not run."""
    if source.suffix == ".py":
        cost = Path(env.srcdir, page).with_suffix(".cost.json")
        return json.loads(cost.read_text())["time"] if cost.is_file() else None
    run = NbMetadataCollector.get_exec_data(env, page)
    return run["runtime"] if run and run["succeeded"] else None


def why_nothing_ran(code, seconds):
    """Say why a page counts as one that ran nothing; return None for a page that ran."""
    if all(
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        for statement in ast.parse(code).body
    ):
        return "has no code"
    if seconds is None:
        return "was not executed"
    if seconds < NO_TIME:
        return "was executed in no time"
    return None


def record_timings(app, env):
    """Write the seconds of every executed page; a page that ran nothing has failed."""
    timings = {}
    for page, source in sorted(executed_pages().items()):
        timings[page] = seconds_of(env, page, source)
        if page in failures.failed:
            continue
        fault = why_nothing_ran(code_of(source), timings[page])
        if fault:
            fail(page, f"{page} {fault}; every executed page must run something")
    env.book_timings = timings
    text = json.dumps(timings, indent=1)
    Path(app.outdir).with_name("timings.json").write_text(text + "\n")


# -- Figures ---------------------------------------------------------------------------------------
def save_figures(block, block_vars, gallery_conf):
    """Save every open figure of a script for light and dark pages, and close it.

    The label of a figure is its alternative text: ``plt.figure(label="...")`` or
    ``figure.set_label("...")``.
    """
    import matplotlib.pyplot as plt

    from a3.lab import figures

    text = []
    for number in plt.get_fignums():
        figure = plt.figure(number)
        label = " ".join(str(figure.get_label()).split())
        if not label:
            plt.close("all")  # or the next page would have it
            raise BookError(
                f"{block_vars['src_file']}: a figure has no alternative text; "
                'give it one with figure.set_label("...")'
            )
        light = Path(next(block_vars["image_path_iterator"]))
        for dark, name in ((False, light.name), (True, f"{light.stem}_dark.png")):
            path = light.with_name(name)
            figures.save(figure, path, dark=dark)
            uri = "/" + os.path.relpath(path, gallery_conf["src_dir"]).replace(os.sep, "/")
            text += [
                f".. image:: {uri}",
                f"   :alt: {label}",
                f"   :class: {'only-dark' if dark else 'only-light'}",
                f"   :width: {figure.get_figwidth() * 100:.0f}px",
                "   :align: center",
                "",
            ]
    plt.close("all")
    return "\n".join(text)


def refuse_images_without_text(app, doctree, docname):
    """Fail a page with an image that has no alternative text."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt"):
            file = Path(os.path.relpath(app.env.doc2path(docname), ROOT)).as_posix()
            name = Path(image["uri"]).name
            fail(docname, f"{file}: an image or figure has no alternative text ({name:.40})")


def setup(app):
    os.environ["TQDM_DISABLE"] = "1"  # a page shows what its code printed, progress bars included
    os.environ.pop("MPLBACKEND", None)  # or a chapter's kernel would show no figure
    os.environ["PYTHONSTARTUP"] = str(Path(__file__).with_name("chapter_kernel.py"))
    app.add_config_value("a3_profile", os.environ.get("A3_PROFILE", "full"), "env")
    chapters.connect(app)
    failures.connect(app)
    Left(app)
    app.connect("builder-inited", forget_stale_scripts, priority=100)  # before the gallery
    app.connect("env-get-outdated", outdated_pages)
    app.connect("env-updated", record_timings)
    app.connect("doctree-resolved", refuse_images_without_text)
    return {"env_version": 1, "parallel_read_safe": False}
