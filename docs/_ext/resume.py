"""A build that was stopped, or that failed, goes on the next time.

Sphinx takes for granted that every build ends. It warns about a page only when it reads or writes
it, and it looks at the dates of files to see what must be done. So two files in its ``.doctrees``
say what a build has left to do:

``left.json``
    The pages that warned, to be read or written again, and whether the build came to its end. If it
    did not, all pages are written again; that takes seconds.
``environment.kept``
    What was read so far, kept each time a chapter that ran was read. The next build starts from it,
    so that only that chapter runs again at which it stopped, and those that had run ahead of it.
"""

import json
import logging
import os
import pickle
from pathlib import Path

from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import ENV_PICKLE_FILENAME
from sphinx.util.build_phase import BuildPhase
from sphinx.util.logging import NAMESPACE, is_suppressed_warning


class Left:
    """What a build has left for the next one to do."""

    def __init__(self, app):
        self.app = app
        self.file = Path(app.doctreedir, "left.json")
        self.kept = self.file.with_name("environment.kept")
        self.read, self.write, self.ended = set(), set(), True  # by the build before
        self.warned = {"read": set(), "write": set()}  # in this build
        self.reading = None
        app.connect("config-inited", self.load)
        app.connect("builder-inited", self.listen, priority=1)
        app.connect("env-get-outdated", self.pages_to_read)
        app.connect("env-before-read-docs", self.begin_reading)
        app.connect("env-purge-doc", self.next_page, priority=1)
        app.connect("env-updated", self.pages_to_write, priority=999)
        app.connect("write-started", self.begin_writing)
        app.connect("build-finished", self.end, priority=999)

    # -- The two files -----------------------------------------------------------------------------
    def load(self, app, config):
        """Find out how the last build ended, before Sphinx loads its environment."""
        if self.kept.is_file():  # Sphinx may not have written its own, or only half of it
            os.replace(self.kept, self.kept.with_name(ENV_PICKLE_FILENAME))
        if self.file.is_file():
            left = json.loads(self.file.read_text())
            self.read, self.write = set(left["read"]), set(left["write"])
            self.ended = left["ended"]
        if not self.ended:
            Path(app.outdir, ".buildinfo").unlink(missing_ok=True)  # it may be half written

    def save(self, ended=False):
        """Write what is left; while the build goes on, also what the one before had left."""
        read, write = self.warned["read"], self.warned["write"]
        if not ended:
            read, write = read | self.read, write | self.write
        left = {"read": sorted(read), "write": sorted(write), "ended": ended}
        replace(self.file, json.dumps(left, indent=1).encode())

    def keep(self, env):
        """Keep what was read so far."""
        replace(self.kept, pickle.dumps(env, pickle.HIGHEST_PROTOCOL))

    # -- Reading -----------------------------------------------------------------------------------
    def pages_to_read(self, app, env, added, changed, removed):
        """Read again what warned, and what a build that was stopped had not come to."""
        return self.read | getattr(env, "book_unread", set())

    def begin_reading(self, app, env, docnames):
        env.book_unread = set(docnames)
        if docnames:
            self.save()

    def next_page(self, app, env, docname):
        """Note that the page before this one was read; keep it if it is a chapter that ran."""
        unread = getattr(env, "book_unread", set())
        if docname in unread:
            self.page_was_read(env)
            self.reading = docname

    def page_was_read(self, env):
        if self.reading:
            env.book_unread.discard(self.reading)
            if NbMetadataCollector.get_exec_data(env, self.reading):
                self.keep(env)
            self.reading = None

    # -- Writing -----------------------------------------------------------------------------------
    def pages_to_write(self, app, env):
        """Write again what warned; after a build that did not come to its end, write every page."""
        if self.reading:
            env.book_unread = set()
            self.reading = None
            self.keep(env)
        return self.write & env.found_docs if self.ended else env.found_docs

    def begin_writing(self, app, builder):
        self.save()

    def end(self, app, exception):
        if exception is None:
            self.save(ended=True)
            self.kept.unlink(missing_ok=True)

    # -- Warnings ----------------------------------------------------------------------------------
    def listen(self, app):
        listener = logging.Handler(logging.WARNING)
        listener.emit = self.hear
        logging.getLogger(NAMESPACE).addHandler(listener)

    def hear(self, record):
        """Note the page that a warning is about; what is about none may be about any."""
        kind = getattr(record, "type", ""), getattr(record, "subtype", "")
        phase, env = self.app.phase, self.app.env
        if (
            phase is BuildPhase.INITIALIZATION  # comes again by itself
            or hasattr(record, "book_heard")  # Sphinx shows it later
            or is_suppressed_warning(*kind, self.app.config.suppress_warnings)
        ):
            return
        record.book_heard = True
        page = env.current_document.docname or page_at(env, getattr(record, "location", None))
        writing = phase in (BuildPhase.RESOLVING, BuildPhase.WRITING)
        self.warned["write" if writing else "read"] |= {page} if page else env.found_docs
        self.save()


def page_at(env, location):
    """Find the page that a warning's location names."""
    if isinstance(location, tuple):
        location = location[0]
    if not isinstance(location, str):
        location = getattr(location, "source", None) or ""
    if location in env.found_docs:
        return location
    return env.path2doc(location.split(":")[0]) if location else None


def replace(file, content):
    """Write a file such that it is never seen half written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(content)
    os.replace(new, file)
