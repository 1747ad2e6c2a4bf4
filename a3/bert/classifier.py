"""A sentence classifier on BERT, and its sibling for weights of the RoBERTa type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertModel,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    RobertaModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging

from a3.bert.verbal_arithmetic import LABELS

__all__ = ["BertForSentenceClassification", "RobertaForSentenceClassification", "load_classifier"]


class BertForSentenceClassification(BertModel):
    r"""BERT with a linear classifier of ``num_labels`` classes on its pooled ``[CLS]`` token.

    .. math:: \text{logits} = W \tanh(W_p h_{\text{[CLS]}} + b_p) + b

    Equation :eq:`sentence-logits` of the book, on the encoder :eq:`bert-encoder`; Section 4 of
    Devlin et al. (2019). Question 1 of the handouts' part on BERT.
    """

    def __init__(self, config):
        super().__init__(config)
        _add_classifier(self)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **options: Any,
    ) -> SequenceClassifierOutput:
        """Logits of each class, (B, num_labels), of int64 inputs, (B, T).

        With labels, (B,), also ``loss``, the mean cross-entropy in nats. Options such as
        ``output_attentions`` go to the encoder, and what they ask for is handed back.
        """
        encoded = super().forward(input_ids, attention_mask, token_type_ids, **options)
        return _classify(self, encoded, labels)


class RobertaForSentenceClassification(RobertaModel):
    """RoBERTa with a linear classifier on its pooled ``<s>`` token.

    BERTweet is such a model: its names of weights, its positions and its tokens are not BERT's.
    """

    def __init__(self, config):
        super().__init__(config)
        _add_classifier(self)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **options: Any,
    ) -> SequenceClassifierOutput:
        """As :meth:`BertForSentenceClassification.forward`."""
        encoded = super().forward(input_ids, attention_mask, token_type_ids, **options)
        return _classify(self, encoded, labels)


_CLASSIFIERS = {"bert": BertForSentenceClassification, "roberta": RobertaForSentenceClassification}


def load_classifier(
    folder: str | Path, *, num_labels: int = len(LABELS), seed: int = 0, pretrained: bool = True
) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    """A classifier on pretrained weights, of the class that fits them, and their tokenizer.

    The folder is as transformers saves it; :func:`a3.bert.pretrained.pretrained_weights` finds one.
    The seed draws the weights that it does not have: the classifier's, perhaps the pooler's; where
    ``pretrained`` is False, every weight, for the same architecture that knows nothing.

    Raises
    ------
    ValueError
        If there is no model, its architecture has no classifier here, it lacks weights of the
        encoder, or has some of other shapes than its config says, or of more layers.
    """
    if not (Path(folder) / "config.json").is_file():
        raise ValueError(f"{folder} is not a model's folder: expected one with a config.json")
    config = AutoConfig.from_pretrained(folder, num_labels=num_labels)
    if config.model_type not in _CLASSIFIERS:
        raise ValueError(
            f"{folder} holds a model of type {config.model_type!r}; expected one of "
            f"{[*_CLASSIFIERS]}"
        )
    if num_labels == len(LABELS):
        config.id2label = dict(enumerate(LABELS))
        config.label2id = {name: i for i, name in enumerate(LABELS)}
    kind = _CLASSIFIERS[config.model_type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _load(kind, folder, config) if pretrained else kind(config)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def _load(kind: type[nn.Module], folder: str | Path, config: PretrainedConfig) -> nn.Module:
    said = logging.get_verbosity()
    logging.set_verbosity_error()  # that the classifier is new is what we want
    try:
        model, report = kind.from_pretrained(
            folder, config=config, output_loading_info=True, ignore_mismatched_sizes=True
        )
    finally:
        logging.set_verbosity(said)
    if wrong := sorted(report["mismatched_keys"]):
        name, found, expected = wrong[0]
        raise ValueError(
            f"{folder} has weights of other shapes than its config and {config.num_labels} labels "
            f"ask for, such as {name}: {(*found,)} instead of {(*expected,)}"
        )
    new = sorted(n for n in report["missing_keys"] if not n.startswith(("classifier", "pooler")))
    if new:
        raise ValueError(f"{folder} lacks {len(new)} weights of the encoder, such as {new[0]}")
    beyond = sorted(n for n in report["unexpected_keys"] if "encoder.layer." in n)
    if beyond:
        raise ValueError(
            f"{folder} has weights beyond the {config.num_hidden_layers} layers of its config, "
            f"such as {beyond[0]}"
        )
    return model


def _add_classifier(model: nn.Module) -> None:
    config = model.config
    rate = config.classifier_dropout
    model.dropout = nn.Dropout(config.hidden_dropout_prob if rate is None else rate)
    model.classifier = nn.Linear(config.hidden_size, config.num_labels)
    model.post_init()


def _classify(model: nn.Module, encoded: Any, labels: Tensor | None) -> SequenceClassifierOutput:
    logits = model.classifier(model.dropout(encoded.pooler_output))
    loss = None if labels is None else F.cross_entropy(logits, labels)
    return SequenceClassifierOutput(
        loss=loss,
        logits=logits,
        hidden_states=encoded.hidden_states,
        attentions=encoded.attentions,
    )
