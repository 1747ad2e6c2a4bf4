import pandas as pd
import pytest

from a3.bert.verbal_arithmetic import fold
from a3.lab import sweeps
from a3.runs.learning_curves import learning_curves, summary
from a3.runs.pretraining import CORPORA, EXPERIMENTS, SIZES


def test_curves_have_a_row_for_each_model_and_its_baseline(tmp_path, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path))
    monkeypatch.setenv("A3_PROFILE", "quick")
    curves = learning_curves()
    draws = EXPERIMENTS["learning curves"].settings[0]["settings"].draws
    assert len(curves) == 2 * len(CORPORA) * draws * len(SIZES)
    assert not curves.duplicated(["corpus", "seed", "draw", "sentences"]).any()
    for number, rows in curves.groupby("seed"):
        share = (fold(number).evaluation["label"] == 2).mean()
        assert (rows["majority"] == share).all()
    assert curves[["accuracy", "macro_f1", "minus_accuracy"]].stack().between(0, 1).all()
    monkeypatch.setattr(sweeps, "_run", None)  # kept: nothing runs again
    pd.testing.assert_frame_equal(curves, learning_curves())


def curves_of(**values):
    """Curves with a seed for each tuple, a draw for each value in it."""
    return pd.DataFrame(
        {"corpus": corpus, "seed": seed, "draw": draw, "sentences": size, "accuracy": value + size}
        for corpus, seeds in values.items()
        for seed, draws in enumerate(seeds)
        for draw, value in enumerate(draws)
        for size in (40, 80)
    )


def test_the_interval_is_students_over_the_means_of_the_seeds():
    curves = curves_of(prose=[(0.1, 0.3), (0.5, 0.5), (0.7, 0.9)], none=[(0, 0), (0, 0), (0, 0)])
    table = summary(curves)
    half = 4.30265 * 0.3 / 3**0.5  # t of two degrees of freedom, of 0.2, 0.5 and 0.8
    for size in (40, 80):
        row = table.loc["prose", size] - size
        assert row["mean"] == pytest.approx(0.5)
        assert row["high"] - 0.5 == pytest.approx(half, rel=1e-5) == pytest.approx(0.5 - row["low"])
        assert (table.loc["none", size] == size).all()


def test_corpora_are_compared_seed_by_seed():
    curves = curves_of(prose=[(0.1, 0.3), (0.5, 0.5)], none=[(0.1, 0.1), (0.4, 0.4)])
    table = summary(curves, against="none")
    assert {*table.index} == {("prose", 40), ("prose", 80)}
    assert table["mean"].tolist() == pytest.approx([0.1, 0.1])
    assert (table["high"] - table["low"]).tolist() == pytest.approx([0, 0], abs=1e-9)


def test_an_interval_needs_two_seeds_a_level_and_a_corpus_that_is_there():
    curves = curves_of(prose=[(0.1,), (0.5,)])
    with pytest.raises(ValueError, match="an interval needs two values, got 1"):
        summary(curves[curves["seed"] == 0])
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 95"):
        summary(curves, level=95)
    with pytest.raises(ValueError, match=r"no corpus 'tweets' among \['prose'\]"):
        summary(curves, against="tweets")
