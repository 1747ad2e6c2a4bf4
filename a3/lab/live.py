"""What a page hands to its live figure: arrays that a browser reads, from a disk or a server."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["LIMIT", "Arrays", "Files"]

LIMIT = 400_000
"""Bytes that a page may hand to a figure at once, as text."""


class Arrays:
    """Named arrays for a live figure, and what else it should know.

    They are handed over as 32-bit floats if that takes no more than ``LIMIT`` bytes, else as 16-bit
    integers, those of a row of a matrix times one number.

    Parameters
    ----------
    name : str
        Of the file: ``docs/_ext/live.py`` makes it of what the page shows.
    arrays : mapping of str to array
        With one or two axes.
    **about
        Whatever JSON can say, handed on as it is.

    Attributes
    ----------
    exact : bool
        Whether they are handed over as floats.

    Raises
    ------
    ValueError
        If an array has another number of axes or a value that is not finite, or all of them take
        more than ``LIMIT`` bytes.
    """

    def __init__(self, name: str, arrays: Mapping[str, Any], **about: Any) -> None:
        self.name, self.about = name, about
        self._arrays = {key: np.asarray(each, np.float32) for key, each in arrays.items()}
        for key, each in self._arrays.items():
            if each.ndim not in (1, 2) or not np.isfinite(each).all():
                raise ValueError(f"{key}: expected one or two axes of finite numbers")
        self.exact = len(self._json(exact=True)) <= LIMIT
        if len(self._text()) > LIMIT:
            raise ValueError(f"{name}: the arrays take more than {LIMIT:,} bytes")

    def as_read(self) -> dict[str, np.ndarray]:
        """The arrays as the browser has them, float32: equal, or rounded to 16 bits a row."""
        if self.exact:
            return dict(self._arrays)
        return {
            key: (whole.astype(np.float32) * scale).reshape(self._arrays[key].shape)
            for key, (whole, scale) in self._whole().items()
        }

    def _whole(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Each array as integers, (rows, columns), and a number a row, (rows, 1)."""
        pairs = {}
        for key, each in self._arrays.items():
            rows = np.atleast_2d(each)
            scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(2**15 - 1)
            scale[scale == 0] = 1
            pairs[key] = (rows / scale).round().astype(np.int16), scale
        return pairs

    def _json(self, exact: bool) -> str:
        def text(parts):
            return b64encode(b"".join(part.tobytes() for part in parts)).decode()

        shapes = {key: each.shape for key, each in self._arrays.items()}
        if exact:
            data = {"floats": text(each.astype("<f4") for each in self._arrays.values())}
        else:
            pairs = self._whole().values()
            data = {
                "integers": text(whole.astype("<i2") for whole, _ in pairs),
                "scales": text(scale.astype("<f4") for _, scale in pairs),
            }
        return json.dumps({"about": self.about, "shapes": shapes} | data)

    def _text(self) -> str:
        return self._json(self.exact)

    def __str__(self) -> str:
        kind = "32-bit floats" if self.exact else "16-bit integers"
        return f"{self.name}: {len(self._text()) / 1e3:.0f} kB for the page, as {kind}"

    def _repr_html_(self) -> str:
        text = self._text().replace("<", "\\u003c")
        start = f'<script class="live-data" type="application/json" data-name="{self.name}">'
        return f"{start}{text}</script>"


class Files(list[Arrays]):
    """Several :class:`Arrays`, which a page hands over by one line."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def _repr_html_(self) -> str:
        return "".join(arrays._repr_html_() for arrays in self)
