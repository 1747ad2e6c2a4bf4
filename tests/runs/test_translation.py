from dataclasses import replace
from functools import partial

import pytest

import a3.runs.translation
from a3.runs.translation import (
    DECODER_ONLY_RUN,
    FOUR_RUNS,
    TWO_STACKS_RUN,
    four_runs,
    one_or_two_stacks,
    train_translator,
    translators,
)
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import exact_match
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import small_words as real_small_words
from a3.translation.prompts import Prompts
from a3.translation.training import Hyperparameters, evaluate
from a3.translation.word_pairs import WordPairs

WORDS = ["team", "quick", "string", "my", "you", "well", "a", "i", "shop", "oak"]


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """Ten words a list, narrow models, and a cache of their own."""
    monkeypatch.setenv("A3_CACHE", str(tmp_path))
    monkeypatch.setattr(a3.runs.translation, "small_words", lambda: WORDS)
    monkeypatch.setattr(a3.runs.translation, "large_words", lambda: WORDS[::-1])
    hp = Hyperparameters(epochs=5, batch_size=4)
    runs = [
        {"words": "large", "hidden": 8, "layers": 2, "hyperparameters": hp},
        {"words": "small", "hidden": 6, "layers": 1, "hyperparameters": hp},
    ]
    quick = partial(a3.runs.translation._with_seeds, runs, (0, 3), epochs=2)
    experiments = a3.runs.translation.EXPERIMENTS
    monkeypatch.setitem(experiments, "four runs", replace(experiments["four runs"], quick=quick))
    monkeypatch.setattr(a3.runs.translation, "run_all", run_here)
    monkeypatch.setenv("A3_PROFILE", "quick")


def run_here(function, settings):
    return [function(**setting) for setting in settings]


def test_the_four_runs_are_the_handouts():
    table = {
        (run["words"], run["hidden"]): (run["layers"], *vars(run["hyperparameters"]).values())
        for run in FOUR_RUNS
    }
    assert table == {
        ("small", 32): (4, 100, 64, 5e-4, 0.99, 100, 0),
        ("large", 32): (3, 100, 512, 5e-4, 0.99, 10, 0),
        ("small", 64): (3, 50, 64, 5e-4, 0.99, 20, 0),
        ("large", 64): (3, 50, 512, 5e-4, 0.99, 20, 0),
    }


def test_each_run_has_one_model_a_seed_with_its_history_and_its_accuracy():
    runs = four_runs()
    assert list(runs) == [("large", 8), ("small", 6)]
    for (_, hidden), seeds in runs.items():
        assert len(seeds) == 2
        assert seeds[0].history.valid_loss != seeds[1].history.valid_loss
        for run in seeds:
            assert run.history.epochs == 2
            assert run.model.decoder.to_logits.in_features == hidden
    _, held_out = WordPairs(WORDS).split(seed=3)
    run = runs["small", 6][1]
    assert evaluate(run.model, held_out) == run.history.best_loss
    assert exact_match(run.model, held_out) == run.accuracy


def test_runs_with_settings_of_ones_own_come_in_their_order():
    hyperparameters = Hyperparameters(epochs=1, batch_size=4)
    setting = dict(words="small", hidden=6, layers=1, hyperparameters=hyperparameters)
    runs = translators([setting, setting | {"hidden": 8}, setting])
    assert [(run, len(seeds)) for run, seeds in runs.items()] == [
        (("small", 6), 2),
        (("small", 8), 1),
    ]
    first, again = runs["small", 6]
    assert first.history.valid_loss == again.history.valid_loss


def test_the_two_stacks_have_as_many_parameters_and_as_much_compute_as_the_one():
    def params(model):
        named = model.named_parameters()
        return sum(p.numel() for name, p in named if "embedding" not in name)

    training, _ = WordPairs(real_small_words()).split()
    one = DecoderOnlyTransformer(DECODER_ONLY_RUN["hidden"], DECODER_ONLY_RUN["layers"])
    layers = TWO_STACKS_RUN["layers"]
    nearest = min(
        range(2, 256, 2), key=lambda H: abs(params(EncoderDecoder(H, layers)) - params(one))
    )
    assert TWO_STACKS_RUN["hidden"] == nearest
    two = EncoderDecoder(nearest, layers)
    epochs = TWO_STACKS_RUN["hyperparameters"].epochs
    total = DECODER_ONLY_RUN["hyperparameters"].epochs * one.flops(Prompts(training))
    assert epochs * two.flops(training) <= total < (epochs + 1) * two.flops(training)


def test_one_and_two_stacks_have_a_run_a_seed():
    runs = one_or_two_stacks()
    assert {name: len(seeds) for name, seeds in runs.items()} == {"one stack": 1, "two stacks": 1}
    assert isinstance(runs["one stack"][0].model, DecoderOnlyTransformer)
    assert isinstance(runs["two stacks"][0].model, EncoderDecoder)


def test_a_decoder_only_run_has_its_model_and_its_accuracy():
    setting = DECODER_ONLY_RUN | {"hidden": 8, "hyperparameters": Hyperparameters(epochs=2, seed=3)}
    ((run,),) = translators([setting]).values()
    assert isinstance(run.model, DecoderOnlyTransformer)
    _, held_out = WordPairs(WORDS).split(seed=3)
    assert evaluate(run.model, Prompts(held_out)) == min(run.history.valid_loss)
    assert exact_match(run.model, held_out) == run.accuracy


def test_an_unknown_list_or_architecture_is_refused():
    with pytest.raises(ValueError, match="'small' or 'large', got 'medium'"):
        train_translator("medium", 8, 1, Hyperparameters())
    with pytest.raises(ValueError, match="'decoder-only'], got 'encoder-only'"):
        train_translator("small", 8, 1, Hyperparameters(), "encoder-only")
