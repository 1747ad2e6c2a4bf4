"""The handouts' translation runs: their settings, and each run as one call that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from a3.lab.experiments import Experiment
from a3.lab.sweeps import run_all
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import exact_match
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import large_words, small_words
from a3.translation.prompts import Prompts
from a3.translation.training import History, Hyperparameters, train
from a3.translation.word_pairs import WordPairs

__all__ = [
    "DECODER_ONLY_RUN", "FOUR_RUNS", "EXPERIMENTS", "TUNED", "TWO_STACKS_RUN", "TranslatorRun",
    "four_runs", "one_or_two_stacks", "train_translator", "translators", "tuned_runs",
]  # fmt: skip

FOUR_RUNS = [
    {"words": words, "hidden": hidden, "layers": layers, "hyperparameters": hyperparameters}
    for words, hidden, layers, hyperparameters in (
        ("large", 64, 3, Hyperparameters(epochs=50, batch_size=512, patience=20)),
        ("large", 32, 3, Hyperparameters(epochs=100, batch_size=512, patience=10)),
        ("small", 32, 4, Hyperparameters(epochs=100, batch_size=64, patience=100)),
        ("small", 64, 3, Hyperparameters(epochs=50, batch_size=64, patience=20)),
    )
]
"""The handouts' four runs: arguments of :func:`train_translator`.

:meta hide-value:
"""
DECODER_ONLY_RUN = {
    "words": "small",
    "architecture": "decoder-only",
    "hidden": 128,
    "layers": 4,
    "hyperparameters": Hyperparameters(epochs=100, batch_size=64, patience=100),
}
"""The handouts' decoder-only run: arguments of :func:`train_translator`.

:meta hide-value:
"""
TWO_STACKS_RUN = {
    "words": "small",
    "architecture": "encoder-decoder",
    "hidden": 90,
    "layers": 3,
    "hyperparameters": Hyperparameters(epochs=202, batch_size=64, patience=30),
}
"""An encoder-decoder with as many parameters as that, and epochs for as much compute.

:meta hide-value:
"""
TUNED = Hyperparameters(learning_rate=1e-3, batch_size=64)
"""What the page on tuning finds best for the wide model on the large list."""
_ARCHITECTURES = {"encoder-decoder": EncoderDecoder, "decoder-only": DecoderOnlyTransformer}


class TranslatorRun(NamedTuple):
    """What came out of one training run: the model has the weights that validated best.

    ``accuracy`` is the share of held-out words translated without a single wrong letter.
    """

    model: EncoderDecoder | DecoderOnlyTransformer
    history: History
    accuracy: float


def four_runs() -> dict[tuple[str, int], list[TranslatorRun]]:
    """The handouts' four runs, several seeds each, as :func:`translators` gives them."""
    return translators(EXPERIMENTS["four runs"].settings)


def one_or_two_stacks() -> dict[str, list[TranslatorRun]]:
    """The decoder-only run of the handouts and its match with two stacks, several seeds each."""
    runs = translators(EXPERIMENTS["one or two stacks"].settings)
    return dict(zip(("one stack", "two stacks"), runs.values(), strict=True))


def tuned_runs() -> dict[tuple[str, int], list[TranslatorRun]]:
    """Three of the four runs at a tuned rate and batch size, as :func:`translators` gives them."""
    return translators(EXPERIMENTS["tuned runs"].settings)


def translators(settings: Iterable[dict[str, Any]]) -> dict[tuple[str, int], list[TranslatorRun]]:
    """Train a translator with each of ``settings``; what was trained before is not trained again.

    ``settings`` are arguments of :func:`train_translator`, the longest runs first; the result maps
    (word list, width) to its runs, in their order.
    """
    settings = list(settings)
    runs: dict[tuple[str, int], list[TranslatorRun]] = {}
    for setting, result in zip(settings, run_all(train_translator, settings), strict=True):
        kind = _ARCHITECTURES[setting.get("architecture", "encoder-decoder")]
        model = kind(setting["hidden"], setting["layers"])
        model.load_state_dict(result["weights"])
        run = TranslatorRun(model, History(**result["history"]), result["accuracy"])
        runs.setdefault((setting["words"], setting["hidden"]), []).append(run)
    return runs


def train_translator(
    words: str,
    hidden: int,
    layers: int,
    hyperparameters: Hyperparameters,
    architecture: str = "encoder-decoder",
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Train a transformer on four fifths of a word list and try it on the rest.

    The seed of the hyperparameters draws the split, the initial weights and the order of batches.

    Parameters
    ----------
    words : {"small", "large"}
    architecture : {"encoder-decoder", "decoder-only"}
    checkpoint : path-like, optional
        As for :func:`a3.translation.training.train`.

    Returns
    -------
    dict
        ``weights`` that validated best, ``history`` as a dict, and ``accuracy``, the share of
        held-out words translated exactly.

    Raises
    ------
    ValueError
        If there is no such list or architecture.
    """
    lists = {"small": small_words, "large": large_words}
    if words not in lists:
        raise ValueError(f"words must be 'small' or 'large', got {words!r}")
    if architecture not in _ARCHITECTURES:
        raise ValueError(f"architecture must be one of {[*_ARCHITECTURES]}, got {architecture!r}")
    training, held_out = WordPairs(lists[words]()).split(seed=hyperparameters.seed)
    data = (training, held_out)
    if architecture == "decoder-only":
        data = (Prompts(training), Prompts(held_out))
    model = _ARCHITECTURES[architecture](hidden, layers, seed=hyperparameters.seed)
    history = train(model, *data, hyperparameters, checkpoint=checkpoint, progress=False)
    return {
        "weights": model.state_dict(),
        "history": asdict(history),
        "accuracy": exact_match(model, held_out),
    }


def _with_seeds(
    runs: Iterable[dict[str, Any]], seeds: Sequence[int] = (0, 1, 2), **changes: Any
) -> list[dict[str, Any]]:
    """Each of the runs with each of the seeds, and hyperparameters to set otherwise."""
    return [
        run | {"hyperparameters": replace(run["hyperparameters"], seed=seed, **changes)}
        for run in runs
        for seed in seeds
    ]


def _tuned(**changes: Any) -> list[dict[str, Any]]:
    runs = (
        dict(words=words, hidden=hidden, layers=3, hyperparameters=replace(TUNED, epochs=epochs))
        for words, hidden, epochs in (("large", 64, 20), ("large", 32, 14), ("small", 64, 20))
    )
    return _with_seeds(runs, (0, 1), **changes)


def _seconds(run: dict[str, Any]) -> float:
    """Steps, words and products: measured on runs of this book."""
    settings, words = run["hyperparameters"], {"small": 2_558, "large": 17_940}[run["words"]]
    stacks = 1 if run.get("architecture") == "decoder-only" else 2
    steps = settings.epochs * words / settings.batch_size
    per_step = 2e-3 + 2e-9 * settings.batch_size * run["layers"] * stacks * run["hidden"] ** 2
    return steps * per_step * (0.3 if run["hidden"] == 90 else 1.0)  # which stops early


EXPERIMENTS = {
    "four runs": Experiment(
        (
            "tutorials/nmt/four_runs",
            "tutorials/nmt/one_or_two",
            "tutorials/nmt/wrong_words",
            "tutorials/nmt/tuning",
            "resources/compute",
        ),
        train_translator,
        partial(_with_seeds, FOUR_RUNS),
        partial(_with_seeds, FOUR_RUNS, epochs=3),
        _seconds,
    ),
    "one or two stacks": Experiment(
        ("tutorials/nmt/one_or_two", "tutorials/nmt/wrong_words"),
        train_translator,
        partial(_with_seeds, (DECODER_ONLY_RUN, TWO_STACKS_RUN)),
        partial(_with_seeds, (DECODER_ONLY_RUN, TWO_STACKS_RUN), (0,), epochs=2),
        _seconds,
    ),
    "a hundred passes": Experiment(
        ("tutorials/nmt/extrapolation", "tutorials/nmt/repeated_words"),
        train_translator,
        partial(_with_seeds, (DECODER_ONLY_RUN,)),
        partial(_with_seeds, (DECODER_ONLY_RUN,), epochs=2),
        _seconds,
    ),
    "tuned runs": Experiment(
        ("tutorials/nmt/tuning",), train_translator, _tuned, partial(_tuned, epochs=1), _seconds
    ),
}
"""The translators of the book, by name.

:meta hide-value:
"""
