"""How much a pretrained BERT needs to learn verbal arithmetic: curves, and their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy import stats
from sklearn.metrics import f1_score

from a3.bert.masked_language import Pretraining
from a3.runs.pretraining import CORPORA, SIZES, TOKENS, fine_tune_on, pretrain_on
from a3.bert.verbal_arithmetic import fold
from a3.bert.side_by_side import SideBySide
from a3.lab.sweeps import run_all

__all__ = ["learning_curves", "summary"]


def learning_curves(
    seeds: Sequence[int] = (0, 1, 2, 3),
    settings: SideBySide | None = None,
    pretraining: Pretraining | None = None,
    tokens: int = TOKENS,
) -> pd.DataFrame:
    """How well the models do after fine-tuning; what was trained before is kept.

    Parameters
    ----------
    seeds : sequence of int
        Of pretrained models, each with its fold.
    settings, pretraining, tokens
        As for :func:`a3.runs.pretraining.fine_tune_on`.

    Returns
    -------
    DataFrame
        A row for each corpus, seed, draw and number of sentences, with the columns ``corpus``,
        ``seed``, ``draw``, ``sentences``; and of the fold's 160 sentences ``accuracy``,
        ``macro_f1``, ``minus_accuracy``, of the 80 with "minus", and ``majority``, the accuracy of
        always answering "positive".
    """
    settings, pretraining = settings or SideBySide(), pretraining or Pretraining()
    common = {"settings": pretraining, "tokens": tokens}
    run_all(pretrain_on, [{"corpus": c, "seed": s, **common} for s in seeds for c in CORPORA[:-1]])
    common = {"settings": settings, "pretraining": pretraining, "tokens": tokens}
    runs = [{"corpus": c, "seed": s, **common} for s in seeds for c in CORPORA]
    table = []
    for run, result in zip(runs, run_all(fine_tune_on, runs), strict=True):
        evaluation = fold(run["seed"]).evaluation
        rows, labels = [*evaluation.index], evaluation["label"].to_numpy()
        minus = evaluation.index >= 400
        for draw, sizes in enumerate(result["predictions"][..., rows].numpy()):
            for size, predicted in zip(SIZES, sizes, strict=True):
                right = predicted == labels
                table.append(
                    {
                        "corpus": run["corpus"],
                        "seed": run["seed"],
                        "draw": draw,
                        "sentences": size,
                        "accuracy": right.mean(),
                        "macro_f1": f1_score(labels, predicted, average="macro", zero_division=0),
                        "minus_accuracy": right[minus].mean(),
                        "majority": (labels == 2).mean(),
                    }
                )
    return pd.DataFrame(table)


def summary(
    curves: pd.DataFrame,
    measure: str = "accuracy",
    against: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Means over the seeds, with intervals of Student's t.

    The draws of one seed share their pretrained model and their fold; they are averaged first, so
    that what varies is one figure a seed.

    Parameters
    ----------
    curves : DataFrame
        As :func:`learning_curves` returns it.
    measure : str
        The column to average.
    against : str, optional
        A corpus to subtract from each of the others, seed by seed.
    level : float

    Returns
    -------
    DataFrame
        Indexed by corpus and number of sentences, with the columns ``mean``, ``low``, ``high``.

    Raises
    ------
    ValueError
        If there are not two seeds, there is no such corpus, or the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    seeds = curves["seed"].nunique()
    if seeds < 2:
        raise ValueError(f"an interval needs two seeds, got {seeds}")
    table = curves.pivot_table(measure, ["sentences", "seed"], "corpus")  # means over the draws
    if against is not None:
        if against not in table:
            raise ValueError(f"there is no corpus {against!r} among {[*table]}")
        table = table.sub(table[against], axis=0).drop(columns=against)
    by_size = table.groupby("sentences")
    half = stats.t.ppf((1 + level) / 2, seeds - 1) * by_size.std() / seeds**0.5
    mean = by_size.mean()
    columns = {"mean": mean, "low": mean - half, "high": mean + half}
    return pd.DataFrame({name: column.T.stack() for name, column in columns.items()})
