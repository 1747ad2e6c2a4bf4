import numpy as np
import pandas as pd
import pytest
import torch

from a3.lab.saved_runs import CheckpointError
from a3.runs.scaling import BUDGETS
from a3.translation import to_budget
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.pig_latin import small_words
from a3.translation.prompts import Prompts
from a3.translation.to_budget import grid, train_to_budget
from a3.translation.training import Hyperparameters, train
from a3.translation.word_pairs import EOP, WordPairs

BUDGET = 4e9  # about two epochs of the narrowest model


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))


def test_the_grid_has_every_budget_of_the_handouts():
    points = np.array(grid(BUDGETS[-1]))
    assert all(np.isclose(points, budget).any() for budget in BUDGETS)
    assert np.all(np.diff(points) > 0)


def test_runs_stop_nearest_to_their_budget():
    runs = pd.DataFrame(train_to_budget(16, [0, 1], BUDGET))
    assert runs.groupby("seed")["budget"].apply(list).tolist() == [grid(BUDGET)] * 2
    a_step = 3 * 64 * DecoderOnlyTransformer(16, 4).sequence_flops(torch.tensor([30])).item()
    assert (runs["flops"] - runs["budget"]).abs().max() < a_step
    last = runs[runs["budget"] == BUDGET]
    assert (last["params"] == 4 * (4 * 16**2 + 4 * 16) + 30 * 16 + 30).all()
    rough = 6 * last["params"] * last["tokens"]  # the rule of thumb leaves attention out
    assert ((rough < last["flops"]) & (last["flops"] < 2 * rough)).all()
    assert (last["loss"] < runs["loss"][:2].max()).all()


def test_whole_batches_give_the_losses_of_the_books_training_loop():
    """One batch an epoch, so that both see the same: the curve of ``train``."""
    training, held_out = Prompts(WordPairs(small_words())).split(seed=3)
    settings = Hyperparameters(epochs=3, batch_size=4_000, learning_rate=2e-3, seed=3)
    model = DecoderOnlyTransformer(16, 4, seed=3)
    history = train(model, training, held_out, settings, progress=False)
    runs = train_to_budget(16, [3, 4], history.flops[-1], batch_size=4_000, learning_rate=2e-3)
    runs = pd.DataFrame(runs).query("seed == 3")
    found = runs.drop_duplicates("flops").set_index("flops")["loss"]
    assert found.index[-1] == pytest.approx(history.flops[-1], rel=1e-9)
    assert found.iloc[-1] == pytest.approx(history.valid_loss[-1], rel=1e-4)
    assert found.iloc[-2] == pytest.approx(history.valid_loss[-2], rel=1e-4)


def test_a_run_killed_half_way_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    whole = train_to_budget(16, [0, 1], BUDGET)
    monkeypatch.setattr("a3.lab.saved_runs._SECONDS", 0)
    path, validate, calls = tmp_path / "run", to_budget._Run.validate, []

    def killed(run, point):
        calls.append(point)
        if len(calls) == 19:
            raise KeyboardInterrupt
        validate(run, point)

    with monkeypatch.context() as patch:
        patch.setattr(to_budget._Run, "validate", killed)
        with pytest.raises(KeyboardInterrupt):
            train_to_budget(16, [0, 1], BUDGET, checkpoint=path)
    assert path.exists()
    resumed = train_to_budget(16, [0, 1], BUDGET, checkpoint=path)
    for name in set(whole) - {"seconds"}:
        assert resumed[name] == whole[name]
    with pytest.raises(CheckpointError, match="belongs to another run"):
        train_to_budget(16, [0, 1], BUDGET, learning_rate=1e-3, checkpoint=path)


def test_fresh_words_are_new_and_the_held_out_words_the_same():
    fresh = to_budget._Run(16, 4, [0], BUDGET, 5e-4, "fresh")
    small = to_budget._Run(16, 4, [0], BUDGET, 5e-4, "small")
    words = {word for word, _ in fresh.training[0].word_pairs.pairs}
    assert not words & set(small_words())
    assert fresh.epoch_words == small.epoch_words == len(small.training[0])
    assert all(
        torch.equal(a.inputs, b.inputs) for a, b in zip(fresh.held_out, small.held_out, strict=True)
    )
    seen = []
    for _ in range(len(words) // fresh.epoch_words):
        seen += [row for batch, _ in fresh.batches(64) for row in batch.inputs[0].tolist()]
        fresh.epoch += 1
    assert len({str(row[: row.index(EOP)]) for row in seen}) == len(seen)  # none twice


@pytest.mark.parametrize("decay", [1.0, None])
def test_the_learning_rate_follows_its_schedule(decay, monkeypatch):
    rates = []
    step = to_budget._Run.step
    monkeypatch.setattr(
        to_budget._Run, "step", lambda run, *rest: (rates.append(rest[1]), step(run, *rest))
    )
    train_to_budget(16, [0], BUDGET, learning_rate=1e-3, decay=decay)
    assert rates[0] == pytest.approx(1e-3)
    assert np.all(np.diff(rates) <= 0)
    assert rates[-1] == pytest.approx(1e-3 if decay else 1e-4, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 0.0}, "decay must be None or in"),
        ({"budget": -1.0}, "budget must be positive and finite"),
        ({"words": "medium"}, "words must be 'small' or 'fresh'"),
        ({"seeds": []}, "models of one shape, got 0"),
        ({"batch_size": 0}, "batch size must be at least 1"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        train_to_budget(**{"hidden": 16, "seeds": [0], "budget": BUDGET} | options)
