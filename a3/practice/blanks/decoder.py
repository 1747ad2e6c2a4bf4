"""The forward pass of a decoder-only transformer (2025, 2.2-2; 2023, 3.2-2)."""

import torch
from torch import nn

from a3.translation.attention import CausalScaledDotAttention, positional_encoding


class TransformerDecoder(nn.Module):
    def __init__(self, vocab_size, hidden_size, num_layers, loss_seq_span=None):
        super().__init__()
        self.loss_seq_span = loss_seq_span  # not needed here
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.self_attentions = nn.ModuleList(
            CausalScaledDotAttention(hidden_size) for _ in range(num_layers)
        )
        self.attention_mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU()) for _ in range(num_layers)
        )
        self.out = nn.Linear(hidden_size, vocab_size)
        self.register_buffer("positional_encodings", positional_encoding(128, hidden_size))

    def forward(self, inputs):
        """Logits of the token after each of ``inputs``.

        Embeddings and positions; then in each layer causal self-attention and an MLP, each with a
        residual connection; then ``out``.

        Parameters
        ----------
        inputs : Tensor of int64, shape (batch_size, seq_len)

        Returns
        -------
        output : Tensor, shape (batch_size, seq_len, vocab_size)
        self_attention_weights : Tensor, shape (num_layers, batch_size, seq_len, seq_len)
        """
        raise NotImplementedError  # your lines
