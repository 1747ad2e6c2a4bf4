"""Run by the kernel of each chapter before its code: figures for light and for dark pages.

A figure without a label has no alternative text. It is left to the notebook, and the book refuses
the image that results.
"""

from matplotlib.figure import Figure


def _repr_html_(figure):
    """Give a figure as two images, of which the page shows the one for its colours."""
    import base64
    import html
    import io

    from a3.lab import figures

    images = []
    for dark in (False, True) if figure.get_label() else ():
        file = io.BytesIO()
        figures.save(figure, file, dark=dark)
        images.append(
            f'<img class="align-center {"only-dark" if dark else "only-light"}"'
            f' alt="{html.escape(figure.get_label())}" width="{figure.get_figwidth() * 100:.0f}"'
            f' src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
        )
    return "".join(images) or None


Figure._repr_html_ = _repr_html_
del Figure, _repr_html_
