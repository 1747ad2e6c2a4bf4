"""What is said of a claim that failed."""

import linecache

import claims
import numpy as np
import pandas as pd
import pytest
import torch


def told(code, **names):
    """Run a page's code, which must fail, and explain why it did."""
    file = f"page {len(linecache.cache)}.py"
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    try:
        exec(compile(code, file, "exec"), names)
    except Exception as error:
        return claims.explain(error, lambda frame: frame.f_code.co_filename == file)
    pytest.fail("it should have failed")


def values(code, **names):
    return dict(told(code, **names)["values"])


def test_comparison_gives_both_sides():
    page = told("a = 3\nb = [1, 2]\nassert a < b[0]\n")
    assert page["line"] == 3
    assert page["statement"] == "assert a < b[0]"
    assert page["error"] == "AssertionError"
    assert dict(page["values"]) == {"a": "3", "b": "[1, 2]", "b[0]": "1"}


def test_statement_of_several_lines_in_a_block():
    code = "for seed in (4, 5):\n    if seed > 4:\n"
    code += "        assert (\n            seed\n            < 2\n        )\n"
    page = told(code)
    assert page["statement"] == "assert (\n    seed\n    < 2\n)"
    assert dict(page["values"]) == {"seed": "5"}


def test_calls_and_attributes():
    found = values("assert abs(x.real - 2) < limit, 'too far'", x=5.0, limit=1)
    assert found == {
        "x": "5.0",
        "x.real": "5.0",
        "x.real - 2": "3.0",
        "abs(x.real - 2)": "3.0",
        "limit": "1",
    }


def test_parts_that_were_not_reached_are_not_worked_out():
    assert values("assert a > 1 and 1 / a > 0", a=0) == {"a": "0"}


def test_local_names_of_a_function_are_seen():
    code = "def check(n):\n    assert all(k < n for k in (1, 2, 3))\ncheck(2)\n"
    page = told(code)
    assert page["line"] == 2
    assert dict(page["values"])["k"] == "2"  # the first that fails


def test_claim_in_another_module():
    other = {}
    code = "def positive(x):\n    assert x > 0\n"
    linecache.cache["other.py"] = (len(code), None, code.splitlines(keepends=True), "other.py")
    exec(compile(code, "other.py", "exec"), other)
    page = told("y = -1\npositive(y)\n", positive=other["positive"])
    assert page["line"] == 2
    assert page["statement"] == "assert x > 0"
    assert dict(page["values"]) == {"x": "-1"}


def test_claim_that_differs_each_time_says_so():
    found = values("assert next(numbers)", numbers=iter([False, True]))
    assert any("not the same each time" in value for value in found.values())


def test_other_errors_give_the_names_and_call_nothing():
    calls = []
    page = told("y = 1\nz = f(y) / 0", f=lambda x: calls.append(x) or 1)
    assert page["statement"] == "z = f(y) / 0"
    assert page["error"] == "ZeroDivisionError: division by zero"
    assert dict(page["values"]) == {"y": "1"}
    assert calls == [1]


def test_page_that_cannot_be_compiled():
    page = told("x = 1\ny = (\n")
    assert page["line"] == 2
    assert page["error"].startswith("SyntaxError")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.arange(3), "array([0, 1, 2])"),
        (np.zeros((5, 5)), "ndarray of shape (5, 5), from 0 to 0"),
        (torch.ones(20) > 0, "Tensor of shape (20,), 20 of 20 true"),
        (torch.tensor(0.5), "tensor(0.5000)"),
        (pd.Series({"a": 1}), "a    1"),
    ],
)
def test_brief(value, text):
    assert claims.brief(value) == text


def test_long_values_are_cut():
    assert len(claims.brief("x" * 10_000)) < 200
    assert len(claims.brief(list(range(10_000)))) < 200
    assert len(claims.brief(pd.DataFrame({"a": range(1000)})).splitlines()) < 12


def test_words():
    page = told("a = 3\nassert a < 2\n")
    assert claims.words(page, "docs/page.md") == (
        "docs/page.md, line 2: AssertionError\n    assert a < 2\n    a = 3"
    )


def test_values_follow_the_traceback():
    error = AssertionError()
    claims.add_values(error, {"values": [("a", "3")]})
    assert error.__notes__ == ["where\n    a = 3"]
