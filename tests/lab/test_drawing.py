from xml.etree import ElementTree

import pytest

from a3.lab.drawing import Drawing


def test_a_drawing_is_one_labelled_svg_element():
    drawing = Drawing(200, 100, alt="A box\n    and an arrow")
    drawing.box(10, 20, 80, 40, "a < b\n& c", color=1)
    drawing.arrow((90, 40), (150, 40), words="x")
    svg = ElementTree.fromstring(drawing.svg())
    assert (svg.get("role"), svg.get("aria-label")) == ("img", "A box and an arrow")
    words = [part.text for part in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["a < b", "& c", "x"]
    tip = svg.find("{http://www.w3.org/2000/svg}polygon").get("points")
    assert tip == "150.0,40.0 143.0,36.5 143.0,43.5"


def test_a_drawing_says_what_it_shows():
    with pytest.raises(ValueError, match="alt must say"):
        Drawing(10, 10, alt=" ")
