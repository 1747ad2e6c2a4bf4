import pandas as pd
import pytest

from a3.lab import sweeps
from a3.runs.scaling import BUDGETS, EXPERIMENTS, SIDE_BY_SIDE, WIDTHS, settings, sweep
from a3.translation.to_budget import grid, train_to_budget


def test_narrow_models_train_side_by_side_and_wide_ones_by_themselves():
    runs = settings((16, 48), (0, 1), 1e9, learning_rate=1e-3)
    assert [(run["hidden"], run["seeds"]) for run in runs] == [(16, [0, 1]), (48, [0]), (48, [1])]
    assert all(run["budget"] == 1e9 and run["learning_rate"] == 1e-3 for run in runs)


def test_the_handouts_sweep_has_their_widths_and_their_largest_budget():
    runs = EXPERIMENTS["six widths"].full()
    assert {run["hidden"] for run in runs} == {*WIDTHS} and min(WIDTHS) <= SIDE_BY_SIDE
    assert {run["budget"] for run in runs} == {max(BUDGETS)}
    assert runs == EXPERIMENTS["six widths to fit"].full()  # trained once


def test_a_sweep_has_a_row_for_each_run_and_point(monkeypatch, tmp_path):
    monkeypatch.setenv("A3_CACHE", str(tmp_path))
    monkeypatch.setenv("A3_PROFILE", "quick")
    chosen = settings((16, 48), (0, 1), 4e9, words="fresh", decay=None)
    monkeypatch.setattr(EXPERIMENTS["fresh words"].__class__, "settings", chosen)
    runs = sweep("fresh words")
    assert len(runs) == 4 * len(grid(4e9))
    assert (runs["until"] == 4e9).all() and runs["decay"].isna().all()
    of_one = runs.query("hidden == 48 and seed == 1").reset_index(drop=True)
    again = pd.DataFrame(train_to_budget(48, [1], 4e9, words="fresh", decay=None))
    pd.testing.assert_series_equal(of_one["loss"], again["loss"])
    monkeypatch.setattr(sweeps, "run_calls", pytest.fail)
