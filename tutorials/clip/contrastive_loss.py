r"""
CLIP's contrastive loss and its gradient
========================================

After this page you can write CLIP's loss and its gradient, check both, and say which pairs of a
batch the loss pulls together and which it pushes apart.
"""

import numpy as np
import torch
from open_clip import ClipLoss
from torch.nn import functional as F

from a3.clip.contrastive import contrastive_loss, cosine_similarity
from a3.lab import figures


def made_up_pairs(n, d, noise, seed):
    """Features of n images, and of captions that are the same but for noise."""
    generator = torch.Generator().manual_seed(seed)
    X, other = torch.randn(2, n, d, generator=generator, dtype=torch.double)
    return X, X + noise * other  # (n, d) each


def gradient(s, scale):
    """Of the loss with respect to the similarities, shape (n, n)."""
    P, Q = (scale * s).softmax(dim=1), (scale * s).softmax(dim=0)
    return scale * (P + Q - 2 * torch.eye(len(s))) / (2 * len(s))


s = cosine_similarity(*made_up_pairs(10, 8, 0.6, seed=3))
figure, axes = figures.subplots(
    1, 3, figsize=(7, 2.6), sharey=True,
    alt="""Three 10 by 10 squares. Similarities: the diagonal is bright, a few others too. Pull and
    push at scale 5: the diagonal is pulled, many others pushed a little. At scale 50: nearly all is
    white but a few combinations.""",
)  # fmt: skip
shown = axes[0].imshow(s, cmap="cividis", vmin=-1, vmax=1)
figure.colorbar(shown, ax=axes[0], shrink=0.8)
for ax, scale in zip(axes[1:], (5, 50), strict=True):
    pull = -len(s) * gradient(s, scale) / scale
    shown = ax.imshow(pull, cmap="RdBu", vmin=-0.6, vmax=0.6)
figure.colorbar(shown, ax=axes[1:], shrink=0.8, label="push   ←  0  →   pull")
titles = ("cosine similarity", "at τ = 5", "at τ = 50")
for ax, title in zip(axes, titles, strict=True):
    ax.set(title=title, xlabel="caption $j$", xticks=[], yticks=[])
    ax.grid(False)
axes[0].set_ylabel("image $i$")

# %%
# **Ten images and captions,** made up, one a row and one a column. Left: how similar their features
# are. Then minus the loss's gradient by each similarity, times :math:`n / \tau`, with the scale
# :math:`\tau` that multiplies them (:doc:`zero_shot` has a drawing). Pairs are pulled together
# (blue), the rest pushed apart (red): at a low scale many, at a high one what comes too close.
#
# The question
# ------------
#
# .. exercise-start:: The loss and its gradient
#    :label: c3
#
# The handouts say what CLIP learns from: which of many captions belongs to an image
# :cite:p:`handout2025,handout2023`. This page, beyond both editions, is about the loss.
# A batch has :math:`n` images with features :math:`x_i \in \mathbb{R}^d` and their captions with
# features :math:`y_i`. Each image picks its caption among the :math:`n`, and each caption its
# image, by softmax over :term:`cosine similarities <cosine similarity>` times a scale
# :math:`\tau`. Write the loss. What is its gradient with respect to a similarity, to a feature,
# and to :math:`\tau`?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Of one row it is a classifier's cross-entropy, whose gradient you may know. A feature enters
#    only by its direction. In which direction can the gradient then not point?
#
# .. solution-start:: c3
#    :label: c3-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short
#
#    With unit vectors :math:`\hat x_i, \hat y_j` and :math:`s_{ij} = \hat x_i^\top \hat y_j`,
#    :math:`L = -\frac{1}{2n} \sum_i (\ln P_{ii} + \ln Q_{ii}),` where :math:`P` is the softmax of
#    :math:`\tau s` over each row and :math:`Q` over each column. The derivatives are
#    :math:`G_{ij} = \frac{\tau}{2n} (P_{ij} + Q_{ij} - 2 \delta_{ij})` by :math:`s_{ij}` and
#    :math:`\frac1\tau \sum_{ij} s_{ij} G_{ij}` by :math:`\tau`. By a feature it is
#    :math:`\frac{1}{\lVert x_i \rVert} (I - \hat x_i \hat x_i^\top) \sum_j G_{ij} \hat y_j`,
#    which has nothing along the feature itself.
#
# **The loss.** With :math:`\hat x = x / \lVert x \rVert`, the similarities are
#
# .. math::
#    :label: cosine-similarity
#
#    s_{ij} = \hat x_i^\top \hat y_j
#    = \frac{x_i^\top y_j}{\lVert x_i \rVert\, \lVert y_j \rVert} ,
#
# image :math:`i` gives caption :math:`j` the probability :math:`P_{ij}`, caption :math:`j` gives
# image :math:`i` the probability :math:`Q_{ij}`, and the loss is the mean of both cross-entropies
# :cite:p:`radford2021`:
#
# .. math::
#    :label: contrastive-loss
#
#    L = -\frac{1}{2n} \sum_{i=1}^n \left( \ln P_{ii} + \ln Q_{ii} \right), \qquad
#    P_{ij} = \frac{e^{\tau s_{ij}}}{\sum_k e^{\tau s_{ik}}}, \quad
#    Q_{ij} = \frac{e^{\tau s_{ij}}}{\sum_k e^{\tau s_{kj}}} .


def loss_of(X, Y, tau):
    s = F.normalize(X, dim=1) @ F.normalize(Y, dim=1).T  # (n, n)
    P, Q = (tau * s).softmax(dim=1), (tau * s).softmax(dim=0)
    return -(P.diagonal().log() + Q.diagonal().log()).mean() / 2


X, Y = made_up_pairs(24, 16, 1.0, seed=0)
tau = torch.tensor(14.0, dtype=torch.double)
theirs = ClipLoss()(F.normalize(X, dim=1), F.normalize(Y, dim=1), tau)
for name, ours in (("equation", loss_of), ("a3.clip.contrastive", contrastive_loss)):
    off = abs(ours(X, Y, tau) - theirs).item()
    print(f"{name} less open_clip.ClipLoss: {off:.0e} nats")
    assert off < 1e-6

# %%
# **The similarities.** Since :math:`-\ln P_{ii} = \ln \sum_k e^{\tau s_{ik}} - \tau s_{ii}`, its
# derivative with respect to :math:`s_{ij}` is :math:`\tau (P_{ij} - \delta_{ij})`, and likewise
# for columns: softmax minus identity, both ways.
#
# .. math::
#    :label: contrastive-gradient
#
#    G_{ij} = \frac{\partial L}{\partial s_{ij}}
#    = \frac{\tau}{2n} \left( P_{ij} + Q_{ij} - 2 \delta_{ij} \right), \qquad
#    \frac{\partial L}{\partial \tau} = \frac1\tau \sum_{ij} s_{ij} G_{ij} .
#
# The second follows since :math:`L` depends on the products :math:`\tau s_{ij}` only. All
# :math:`G_{ij}` together sum to zero: what pulls and what pushes is in balance.
#
# **The features.** Differentiate :math:`\hat x = x\,(x^\top x)^{-1/2}`:
#
# .. math::
#    :label: contrastive-normalization
#
#    \frac{\partial \hat x}{\partial x} = \frac{I - \hat x \hat x^\top}{\lVert x \rVert}, \qquad
#    \frac{\partial L}{\partial x_i}
#    = \frac{I - \hat x_i \hat x_i^\top}{\lVert x_i \rVert} \sum_j G_{ij}\, \hat y_j .
#
# The projection removes the component along the feature:
# :math:`x_i^\top\, \partial L / \partial x_i = 0`. And a feature of twice the length has half the
# gradient. For :math:`y_j` exchange the letters, and rows and columns.

X, tau = X.requires_grad_(), tau.requires_grad_()
by_autograd = torch.autograd.grad(contrastive_loss(X, Y, tau), (X, tau))
with torch.no_grad():
    s, unit = cosine_similarity(X, Y), F.normalize(X, dim=1)
    P, Q = (tau * s).softmax(dim=1), (tau * s).softmax(dim=0)  # (n, n) each
    G = tau / (2 * len(s)) * (P + Q - 2 * torch.eye(len(s)))
    assert torch.allclose(G, gradient(s, tau))  # as in the figure
    on_unit = G @ F.normalize(Y, dim=1)  # (n, d)
    along = (on_unit * unit).sum(dim=1, keepdim=True) * unit
    of_X = (on_unit - along) / X.norm(dim=1, keepdim=True)
    by_hand = of_X, (s * G).sum() / tau
for ours, theirs in zip(by_hand, by_autograd, strict=True):
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-14)
assert (X * by_autograd[0]).sum(dim=1).abs().max() < 1e-14
assert torch.autograd.gradcheck(contrastive_loss, (X, Y, tau))  # finite differences
print(f"by hand and by autograd: {(of_X - by_autograd[0]).abs().max():.0e} apart")

# %%
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* our :math:`\tau` multiplies; the temperature of the paper divides and is our
#    :math:`1/\tau` :cite:p:`radford2021`. *From open_clip:* ``ClipLoss`` takes features of length
#    1, ours normalizes them; it also gathers features from several machines
#    :cite:p:`ilharco2021`. *From common practice:* training runs in single precision or less; the
#    checks here are in double.
#
# Summary
# -------
#
# CLIP's loss is the cross-entropy of picking partners in a batch, both ways,
# :eq:`contrastive-loss`. Its gradient is softmax minus identity, :eq:`contrastive-gradient`, with
# nothing along a feature, :eq:`contrastive-normalization`. :doc:`temperature` says what the scale
# does, :doc:`batch_size` what the loss measures, and :doc:`false_negatives` what happens if two
# captions of a batch fit one image.
#
# Exercises
# ---------
#
# .. exercise-start:: Features grow
#    :label: contrastive-longer
#
# *Easy.* Take steps of gradient descent on the features themselves. Show that they only ever get
# longer. What does that do to the size of later steps?
#
# .. exercise-end::
#
# .. solution-start:: contrastive-longer
#    :label: contrastive-longer-answer
#    :class: dropdown
#
# The gradient :math:`g` is perpendicular to :math:`x`, so by Pythagoras
# :math:`\lVert x - \eta g \rVert^2 = \lVert x \rVert^2 + \eta^2 \lVert g \rVert^2`. The gradient
# goes as :math:`1/\lVert x \rVert`, so later steps turn the features less and less.

X, Y = made_up_pairs(24, 16, 3.0, seed=1)
for step in range(100):
    X = X.detach().requires_grad_()
    (g,) = torch.autograd.grad(contrastive_loss(X, Y, 10), X)
    moved = X.detach() - 20 * g
    squares = X.square().sum(dim=1) + 400 * g.square().sum(dim=1)
    assert torch.allclose(moved.square().sum(dim=1), squares)
    if step in (0, 99):
        print(f"step {step}: mean length {X.norm(dim=1).mean():.2f}")
    X = moved

# %%
# .. solution-end::
#
# .. exercise-start:: Two pairs
#    :label: contrastive-one-pair
#
# *Medium.* For a batch of two pairs write the loss as a function of one number. When does a model
# that confuses the two images still have a small loss?
#
# .. exercise-end::
#
# .. solution-start:: contrastive-one-pair
#    :label: contrastive-one-pair-answer
#    :class: dropdown
#
# With :math:`\phi(u) = 1 / (1 + e^{-u})`, the first image's :math:`P_{11}` is
# :math:`\phi(\tau (s_{11} - s_{12}))`. So each of the four picks costs
# :math:`\ln (1 + e^{-\tau \Delta})` for its own margin :math:`\Delta`. If all four are equal, the
# loss is a function of :math:`\tau \Delta`. In the mean of four picks one that is wrong by little
# costs little: below, the second image picks the wrong caption, and the loss is still well below
# the :math:`\ln 2` of features that tell nothing.

# the second image is confused
S = torch.tensor([[0.6, 0.1], [0.4, 0.3]], dtype=torch.double)
own, other = S.diagonal(), S.flip(1).diagonal()
margins = torch.cat([own - other, own - other.flip(0)])  # of images, of captions
by_margins = F.softplus(-14.0 * margins).mean()
which = torch.arange(2)
by_picks = (F.cross_entropy(14.0 * S, which) + F.cross_entropy(14.0 * S.T, which)) / 2
assert torch.allclose(by_margins, by_picks)
costs = ", ".join(f"{cost:.2f}" for cost in F.softplus(-14.0 * margins).tolist())
print(f"picks cost {costs} nats, the loss is {by_picks:.2f}, ln 2 {np.log(2):.2f}")
assert (margins < 0).tolist() == [False, True, False, False]
assert by_picks < 0.7 * np.log(2)

# %%
# .. solution-end::
#
# .. exercise-start:: A batch larger than memory
#    :label: contrastive-chunks
#
# *Hard.* The gradient of one pair needs the features of all, but the towers' activations for a
# large batch may not fit into memory. Use :math:`\partial L / \partial x_i` to compute the
# gradient of a tower's weights exactly, with activations of a few images at a time.
#
# .. exercise-end::
#
# .. solution-start:: contrastive-chunks
#    :label: contrastive-chunks-answer
#    :class: dropdown
#
# By the chain rule :math:`\nabla_\theta L = \sum_i (\partial x_i / \partial \theta)^\top\,
# \partial L / \partial x_i`. Encode everything without a graph, find the gradients of the
# features, then encode again a few at a time and pass them on. It costs one more forward pass.
# Layers that mix examples, such as batch normalization, would make it inexact.

generator = torch.Generator().manual_seed(0)
images, Y = torch.randn(2, 64, 16, generator=generator, dtype=torch.double)
U = torch.randn(16, 16, generator=generator, dtype=torch.double).requires_grad_()
loss = contrastive_loss(torch.tanh(images @ U), Y, 10)
(at_once,) = torch.autograd.grad(loss, U)

X = torch.tanh(images @ U).detach().requires_grad_()
(g,) = torch.autograd.grad(contrastive_loss(X, Y, 10), X)
for some, g_some in zip(images.split(8), g.split(8), strict=True):
    torch.tanh(some @ U).backward(g_some)  # adds to U.grad
assert torch.allclose(U.grad, at_once, rtol=1e-10, atol=1e-14)
print(f"in chunks and at once: {(U.grad - at_once).abs().max():.0e} apart")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
