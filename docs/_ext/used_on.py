"""The reference of each public name of ``a3`` links to the pages whose code uses it."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def names_used(code):
    """Collect the dotted names of ``a3`` that some code imports or reaches through an import."""
    stands_for, used = {}, set()
    try:
        tree = ast.parse(code)
    except SyntaxError:  # the page fails when it is run
        return used
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                top = item.name.split(".")[0]
                stands_for[item.asname or top] = item.name if item.asname else top
                used.add(item.name)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for item in node.names:
                stands_for[item.asname or item.name] = f"{node.module}.{item.name}"
                used.add(f"{node.module}.{item.name}")
    for node in ast.walk(tree):
        path = []
        while isinstance(node, ast.Attribute):
            path.insert(0, node.attr)
            node = node.value
        if path and isinstance(node, ast.Name) and node.id in stands_for:
            used.add(".".join([stands_for[node.id], *path]))
    return {defined_as(name) for name in used if name.split(".")[0] == "a3"}


def defined_as(name):
    """Follow a dotted name to where it is defined, if other modules of ``a3`` hand it on."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        file = ROOT.joinpath(*parts[:end])
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        if file.is_file():
            source = imported_by(file).get(parts[end])
            return defined_as(".".join([source, *parts[end + 1 :]])) if source else name
    return name


@cache
def imported_by(file):
    """Map each name that a module imports from another to its full name."""
    return {
        item.asname or item.name: f"{node.module}.{item.name}"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and not node.level
        for item in node.names
    }


def add_used_on(app, what, name, obj, options, lines):
    """End the reference of a name with links to the pages that use it."""
    users = app.env.book_users.get(defined_as(name), [])
    if what != "module" and users:
        lines += ["", "**Used on** " + ", ".join(f":doc:`/{page}`" for page in users), ""]


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", add_used_on, priority=900)  # after numpydoc
    return {"parallel_read_safe": True}
