import gzip
import json
import sys

import numpy as np
import pandas as pd
import pytest
from scaling.planted_runs import COLUMNS, planted_runs

from a3.scaling import diagnose, fit_isoflop
from a3.scaling.read_runs import read_runs
from a3.scaling.run_table import run_table

RUNS = planted_runs()
EXPECTED = fit_isoflop(*COLUMNS, data=RUNS, bootstrap=0)


def fitted(path):
    return fit_isoflop(*COLUMNS, data=read_runs(path), bootstrap=0)


def with_commas(frame):
    return frame.map(lambda cell: repr(cell).replace(".", ","))


TEXTS = {
    "comma": RUNS.to_csv(index=False),
    "semicolon": RUNS.to_csv(index=False, sep=";"),
    "tab": RUNS.to_csv(index=False, sep="\t"),
    "bar": RUNS.to_csv(index=False, sep="|"),
    "white space": RUNS.to_string(index=False, float_format="{:.15e}".format),
    "decimal commas": with_commas(RUNS).to_csv(index=False, sep=";"),
    "quoted decimal commas": with_commas(RUNS).to_csv(index=False),
    "byte order mark": "\ufeff" + RUNS.to_csv(index=False),
    "blank lines": "\n\n" + RUNS.to_csv(index=False).replace("\n", "\n\n"),
    "white space about names": RUNS.to_csv(index=False).replace("params,", " params , "),
    "Windows lines": RUNS.to_csv(index=False).replace("\n", "\r\n"),
    "records": RUNS.to_json(orient="records", double_precision=15),
    "lines of JSON": RUNS.to_json(orient="records", lines=True, double_precision=15),
    "columns of JSON": json.dumps(RUNS.to_dict("list")),
    "JSON under a name": json.dumps({"runs": RUNS.to_dict("records")}),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_way_to_write_a_table_gives_the_same_fit(tmp_path, text, zipped):
    path, content = tmp_path / "runs.txt", text.encode()
    path.write_bytes(gzip.compress(content) if zipped else content)
    found = fitted(path)
    assert found.a == pytest.approx(EXPECTED.a, rel=1e-9)
    assert found.k == pytest.approx(EXPECTED.k, rel=1e-8)


def test_utf_16_is_read(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes(RUNS.to_csv(index=False).encode("utf-16"))
    assert fitted(path).a == pytest.approx(EXPECTED.a, rel=1e-9)


def test_rows_are_counted_as_in_an_editor(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("\nN,D,L\n1e6,1e8,3.1\n\n2e6,oops,3.0\n4e6,1e8,-1\n8e6,1e8,2.8\n")
    runs, left_out = run_table(read_runs(path), {"params": "N", "tokens": "D"}, "L")
    assert runs.index.tolist() == [3, 7] and runs.index.name == "row"
    assert left_out == [("row 5", "its tokens are 'oops'"), ("row 6", "its loss is '-1'")]
    path.write_text('{"N": 1}\n\n{"N": 2}\n')
    assert read_runs(path).index.tolist() == [1, 3]


def numbers_of(cells, name="params", **options):
    loss = np.ones(len(cells))
    columns = {"params": np.ones(len(cells)), name: cells}
    loss = columns.pop("loss", loss)
    runs, _ = run_table(None, columns, loss, **options)
    return runs[name].tolist()


@pytest.mark.parametrize(
    "cells, expected",
    [
        (["69M", "1.2B", "3e18", "70 k", "1.5bn", "2T"], [69e6, 1.2e9, 3e18, 7e4, 1.5e9, 2e12]),
        (["1,234,567", "12,345", "999"], [1234567, 12345, 999]),
        (["1.234.567", "12.345", "999"], [1234567, 12345, 999]),
        (["1 234 567", "1'234'567", "1_234_567", "1\u202f234"], [1234567] * 3 + [1234]),
        (["69,5M", "1,25B"], [69.5e6, 1.25e9]),
        (["1.234,5", "12,25"], [1234.5, 12.25]),
        (["1,234.5", "12.25"], [1234.5, 12.25]),
        (["3x10^18", "3·10^18", "3*10^18"], [3e18] * 3),
        (["69,000", "124,000"], [69000, 124000]),
        (["0.5e9", ".5e9", "+5e8"], [5e8] * 3),
    ],
)
def test_numbers_as_people_write_them(cells, expected):
    assert numbers_of(cells) == pytest.approx(expected)


def test_a_loss_with_three_digits_behind_a_comma_has_decimals():
    assert numbers_of(["2,345", "2,301"], "loss") == pytest.approx([2.345, 2.301])
    assert numbers_of(["2.345", "2.301"], "loss") == pytest.approx([2.345, 2.301])


def test_a_column_that_does_not_tell_follows_the_others():
    runs, _ = run_table(None, {"params": ["1.234", "5.678"]}, ["2,31", "2,3"])
    assert runs["params"].tolist() == [1234, 5678]


def test_marks_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match=r"params has , and \. as marks of decimals, .*--decimal"):
        numbers_of(["1,5", "2.5"])
    assert numbers_of(["1,5", "2.5"], decimal=",") == [1.5, 25]
    with pytest.raises(ValueError, match="decimal must be , or ., got ';'"):
        numbers_of(["1,5"], decimal=";")


def test_a_frame_is_read_in_the_same_ways():
    text = RUNS.map(repr).assign(params=[f"{n / 1e6!r}M" for n in RUNS["params"]])
    assert fit_isoflop(*COLUMNS, data=text, bootstrap=0).a == pytest.approx(EXPECTED.a, rel=1e-9)
    objects = RUNS.astype(object)
    objects.iloc[3, 3] = None
    found = diagnose(*COLUMNS, data=objects, bootstrap=0)
    assert found.left_out == (("run 3", "its loss is 'None'"),)


def test_likely_columns_are_offered():
    renamed = RUNS.rename(columns={"params": "N", "loss": "val_loss"})
    with pytest.raises(ValueError, match="params may be 'N'; loss may be 'val_loss'$"):
        fit_isoflop(*COLUMNS, data=renamed)
    named = {"params": "N", "loss": "val_loss", "tokens": "tokens", "flops": "flops"}
    found = fit_isoflop(**named, data=renamed, bootstrap=0)
    assert found.a == pytest.approx(EXPECTED.a)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (bytes(range(128, 256)), "can't decode"),
        (b"\x1f\x8bxxxx", "is not a table"),
        (b"PK\x03\x04", "save it as CSV"),
        (b'{"a": 1}\n{"a": \n', "row 2 is not JSON"),
    ],
)
def test_what_is_no_table_is_refused_in_a_line(tmp_path, content, message):
    path = tmp_path / "runs.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_runs(path)
    assert "\n" not in str(caught.value)


def test_parquet_is_read_or_says_what_it_needs(tmp_path, monkeypatch):
    path = tmp_path / "runs.parquet"
    path.write_bytes(b"PAR1 and so on")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(ValueError, match="needs pyarrow to be read: pip install pyarrow"):
        read_runs(path)
    monkeypatch.setattr(pd, "read_parquet", lambda content: RUNS.set_axis(RUNS.index + 5))
    assert read_runs(path).equals(RUNS.set_axis(pd.RangeIndex(1, len(RUNS) + 1, name="row")))
