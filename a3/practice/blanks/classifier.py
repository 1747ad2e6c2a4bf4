"""A sentence classifier on top of BERT (2025, 3-1; 2023, 4-1)."""

from torch import nn
from transformers import BertModel


class BertForSentenceClassification(BertModel):
    def __init__(self, config):
        """Add ``classifier``, a linear layer to ``config.num_labels`` classes, and ``loss``."""
        super().__init__(config)
        raise NotImplementedError  # your lines

    def forward(self, labels=None, **kwargs):
        """Logits of each class, from BERT's pooled representation of ``[CLS]``.

        Parameters
        ----------
        labels : Tensor of int64, shape (batch_size,), optional
        **kwargs
            For BERT: ``input_ids``, ``attention_mask`` and the like.

        Returns
        -------
        logits : Tensor, shape (batch_size, num_labels)
        loss : Tensor, scalar
            Mean cross-entropy; only with labels. Without them the result is ``(logits,)``.
        """
        raise NotImplementedError  # your lines
