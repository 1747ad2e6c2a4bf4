import xml.etree.ElementTree as ET

import numpy as np
import pytest

from a3.bert.error_grids import ErrorGrids
from a3.bert.verbal_arithmetic import verbal_arithmetic

LABELS = verbal_arithmetic()["label"].to_numpy()


@pytest.fixture
def grids():
    """Two runs of a model that is wrong on row 401 once, and on row 3 where it was trained."""
    answers = np.array([LABELS, LABELS])
    answers[0, 401], answers[0, 3] = 2, 0
    counted = np.ones((2, 800), dtype=bool)
    counted[0, 3] = False
    counted[:, 799] = False
    return ErrorGrids({"a < b": answers, "right": np.array([LABELS, LABELS])}, counted)


def test_shares_count_what_was_not_trained_on(grids):
    shares = grids.shares("a < b")
    assert shares[401] == 0.5 and np.isnan(shares[799])
    assert np.nansum(shares) == 0.5
    assert np.nansum(grids.shares("right")) == 0


def test_each_square_says_its_sentence_and_the_answers(grids):
    figures = ET.fromstring(grids._repr_html_()).findall("figure")
    names = [figure.findtext("figcaption") for figure in figures]
    assert names == ["a < b, minus", "right, minus", "a < b, plus", "right, plus"]
    for figure in figures:
        assert len(list(figure.iter("title"))) == 400
    (square,) = (
        square
        for square in figures[0].iter("rect")
        if square.findtext("title", "").startswith("zero minus one ")
    )
    said = square.findtext("title")
    assert said == "zero minus one is negative; answered: 1 negative, 1 positive"
    assert square.get("fill-opacity") == "0.5"
    assert (square.get("x"), square.get("y")) == ("44", "34")  # a down, b across
    assert figures[0].find("svg").get("aria-label").startswith("a < b, minus: 1 of 399 sentences")


def test_what_was_trained_on_in_every_run_is_a_dot(grids):
    figures = ET.fromstring(grids._repr_html_()).findall("figure")
    (dot,) = figures[1].iter("circle")
    assert dot.findtext("title") == "nineteen minus nineteen is zero: no answer counts"


def test_what_does_not_fit_is_refused():
    right = LABELS[None]
    with pytest.raises(ValueError, match="no model"):
        ErrorGrids({}, np.ones((1, 800)))
    with pytest.raises(ValueError, match=r"counted must have the shape \(S, 800\), got \(800,\)"):
        ErrorGrids({"right": right}, np.ones(800))
    with pytest.raises(ValueError, match=r"'right' must have the shape \(2, 800\)"):
        ErrorGrids({"right": right}, np.ones((2, 800)))
