"""Run by the kernel of each chapter before its code.

Figures are shown for light and for dark pages. A figure without a label has no alternative text. It
is left to the notebook, and the book refuses the image that results.

What a failed statement said is added to its traceback, and left for the book in the file that
``A3_FAILED`` names.
"""

import claims  # beside this file, in the path while it runs
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


def _explain(shell, kind, error, tb, tb_offset=None, claims=claims):
    """Show the traceback of an exception with the values at which it broke."""
    import json
    import os

    told = claims.explain(error, lambda frame: frame.f_globals is shell.user_global_ns)
    claims.add_values(error, told)
    if "A3_FAILED" in os.environ:
        with open(new := os.environ["A3_FAILED"] + ".new", "w") as file:
            json.dump(told, file)
        os.replace(new, os.environ["A3_FAILED"])  # never half written
    shell.showtraceback((kind, error, tb), tb_offset=tb_offset)


Figure._repr_html_ = _repr_html_
get_ipython().set_custom_exc((Exception,), _explain)  # noqa: F821
del Figure, claims, _explain, _repr_html_
