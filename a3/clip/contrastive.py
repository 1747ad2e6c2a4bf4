"""What makes CLIP: cosine similarities, contrastive losses, a classifier made of captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "contrastive_loss", "cosine_similarity", "supervised_contrastive_loss", "zero_shot_weights",
]  # fmt: skip


def cosine_similarity(X: Tensor, Y: Tensor) -> Tensor:
    """Cosine of the angle between every row of X, (n, d), and every row of Y, (m, d): (n, m).

    Equation :eq:`cosine-similarity` of the book.

    Raises
    ------
    ValueError
        If the shapes do not match.
    """
    if X.dim() != 2 or Y.dim() != 2 or X.shape[1] != Y.shape[1]:
        raise ValueError(f"expected shapes (n, d) and (m, d), got {(*X.shape,)} and {(*Y.shape,)}")
    return F.normalize(X, dim=1) @ F.normalize(Y, dim=1).T  # (n, m)


def contrastive_loss(X: Tensor, Y: Tensor, scale: Tensor | float) -> Tensor:
    r"""Each image picks its caption among all of the batch, and each caption its image.

    Equation :eq:`contrastive-loss` of the book; Radford et al. (2021), figure 3. In nats: log n for
    features that tell nothing.

    Parameters
    ----------
    X, Y : Tensor, shape (n, d)
        Features of images, and of their captions in the same order.
    scale : Tensor or float
        :math:`\tau`, the logit scale: the inverse of a temperature.

    Raises
    ------
    ValueError
        If the shapes do not match, or the batch is empty.
    """
    if X.shape != Y.shape or not len(X):
        raise ValueError(f"expected two of one shape (n, d), got {(*X.shape,)} and {(*Y.shape,)}")
    logits = scale * cosine_similarity(X, Y)  # (n, n)
    own = torch.arange(len(X), device=X.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def supervised_contrastive_loss(X: Tensor, groups: Tensor, scale: Tensor | float) -> Tensor:
    r"""Each feature picks those of its own group among all the others.

    .. math::

        L = -\frac{1}{n} \sum_{i=1}^n \frac{1}{|P_i|} \sum_{p \in P_i}
            \log \frac{e^{\tau s_{ip}}}{\sum_{j \ne i} e^{\tau s_{ij}}}

    with the cosine similarities :math:`s_{ij}` and the others of the group, :math:`P_i`. A feature
    that is alone in its group is among the others, and picks none. In nats: log (n - 1) for
    features that tell nothing. Khosla et al. (2020), equation 2; :eq:`small-clip-loss` of the book
    has four to a group.

    Features, (n, d), are such as those of images and of captions together, and ``groups``, int64
    (n,), have the same number for what belongs together; the scale :math:`\tau` is that of
    :func:`contrastive_loss`.

    Raises
    ------
    ValueError
        If the shapes do not match, or no feature has another in its group.
    """
    if X.dim() != 2 or groups.shape != X.shape[:1]:
        raise ValueError(
            f"expected shapes (n, d) and (n,), got {(*X.shape,)} and {(*groups.shape,)}"
        )
    itself = torch.eye(len(X), dtype=torch.bool, device=X.device)
    own = (groups[:, None] == groups) & ~itself  # (n, n)
    picking = own.any(dim=1)
    if not picking.any():
        raise ValueError("expected a group of two at least")
    logits = (scale * cosine_similarity(X, X)).masked_fill(itself, -torch.inf)
    right = logits.log_softmax(dim=1).masked_fill(~own, 0)  # (n, n)
    return -(right.sum(dim=1)[picking] / own.sum(dim=1)[picking]).mean()


def zero_shot_weights(
    encode_text: Callable[[list[str]], Tensor],
    names: Sequence[str],
    templates: Sequence[str] = ("a picture of a {}",),
) -> Tensor:
    """A linear classifier made of words, (K, d): the mean direction, of length 1, of a class's
    prompts.

    Radford et al. (2021), section 3.1.4. ``encode_text`` makes features, (C, d), of C captions. A
    class has one prompt, or several for an ensemble, by templates with ``{}`` where its name goes.

    Raises
    ------
    ValueError
        If there is no name or no template, or a template has no ``{}``.
    """
    if not names or not templates:
        raise ValueError(
            f"expected names and templates, got {len(names)} names, {len(templates)} templates"
        )
    for template in templates:
        if "{}" not in template:
            raise ValueError(f"a template has {{}} where the name goes, got {template!r}")
    prompts = [template.format(name) for name in names for template in templates]
    features = F.normalize(encode_text(prompts), dim=1)
    mean = features.unflatten(0, (len(names), len(templates))).mean(dim=1)  # (K, d)
    return F.normalize(mean, dim=1)
