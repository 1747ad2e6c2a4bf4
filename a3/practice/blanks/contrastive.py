"""CLIP's contrastive loss (beyond the handouts)."""

import torch
from torch.nn import functional as F


def contrastive_loss(X, Y, scale):
    """Each image picks its caption among all of the batch, and each caption its image.

    The mean of both cross-entropies, of cosine similarities times the scale.

    Parameters
    ----------
    X, Y : Tensor, shape (n, d)
        Features of images, and of their captions in the same order; of any length.
    scale : Tensor, scalar
        What the similarities are multiplied by; it is trained, too.

    Returns
    -------
    loss : Tensor, scalar
    """
    raise NotImplementedError  # your lines
