"""Drawings of what has no data: boxes and arrows as SVG, in the colours of the page around them."""

from __future__ import annotations

from html import escape

__all__ = ["COLORS", "Drawing"]

COLORS = ("#3b82c4", "#d55e00", "#009e73", "#b565a7")
"""Told apart by colour-blind readers, and clear on white and on near-black."""


class Drawing:
    """A drawing of boxes, arrows and words.

    Lines and words take the colour of the page's text, so that one drawing serves light and dark
    pages. Lengths are in pixels at full size; x runs to the right, y down.

    Parameters
    ----------
    width, height : float
        Size in pixels. On a telephone what is wider scrolls in its box.
    alt : str
        What the drawing shows, for who cannot see it.

    Raises
    ------
    ValueError
        If ``alt`` is empty.
    """

    def __init__(self, width: float, height: float, *, alt: str) -> None:
        if not alt.strip():
            raise ValueError("alt must say what the drawing shows")
        self.width, self.height, self.alt = width, height, " ".join(alt.split())
        self._parts: list[str] = []

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        words: str = "",
        *,
        color: int | None = None,
        dashed: bool = False,
        size: float = 14,
    ) -> None:
        """Draw a box with its upper left corner at ``(x, y)``, and words in its middle.

        ``color`` is an index into the book's colours; lines of the words are split at newlines.
        """
        fill = f'fill="{COLORS[color]}" fill-opacity="0.22"' if color is not None else 'fill="none"'
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" {fill}'
            f' stroke="currentColor"{dashes}/>'
        )
        self.text(x + width / 2, y + height / 2, words, size=size)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        align: str = "middle",
        size: float = 14,
        bold: bool = False,
    ) -> None:
        """Write words around ``(x, y)``; ``align`` is start, middle or end."""
        lines, weight = words.split("\n"), "bold" if bold else "normal"
        for number, line in enumerate(lines):
            middle = y + (number - (len(lines) - 1) / 2) * 1.25 * size
            self._parts.append(
                f'<text x="{x}" y="{middle:.1f}" dy="0.35em" text-anchor="{align}"'
                f' font-size="{size}" font-weight="{weight}" fill="currentColor">'
                f"{escape(line)}</text>"
            )

    def arrow(
        self,
        *points: tuple[float, float],
        words: str = "",
        color: int | None = None,
        dashed: bool = False,
        head: bool = True,
    ) -> None:
        """Draw a line through points, with a head at the last, and words beside its middle."""
        stroke = COLORS[color] if color is not None else "currentColor"
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="1.4"{dashes}/>'
        )
        (x0, y0), (x1, y1) = points[-2:]
        if head:
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            a, b = 7 * (x1 - x0) / length, 7 * (y1 - y0) / length
            corners = (x1, y1), (x1 - a + b / 2, y1 - b - a / 2), (x1 - a - b / 2, y1 - b + a / 2)
            tip = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
            self._parts.append(f'<polygon points="{tip}" fill="{stroke}"/>')
        if words:
            level = abs(y1 - y0) < abs(x1 - x0)
            x, y = (x0 + x1) / 2 + 5 * (not level), (y0 + y1) / 2 - 10 * level
            self.text(x, y, words, size=12, align="middle" if level else "start")

    def svg(self) -> str:
        """Give the drawing as an SVG element."""
        return (
            f'<svg class="drawing" xmlns="http://www.w3.org/2000/svg" role="img"'
            f' viewBox="0 0 {self.width} {self.height}" width="{self.width}"'
            f' aria-label="{escape(self.alt)}" font-family="sans-serif">'
            f"<title>{escape(self.alt)}</title>{''.join(self._parts)}</svg>"
        )

    def __str__(self) -> str:
        return f"Drawing: {self.alt}"

    def _repr_html_(self) -> str:
        return f'<div class="figure-box">{self.svg()}</div>'
