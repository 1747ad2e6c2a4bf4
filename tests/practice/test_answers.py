"""Right answers pass, and each wrong answer that students give gets its own sentence."""

import pytest

from a3.practice.judge import judge
from a3.practice.questions import QUESTIONS, asked_in

from .answers import ALSO_RIGHT, QUESTION, WRONG, changed, right

OTHERS = [(name, what) for name, those in ALSO_RIGHT.items() for what in those]
MISTAKES = [(name, what) for name, those in WRONG.items() for what in those]


def judged(name, text, folder):
    file = folder / f"{name}.py"
    file.write_text(text)
    return judge(QUESTION[name], file)


def lines_of_the_answer(name):
    """Those that stand in the right answer and not in the blank."""
    lines, given = (
        {line.strip() for line in text.splitlines()} for text in (right(name), QUESTION[name].blank)
    )
    return {line for line in lines - given if len(line) > 8}


@pytest.mark.parametrize("name", QUESTION)
def test_the_right_answer_passes(name, tmp_path):
    verdict = judged(name, right(name), tmp_path)
    assert not verdict.wrong, f"{verdict.wrong}: {verdict.why}"
    assert len(verdict.right) >= 3 and verdict.right[0] == "shapes"


@pytest.mark.parametrize(("name", "what"), OTHERS, ids=map(" ".join, OTHERS))
def test_another_right_answer_passes(name, what, tmp_path):
    verdict = judged(name, changed(name, *ALSO_RIGHT[name][what]), tmp_path)
    assert not verdict.wrong, f"{verdict.wrong}: {verdict.why}"


@pytest.mark.parametrize(("name", "what"), MISTAKES, ids=map(" ".join, MISTAKES))
def test_a_wrong_answer_gets_its_own_sentence(name, what, tmp_path):
    old, new, sentence = WRONG[name][what]
    verdict = judged(name, changed(name, old, new), tmp_path)
    assert sentence in f"{verdict.wrong}: {verdict.why}"
    assert not any(line in verdict.why for line in lines_of_the_answer(name))


@pytest.mark.parametrize("name", QUESTION)
def test_at_least_eight_wrong_answers_are_tried(name):
    assert len(WRONG[name]) >= 8 and lines_of_the_answer(name)
    assert len({sentence for *_, sentence in WRONG[name].values()}) >= 8


@pytest.mark.parametrize("name", QUESTION)
def test_a_blank_says_that_it_is_empty(name, tmp_path):
    text = QUESTION[name].blank
    verdict = judged(name, text, tmp_path)
    lines = [i for i, line in enumerate(text.splitlines(), 1) if "NotImplementedError" in line]
    assert any(f"The blank is still empty in line {i}." in verdict.why for i in lines)


def test_every_question_has_its_blank_and_its_own_name(tmp_path):
    assert len({question.defines for question in QUESTIONS}) == len(QUESTIONS) == 10
    for question in QUESTIONS:
        file = tmp_path / "any name.py"
        file.write_text(question.blank)
        assert asked_in(file) == [question]
