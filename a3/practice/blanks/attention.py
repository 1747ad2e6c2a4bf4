"""Scaled dot-product attention (2025, 2.1-1; 2023, 3.1-1)."""

import torch
from torch import nn


class ScaledDotAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.softmax = nn.Softmax(dim=2)
        self.scaling_factor = hidden_size**-0.5

    def forward(self, queries, keys, values):
        """Average the projected values by how well each projected key matches the query.

        Parameters
        ----------
        queries : Tensor, shape (batch_size, k, hidden_size)
            Or (batch_size, hidden_size), which stands for k = 1.
        keys, values : Tensor, shape (batch_size, seq_len, hidden_size)

        Returns
        -------
        context : Tensor, shape (batch_size, k, hidden_size)
        attention_weights : Tensor, shape (batch_size, k, seq_len)
        """
        raise NotImplementedError  # your lines
