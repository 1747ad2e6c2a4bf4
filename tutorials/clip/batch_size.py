r"""
Batch size and mutual information in CLIP's loss
================================================

After this page you can say what CLIP's loss measures, why it stops at the logarithm of the batch
size, and when a larger batch is worth having.
"""

import numpy as np
import torch
from torch.nn import functional as F

from a3.clip.contrastive import contrastive_loss
from a3.clip.small import SmallClip
from a3.lab import figures

d, sizes, total = 32, [4, 16, 64, 256, 1024], 1024


def gaussian_pairs(n, rho, seed):
    generator = torch.Generator().manual_seed(seed)
    X, other = torch.randn(2, total // n, n, d, generator=generator)
    return X, rho * X + (1 - rho**2) ** 0.5 * other  # (batches, n, d) each


def found(n, rho, seed):
    """ln n - L of the best score, in nats."""
    X, Y = gaussian_pairs(n, rho, seed)
    lengths = X.square().sum(2)[:, :, None] + Y.square().sum(2)[:, None, :]
    f = rho / (1 - rho**2) * (X @ Y.mT - rho / 2 * lengths)  # (batches, n, n)
    own = (f.log_softmax(2) + f.log_softmax(1)).diagonal(dim1=1, dim2=2)
    return np.log(n) + own.mean().item() / 2


figure, ax = figures.subplots(
    figsize=(6, 3.2),
    alt="""Information found, log n less the loss, against batch size, for pairs that share 2, 4
    and 8 nats. Each curve follows log n at first, then levels off below its own horizontal line;
    that of 8 nats is still rising.""",
)
ax.plot(sizes, np.log(sizes), color="grey", lw=1, label="ln n")
for information, style in ((2, "-"), (4, "--"), (8, "-.")):
    rho = (1 - np.exp(-2 * information / d)) ** 0.5
    runs = np.array([[found(n, rho, seed) for n in sizes] for seed in range(5)])
    line = figures.band(ax, sizes, runs, f"I = {information} nats", ls=style)
    ax.axhline(information, color=line.get_color(), lw=0.8, ls=":")
    mean = runs.mean(axis=0)
    assert (mean < np.minimum(information, np.log(sizes)) + 0.1).all()
    assert (np.diff(mean) > 0).all()
    assert mean[-1] > 0.9 * information or information == 8
assert 5 < mean[-1] < 7.5 and mean[0] > 0.95 * np.log(4)
ax.set(xscale="log", xlabel="batch size n (log scale)", ylabel="ln n − loss (nats)")
ax.legend()

# %%
# **What a batch finds.** Pairs of Gaussian vectors share a known number of nats of information
# (dotted). A batch of :math:`n` finds :math:`\ln n` less the loss. Lines are medians of five seeds,
# bands their range.
#
# The question
# ------------
#
# .. exercise-start:: What the loss can find
#    :label: c3b
#
# Beyond both editions, which say that each image is set against 32,768 captions
# :cite:p:`handout2025,handout2023`: what is it about an image and its caption that the loss,
# :eq:`contrastive-loss`, measures? Where does it stop for batches of :math:`n`?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    What is the loss of a model that knows nothing? And what would you do with the densities
#    :math:`p(x, y)`, :math:`p(x)` and :math:`p(y)`, if you had them?
#
# .. solution-start:: c3b
#    :label: c3b-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short
#
#    It measures how much an image and its caption tell of each other, their mutual information
#    :math:`I`: on fresh pairs :math:`\ln n - \mathbb{E}\,L \le \min(I, \ln n)`. With batches of
#    :math:`n` it stops at :math:`\ln n` nats, so a larger batch can find more as long as
#    :math:`\ln n` is below :math:`I`.
#
# A model that gives all pairs one score has :math:`L = \ln n`. How far can it come down from there?
# As far as images and captions tell of each other: the loss bounds their :term:`mutual information`
# :cite:p:`oord2018,poole2019`.
#
# .. prf:theorem:: The loss and the information
#    :label: contrastive-information
#
#    Draw :math:`n` pairs independently from :math:`p(x, y)` with mutual information :math:`I`, and
#    let any score :math:`f(x, y)` stand for :math:`\tau s`. Then
#
#    .. math::
#       :label: contrastive-bound
#
#       \ln n - \mathbb{E}\,L \;\le\; \min(I, \ln n) .
#
# .. prf:proof::
#
#    :math:`L \ge 0` gives the second bound. For the first take one image :math:`x` and the
#    captions in random order, its own at place :math:`k`. Let
#    :math:`r(x, y) = p(x, y) / p(x) p(y)`. By Bayes' rule place :math:`k` has the probability
#    :math:`\pi_k = r(x, y_k) / \sum_j r(x, y_j)`. No other distribution has a lower expected
#    cross-entropy, so a row of the loss is at least
#
#    .. math::
#
#       \begin{aligned}
#       \mathbb{E}[-\ln \pi_k] &= \ln n - \mathbb{E} \ln r(x, y_k) + \mathbb{E} \ln m , \\
#       m &= \frac1n \sum_j r(x, y_j) .
#       \end{aligned}
#
#    The second term is :math:`I`, by definition. And :math:`m` is the density of :math:`(x, y_1,
#    \dots, y_n)` as they were drawn, over that of captions all drawn without :math:`x`. So
#    :math:`\mathbb{E} \ln m` is a Kullback-Leibler divergence, which is never negative. Columns
#    are the same with :math:`x` and :math:`y` exchanged.
#
# In particular :math:`\mathbb{E}\,L \ge \ln n` for features that tell nothing. To see where the
# bound saturates, take pairs of Gaussian vectors, :math:`d` entries each, with correlation
# :math:`\rho` entry by entry. Here :math:`I = -\tfrac d2 \ln(1 - \rho^2)` is known, and so is the
# best score: :math:`\ln r` is, up to a constant,
# :math:`\frac{\rho}{1-\rho^2} \bigl(x^\top y - \tfrac\rho2 (\lVert x \rVert^2 + \lVert y
# \rVert^2)\bigr)`.

for information in (2, 4, 8):
    rho = (1 - np.exp(-2 * information / d)) ** 0.5
    cosine = []
    for seed in range(5):
        X, Y = gaussian_pairs(total, rho, seed)
        loss = contrastive_loss(X[0], Y[0], rho * d / (1 - rho**2))
        cosine.append(np.log(total) - loss.item())
    cosine = np.mean(cosine)
    best = np.mean([found(total, rho, seed) for seed in range(5)])
    print(f"{information} nats: {best:.2f} found, {cosine:.2f} by cosines")
    assert abs(cosine - best) < 0.4

# %%
# A batch of :math:`n` can ask for no more than :math:`\ln n` nats: while that is below :math:`I`,
# the task is too easy to teach the rest, and larger batches help. Beyond it they add little. The
# printed lines compare with CLIP's own score, :math:`\tau \cos`, which comes close because
# Gaussian vectors of many entries are nearly of one length. The bound is for fresh pairs: on its
# training pairs the loss of a model that knows them by heart is lower than it allows.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the papers:* they write of one direction, in which many candidates are set against one
#    query :cite:p:`oord2018,poole2019`; CLIP's loss is the mean of two such. *From the handouts:*
#    their 32,768 captions are the other pairs of the batch. *From common practice:* a batch without
#    repeats, as ours of emoji, is not of independent draws, which the bound asks for.
#
# Summary
# -------
#
# On fresh pairs :math:`\ln n - L` is at most the mutual information of images and captions, and at
# most :math:`\ln n`, :eq:`contrastive-bound`. A batch whose logarithm is well below the information
# stops at the second, and a larger one finds more. On pairs that a model was trained on it proves
# nothing.
#
# Exercises
# ---------
#
# .. exercise-start:: In bits
#    :label: batch-bits
#
# *Easy.* How many bits can CLIP's batch of 32,768 pairs attest, and one of as many pairs as
# :doc:`the small CLIP <small_clip>` has things in a step? How large must it be for 20 bits?
#
# .. exercise-end::
#
# .. solution-start:: batch-bits
#    :label: batch-bits-answer
#    :class: dropdown
#
# A nat is :math:`1 / \ln 2` bits, so the limit is :math:`\log_2 n`. Each further bit doubles the
# batch, and makes the table of similarities four times as large.

for n in (SmallClip().batch_size, 32_768, 2**20):
    bits = np.log(n) / np.log(2)
    table = 4 * n**2 / 2**20  # MiB in single precision
    print(f"{n:,} pairs: {bits:.1f} bits, {table:,.2f} MiB of similarities")
assert np.isclose(bits, 20)

# %%
# .. solution-end::
#
# .. exercise-start:: By heart
#    :label: batch-by-heart
#
# *Medium.* Train two linear maps with the loss on 64 pairs of independent vectors of 64 entries,
# where there is nothing to find. What do the trained maps score on these pairs, and on fresh ones?
#
# .. exercise-end::
#
# .. solution-start:: batch-by-heart
#    :label: batch-by-heart-answer
#    :class: dropdown
#
# On the training pairs the loss goes far below :math:`\ln n`, as if there were much to know. On
# fresh ones it is above :math:`\ln n`, which is worse than guessing.

for seed in range(3):
    generator = torch.Generator().manual_seed(seed)
    A, B, fresh_A, fresh_B = torch.randn(4, 64, 64, generator=generator)
    U = torch.nn.Parameter(0.1 * torch.randn(64, 32, generator=generator))
    V = torch.nn.Parameter(0.1 * torch.randn(64, 32, generator=generator))
    optimizer = torch.optim.Adam([U, V], 0.03)
    for _ in range(30):
        optimizer.zero_grad()
        contrastive_loss(A @ U, B @ V, 10).backward()
        optimizer.step()
    with torch.no_grad():
        loss = contrastive_loss(A @ U, B @ V, 10).item()
        fresh_loss = contrastive_loss(fresh_A @ U, fresh_B @ V, 10).item()
    own, fresh = np.log(64) - loss, np.log(64) - fresh_loss
    print(f"ln n - L: {own:.2f} nats on its own pairs, {fresh:.2f} on fresh ones")
    assert own > 2 and fresh < 0

# %%
# .. solution-end::
#
# .. exercise-start:: The scale that fits the noise
#    :label: batch-sphere
#
# *Hard.* Let :math:`x` be uniform on the sphere in three dimensions and :math:`y` on it with
# density proportional to :math:`e^{\kappa x^\top y}`. Which scale has the least expected loss? What
# is :math:`I`, and what does the loss find of it?
#
# .. exercise-end::
#
# .. solution-start:: batch-sphere
#    :label: batch-sphere-answer
#    :class: dropdown
#
# The density ratio is :math:`r = e^{\kappa x^\top y}\, \kappa / \sinh \kappa`, since
# :math:`u = x^\top y` is uniform for independent :math:`x, y`, and
# :math:`\tfrac12 \int_{-1}^1 e^{\kappa u} du = \sinh(\kappa) / \kappa`. So :math:`\ln r` is
# :math:`\kappa s` and a constant: the best score of the theorem, and :math:`\tau = \kappa` is
# the best scale. A learned scale is an estimate of how closely captions follow their images. With
# :math:`\mathbb{E}\, u = \coth \kappa - 1/\kappa`,
# :math:`I = \ln(\kappa / \sinh \kappa) + \kappa \coth \kappa - 1`. To draw :math:`u`, invert its
# distribution function.


def on_the_sphere(n, kappa, seed):
    generator = torch.Generator().manual_seed(seed)
    x, around = torch.randn(2, n, 3, generator=generator, dtype=torch.double)
    x = F.normalize(x, dim=1)
    around = F.normalize(torch.linalg.cross(x, around), dim=1)  # perpendicular
    p = torch.rand(n, 1, generator=generator, dtype=torch.double)
    u = 1 + torch.log(p + (1 - p) * np.exp(-2 * kappa)) / kappa
    return x, u * x + (1 - u**2).sqrt() * around


for kappa in (5, 20):
    scales = kappa * torch.arange(0.6, 1.5, 0.1)
    pairs = [on_the_sphere(512, kappa, seed) for seed in range(5)]
    losses = [[contrastive_loss(*each, t) for t in scales] for each in pairs]
    mean = np.mean(losses, axis=0)
    best = scales[mean.argmin()].item()
    share = np.log(kappa / np.sinh(kappa)) + kappa / np.tanh(kappa) - 1
    there = np.log(512) - mean.min()
    print(f"κ = {kappa}: best scale {best:.0f}; {there:.2f} of {share:.2f} nats")
    assert abs(best / kappa - 1) < 0.15 and abs(there - share) < 0.1

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
