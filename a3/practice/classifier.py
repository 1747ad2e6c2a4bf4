"""Checks of the classifier on top of BERT: question 3-1 (2025)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from a3.practice.expect import (
    Wrong,
    expect_gradients,
    expect_shape,
    expect_steps,
    expect_type,
    expect_value,
    in_double,
)

__all__ = ["CHECKS"]

B, T, H, CLASSES = 4, 6, 16, 5


def _model(answer: type) -> nn.Module:
    """The reader's classifier on a small BERT, in evaluation."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40, hidden_size=H, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, num_labels=CLASSES,
    )  # fmt: skip
    model = answer(config).eval()
    if not isinstance(model, BertModel):
        raise Wrong("The class must stay a subclass of BertModel.")
    if not isinstance(getattr(model, "classifier", None), nn.Module):
        raise Wrong("The model needs an attribute classifier, a linear layer.")
    for weights in model.parameters():
        nn.init.normal_(weights, std=0.3)
    return model


def _inputs(batch: int = B, length: int = T) -> dict[str, Tensor]:
    torch.manual_seed(1)
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[0, length // 2 :] = 0
    return {"input_ids": torch.randint(40, (batch, length)), "attention_mask": mask}


def _labels(batch: int = B) -> Tensor:
    return torch.arange(batch) % CLASSES


def _expected(model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, and the encoder's pooled and unpooled vectors."""
    outputs = BertModel.forward(model, **inputs)
    return model.classifier(outputs.pooler_output), outputs.pooler_output, outputs[0]


def shapes(answer: type) -> None:
    """The classifier's, and what is returned with labels and without."""
    model = _model(answer)
    weight = getattr(model.classifier, "weight", None)
    if not isinstance(model.classifier, nn.Linear) or weight is None:
        raise Wrong("classifier must be one linear layer.")
    if weight.shape != (CLASSES, H):
        raise Wrong(
            "classifier must map the width of BERT, config.hidden_size, to config.num_labels "
            f"classes, here {H} to {CLASSES}; yours maps {weight.shape[1]} to {weight.shape[0]}."
        )
    result = model(**_inputs())
    if isinstance(result, Tensor):
        raise Wrong("Without labels it must return a tuple of one; yours returns a tensor.")
    if not isinstance(result, tuple) or len(result) != 1:
        raise Wrong("Without labels it must return a tuple of one, (logits,).")
    if isinstance(result[0], Tensor) and result[0].shape == (B, T, CLASSES):
        raise Wrong("The logits are those of every token; one token stands for the sentence.")
    expect_shape(result[0], "logits", "batch_size, num_labels", (B, CLASSES))
    result = model(labels=_labels(), **_inputs())
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("With labels it must return a tuple of two, (logits, loss).")
    logits, loss = result
    if isinstance(logits, Tensor) and logits.dim() == 0:
        raise Wrong("The two results have changed places: the logits come first, then the loss.")
    expect_shape(logits, "logits", "batch_size, num_labels", (B, CLASSES))
    if isinstance(loss, Tensor) and loss.shape == (B,):
        raise Wrong("The loss is one number for the batch; yours has one for each sentence.")
    expect_shape(loss, "loss", "", ())


def mask(answer: type) -> None:
    """Padding is hidden."""
    model, inputs = _model(answer), _inputs()
    with torch.no_grad():
        found = model(**inputs)[0]
        everything = _expected(model, {"input_ids": inputs["input_ids"]})[0]
        expected = _expected(model, inputs)[0]
        if torch.allclose(found, everything, atol=1e-5) and not torch.allclose(
            everything, expected, atol=1e-5
        ):
            raise Wrong(
                "BERT looks at the padding, too: the attention mask does not get through to it."
            )


def logits(answer: type) -> None:
    """They are the classifier's, of the pooled token."""
    model, inputs = _model(answer), _inputs()
    with torch.no_grad():
        expected, pooled, tokens = _expected(model, inputs)
        read = inputs["attention_mask"][..., None].float()
        average = (tokens * read).sum(1) / read.sum(1)
        expect_value(
            model(**inputs)[0], expected,
            {
                "The logits have been through a softmax; the loss does that itself.": (
                    expected.softmax(-1)
                ),
                "The logits have been through a logarithm of a softmax; they are returned as they "
                "are.": expected.log_softmax(-1),
                "The vector of the first token is classified before it is pooled.": (
                    model.classifier(tokens[:, 0])
                ),
                "The vector of the last token is classified.": model.classifier(tokens[:, -1]),
                "The mean of all tokens is classified, not the pooled representation of [CLS].": (
                    model.classifier(tokens.mean(1))
                ),
                "The mean of the tokens is classified, not the pooled representation of [CLS].": (
                    model.classifier(average)
                ),
                "The largest value over the tokens is classified, not the pooled representation of "
                "[CLS].": model.classifier(tokens.amax(1)),
                "The pooled representation goes through one more tanh; the pooler has one.": (
                    model.classifier(pooled.tanh())
                ),
                "The pooled representation goes through a ReLU before the classifier.": (
                    model.classifier(pooled.relu())
                ),
            },
            "The logits have their shape, but they are not the classifier's of BERT's pooled "
            "representation of [CLS].",
        )  # fmt: skip


def loss(answer: type) -> None:
    """The mean cross-entropy."""
    model, inputs, labels = _model(answer), _inputs(), _labels()
    with torch.no_grad():
        expected = _expected(model, inputs)[0]
        own = F.one_hot(labels, CLASSES).float()
        expect_value(
            model(labels=labels, **inputs)[1], F.cross_entropy(expected, labels),
            {
                "The loss is the sum over the batch, not the mean.": F.cross_entropy(
                    expected, labels, reduction="sum"
                ),
                "The loss has two softmaxes: cross-entropy takes the logits.": F.cross_entropy(
                    expected.softmax(-1), labels
                ),
                "The loss has no logarithm: cross-entropy takes that of the softmax.": F.nll_loss(
                    expected.softmax(-1), labels
                ),
                "The softmax is missing in the loss.": F.nll_loss(expected, labels),
                "The loss is the squared error of the logits; cross-entropy is asked.": F.mse_loss(
                    expected, own
                ),
                "The loss is that of independent yes-or-no questions; the classes exclude each "
                "other.": F.binary_cross_entropy_with_logits(expected, own),
            },
            "The loss is one number, but not the mean cross-entropy of the labels.",
        )  # fmt: skip


def dtype(answer: type) -> None:
    """A model in double precision."""
    model, inputs = in_double(_model(answer)), _inputs()
    expect_type(lambda: model(**inputs)[0], _expected(model, inputs)[0], "logits")


def gradient(answer: type) -> None:
    """It reaches the classifier and BERT."""
    model, inputs, labels = _model(answer), _inputs(), _labels()
    reached = {
        "the classifier": model.classifier.weight,
        "BERT's pooler": model.pooler.dense.weight,
        "BERT's embeddings": model.embeddings.word_embeddings.weight,
    }
    expected = F.cross_entropy(_expected(model, inputs)[0], labels)
    expect_gradients(model(labels=labels, **inputs)[1], expected, reached, "the loss")


def speed(answer: type) -> None:
    """No loop over the sentences."""
    model = _model(answer)

    def at(batch: int):
        inputs, labels = _inputs(batch), _labels(batch)
        return lambda: model(labels=labels, **inputs)

    expect_steps({"the sentences": (at(2), at(7))})


CHECKS = {
    "classifier": {
        "shapes": shapes, "mask": mask, "logits": logits, "loss": loss, "dtype": dtype,
        "gradient": gradient, "speed": speed,
    },
}  # fmt: skip
