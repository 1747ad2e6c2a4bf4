"""The questions: what a reader defines, which page asks it, and where its checks are."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib import resources
from importlib.util import resolve_name
from pathlib import Path

__all__ = ["QUESTIONS", "Question", "asked_in"]


@dataclass(frozen=True)
class Question:
    """A programming question."""

    name: str
    """What the shell calls it; also the name of its blank and of the file that is written."""
    defines: str
    """The name that the reader's file must define."""
    title: str
    page: str
    answer: str
    """Label of the answer on that page."""
    where: str
    """Module of this package whose ``CHECKS`` has the question's checks."""

    @property
    def blank(self) -> str:
        """The text of the file to fill in."""
        folder = resources.files("a3.practice.blanks")
        return (folder / f"{self.name}.py").read_text(encoding="utf-8")

    @property
    def module(self) -> str:
        return resolve_name(f".{self.where}", __package__)


QUESTIONS = (
    Question(
        "attention", "ScaledDotAttention", "Scaled dot-product attention",
        "tutorials/nmt/attention", "n1-answer", "attention",
    ),
    Question(
        "causal", "CausalScaledDotAttention", "Causal attention",
        "tutorials/nmt/causal", "n2-answer", "causal",
    ),
    Question(
        "positions", "positional_encoding", "Sinusoidal positions",
        "tutorials/nmt/positions", "n3-answer", "positions",
    ),
    Question(
        "tensors", "generate_tensors_for_training_decoder_nmt",
        "Training tensors of a decoder-only model",
        "tutorials/nmt/decoder_only", "d1-answer", "decoder",
    ),
    Question(
        "decoder", "TransformerDecoder", "Forward pass of a decoder-only model",
        "tutorials/nmt/decoder_only", "d2-answer", "decoder",
    ),
    Question(
        "greedy", "decode_greedily", "Greedy decoding with a cache",
        "tutorials/nmt/counting", "decoder-only-kept-answer", "greedy",
    ),
    Question(
        "best_size", "find_optimal_params", "The best size at one budget",
        "tutorials/nmt/isoflop", "s2-answer", "fits",
    ),
    Question(
        "line", "fit_linear_log", "The line through the best sizes",
        "tutorials/nmt/extrapolation", "s3-answer", "fits",
    ),
    Question(
        "classifier", "BertForSentenceClassification", "A classifier on top of BERT",
        "tutorials/bert/sentence_classifier", "b1-answer", "classifier",
    ),
    Question(
        "contrastive", "contrastive_loss", "CLIP's contrastive loss",
        "tutorials/clip/contrastive_loss", "c3-answer", "contrastive",
    ),
)  # fmt: skip


def asked_in(file: str | Path) -> list[Question]:
    """The questions that a reader's file answers: those whose name it defines.

    Raises
    ------
    ValueError
        If the file is not Python, or defines none of the names.
    OSError
        If it cannot be read.
    """
    try:
        tree = ast.parse(Path(file).read_bytes())
    except SyntaxError as error:
        raise ValueError(f"{file}, line {error.lineno}: {error.msg}") from None
    except ValueError as error:  # such as a zero byte
        raise ValueError(f"{file} is not a Python file: {error}") from None
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    found = [question for question in QUESTIONS if question.defines in defined]
    if not found:
        names = ", ".join(question.defines for question in QUESTIONS)
        raise ValueError(f"{file} defines none of these: {names}")
    return found
