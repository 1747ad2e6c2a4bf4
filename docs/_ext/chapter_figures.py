"""Run by the kernel of each chapter: show a figure for light and for dark pages.

A figure without a label has no alternative text; it is left to IPython, and the book refuses it.
"""

import base64
import html
import io


def as_html(figure):
    """Give a figure as two images, of which the page shows the one for its colours."""
    from a3 import figures

    if not figure.get_label():
        return None
    images = []
    for dark in (False, True):
        file = io.BytesIO()
        figures.save(figure, file, dark=dark)
        images.append(
            f'<img class="align-center {"only-dark" if dark else "only-light"}"'
            f' alt="{html.escape(figure.get_label())}" width="{figure.get_figwidth() * 100:.0f}"'
            f' src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
        )
    return "".join(images)


formatter = get_ipython().display_formatter.formatters["text/html"]  # noqa: F821
formatter.for_type_by_name("matplotlib.figure", "Figure", as_html)
