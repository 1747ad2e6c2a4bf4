import re
from pathlib import Path

import pytest

from a3.lab.elsewhere import elsewhere

SUBJECTS = (
    "starter's encoder-decoder",
    "starter's decoder-only model",
    "handouts' counts at width 128",
    "exponent a of the best size",
    "passes over the same text",
    "a student's published run",
    "Kaplan's law of the loss",
    "Hoffmann's law of the loss",
    "Besiroglu's law of the loss",
    "parameters of large models",
    "training tokens of large models",
    "the course's training sentences",
)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_number_has_a_source_and_stands_in_no_page_of_part_four(subject):
    rows = elsewhere(subject)
    assert (rows["value"] > 0).all() and (rows["source"].str.len() > 3).all()
    assert rows.index.is_unique
    pages = Path(__file__).parents[2].glob("tutorials/nmt/*.py")
    typed = {number for page in pages for number in re.findall(r"\d+\.\d{2,}", page.read_text())}
    if "starter" in subject:  # with three decimals nothing else is like them
        assert not typed & {f"{value:.3f}" for value in rows["value"]}


def test_the_starters_losses_are_those_of_the_four_runs_and_the_six_widths():
    assert elsewhere(SUBJECTS[0])["value"].to_dict() == {
        "small 32": 0.764, "large 32": 0.532, "small 64": 0.361, "large 64": 0.232,
    }  # fmt: skip
    assert [*elsewhere(SUBJECTS[1]).index] == ["16", "32", "48", "64", "96", "128"]


def test_no_chapter_types_what_the_table_has():
    pages = Path(__file__).parents[2].glob("docs/**/*.md")
    typed = {number for page in pages for number in re.findall(r"\d+\.\d{2,}", page.read_text())}
    laws = (elsewhere(f"{name}'s law of the loss")["value"] for name in ("Hoffmann", "Besiroglu"))
    assert not typed & {f"{value:g}" for law in laws for value in law} - {"0.34", "0.28"}
    assert not typed & {"0.077", "0.76", "15.39", "15.387756", "0.73"}


def test_an_unknown_subject_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="starter's encoder-decoder.*not on 'weather'"):
        elsewhere("weather")
