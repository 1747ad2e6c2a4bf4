"""Fine-tuning a sentence classifier: all of it, or a linear layer on features that stay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from a3.bert.schedule import warm_up_then_decay

__all__ = [
    "FineTuning", "Progress", "Sentences", "decay_groups", "encode", "features", "fine_tune",
    "fit_linear", "logits", "mean_over_tokens",
]  # fmt: skip


@dataclass(frozen=True)
class FineTuning:
    """How a classifier is fine-tuned; the defaults are the handouts'.

    Raises
    ------
    ValueError
        If a value is outside the range given beside it.
    """

    epochs: int = 3  # >= 1
    batch_size: int = 32  # >= 1
    learning_rate: float = 5e-5  # of AdamW at its highest; > 0
    weight_decay: float = 0.01  # of weights, not of biases or LayerNorm; >= 0
    warmup: float = 0.1  # share of the steps in which the rate rises; in [0, 1]
    clip: float = 1.0  # largest norm of the gradient; > 0
    seed: int = 0  # of the order of the batches and of dropout

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup must be in [0, 1], got {self.warmup}")
        if not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}")


@dataclass
class Progress:
    """What fine-tuning went through."""

    train_loss: list[float] = field(default_factory=list)  # of each step's batch, nats
    valid_loss: list[float] = field(default_factory=list)  # after each epoch, nats
    valid_accuracy: list[float] = field(default_factory=list)  # after each epoch
    gradient_norm: list[float] = field(default_factory=list)  # of each step, before clipping


@dataclass(frozen=True)
class Sentences:
    """Sentences as a tokenizer gives them, all padded to one length; all int64."""

    inputs: dict[str, Tensor]  # (n, T): input_ids, attention_mask, perhaps token_type_ids
    labels: Tensor  # (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor | slice) -> Sentences:
        return Sentences({name: x[rows] for name, x in self.inputs.items()}, self.labels[rows])


def encode(
    tokenizer: PreTrainedTokenizerBase, data: pd.DataFrame, max_length: int | None = 7
) -> Sentences:
    """Tokenize sentences, once, from a table with the columns ``sentence`` and ``label``.

    ``max_length`` is the most tokens of a sentence, special ones included; the handouts have 7.

    Raises
    ------
    ValueError
        If there is no sentence, one is empty or longer, or a label is not 0, 1 or 2.
    """
    sentences, labels = [*data["sentence"]], [*data["label"]]
    if not sentences:
        raise ValueError("there are no sentences")
    if not all(isinstance(s, str) and s.strip() for s in sentences):
        raise ValueError("a sentence is empty; expected words")
    if others := sorted({str(label) for label in labels if label not in (0, 1, 2)}):
        raise ValueError(f"labels must be 0, 1 or 2, got {', '.join(others)}")
    inputs = dict(tokenizer(sentences, padding=True, return_tensors="pt"))
    lengths = inputs["attention_mask"].sum(dim=1)
    if max_length is not None and lengths.max() > max_length:
        longest = sentences[int(lengths.argmax())]
        raise ValueError(
            f"{longest!r} has {lengths.max()} tokens, more than max_length, which is {max_length}"
        )
    return Sentences(inputs, torch.tensor(labels, dtype=torch.long))


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Parameters that train, in two groups: biases and LayerNorm's weights do not decay.

    To decay them would pull the mean and the scale of every layer toward zero.
    """
    norms = {
        f"{name}.{own}"
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for own, _ in module.named_parameters(recurse=False)
    }
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    kept = [p for name, p in named if name in norms or name.endswith("bias")]
    decayed = [p for name, p in named if name not in norms and not name.endswith("bias")]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]


def fine_tune(
    model: nn.Module, training: Sentences, validation: Sentences, settings: FineTuning | None = None
) -> Progress:
    """Train every parameter of a classifier that asks for a gradient.

    With ``requires_grad`` off for the encoder this is the handouts' frozen run, which computes the
    same features again in every epoch; :func:`fit_linear` does not. A step is equation
    :eq:`fine-tuning-step` of the book. The model returns ``logits`` for a batch's inputs; it is
    changed in place, and in evaluation mode after.

    Raises
    ------
    FloatingPointError
        If the loss stops being finite.
    """

    def loss(rows: Tensor) -> Tensor:
        batch = training[rows]
        return F.cross_entropy(model(**batch.inputs).logits, batch.labels)

    def valid_logits() -> Tensor:
        return logits(model, validation)

    settings = settings or FineTuning()
    return _train(model, loss, len(training), valid_logits, validation.labels, settings)


@torch.no_grad()
def features(
    model: nn.Module, sentences: Sentences, pooling: str = "pooler", batch_size: int = 256
) -> Tensor:
    """What the frozen encoder of a classifier makes of each sentence, (n, H); to be computed once.

    Parameters
    ----------
    pooling : {"pooler", "mean"}
        The pooled first token, or the mean of the last layer over all tokens but padding.

    Raises
    ------
    ValueError
        If there is no such pooling.
    """
    if pooling not in ("pooler", "mean"):
        raise ValueError(f"pooling must be 'pooler' or 'mean', got {pooling!r}")
    encoder = super(type(model), model).forward  # of BertModel, below the classifier
    model.eval()
    pooled = []
    for batch in _batches(sentences, batch_size):
        encoded = encoder(**batch.inputs)
        if pooling == "pooler":
            pooled.append(encoded.pooler_output)
        else:
            seen = batch.inputs["attention_mask"]
            pooled.append(mean_over_tokens(encoded.last_hidden_state, seen))
    return torch.cat(pooled)


def mean_over_tokens(X: Tensor, seen: Tensor) -> Tensor:
    """The mean of vectors, (B, T, H), over the tokens seen, (B, T): 1 for each, 0 for padding."""
    seen = seen.unsqueeze(-1)  # (B, T, 1)
    return (X * seen).sum(dim=1) / seen.sum(dim=1)


def fit_linear(
    training: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    settings: FineTuning | None = None,
    classes: int = 3,
) -> tuple[nn.Linear, Progress]:
    """Train a linear classifier on features, by the same steps as :func:`fine_tune`.

    Both parts are features, (n, H), and labels, (n,). The seed of the settings also draws the
    initial weights.

    Raises
    ------
    FloatingPointError
        If the loss stops being finite.
    """
    settings = settings or FineTuning()
    X, labels = training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        linear = nn.Linear(X.shape[1], classes)

    def loss(rows: Tensor) -> Tensor:
        return F.cross_entropy(linear(X[rows]), labels[rows])

    def valid_logits() -> Tensor:
        return linear(validation[0]).detach()

    progress = _train(linear, loss, len(X), valid_logits, validation[1], settings)
    return linear, progress


@torch.no_grad()
def logits(model: nn.Module, sentences: Sentences, batch_size: int = 256) -> Tensor:
    """Logits of each sentence, shape (n, classes), without dropout."""
    model.eval()
    return torch.cat([model(**b.inputs).logits for b in _batches(sentences, batch_size)])


def _batches(sentences: Sentences, batch_size: int) -> Iterator[Sentences]:
    return (sentences[i : i + batch_size] for i in range(0, len(sentences), batch_size))


def _train(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    examples: int,
    valid_logits: Callable[[], Tensor],
    valid_labels: Tensor,
    settings: FineTuning,
) -> Progress:
    """AdamW on ``loss`` of random batches of rows; the rate rises, then falls to zero."""
    optimizer = torch.optim.AdamW(
        decay_groups(model, settings.weight_decay), lr=settings.learning_rate, fused=True
    )
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    steps = settings.epochs * math.ceil(examples / settings.batch_size)
    factor = partial(warm_up_then_decay, steps=steps, warm_up=round(settings.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    generator = torch.Generator().manual_seed(settings.seed)
    progress = Progress()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # dropout draws from the global state
        for _ in range(settings.epochs):
            model.train()
            order = torch.randperm(examples, generator=generator)
            for rows in order.split(settings.batch_size):
                batch_loss = loss(rows)
                optimizer.zero_grad()
                batch_loss.backward()
                norm = nn.utils.clip_grad_norm_(parameters, settings.clip)
                optimizer.step()
                schedule.step()
                progress.train_loss.append(batch_loss.item())
                progress.gradient_norm.append(norm.item())
            if not math.isfinite(progress.train_loss[-1]):
                raise FloatingPointError(
                    f"the loss is {progress.train_loss[-1]}; lower the learning rate, "
                    f"now {settings.learning_rate:g}"
                )
            model.eval()
            with torch.no_grad():
                scores = valid_logits()
            progress.valid_loss.append(F.cross_entropy(scores, valid_labels).item())
            right = (scores.argmax(dim=1) == valid_labels).double().mean().item()
            progress.valid_accuracy.append(right)
    return progress
