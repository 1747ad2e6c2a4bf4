"""The table of sinusoidal positions (beyond the handouts)."""

import torch


def positional_encoding(length, hidden_size):
    """Sines and cosines of each position, at wavelengths from 2 pi to nearly 20000 pi.

    Columns 2i and 2i + 1 are the sine and the cosine of t / 10000 ** (2i / hidden_size), and the
    first position is t = 0.

    Parameters
    ----------
    length, hidden_size : int
        The width is even.

    Returns
    -------
    table : Tensor of float32, shape (length, hidden_size)
    """
    raise NotImplementedError  # your lines
