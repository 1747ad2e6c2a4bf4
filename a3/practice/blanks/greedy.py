"""Greedy decoding with a cache (beyond the handouts)."""

import torch


def decode_greedily(model, prompt, max_length, end_token):
    """Write on after a prompt, by the likeliest token each time.

    It ends when every row has written the end token, or has ``max_length`` tokens. What stands in a
    row after its end token is not looked at.

    Parameters
    ----------
    model : callable
        ``logits, maps, cache = model(inputs, cache)``. The inputs, int64 (batch_size, k), are the
        tokens after those that the cache holds. The logits, (batch_size, k, vocab_size), are those
        of the token after each. The first cache is None.
    prompt : Tensor of int64, shape (batch_size, prompt_len)
    max_length, end_token : int

    Returns
    -------
    written : Tensor of int64, shape (batch_size, steps)
        Without the prompt.
    """
    raise NotImplementedError  # your lines
