"""A diagnosis as one HTML file: verdict, findings, figures, tables, and how to repeat it."""

from __future__ import annotations

import base64
import html
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from a3.lab import figures
from a3.scaling.diagnosis import Diagnosis
from a3.scaling.figures import drawings

__all__ = ["write"]

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
img { max-width: 100%; background: white }
table { border-collapse: collapse; display: block; overflow-x: auto }
td, th { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #8886 }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8886 }
.care::marker, .stop::marker { content: "! " } .stop { font-weight: bold }
"""
TITLES = {"isoflop": "Lines through the optima", "corrected": "Corrected lines", "law": "The law"}


def write(
    diagnosis: Diagnosis,
    forecast: pd.DataFrame,
    options: dict[str, Any],
    source: str | Path,
    path: str | Path,
) -> None:
    """Write everything into one file that loads no other; it is never half written.

    ``options`` are those that :func:`a3.scaling.diagnosis.diagnose` was given for the table in the
    file ``source``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _page(diagnosis, forecast, options, source)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}") as folder:
        part = Path(folder) / path.name
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)


def _page(
    diagnosis: Diagnosis, forecast: pd.DataFrame, options: dict[str, Any], source: str | Path
) -> str:
    title = f"Scaling laws of {html.escape(Path(source).name)}: {diagnosis.verdict}"
    findings = "".join(
        f'<li class="{each.weight}"><b>{each.check}</b>: {html.escape(each.text)}</li>'
        for each in diagnosis.findings
    )
    parts = [f"<h1>{title}</h1>", f"<ul>{findings}</ul>"]
    if len(forecast):
        parts += ["<h2>Forecast</h2>", _table(forecast.set_index("fit"))]
    for name, fit in diagnosis.fits().items():
        parts += [f"<h2>{TITLES[name]}</h2>", _table(fit.table())]
        if name != "law":
            parts.append(_table(fit.budgets.set_index("flops")))
        parts += [_image(draw(fit)) for draw in drawings(fit).values()]
    if diagnosis.left_out:
        rows = pd.DataFrame(diagnosis.left_out).set_index("what")
        parts += ["<h2>Left out</h2>", _table(rows)]
    parts += [
        "<h2>To repeat it</h2>",
        f"<pre>{html.escape(_code(options, source, forecast))}</pre>",
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _table(table: pd.DataFrame) -> str:
    return table.to_html(border=0, float_format="{:.4g}".format, na_rep="")


def _image(figure: plt.Figure) -> str:
    """A figure as PNG within the page, with its words for those who do not see it."""
    content = io.BytesIO()
    try:
        alt = html.escape(" ".join(figure.get_label().split()), quote=True)
        figures.save(figure, content)
    finally:
        plt.close(figure)
    data = base64.b64encode(content.getvalue()).decode()
    return f'<p><img src="data:image/png;base64,{data}" alt="{alt}"></p>'


def _code(options: dict[str, Any], source: str | Path, forecast: pd.DataFrame) -> str:
    """Lines of Python that give the same diagnosis."""
    at = sorted(set(forecast["flops"])) if len(forecast) else []
    given = {name: value for name, value in options.items() if value is not None}
    if options["flops"] is None:
        given["flops"] = None
    arguments = "".join(f"    {name}={value!r},\n" for name, value in (given | {"at": at}).items())
    return (
        "from a3.scaling import diagnose\nfrom a3.scaling.read_runs import read_runs\n\n"
        f"diagnosis = diagnose(\n    data=read_runs({str(source)!r}),\n{arguments})\n"
        "print(diagnosis)\n" + (f"print(diagnosis.forecast({at}))\n" if at else "")
    )
