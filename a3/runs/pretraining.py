"""What a BERT is pretrained on, then fine-tuned on: the runs, each kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from transformers import BertForMaskedLM

from a3.bert.classifier import BertForSentenceClassification
from a3.bert.masked_language import Pretraining, bert_config, pretrain
from a3.bert.mathematical_english import mathematics, mathematics_words, scrambled
from a3.bert.prose import prose, prose_words
from a3.bert.side_by_side import SideBySide, dealt, fine_tune_side_by_side
from a3.bert.verbal_arithmetic import LABELS, NUMBERS, fold, verbal_arithmetic
from a3.bert.vocabulary import MASK, Vocabulary
from a3.lab.experiments import Experiment
from a3.lab.sweeps import run_all

__all__ = [
    "CORPORA", "EXPERIMENTS", "SIZES", "comparisons", "corpus_text", "fine_tune_on", "pretrain_on",
    "task_vocabulary",
]  # fmt: skip

CORPORA = ("mathematics", "scrambled", "prose", "none")
"""What the models read before they are fine-tuned."""
SIZES = (40, 80, 160, 320, 640)
"""Sentences they are fine-tuned on."""
TOKENS = 200_000
"""Length of each text."""


def corpus_text(corpus: str, seed: int, tokens: int = TOKENS) -> list[list[str]]:
    """The text of a corpus that models of one seed, which is also the fold left out, are pretrained
    on.

    The mathematical text names no pair of numbers that a "minus" sentence of the fold ``seed``
    compares, except where it counts, and no text has a sentence of that fold.

    Raises
    ------
    ValueError
        If there is no such corpus or fold.
    """
    if corpus not in CORPORA[:-1]:
        raise ValueError(f"corpus must be one of {CORPORA[:-1]}, got {corpus!r}")
    if corpus == "prose":
        return prose(tokens, seed)
    text = [[*sentence] for sentence in _mathematics(seed, tokens)]
    left_out = fold(seed).evaluation["sentence"]
    return scrambled(text, seed, left_out) if corpus == "scrambled" else text


def task_vocabulary() -> Vocabulary:
    """The words of every corpus, and those of verbal arithmetic: one vocabulary for all."""
    return Vocabulary({*mathematics_words(), *prose_words(), *NUMBERS, "plus", "minus"})


def pretrain_on(
    corpus: str,
    seed: int,
    settings: Pretraining | None = None,
    tokens: int = TOKENS,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Pretrain a model of one seed on the :func:`corpus_text` of one corpus.

    The seed also draws the weights and the masks; that of the settings is not used. Results are
    those of :func:`a3.bert.masked_language.pretrain`.
    """
    settings = replace(settings or Pretraining(), seed=seed)
    text = corpus_text(corpus, seed, tokens)
    return pretrain(text, task_vocabulary(), settings, checkpoint=checkpoint)


def fine_tune_on(
    corpus: str,
    seed: int,
    settings: SideBySide | None = None,
    pretraining: Pretraining | None = None,
    tokens: int = TOKENS,
) -> dict[str, Any]:
    """Fine-tune what was pretrained on one corpus, for every number of sentences side by side.

    The corpus ``"none"`` starts from weights drawn at random. The seed is the pretrained model's,
    and the fold it is evaluated on.

    Returns
    -------
    dict
        ``predictions``, uint8 of shape (draws, sizes, 800), labels of all the sentences, those
        trained on included; ``loss``, shape (steps, draws, sizes), and ``seconds``.

    Raises
    ------
    ValueError
        If there is no such corpus or fold.
    """
    if corpus not in CORPORA:
        raise ValueError(f"corpus must be one of {CORPORA}, got {corpus!r}")
    settings = settings or SideBySide()
    vocabulary, weights = task_vocabulary(), None
    if corpus != "none":
        weights = _pretrained(corpus, seed, pretraining, tokens)
    started = time.perf_counter()
    data = verbal_arithmetic()
    inputs = vocabulary([*data["sentence"]])["input_ids"]  # (800, T)
    labels = torch.tensor([*data["label"]])
    training = torch.tensor([*fold(seed).training.index])
    models, rows = [], []
    for draw in range(settings.draws):
        generator = torch.Generator().manual_seed(1000 * seed + draw)
        order = training[torch.randperm(len(training), generator=generator)]
        for size in SIZES:
            models.append(_classifier(len(vocabulary), weights, seed, draw))
            rows.append(dealt(order[:size], settings, generator))
    batches = torch.stack(rows, dim=1)  # (steps, K, B)
    predictions, losses = fine_tune_side_by_side(models, inputs, labels, batches, settings)
    shape = (settings.draws, len(SIZES))
    return {
        "predictions": predictions.view(*shape, -1),
        "loss": losses.view(-1, *shape),
        "seconds": time.perf_counter() - started,
    }


def comparisons(weights: dict[str, Tensor], seed: int) -> pd.DataFrame:
    """What a model pretrained with a seed says of two numbers before it is fine-tuned.

    In "a is [MASK] than b" it has to find "less" more likely than "more", or the other way round.

    Returns
    -------
    DataFrame
        380 rows with the columns ``a``, ``b``, ``right``, and ``held_out``, whether its text
        leaves the pair out.
    """
    vocabulary = task_vocabulary()
    model = BertForMaskedLM(bert_config(len(vocabulary)))
    model.load_state_dict(weights)
    ordered = [(a, b) for a in range(20) for b in range(20) if a != b]
    inputs = vocabulary([f"{NUMBERS[a]} is less than {NUMBERS[b]}" for a, b in ordered])
    place, words = 3, vocabulary.encode("more less")
    inputs["input_ids"][:, place] = MASK
    with torch.no_grad():
        scores = model.eval()(**inputs).logits[:, place, words]  # (380, 2)
    said = scores.argmax(dim=1).tolist()
    pairs = fold(seed).pairs
    rows = [
        {"a": a, "b": b, "right": less == (a < b), "held_out": (min(a, b), max(a, b)) in pairs}
        for (a, b), less in zip(ordered, said, strict=True)
    ]
    return pd.DataFrame(rows)


@lru_cache(maxsize=1)  # the scrambled text is made of it, too
def _mathematics(seed: int, tokens: int) -> list[list[str]]:
    """The mathematical text that leaves out what the fold of that number asks."""
    left_out = fold(seed)
    return mathematics(tokens, seed, left_out.pairs, left_out.evaluation["sentence"])


def _pretrained(
    corpus: str, seed: int, settings: Pretraining | None, tokens: int
) -> dict[str, Tensor]:
    """The weights that :func:`pretrain_on` gave, or gives now."""
    setting = {"settings": settings or Pretraining(), "tokens": tokens}
    setting |= {"corpus": corpus, "seed": seed}
    return run_all(pretrain_on, [setting], workers=1, progress=False)[0]["weights"]


def _classifier(
    words: int, weights: dict[str, Tensor] | None, seed: int, draw: int
) -> BertForSentenceClassification:
    """A classifier on pretrained weights; its own pooler and last layer come from the draw."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 * seed + draw)
        config = bert_config(words, num_labels=len(LABELS), attn_implementation="eager")
        model = BertForSentenceClassification(config)
    if weights is not None:
        encoder = {n.removeprefix("bert."): w for n, w in weights.items() if n.startswith("bert.")}
        model.load_state_dict(encoder, strict=False)
    return model


_QUICK = {"pretraining": Pretraining(steps=3, tokens=60), "tokens": 3_000}
"""What a quick build pretrains."""


def _pretrain(seeds: Sequence[int], pretraining: Pretraining, tokens: int) -> list[dict[str, Any]]:
    common = {"settings": pretraining, "tokens": tokens}
    return [{"corpus": c, "seed": seed, **common} for seed in seeds for c in CORPORA[:-1]]


def _fine_tune(
    seeds: Sequence[int], settings: SideBySide, pretraining: Pretraining, tokens: int
) -> list[dict[str, Any]]:
    common = {"settings": settings, "pretraining": pretraining, "tokens": tokens}
    return [{"corpus": c, "seed": seed, **common} for seed in seeds for c in CORPORA]


_FULL = {"pretraining": Pretraining(), "tokens": TOKENS}
EXPERIMENTS = {
    "pretraining": Experiment(
        ("tutorials/bert/pretraining_data",),
        pretrain_on,
        partial(_pretrain, range(4), **_FULL),
        partial(_pretrain, range(2), **_QUICK),
        lambda run: 0.03 * run["settings"].steps,
    ),
    "learning curves": Experiment(
        ("tutorials/bert/pretraining_data",),
        fine_tune_on,
        partial(_fine_tune, range(4), SideBySide(), **_FULL),
        partial(_fine_tune, range(2), SideBySide(steps=2, batch_size=4, draws=2), **_QUICK),
        lambda run: 0.1 * run["settings"].steps,
        after=("pretraining",),
    ),
}
"""What is pretrained, and then fine-tuned, for the page on pretraining data.

:meta hide-value:
"""
