import math

import numpy as np
import pandas as pd
import pytest
import torch

from a3.scaling.run_table import LeftOut, run_table

SIZES, LOSSES = [1e3, 1e4, 1e5], [3.0, 2.0, 1.5]


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, pd.Series, tuple])
def test_columns_of_every_kind_give_the_same_table(kind):
    runs, left_out = run_table(None, {"params": kind(SIZES)}, kind(LOSSES))
    assert left_out == []
    assert runs.columns.tolist() == ["params", "loss"]
    assert runs["params"].to_numpy() == pytest.approx(SIZES, rel=1e-6)
    assert runs["loss"].tolist() == LOSSES


def test_names_and_arrays_may_be_mixed_and_rows_keep_their_labels():
    data = pd.DataFrame({"N": SIZES, "seed": ["a", "b", "b"]}, index=["x", "y", "z"])
    runs, _ = run_table(data, {"params": "N"}, np.array(LOSSES), group="seed")
    assert runs.index.tolist() == ["x", "y", "z"]
    assert runs["group"].tolist() == ["a", "b", "b"]


def test_series_are_taken_in_order_whatever_their_index():
    shuffled = pd.Series(LOSSES, index=[2, 0, 1])
    runs, _ = run_table(None, {"params": SIZES}, shuffled)
    assert runs["loss"].tolist() == LOSSES


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0, -1])
def test_runs_without_a_positive_finite_loss_are_left_out_by_name(bad):
    data = pd.DataFrame({"N": SIZES, "L": [3.0, bad, 1.5]}, index=["x", "y", "z"])
    runs, left_out = run_table(data, {"params": "N"}, "L")
    assert runs.index.tolist() == ["x", "z"]
    assert left_out == [LeftOut("run y", f"its loss is {bad:g}")]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_counts_that_are_not_positive_are_left_out_by_name(bad):
    data = pd.DataFrame({"N": [1.0, bad, 2.0]}, index=pd.Index([2, 3, 4], name="row"))
    runs, left_out = run_table(data, {"params": "N"}, LOSSES)
    assert runs["loss"].tolist() == [3.0, 1.5]
    assert left_out == [LeftOut("row 3", f"its params are {bad:g}")]


def test_a_run_without_a_group_is_left_out():
    runs, left_out = run_table(None, {"params": SIZES}, LOSSES, [0, 1, math.nan])
    assert len(runs) == 2 and left_out == [LeftOut("run 2", "it has no group")]


def test_what_is_no_table_is_refused():
    data = pd.DataFrame({"N": SIZES, "L": LOSSES})
    with pytest.raises(ValueError, match="the columns params, L; missing: params; .* have: N, L"):
        run_table(data, {"params": "params"}, "L")
    with pytest.raises(ValueError, match="'N' names a column, but no data are given"):
        run_table(None, {"params": "N"}, LOSSES)
    with pytest.raises(ValueError, match="must have one length, got params 3, loss 2"):
        run_table(None, {"params": SIZES}, LOSSES[:2])
    with pytest.raises(ValueError, match="one length, got params 3, loss 3, group 1"):
        run_table(None, {"params": SIZES}, LOSSES, [0])
    with pytest.raises(ValueError, match=r"params must be one column, got shape \(1, 3\)"):
        run_table(None, {"params": [SIZES]}, LOSSES)
    with pytest.raises(ValueError, match="loss must hold numbers, got 'low' in run 0"):
        run_table(None, {"params": SIZES}, ["low", "lower", "lowest"])
    with pytest.raises(ValueError, match="none of 3 runs can be used: run 0: its loss is nan"):
        run_table(None, {"params": SIZES}, [math.nan] * 3)
    with pytest.raises(ValueError, match="none of 0 runs"):
        run_table(None, {"params": []}, [])
