"""Where classifiers of verbal arithmetic err: a square for each sentence, which names it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from a3.bert.verbal_arithmetic import LABELS, NUMBERS, verbal_arithmetic

__all__ = ["ErrorGrids"]

_N = len(NUMBERS)
_CELL, _EDGE = 10, 34  # units of the drawing: a square's side, and room for numbers
_COLOR = "#d55e00"


class ErrorGrids:
    """Grids of the 20 x 20 differences and sums, darker where more runs are wrong.

    They need no script: a square says its sentence, and what was answered, when the mouse rests on
    it. The book adds a line that is also written by touch and by the arrow keys. A dot stands for a
    sentence without a counted answer.

    ``answers`` maps each model's name to the labels, (S, 800), that its S runs gave to
    :func:`a3.bert.verbal_arithmetic.verbal_arithmetic`; ``counted``, bool (S, 800), says which
    count, such as those to sentences that a run was not trained on.

    Raises
    ------
    ValueError
        If there is no model, or a shape does not fit.
    """

    def __init__(self, answers: Mapping[str, np.ndarray], counted: np.ndarray):
        data = verbal_arithmetic()
        counted = np.asarray(counted, dtype=bool)
        if not answers:
            raise ValueError("there is no model to draw")
        if counted.ndim != 2 or counted.shape[1] != len(data):
            raise ValueError(f"counted must have the shape (S, {len(data)}), got {counted.shape}")
        for name, given in answers.items():
            if np.shape(given) != counted.shape:
                raise ValueError(
                    f"answers of {name!r} must have the shape {counted.shape} of counted, got "
                    f"{np.shape(given)}"
                )
        self._sentences, self._labels = [*data["sentence"]], data["label"].to_numpy()
        self._answers = {name: np.asarray(given) for name, given in answers.items()}
        self._counted = counted

    def shares(self, name: str) -> np.ndarray:
        """Share of the counted answers to each sentence that are wrong, shape (800,).

        NaN where no answer counts.
        """
        wrong = (self._answers[name] != self._labels) & self._counted
        asked = self._counted.sum(axis=0)
        return np.where(asked > 0, wrong.sum(axis=0) / np.maximum(asked, 1), np.nan)

    def _repr_html_(self) -> str:
        narrowest = 190 if len(self._answers) == 3 else 260  # pixels: three columns, or two
        grids = [
            self._grid(name, operation, _N**2 * minus)
            for minus, operation in ((1, "minus"), (0, "plus"))
            for name in self._answers
        ]
        columns = f"repeat(auto-fit,minmax(min(100%,{narrowest}px),1fr))"
        style = f"display:grid;gap:1em;grid-template-columns:{columns}"
        return f'<div class="error-grids" style="{style}">{"".join(grids)}</div>'

    def _grid(self, name: str, operation: str, start: int) -> str:
        shares = self.shares(name)[start : start + _N**2]
        squares = (self._square(name, start + i, share) for i, share in enumerate(shares))
        size, title = _EDGE + _N * _CELL + 4, escape(f"{name}, {operation}")
        said = (
            f"{title}: {np.sum(shares > 0)} of {np.isfinite(shares).sum()} sentences are answered "
            "wrong by at least one run."
        )
        return (
            f'<figure style="margin:0"><figcaption>{title}</figcaption><svg role="img" '
            f'aria-label="{said}" viewBox="0 0 {size} {size}" style="width:100%;max-width:24em">'
            f'{_axes(operation)}<g fill="{_COLOR}" fill-opacity="0">{"".join(squares)}</g>'
            "</svg></figure>"
        )

    def _square(self, name: str, row: int, share: float) -> str:
        y, x = (_EDGE + _CELL * i for i in divmod(row % _N**2, _N))
        sentence, label = self._sentences[row], LABELS[self._labels[row]]
        if np.isnan(share):
            return (
                f'<circle cx="{x + _CELL // 2}" cy="{y + _CELL // 2}" r="1" fill="currentColor" '
                'fill-opacity="1">'
                f"<title>{sentence} is {label}: no answer counts</title></circle>"
            )
        given = np.bincount(self._answers[name][self._counted[:, row], row], minlength=len(LABELS))
        counts = ", ".join(f"{n} {name}" for n, name in zip(given, LABELS, strict=True) if n)
        seen = f' fill-opacity="{share:.2g}"' if share else ""
        return (
            f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}"{seen}>'
            f"<title>{sentence} is {label}; answered: {counts}</title></rect>"
        )


def _axes(operation: str) -> str:
    """A frame, some numbers along it, and what its rows and columns are."""
    side, middle = _N * _CELL, _EDGE + _N * _CELL // 2
    ticks = "".join(
        f'<text x="{_EDGE + _CELL * (n + 0.5):g}" y="{_EDGE - 3}" text-anchor="middle">{n}</text>'
        f'<text x="{_EDGE - 3}" y="{_EDGE + _CELL * n + 8}" text-anchor="end">{n}</text>'
        for n in (*range(0, _N, 5), _N - 1)
    )
    return (
        f'<rect x="{_EDGE}" y="{_EDGE}" width="{side}" height="{side}" fill="none" '
        'stroke="currentColor" stroke-opacity=".5"/><g fill="currentColor" font-size="10">'
        f'{ticks}<text x="{middle}" y="12" text-anchor="middle">… {operation} this</text>'
        f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">this '
        f"{operation} …</text></g>"
    )
