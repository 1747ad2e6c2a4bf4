r"""
CLIP's temperature: what the logit scale does
=============================================

After this page you can say what the logit scale of CLIP decides, why it is learned, and why it is
held below a limit.
"""

import numpy as np
import torch

from a3.clip.contrastive import contrastive_loss, cosine_similarity
from a3.lab import figures
from a3.lab.live import Arrays
from a3.lab.page import show


def made_up_pairs(n, d, noise, seed):
    """Features of n images, and of captions that are the same but for noise."""
    generator = torch.Generator().manual_seed(seed)
    X, other = torch.randn(2, n, d, generator=generator, dtype=torch.double)
    return X, X + noise * other  # (n, d) each


scales = torch.logspace(-0.3, 2.3, 30, dtype=torch.double)


def negatives_that_count(X, Y, tau):
    s = cosine_similarity(X, Y)
    s.fill_diagonal_(-torch.inf)  # the own caption is no negative
    w = (tau * s).softmax(dim=1)
    return torch.special.entr(w).sum(dim=1).exp().mean()


def separated(X, Y):
    s = cosine_similarity(X, Y)
    own, others = s.diagonal(), s.clone().fill_diagonal_(-2)
    return bool((own > others.amax(dim=1)).all() and (own > others.amax(dim=0)).all())


figure, (upper, lower) = figures.subplots(
    2, 1, figsize=(6, 5), sharex=True,
    alt="""Above: negatives that count, falling from 127 at low scales to a few at 100. Below: loss
    against scale. With little noise it falls to zero, with much noise it has a lowest point near
    20 and rises steeply after it.""",
)  # fmt: skip
for noise, style in ((1, "-"), (3, "--")):
    batches = [made_up_pairs(128, 64, noise, seed) for seed in range(5)]
    counts = [[negatives_that_count(*pairs, t) for t in scales] for pairs in batches]
    losses = [[contrastive_loss(*pairs, t) for t in scales] for pairs in batches]
    figures.band(upper, scales, counts, f"noise {noise}", ls=style)
    figures.band(lower, scales, losses, f"noise {noise}", ls=style)
    assert (np.diff(counts) < 0).all() and np.mean(counts, axis=0)[0] > 120
    assert [separated(*pairs) for pairs in batches] == [noise == 1] * 5
    best = scales[np.argmin(losses, axis=1)]
    at_the_end = bool((best == scales[-1]).all())
    where = "none" if at_the_end else f"{best.min():.0f} to {best.max():.0f}"
    print(f"noise {noise}: best scale in the range drawn: {where}")
    assert at_the_end if noise == 1 else best.max() < 40
upper.set(ylabel="negatives that count, $e^H$")
lower.set(xlabel="scale τ (log scale)", xscale="log", ylabel="loss (nats)", ylim=(-0.2, 8))
for ax in (upper, lower):
    ax.axvline(100, color="grey", lw=1, ls=":", label="CLIP's limit")
lower.legend()

batches = {f"noise {noise}": made_up_pairs(128, 64, noise, seed=0) for noise in (1, 3)}
show(Arrays("temperature", {key: cosine_similarity(*pairs) for key, pairs in batches.items()}))

# %%
# .. live-figure:: temperature
#
# **Which negatives count, and what the loss is.** Pairs are made up: 128 random features, and the
# same with noise added, as large as they are (1) or three times as large (3). Above, how many wrong
# captions share the push that an image gives. Below, the loss. Lines are medians of five batches,
# bands their range. Where the figure has a knob, it shows one batch, and its softmax.
#
# The question
# ------------
#
# .. exercise-start:: The scale
#    :label: c3t
#
# In the loss, :eq:`contrastive-loss`, all similarities are multiplied by a scale :math:`\tau`,
# the inverse of a :term:`temperature`. Beyond both editions, whose description of CLIP leaves it
# out :cite:p:`handout2025,handout2023`: which wrong captions does an image push away at a low scale
# and at a high one? Is there a best scale for given features?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write the push on one wrong caption as a share of the whole. What are the first two derivatives
#    of :math:`\ln \sum_j e^{\tau s_j}` with respect to :math:`\tau`?
#
# .. solution-start:: c3t
#    :label: c3t-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short
#
#    At scale zero all wrong captions are pushed away alike; the higher the scale, the fewer share
#    the push, and in the limit only the most similar has it. For given features the loss is convex
#    in :math:`\tau`. If no pair is beaten in its row or column, no scale is high enough; if some
#    pair is, there is a best scale.
#
# Seen from image :math:`i`, the push on all wrong captions adds up to :math:`\tau(1 - P_{ii})`, and
# :term:`negative` :math:`j` gets of it the share
#
# .. math::
#    :label: contrastive-shares
#
#    w_j = \frac{P_{ij}}{1 - P_{ii}} = \frac{e^{\tau s_{ij}}}{Z}, \qquad
#    Z = \sum_{k \ne i} e^{\tau s_{ik}} .
#
# .. prf:theorem:: A higher scale looks at fewer negatives
#    :label: contrastive-entropy
#
#    The entropy :math:`H = -\sum_j w_j \ln w_j` has :math:`H(0) = \ln(n-1)` and
#    :math:`dH/d\tau = -\tau \operatorname{Var}_w(s) \le 0`. As :math:`\tau \to \infty` the hardest
#    negative has all the weight.
#
# .. prf:proof::
#
#    :math:`H = \ln Z - \tau \bar s` with the mean :math:`\bar s = \sum_j w_j s_{ij}`. Since
#    :math:`d \ln Z / d\tau = \bar s` and :math:`d \bar s / d\tau = \operatorname{Var}_w(s)`, two
#    terms cancel. For the limit divide by the largest :math:`e^{\tau s_{ij}}`.
#
# If :math:`k` negatives share the push evenly and no other has any, :math:`H = \ln k`. So
# :math:`e^H` says how many count, and that is what the figure has.
#
# The same derivatives say that :math:`-\ln P_{ii}` has the slope
# :math:`\sum_j P_{ij} s_{ij} - s_{ii}` in :math:`\tau` and, as second derivative, a variance. So
# :math:`L` is convex in :math:`\tau`. What follows depends on the features:
#
# - If no pair is beaten in its row or column, the slope is never positive, and no scale is high
#   enough. The loss falls towards zero. If ties share first places, it falls towards the mean
#   logarithm of how many share one.
# - If some pair is beaten, the loss rises in the end, and there is a best scale.
# - That one is zero if the pairs are on average no more similar than all combinations.
#
# The figure has the first two. Its upper curves coincide, since the noise hardly changes how the
# negatives lie. Here is the entropy's slope against a finite difference, then a batch of five in
# which a pair is repeated, and one in which each image has the caption of another.

# image 0 and its negatives
s = cosine_similarity(*made_up_pairs(16, 8, 1, seed=0))[0, 1:]


def entropy(tau):
    return torch.special.entr((tau * s).softmax(dim=0)).sum().item()


for tau in (1, 10, 50):
    w = (tau * s).softmax(dim=0)
    slope = -tau * ((w * s**2).sum() - (w * s).sum() ** 2).item()
    difference = (entropy(tau + 1e-5) - entropy(tau - 1e-5)) / 2e-5
    assert np.isclose(slope, difference, rtol=1e-5, atol=1e-9)
    print(f"τ = {tau}: e^H = {np.exp(entropy(tau)):.2f}, dH/dτ = {slope:.4f}")

X, _ = made_up_pairs(5, 8, 0, seed=0)
others = [contrastive_loss(X, X.roll(1, dims=0), tau) for tau in (0, 0.01)]
X[1] = X[0]
repeated = [contrastive_loss(X, X, tau).item() for tau in (10, 20, 40, 200)]
limit = 0.4 * np.log(2)
values = " ".join(f"{loss:.4f}" for loss in repeated)
print(f"a repeated pair: {values} towards {limit:.4f} nats")
assert (np.diff(repeated) < 0).all() and abs(repeated[-1] - limit) < 1e-6
# captions exchanged: by convexity the best scale is zero
assert others[1] > others[0]

# %%
# The best scale follows the noise, and noise changes as a model learns. So :math:`\tau` is learned
# with everything else, through its logarithm. Once a batch is separated it would grow for ever,
# and at a high scale the gradient of a row comes from a single negative. CLIP begins at
# :math:`\tau = 1/0.07` and clips it at 100, the dotted line, which it needed for stable training
# :cite:p:`radford2021`.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* it writes of the temperature; our :math:`\tau` is its inverse
#    :cite:p:`radford2021`. *From the small CLIP:* it begins at another scale, and its
#    :doc:`page <small_clip>` trains with several. *From common practice:* many contrastive losses
#    have a fixed temperature that is tuned by hand.
#
# Summary
# -------
#
# The scale decides how many negatives share the push: all at zero, the hardest alone at infinity.
# For given features the loss is convex in it. The best scale follows the noise, so it is learned;
# where no pair is beaten there is none, so it has a limit.
#
# Exercises
# ---------
#
# .. exercise-start:: A hundredth
#    :label: temperature-odds
#
# *Easy.* One caption has a cosine similarity 0.01 higher than another. How many times likelier is
# it at CLIP's first scale, and at its limit?
#
# .. exercise-end::
#
# .. solution-start:: temperature-odds
#    :label: temperature-odds-answer
#    :class: dropdown
#
# The ratio is :math:`e^{0.01 \tau}`: this is why small differences of similarity may decide.

for tau in (1 / 0.07, 100):
    p = (tau * torch.tensor([0.30, 0.29], dtype=torch.double)).softmax(dim=0)
    assert torch.isclose(p[0] / p[1], torch.tensor(0.01 * tau).double().exp())
    print(f"τ = {tau:.1f}: {p[0] / p[1]:.2f} times")

# %%
# .. solution-end::
#
# .. exercise-start:: The best scale by Newton's method
#    :label: temperature-newton
#
# *Medium.* Set :math:`\tau` in the live figure so that the loss of the noisier batch is least. Then
# write the two derivatives of :math:`L` in :math:`\tau` as a mean and a variance, and find the best
# scale of that batch by Newton's method.
#
# .. exercise-end::
#
# .. solution-start:: temperature-newton
#    :label: temperature-newton-answer
#    :class: dropdown
#
# :math:`L' = \frac{1}{2n} \sum_i (\mathbb{E}_{P_i} s + \mathbb{E}_{Q_i} s - 2 s_{ii})` and
# :math:`L'' = \frac{1}{2n} \sum_i (\operatorname{Var}_{P_i} s + \operatorname{Var}_{Q_i} s)`, where
# :math:`P_i` is a row of :math:`P` and :math:`Q_i` a column of :math:`Q`.

s = cosine_similarity(*made_up_pairs(128, 64, 3, seed=0))
tau = 10.0
for _ in range(6):
    P, Q = (tau * s).softmax(dim=1), (tau * s).softmax(dim=0)
    to_caption, to_image = (P * s).sum(dim=1), (Q * s).sum(dim=0)
    slope = ((to_caption + to_image) / 2 - s.diagonal()).mean()
    squares = ((P * s**2).sum(dim=1) + (Q * s**2).sum(dim=0)) / 2
    curvature = (squares - (to_caption**2 + to_image**2) / 2).mean()
    tau -= (slope / curvature).item()
    print(f"τ = {tau:.4f}, slope was {slope:.0e}")
assert abs(slope) < 1e-6 < curvature
assert best.min() * 0.8 < tau < best.max() * 1.25

# %%
# .. solution-end::
#
# .. exercise-start:: The least loss at a scale
#    :label: temperature-simplex
#
# *Hard.* Similarities lie between :math:`-1` and 1. Show that no features do better than
# :math:`\ln(1 + (n-1)\, e^{-\tau n/(n-1)})`, and find some that do as well. What follows for
# :math:`\tau = 1`?
#
# .. exercise-end::
#
# .. solution-start:: temperature-simplex
#    :label: temperature-simplex-answer
#    :class: dropdown
#
# By convexity of :math:`e^t` in the row and of :math:`\psi(t) = \ln(1 + (n-1) e^t)` over the
# rows, :math:`L \ge \psi(\tau(b - a))`, where :math:`a` is the mean of the :math:`s_{ii}` and
# :math:`b` of all others. With means :math:`\bar x, \bar y` of the unit vectors,
# :math:`(n-1)(a - b) = \sum_i (\hat x_i - \bar x)^\top (\hat y_i - \bar y) \le n`, by Cauchy and
# Schwarz. Equality needs :math:`\hat x_i = \hat y_i`, mean zero and equal angles: the corners of a
# regular simplex, which fits into :math:`n - 1` dimensions.

n = 12
corners = torch.eye(n, dtype=torch.double) - 1 / n
for tau in (1, 5, 20):
    least = np.log1p((n - 1) * np.exp(-tau * n / (n - 1)))
    reached = contrastive_loss(corners, corners, tau).item()
    batches = [made_up_pairs(n, n, 0, seed) for seed in range(100)]
    tries = [contrastive_loss(*pairs, tau) for pairs in batches]
    assert np.isclose(reached, least, rtol=1e-9) and min(tries) >= least
    assert tau > 1 or least > np.log(n) / 2
    print(f"scale {tau}: {least:.2g} of ln n = {np.log(n):.2f} nats")

# %%
# At scale 1 even a perfect model has most of :math:`\ln n` left. The scale must be well above
# :math:`\ln n` to get near zero.
#
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
