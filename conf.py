"""Sphinx configuration of the book. What is more than a setting is in docs/_ext."""

import os
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from urllib.parse import urlsplit

from sphinx.errors import ConfigError

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

# -- The book --------------------------------------------------------------------------------------
project = "a3"
author = "The a3 authors"
copyright = "2026, the a3 authors"
version = release = metadata("a3-book")["Version"]
# Where the book and its code are, once pyproject.toml says so.
address = dict(url.split(", ", 1) for url in metadata("a3-book").get_all("Project-URL") or ())
profile = os.environ.get("A3_PROFILE", "full")
if profile not in ("quick", "full"):
    raise ConfigError(f"A3_PROFILE must be quick or full, not {profile!r}")


def commit():
    """The commit that is built, and whether anything has changed since; empty without git."""
    describe = ["git", "describe", "--always", "--dirty= with changes", "--abbrev=7", "--exclude=*"]
    try:
        return subprocess.run(describe, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


extensions = [
    "book",
    "citing",
    "myst_nb",
    "notfound.extension",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_exercise",
    "sphinx_gallery.gen_gallery",
    "sphinx_proof",
    "sphinxcontrib.bibtex",
    "folds",
    "frame",
    "how_it_was_run",
    "landing",
    "legible",
    "live",
    "mathematics",
    "notebooks",
    "numbering",
    "practise",
    "search_index",
    "trained_models",
    "used_on",
    "weight",
]
templates_path = [str(ROOT / "docs" / "_templates")]
# A part's own introduction takes the place of the gallery's index, and of its timing tables.
exclude_patterns = ["_*", "tutorials/**/index.rst", "tutorials/**/*.ipynb"]

# -- Executed pages --------------------------------------------------------------------------------
parts = sorted(header.parent.name for header in ROOT.glob("tutorials/*/GALLERY_HEADER.rst"))
sphinx_gallery_conf = {
    "examples_dirs": [f"../tutorials/{part}" for part in parts],
    "gallery_dirs": [f"tutorials/{part}" for part in parts],
    "filename_pattern": r"\.py$",
    "only_warn_on_example_error": True,  # see docs/_ext/failures.py
    "ignore_repr_types": r"matplotlib",
    "image_scrapers": ("book.save_figures",),
    "reset_modules": ("matplotlib", "book.stamp_script"),
    "reset_modules_order": "both",
    "notebook_extensions": set(),  # ours are in docs/_ext/notebooks.py
    "within_subsection_order": "book.ReadingOrder",
    "doc_module": ("a3",),
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}
nb_execution_mode = "force"  # Sphinx reads, and so runs, only what has changed: see book.py
nb_execution_timeout = -1
nb_ipywidgets_js = {}  # its default is on another host
nb_merge_streams = True  # one box for what a cell prints
nb_output_stderr = "remove"  # progress bars and their warnings
suppress_warnings = ["mystnb.exec", "sphinx_gallery.example_error"]  # failures.py says it once

# -- Text, mathematics, references -----------------------------------------------------------------
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_dmath_double_inline = True
myst_heading_anchors = 3
html_math_renderer = "katex"  # see docs/_ext/mathematics.py
math_eqref_format = "({number})"
numfig = True
math_numfig = False  # equations are numbered page by page
bibtex_bibfiles = ["docs/references.bib"]
bibtex_reference_style = "author_year"
bibtex_default_style = "plain"  # sorted by author and year; see book.css for its labels
exercise_style = "solution_follow_exercise"
copybutton_exclude = ".linenos, .gp, .go"

# -- Reference of the package ----------------------------------------------------------------------
autodoc_member_order = "bysource"
autodoc_typehints = "signature"  # the docstrings give what types cannot say, such as shapes
numpydoc_show_class_members = False
maximum_signature_line_length = 88  # longer ones have a line a parameter
# Nothing is fetched while building, so only our own names can be resolved, and all of them must be.
nitpick_ignore_regex = [("py:.*", r"(?!a3\b).*")]

toc_object_entries_show_parents = "hide"

# -- HTML ------------------------------------------------------------------------------------------
html_theme = "sphinx_book_theme"
html_title = "a3"
html_baseurl = address.get("Documentation", "")
html_static_path = ["docs/_static"]
html_css_files = ["look.css", "book.css", "search.css"]
html_js_files = ["book.js", "search.js"]
html_favicon = "docs/_static/favicon.svg"
html_copy_source = False
html_domain_indices = False
html_scaled_image_link = False  # a figure for dark pages cannot be seen by itself
html_use_index = False
html_show_sourcelink = False
html_context = {"default_mode": "auto", "commit": commit()}
html_theme_options = {
    "footer_content_items": ["copyright.html", "book-version.html"],
    "navbar_persistent": [],  # the search field is in the sidebar
    "search_as_you_type": False,  # search.js does it
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
}
if "Repository" in address:
    html_theme_options |= {"repository_url": address["Repository"], "use_repository_button": True}
notfound_urls_prefix = urlsplit(html_baseurl).path or "/"
if profile == "quick":
    html_theme_options["announcement"] = (
        "Quick build: training was shortened, so the figures and numbers are not the book's."
    )
