"""How the translators are trained: one loop, with history, early stopping and checkpoints."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from a3.lab.saved_runs import CheckpointError, SavedRun, restore, state_of

__all__ = ["Data", "History", "Hyperparameters", "Model", "evaluate", "joined", "train"]


@dataclass(frozen=True)
class Hyperparameters:
    """How a model is trained; the defaults are the handouts' for their small word list.

    Raises
    ------
    ValueError
        If a value is outside the range given beside it.
    """

    epochs: int = 100  # passes over the training set, at most; >= 1
    batch_size: int = 64  # examples a step; >= 1
    learning_rate: float = 5e-4  # of Adam in the first epoch; > 0
    decay: float = 0.99  # factor on the learning rate after every epoch; in (0, 1]
    patience: int = 100  # stop after this many epochs without a new best; >= 1
    seed: int = 0  # of the order of the batches

    def __post_init__(self):
        for name in ("epochs", "batch_size", "patience", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int):
                raise ValueError(f"{name} must be a whole number, got {value}")
            if value < 1 and name != "seed":
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")


@dataclass
class History:
    """What a training run went through. Losses are in nats a token."""

    train_loss: list[float] = field(default_factory=list)  # of each iteration's batch
    valid_loss: list[float] = field(default_factory=list)  # after each epoch
    iterations: list[int] = field(default_factory=list)  # optimiser steps by the end of each epoch
    tokens: list[int] = field(default_factory=list)  # scored training tokens by then
    flops: list[float] = field(default_factory=list)  # floating-point operations by then
    seconds: list[float] = field(default_factory=list)  # spent training and validating by then

    @property
    def epochs(self) -> int:
        """Epochs finished."""
        return len(self.valid_loss)

    @property
    def best_epoch(self) -> int:
        """Index of the epoch, from 0, with the lowest validation loss."""
        return min(range(self.epochs), key=self.valid_loss.__getitem__)

    @property
    def best_loss(self) -> float:
        """Lowest validation loss; infinite before the first epoch ends."""
        return min(self.valid_loss, default=math.inf)


class Data(Protocol):
    """What :func:`train` asks of a data set."""

    tokens: int  # scored in one pass

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Any]:
        """One pass over the data, shuffled if a generator is given."""


class Model(Protocol):
    """What :func:`train` asks of a model, beyond being a ``torch.nn.Module``."""

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """Summed loss of a batch, and the number of tokens it is summed over."""

    def flops(self, data: Any) -> float:
        """Floating-point operations of one forward pass over the data."""


def train(
    model: nn.Module,
    train_data: Data,
    valid_data: Data,
    hyperparameters: Hyperparameters | None = None,
    *,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> History:
    """Train with Adam and leave the model with the weights that validated best.

    Parameters
    ----------
    model : nn.Module
        With the methods of :class:`Model`; changed in place.
    checkpoint : path-like, optional
        Written after every epoch. If it exists, training of a model made afresh goes on from it and
        ends as if it had never been interrupted. It may go on to more epochs than those of before.
    device : str
        ``"auto"`` takes a GPU if there is one.
    progress : bool
        Whether to draw a bar over the epochs.

    Raises
    ------
    TypeError
        If the data are not such as the model is trained on.
    FloatingPointError
        If the loss stops being finite.
    CheckpointError
        If the checkpoint cannot be written or read, is of another run, or of more epochs.
    """
    _check(train_data, valid_data)
    hp = hyperparameters or Hyperparameters()
    device = _device(device)
    model.to(device)
    optimizer = torch.optim.Adam([joined(model.parameters())], lr=hp.learning_rate, fused=True)
    generator = torch.Generator().manual_seed(hp.seed)
    history, best = History(), deepcopy(model.state_dict())
    train_flops, _ = (model.flops(data) for data in (train_data, valid_data))  # checks both
    epoch_flops = 3 * train_flops  # a backward pass costs two forward passes
    identity = asdict(hp) | {"initial weights": _fingerprint(model)}
    del identity["epochs"]  # it may go on to more
    if checkpoint is not None:
        identity |= {"data": [_digest(train_data), _digest(valid_data)]}

    parts = {"model": model, "optimizer": optimizer, "generator": generator}
    saved = SavedRun(checkpoint, identity, "begin as that run did, with a freshly built model")
    if state := saved.read():
        history, best = History(**state["history"]), state["best"]
        if history.epochs > hp.epochs:
            raise CheckpointError(
                f"{checkpoint} has {history.epochs} epochs already, more than the {hp.epochs} "
                "asked for; give another path"
            )
        restore(state, **parts)

    spent, started = (history.seconds or [0.0])[-1], time.perf_counter()
    bar = tqdm(range(history.epochs, hp.epochs), "epochs", disable=not progress, leave=False)
    for epoch in bar:
        if epoch and epoch - history.best_epoch > hp.patience:
            break
        for group in optimizer.param_groups:
            group["lr"] = hp.learning_rate * hp.decay**epoch
        model.train()
        for batch in train_data.batches(hp.batch_size, generator):
            total, tokens = model.loss(batch.to(device))
            loss = total / tokens
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            optimizer.step()
            history.train_loss.append(loss.item())
        valid_loss = evaluate(model, valid_data, device=device)
        if not (math.isfinite(valid_loss) and math.isfinite(history.train_loss[-1])):
            raise FloatingPointError(
                f"the loss is {history.train_loss[-1]} after epoch {epoch + 1} (validation "
                f"{valid_loss}); lower the learning rate, now {optimizer.param_groups[0]['lr']:g}"
            )
        if valid_loss < history.best_loss:
            best = deepcopy(model.state_dict())
        history.valid_loss.append(valid_loss)
        history.iterations.append(len(history.train_loss))
        history.tokens.append((epoch + 1) * train_data.tokens)
        history.flops.append((epoch + 1) * epoch_flops)
        history.seconds.append(spent + time.perf_counter() - started)
        bar.set_postfix(validation=f"{valid_loss:.3f}", best=f"{history.best_loss:.3f}")
        saved.write({**state_of(**parts), "best": best, "history": asdict(history)})
    model.load_state_dict(best)
    return history


@torch.no_grad()
def evaluate(model: nn.Module, data: Data, batch_size: int = 256, device: str = "auto") -> float:
    """Mean loss a token, in nats, over all of ``data``; the model is as :func:`train` takes it.

    A ``TypeError`` if the data are not such as the model is trained on.
    """
    _check(data)
    device = _device(device)
    model.to(device).eval()
    losses = [model.loss(batch.to(device)) for batch in data.batches(batch_size)]
    return sum(total.item() for total, _ in losses) / sum(tokens for _, tokens in losses)


def joined(parameters: Iterable[nn.Parameter]) -> nn.Parameter:
    """One parameter, (n,), that holds all of these, so that Adam updates them in one call.

    They, of one type and device, and their gradients become views of the joined one's, whose
    gradient must be zeroed in place, not dropped.
    """
    parameters = list(parameters)
    whole = nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    whole.grad = torch.zeros_like(whole)
    sizes = [p.numel() for p in parameters]
    views = zip(whole.detach().split(sizes), whole.grad.split(sizes), strict=True)
    for p, (value, gradient) in zip(parameters, views, strict=True):
        p.data, p.grad = value.view_as(p), gradient.view_as(p)
    return whole


def _check(*data: Data) -> None:
    for each in data:
        if not (hasattr(each, "batches") and hasattr(each, "tokens")):
            raise TypeError(
                f"expected data in batches, such as WordPairs or Prompts, got {type(each).__name__}"
            )


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _fingerprint(model: nn.Module) -> str:
    weights = torch.cat([p.detach().flatten().cpu() for p in model.parameters()])
    return hashlib.sha256(weights.numpy().tobytes()).hexdigest()[:16]


def _digest(data: Data) -> str:
    """A digest of all that one pass over the data yields, in order."""
    digest = hashlib.sha256()
    for batch in data.batches(256):
        for content in _contents(batch):
            digest.update(content)
    return digest.hexdigest()[:16]


def _contents(batch: Any) -> Iterator[bytes]:
    """The tensors and plain values of a batch, as bytes."""
    if isinstance(batch, Tensor):
        yield repr(tuple(batch.shape)).encode()
        yield batch.detach().cpu().contiguous().numpy().tobytes()
    elif isinstance(batch, list | tuple):
        for part in batch:
            yield from _contents(part)
    elif isinstance(batch, dict) or hasattr(batch, "__dict__"):
        yield from _contents([*(batch if isinstance(batch, dict) else vars(batch)).items()])
    else:
        yield repr(batch).encode()
