"""Chapters run ahead of the page that is read: one a core at once, and four at most.

By itself myst-nb runs a chapter when Sphinx reads it, and so one after the other. Here all chapters
that a build will read are begun before it reads the first page; myst-nb then waits for each.
"""

import json
import os
import time
import traceback
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from threading import Thread

import joblib
from jupyter_cache.executors.utils import ExecutionResult
from jupyter_client import AsyncKernelManager
from myst_nb.core.execute import direct
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from nbclient import NotebookClient

AT_ONCE = min(joblib.cpu_count(), 4)  # each has a kernel, of half a gigabyte
coming = {}  # what each chapter that was begun will have come to
told = {}  # what the kernel of a chapter that failed said of the failure


def begin(app, env, pages):
    """Begin to run the chapters among the pages that will be read."""
    coming.clear()
    told.clear()
    waiting = SimpleQueue()
    for page in sorted(pages):
        text = Path(env.doc2path(page)).read_text(encoding="utf-8")
        if is_myst_markdown_notebook(text):
            coming[page] = Future()
            waiting.put((page, text))
    for _ in range(min(AT_ONCE, waiting.qsize())):  # daemons, so that a stopped build ends
        Thread(target=work, args=(app, waiting), daemon=True).start()


def work(app, waiting):
    """Run one chapter after the other until none is waiting."""
    while True:
        try:
            page, text = waiting.get_nowait()
        except Empty:
            return
        said = Path(app.doctreedir, f"{page.replace('/', '-')}.failed.json")
        said.unlink(missing_ok=True)
        try:
            notebook = read_myst_markdown_notebook(text)
            result = run(notebook, str(Path(app.srcdir, page).parent), said)
            if said.is_file():
                told[page] = json.loads(said.read_text())
                said.unlink()
            coming[page].set_result(result)
        except BaseException as error:  # else the build would wait for ever
            coming[page].set_exception(error)


def run(notebook, folder, said):
    """Run a notebook in a folder, as far as it comes; its kernel may leave a file of a failure."""
    begun, error, shown = time.perf_counter(), None, None
    with TemporaryDirectory() as place:
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name=notebook.metadata.kernelspec.name),
            timeout=None,
            resources={"metadata": {"path": folder}},
        )
        if os.name == "posix":  # files: of ports another may take one before the kernel does
            client.km.transport, client.km.ip = "ipc", f"{place}/kernel"
        try:
            client.execute(cleanup_kc=True, env=os.environ | {"A3_FAILED": str(said)})
        except Exception as caught:  # of a cell, or since the kernel has died
            error, shown = caught, traceback.format_exc()
    return ExecutionResult(notebook, folder, time.perf_counter() - begun, error, shown)


def connect(app):
    def wait_for(notebook, **options):
        """Stand in for myst-nb's function, which runs the notebook of the page that is read."""
        result = coming[app.env.docname].result()
        notebook.metadata.update(result.nb.metadata)  # the kernel says which language it speaks
        for cell, ran in zip(notebook.cells, result.nb.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
        return result

    direct.single_nb_execution = wait_for
    app.connect("env-before-read-docs", begin)
