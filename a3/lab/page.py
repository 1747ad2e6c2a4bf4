"""What a page shows, in the book and when its script is run from a shell."""

from __future__ import annotations

import html
import inspect
import re
import string
import sys
import textwrap
from pathlib import Path
from typing import Any

__all__ = ["InShort", "in_short", "script", "show"]

_TUTORIALS = Path(__file__).parents[2] / "tutorials"


class _Measured(string.Formatter):
    """Formats values between two marks, by which the page tells them from what was typed."""

    def format_field(self, value: Any, spec: str) -> str:
        return f"⁅{super().format_field(value, spec)}⁆"


class InShort:
    """The short answer to a question, its numbers filled in from the run.

    Attributes
    ----------
    text : str
        The answer as plain text.
    """

    def __init__(self, filled: str) -> None:
        self._filled = filled
        self.text = re.sub("[⁅⁆]", "", filled)

    def __str__(self) -> str:
        paragraphs = self.text.split("\n\n")
        return "\n\n".join(textwrap.fill(part, 88) for part in ["In short", *paragraphs])

    def _repr_html_(self) -> str:
        from markdown_it import MarkdownIt
        from mdit_py_plugins.dollarmath import dollarmath_plugin

        def math(content: str, _: dict) -> str:
            return rf"\({html.escape(re.sub('[⁅⁆]', '', content))}\)"

        markdown = MarkdownIt("commonmark").use(dollarmath_plugin, renderer=math)
        body = markdown.render(self._filled)
        body = body.replace("⁅", '<span class="measured">').replace("⁆", "</span>")
        title = '<p class="admonition-title">In short</p>'
        return f'<div class="admonition in-short">{title}\n{body}</div>'


def in_short(text: str, **values: Any) -> InShort | None:
    """Give the short answer to a question, as it would be handed in.

    Parameters
    ----------
    text : str
        Sentences in Markdown, with ``$mathematics$``. Every measured number is a field such as
        ``{loss:.2f}``. A brace in mathematics is doubled.
    **values
        The numbers, from the run.

    Returns
    -------
    InShort or None
        What the page shows. A script run from a shell prints it, and gets None.

    Raises
    ------
    ValueError
        If a digit stands outside mathematics and fields, or a value has no field.
    """
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(text))  # a field may be wrapped
    parts = list(string.Formatter().parse(text))
    fields = {re.split(r"[.\[]", field)[0] for _, field, _, _ in parts if field is not None}
    typed = re.sub(r"\$[^$]*\$", "", "".join(literal for literal, *_ in parts))
    if digit := re.search(r"\S*\d\S*", typed):
        raise ValueError(f"{digit[0]!r} was typed: give a measured number as a field, {{name}}")
    if spare := sorted(values.keys() - fields):
        raise ValueError(f"no field for {', '.join(spare)}")
    return show(InShort(_Measured().format(text, **values)))


def show(thing: Any) -> Any:
    """Show a table or a short answer: as the last line of a cell, or printed in a shell.

    Parameters
    ----------
    thing : DataFrame, Styler, InShort or any object
        What to show.

    Returns
    -------
    object
        ``thing``, for the page; None in a shell, where it has been printed.
    """
    if script() is None:
        return thing
    if hasattr(thing, "to_string") and hasattr(thing, "data"):  # a table with a style
        text = thing.to_string(delimiter="\x1f", sparse_index=False, sparse_columns=False)
        rows = [line.split("\x1f") for line in text.splitlines()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        thing = "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
    print(thing, end="\n\n")
    return None


def script() -> Path | None:
    """Give the tutorial that Python was started with, or None: in the book and in a notebook.

    A copy elsewhere counts, under its own name.
    """
    file = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    return file if any(_TUTORIALS.glob(f"*/{file.name}")) and file.suffix == ".py" else None
