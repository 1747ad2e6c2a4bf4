"""A book of two scripts and three chapters, built by the real configuration and extension."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

SCRIPT = '''"""
A script called {name}
======================

Text.
"""

import os
import time

time.sleep(0.01)
with open(os.environ["TINY_BOOK_RAN"], "a") as file:
    file.write("{name}\\n")

# %%
# More text.

{code}
'''

CHAPTER = """---
file_format: mystnb
kernelspec:
  name: python3
  display_name: Python 3
---

# A chapter called {name}

```{{code-cell}} python
import os

with open(os.environ["TINY_BOOK_RAN"], "a") as file:
    file.write("{name}\\n")
```

Text.

```{{code-cell}} python
:tags: [hide-input]
{code}
```

The end of {name}.
"""

INDEX = """# A tiny book

```{toctree}
first
plain
second
third
tutorials/part/one
tutorials/part/two
```
"""


class TinyBook:
    """Files in a folder, and the real build of them in a process of its own."""

    def __init__(self, folder):
        self.folder, self.ran = Path(folder), Path(folder, "ran.txt")
        docs = "_ext", "_static", "_templates", "questions.csv", "synonyms.csv"
        docs = [f"docs/{name}" for name in docs]
        for name in ("conf.py", "constraints.txt", *docs):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            self.path(name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, self.path(name))
        self.write("docs/references.bib", "")
        self.write("docs/index.md", INDEX)
        self.write("docs/plain.md", "# A plain page\n\nText.\n")
        self.write("tutorials/part/GALLERY_HEADER.rst", "Part\n====\n")
        for name in ("one", "two"):
            self.script(name, "print(1)")
        for name in ("first", "second", "third"):
            self.chapter(name, "print(1)")

    def path(self, name):
        return self.folder / name

    def write(self, name, text):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def script(self, name, code):
        text = SCRIPT.format(name=name, code=code)
        self.write(f"tutorials/part/{name}.py", text)

    def chapter(self, name, code):
        text = CHAPTER.format(name=name, code=code)
        self.write(f"docs/{name}.md", text)

    def start(self):
        """Begin to build; what it says comes line by line."""
        self.ran.unlink(missing_ok=True)
        command = "-m sphinx -n -W --keep-going -c . docs _build/html --no-color".split()
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        environment |= {"A3_PROFILE": "quick", "TINY_BOOK_RAN": str(self.ran)}
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def build(self):
        """Build to the end; give the exit code, what was said, and the pages that ran."""
        build = self.start()
        said, _ = build.communicate(timeout=300)
        return build.returncode, said, self.pages_that_ran()

    def stop_at(self, words, how=signal.SIGKILL):
        """Build until it says some words, and stop it there."""
        said = ""
        with self.start() as build:
            while words not in said and (letter := build.stdout.read(1)):
                said += letter
            build.send_signal(how)
            build.wait(timeout=300)  # a kernel that outlives it may hold the pipe for longer
        assert words in said and build.returncode != 0, said
        return self.pages_that_ran()

    def pages_that_ran(self):
        return self.ran.read_text().split() if self.ran.is_file() else []

    def site(self):
        """Map each file of the built site to its contents."""
        site = self.path("_build/html")
        return {
            path.relative_to(site).as_posix(): path.read_bytes()
            for path in site.rglob("*")
            if path.is_file() and ".doctrees" not in path.parts
        }
