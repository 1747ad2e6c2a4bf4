"""The handouts' translation runs: their settings, and each run as one call that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from a3.decoding import exact_match
from a3.pig_latin import large_words, small_words
from a3.sweeps import run_all
from a3.training import History, Hyperparameters, train
from a3.translation import EncoderDecoder
from a3.word_pairs import WordPairs

__all__ = ["FOUR_RUNS", "TranslatorRun", "four_runs", "train_translator"]

FOUR_RUNS = {
    ("large", 64): (3, Hyperparameters(epochs=50, batch_size=512, patience=20)),
    ("large", 32): (3, Hyperparameters(epochs=100, batch_size=512, patience=10)),
    ("small", 32): (4, Hyperparameters(epochs=100, batch_size=64, patience=100)),
    ("small", 64): (3, Hyperparameters(epochs=50, batch_size=64, patience=20)),
}
"""Word list and width of each run of the handouts, to its layers and hyperparameters."""


class TranslatorRun(NamedTuple):
    """What came out of one training run.

    Attributes
    ----------
    model : EncoderDecoder
        With the weights that validated best.
    history : History
    accuracy : float
        Share of held-out words translated without a single wrong letter.
    """

    model: EncoderDecoder
    history: History
    accuracy: float


def four_runs(
    which: Iterable[tuple[str, int]] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    **changes: Any,
) -> dict[tuple[str, int], list[TranslatorRun]]:
    """The handouts' four runs, several seeds each; what was trained before is not trained again.

    Parameters
    ----------
    which : iterable of (str, int), optional
        Word list and width of the runs wanted, longest first; all four by default.
    seeds : sequence of int
    **changes
        Hyperparameters to set otherwise than the handouts do.

    Returns
    -------
    dict
        (word list, width) to one :class:`TranslatorRun` a seed.

    Raises
    ------
    ValueError
        If the handouts have no such run.
    """
    which = list(FOUR_RUNS if which is None else which)
    if unknown := set(which) - FOUR_RUNS.keys():
        raise ValueError(f"expected runs among {list(FOUR_RUNS)}, got {sorted(unknown)}")
    settings = [
        dict(
            words=words,
            hidden=hidden,
            layers=layers,
            hyperparameters=replace(hp, seed=seed, **changes),
        )
        for words, hidden in which
        for layers, hp in [FOUR_RUNS[words, hidden]]
        for seed in seeds
    ]
    runs: dict[tuple[str, int], list[TranslatorRun]] = {}
    for setting, result in zip(settings, run_all(train_translator, settings), strict=True):
        model = EncoderDecoder(setting["hidden"], setting["layers"])
        model.load_state_dict(result["weights"])
        run = TranslatorRun(model, History(**result["history"]), result["accuracy"])
        runs.setdefault((setting["words"], setting["hidden"]), []).append(run)
    return runs


def train_translator(
    words: str,
    hidden: int,
    layers: int,
    hyperparameters: Hyperparameters,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Train an encoder-decoder on four fifths of a word list and try it on the rest.

    Parameters
    ----------
    words : {"small", "large"}
        The list; its split, the initial weights and the order of the batches are
        all drawn with ``hyperparameters.seed``.
    hidden, layers : int
        As for :class:`a3.translation.EncoderDecoder`.
    hyperparameters : Hyperparameters
    checkpoint : path-like, optional
        As for :func:`a3.training.train`.

    Returns
    -------
    dict
        ``weights`` that validated best, ``history`` as a dict, and ``accuracy``, the
        share of held-out words translated exactly.

    Raises
    ------
    ValueError
        If there is no such list.
    """
    lists = {"small": small_words, "large": large_words}
    if words not in lists:
        raise ValueError(f"words must be 'small' or 'large', got {words!r}")
    training, validation = WordPairs(lists[words]()).split(seed=hyperparameters.seed)
    model = EncoderDecoder(hidden, layers, seed=hyperparameters.seed)
    history = train(
        model, training, validation, hyperparameters, checkpoint=checkpoint, progress=False
    )
    return {
        "weights": model.state_dict(),
        "history": asdict(history),
        "accuracy": exact_match(model, validation),
    }
