"""What a page hands to its live figure arrives as it was, or rounded by as little as is said."""

import json
import re
from base64 import b64decode

import numpy as np
import pytest
import torch

from a3.lab.live import LIMIT, Arrays, Files

DRAWN = np.random.default_rng(0).standard_normal((600, 200)).astype(np.float32)


def handed_over(arrays):
    """What stands in the page, as Python reads it."""
    found = re.fullmatch(r'<script class="live-data"[^>]*>(.*)</script>', arrays._repr_html_())
    return json.loads(found[1])


def test_what_is_small_is_handed_over_as_it_is():
    arrays = Arrays("few", {"w": torch.tensor([[1.5, -2.0]]), "b": [0.1]}, accuracy=0.5, s="</a>")
    data = handed_over(arrays)
    assert data["shapes"] == {"w": [1, 2], "b": [1]}
    assert data["about"] == {"accuracy": 0.5, "s": "</a>"}
    floats = np.frombuffer(b64decode(data["floats"]), "<f4")
    assert floats.tolist() == [1.5, -2.0, np.float32(0.1)]
    assert arrays.as_read()["w"].tolist() == [[1.5, -2.0]]


def test_what_is_large_is_rounded_by_at_most_half_a_step_of_its_row():
    rows = DRAWN.copy()
    rows[3] = 0
    arrays = Arrays("many", {"w": rows, "b": rows[5]})
    read, data = arrays.as_read(), handed_over(arrays)
    step = np.abs(rows).max(axis=1, keepdims=True) / (2**15 - 1)
    assert (np.abs(read["w"] - rows) <= 0.51 * step).all() and read["b"].shape == (200,)
    assert (read["w"][3] == 0).all() and (read["w"] != rows).any()
    whole = np.frombuffer(b64decode(data["integers"]), "<i2")[: rows.size].reshape(rows.shape)
    scale = np.frombuffer(b64decode(data["scales"]), "<f4")[:600, None]
    assert np.array_equal(whole * scale, read["w"])
    assert len(arrays._text()) <= LIMIT


@pytest.mark.parametrize(
    "arrays, fault",
    [
        ({"w": np.zeros((2, 2, 2))}, "w: expected one or two axes"),
        ({"w": [np.nan]}, "finite"),
        ({"w": np.zeros((1000, 300))}, "more than 400,000 bytes"),
    ],
)
def test_what_cannot_be_handed_over_is_refused(arrays, fault):
    with pytest.raises(ValueError, match=fault):
        Arrays("name", arrays)


def test_several_are_shown_together():
    files = Files([Arrays("one", {"w": [1.0]}), Arrays("two", {"w": [2.0]})])
    assert str(files).splitlines()[1].startswith("two: 0 kB for the page")
    assert files._repr_html_().count("<script") == 2
