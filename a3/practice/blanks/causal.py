"""Causal scaled dot-product attention (2025, 2.1-2; 2023, 3.1-2)."""

import torch
from torch import nn


class CausalScaledDotAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.neg_inf = -1e7
        self.softmax = nn.Softmax(dim=2)
        self.scaling_factor = hidden_size**-0.5

    def forward(self, queries, keys, values):
        """Scaled dot-product attention in which no query looks at a later key.

        Parameters
        ----------
        queries, keys, values : Tensor, shape (batch_size, seq_len, hidden_size)
            There are as many queries as keys.

        Returns
        -------
        context : Tensor, shape (batch_size, seq_len, hidden_size)
        attention_weights : Tensor, shape (batch_size, seq_len, seq_len)
            A row for each query.
        """
        raise NotImplementedError  # your lines
