"""Pages that fail when they are run: the others are built all the same, and the build fails.

A page that raises anything is written as far as it came, with its traceback and a warning at its
top. The log names its file, the line, the statement and the values in it. The build ends with the
list of all such pages and with an error. They run again in the next build.
"""

import ast
import os
import re
import sys
from pathlib import Path

import chapters
from claims import add_values, explain, words
from docutils import nodes
from myst_nb.core.read import read_myst_markdown_notebook
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.util import logging
from sphinx_gallery import gen_rst

logger = logging.getLogger(__name__)
execute_code_block, handle_exception = gen_rst.execute_code_block, gen_rst.handle_exception
failed = {}  # of this build: what is said of each page


def fail(page, text, detail=""):
    """Note that a page has failed; what went wrong first counts."""
    if page not in failed:
        failed[page] = text
        logger.error("%s failed: %s", page, "\n".join(filter(None, (text, detail))), location=page)


# -- Scripts ---------------------------------------------------------------------------------------
def note_failed_script(exc_info, src_file, script_vars, gallery_conf):
    """Stand in for the gallery's function: explain the exception, and have the script run again."""
    error, target = exc_info[1], Path(script_vars["target_file"])
    told = explain(error, lambda frame: frame.f_code.co_filename == str(src_file))
    add_values(error, told)
    shown = handle_exception(exc_info, src_file, script_vars, gallery_conf)
    target.with_suffix(".py.md5").unlink(missing_ok=True)
    target.with_suffix(".cost.json").unlink(missing_ok=True)
    page = target.relative_to(gallery_conf["src_dir"]).with_suffix("").as_posix()
    file = Path(os.path.relpath(src_file, Path(gallery_conf["src_dir"]).parent)).as_posix()
    fail(page, words(told, file), script_vars["formatted_exception"])
    return shown


def run_block(compiler, block, example_globals, script_vars, gallery_conf, file_conf):
    """Stand in for the gallery's function: also fail one page for ``sys.exit``, or for a figure."""
    try:
        return execute_code_block(
            compiler, block, example_globals, script_vars, gallery_conf, file_conf
        )
    except (Exception, SystemExit):
        shown = gen_rst.handle_exception(
            sys.exc_info(), script_vars["src_file"], script_vars, gallery_conf
        )
        return f"\n{shown}\n\n\n\n"


# -- Chapters --------------------------------------------------------------------------------------
def note_failed_chapter(app, doctree):
    """Explain why the chapter that was just read has failed, if it has."""
    page = app.env.docname
    run = NbMetadataCollector.get_exec_data(app.env, page)
    if not run or run["succeeded"]:
        Path(app.outdir, "reports", f"{page}.err.log").unlink(missing_ok=True)  # of another build
        return
    source = Path(app.env.doc2path(page))
    text = source.read_text(encoding="utf-8")
    told = chapters.told.get(page, {})
    if told.get("source"):
        told["line"] = line_of(told["line"], told["source"], text)
    else:
        told = explain_without_kernel(text, run)
    file = source.relative_to(Path(app.srcdir).parent).as_posix()
    # Before the last line across stand the calls of nbclient, and the cell.
    shown = without_colours(run["traceback"]).rpartition("---\n")[2] if told["line"] else ""
    fail(page, words(told, file), shown)


def line_of(line, cell, text):
    """Line in the text of a chapter of a line in a cell, or None."""
    start = text.find(cell.strip())
    return line + text.count("\n", 0, start) if line and start >= 0 else None


def explain_without_kernel(text, run):
    """Explain the failure of a chapter of which the kernel could say nothing."""
    last = without_colours(run["traceback"]).strip().splitlines()[-1]
    last = last.removeprefix("nbclient.exceptions.")
    told = {"line": None, "source": None, "statement": "", "values": [], "error": last}
    for cell in read_myst_markdown_notebook(text).cells:
        if cell.cell_type != "code":
            continue
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            told["statement"] = (error.text or "").strip()
            told["line"] = line_of(error.lineno, cell.source, text)
            break
    return told


def without_colours(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


# -- Both ------------------------------------------------------------------------------------------
def mark(app, doctree, page=None):
    """Warn at the top of a page that failed."""
    page = page or app.env.docname
    boxes = doctree.findall(nodes.warning)
    if page not in failed or any("failed-page" in box["classes"] for box in boxes):
        return
    box = nodes.warning(
        "",
        nodes.paragraph("", "This page failed when it was built. No code after the error was run."),
        nodes.literal_block("", failed[page], language="text"),
        classes=["failed-page"],
    )
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        doctree.insert(0, box)
    else:
        title.parent.insert(title.parent.index(title) + 1, box)


def list_failed_pages(app, exception):
    """End the build with an error that names every failed page."""
    if failed:
        count = "1 page" if len(failed) == 1 else f"{len(failed)} pages"
        logger.error("%s failed:\n\n%s\n", count, "\n\n".join(map(failed.get, sorted(failed))))
        app.statuscode = 1


def connect(app):
    gen_rst.handle_exception, gen_rst.execute_code_block = note_failed_script, run_block
    app.connect("builder-inited", lambda app: failed.clear(), priority=1)
    app.connect("doctree-read", note_failed_chapter, priority=10)
    app.connect("doctree-read", mark, priority=900)
    app.connect("doctree-resolved", mark, priority=900)
    app.connect("build-finished", list_failed_pages, priority=900)
