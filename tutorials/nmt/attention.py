r"""
Attention from its equation
===========================

After this page you can turn the equation of scaled dot-product attention into five lines of
code, for one query or many, check them against torch, and say what the square root is for.

The figure shows why that root is there. We draw random queries and keys of width :math:`H` and
ask how much of the attention goes to a single key. Without the root, attention collapses onto
one key as the vectors get wider. With it, that share stays level from width 16 on.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from a3.lab import figures
from a3.translation.attention import ScaledDotAttention, scaled_dot_attention

T, seeds = 16, range(5)
widths = [2**p for p in range(1, 11)]


def largest_weight(H, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    Q, K = (torch.randn(256, n, H, generator=generator) for n in (1, T))
    return float((Q @ K.mT * scale).softmax(dim=-1).amax(dim=-1).mean())


raw = [[largest_weight(H, 1, seed) for H in widths] for seed in seeds]
scaled = [[largest_weight(H, 1 / math.sqrt(H), seed) for H in widths] for seed in seeds]

figure, ax = figures.subplots(
    figsize=(6, 3.2),
    alt="""Mean of the largest attention weight against width. Without the square root it climbs
    towards one; with it, it stays level.""",
)
figures.band(ax, widths, raw, "scores $q^T k$")
figures.band(ax, widths, scaled, r"scores $q^T k / \sqrt{H}$", ls="--")
ax.axhline(1 / T, color="#888888", ls=":", label=f"all {T} keys alike")
ax.set_xscale("log", base=2)
ax.set(xlabel="width $H$", ylabel="largest attention weight", ylim=(0, 1))
ax.legend()

assert min(run[-1] for run in raw) > 0.9  # one key takes nearly all
assert max(max(run[3:]) - min(run[3:]) for run in scaled) < 0.05  # level from H = 16 on

# %%
# The question
# ------------
#
# .. exercise-start:: Scaled dot-product attention (2025, 2.1-1; 2023, 3.1-1)
#    :label: n1
#
# A :term:`query` asks, a :term:`key` answers, a :term:`value` is what is handed over. Write a
# layer that projects each of the three by a matrix of its own, scores every key by its dot
# product with the query over the root of the width, turns the scores into weights that sum to
# one, and returns the weighted average of the values. It must accept one query a sequence, of
# shape :math:`(B, H)`, and several, of shape :math:`(B, k, H)`
# :cite:p:`handout2025,handout2023`.
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    You need one batched matrix product, a softmax and another product. Decide first along which
#    axis the softmax runs. Then test yours with
#    ``torch.nn.functional.scaled_dot_product_attention``, as the answer does below.
#
# .. solution-start:: n1
#    :label: n1-answer
#    :class: dropdown
#
# Let :math:`q_t \in \mathbb{R}^H` be a query and :math:`k_i, v_i \in \mathbb{R}^H` the keys and
# values, :math:`i = 1, \dots, T`. The layer projects them and scores each pair:
#
# .. math::
#    :label: projected-attention
#
#    \tilde\alpha_{ti} = \frac{(W_q q_t)^\top (W_k k_i)}{\sqrt{H}}, \qquad
#    \alpha_{ti} = \frac{e^{\tilde\alpha_{ti}}}{\sum_{j=1}^{T} e^{\tilde\alpha_{tj}}}, \qquad
#    c_t = \sum_{i=1}^{T} \alpha_{ti}\, W_v v_i .
#
# Stack the projected queries as the rows of :math:`Q \in \mathbb{R}^{k \times H}`, the projected
# keys and values as those of :math:`K, V \in \mathbb{R}^{T \times H}`. Entry :math:`(t, i)` of
# :math:`QK^\top` is then the dot product of query :math:`t` with key :math:`i`, and the three
# formulas of :eq:`projected-attention` become one:
#
# .. math::
#    :label: scaled-dot-attention
#
#    C = \operatorname{softmax}\!\left(\frac{QK^\top}{\sqrt{H}}\right) V,
#    \qquad C \in \mathbb{R}^{k \times H},
#
# with the softmax along each row: every query deals out one unit of attention.


def attend(Q, K, V):
    H = Q.shape[-1]
    scores = Q @ K.mT / math.sqrt(H)  # (B, k, T)
    weights = scores.softmax(dim=-1)  # (B, k, T), rows sum to one
    return weights @ V, weights  # (B, k, H)


# %%
# :func:`a3.translation.attention.scaled_dot_attention` is these lines with a mask and checked
# shapes, and :class:`a3.translation.attention.ScaledDotAttention` adds the projections. We compare
# all of them with torch's own function on the same projections, and with torch's multi-head layer
# set to one head.

B, k, T, H = 5, 3, 7, 32
generator = torch.Generator().manual_seed(0)
queries = torch.randn(B, k, H, generator=generator)
keys, values = torch.randn(2, B, T, H, generator=generator)

torch.manual_seed(0)  # of the layer's initial weights
layer = ScaledDotAttention(H)
Q, K, V = layer.W_q(queries), layer.W_k(keys), layer.W_v(values)
context, weights = layer(queries, keys, values)

multihead = nn.MultiheadAttention(H, num_heads=1, batch_first=True)
with torch.no_grad():
    projections = (layer.W_q, layer.W_k, layer.W_v)
    multihead.in_proj_weight.copy_(torch.cat([W.weight for W in projections]))
    multihead.in_proj_bias.copy_(torch.cat([W.bias for W in projections]))
    multihead.out_proj.weight.copy_(torch.eye(H))  # the handouts' layer has none
    multihead.out_proj.bias.zero_()

for name, other in {
    "the five lines above": attend(Q, K, V)[0],
    "torch's scaled_dot_product_attention": F.scaled_dot_product_attention(Q, K, V),
    "torch's MultiheadAttention, one head": multihead(queries, keys, values)[0],
}.items():
    difference = float((context - other).detach().abs().max())
    assert difference < 1e-6
    print(f"{name:38} differs by at most {difference:.1e}")

# %%
# One query a sequence is the case :math:`k = 1` with the middle axis left out.

one, _ = layer(queries[:, 0], keys, values)
assert one.shape == (B, H)
assert torch.allclose(one, context[:, 0], atol=1e-6)

# %%
# .. solution-end::
#
# What the square root is for
# ---------------------------
#
# Let the entries of :math:`q` and :math:`k` be independent, with mean 0 and variance 1. Each
# product :math:`q_j k_j` then has mean 0 and variance 1, and their sum has
#
# .. math::
#    :label: score-variance
#
#    \operatorname{Var}(q^\top k) = \sum_{j=1}^{H} \operatorname{Var}(q_j k_j) = H .
#
# Scores of size :math:`\sqrt{H}` make the softmax all but a maximum. That is bad for learning,
# not only for averaging: the derivative of the weights by the scores is
#
# .. math::
#    :label: softmax-jacobian
#
#    \frac{\partial \alpha_i}{\partial \tilde\alpha_j} = \alpha_i(\delta_{ij} - \alpha_j),
#
# which vanishes when one weight is 1. Dividing by :math:`\sqrt{H}` gives the scores variance 1
# at any width :cite:p:`vaswani2017`, *for queries and keys of variance 1*. We measure the size of
# :eq:`softmax-jacobian` at both scales.


def jacobian_norm(H, scale):
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(2_000, n, H, generator=generator) for n in (1, 16))
    weights = (q @ k.mT * scale).softmax(dim=-1).squeeze(1)  # (2000, 16)
    jacobian = weights.diag_embed() - weights[:, :, None] * weights[:, None]
    return float(jacobian.norm(dim=(1, 2)).mean())


for H in (4, 64, 1024):
    without, with_root = jacobian_norm(H, 1), jacobian_norm(H, 1 / math.sqrt(H))
    print(f"width {H:4}: mean norm {without:.3f} without the root, {with_root:.3f} with it")
    assert 0.28 < with_root < 0.32 and (without < 0.25 * with_root) == (H == 1024)

# %%
# Our layer starts with smaller ones. Torch draws the weights of a linear layer with variance
# :math:`1/(3H)`, so from inputs of variance 1 the projections have about a third, and the scores
# about a ninth. What the root does is the same: that number hardly depends on the width.

for H in (32, 512):
    fresh, x = ScaledDotAttention(H), torch.randn(500, 16, H)
    starting = (fresh.W_q(x) @ fresh.W_k(x).mT / math.sqrt(H)).detach()
    print(f"width {H:3}: variance of the layer's own scores {float(starting.var()):.3f}")
    assert 0.8 / 9 < starting.var() < 1.2 / 9

# %%
# The argument is about the first step. Training moves the projections, and nothing keeps the
# variance of the scores where it was.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* one head, biases in the projections, no output projection. *From the
#    handouts:* they return the weights with keys along the rows, :math:`(B, T, k)`; we return
#    :math:`(B, k, T)`, as torch does. *From common practice:* large models use a fused kernel
#    that never stores the weights; we keep them, to look at.
#
# Summary
# -------
#
# Attention is an average of values, weighted by a softmax of scores,
# :eq:`scaled-dot-attention`. At the first step the root of the width keeps scores, and so the
# gradient, at nearly the same size for any width.
#
# Exercises
# ---------
#
# .. exercise-start:: Keys all alike
#    :label: attention-uniform
#
# *Easy.* All keys are equal. What does attention return, whatever the query?
#
# .. exercise-end::
#
# .. solution-start:: attention-uniform
#    :label: attention-uniform-answer
#    :class: dropdown
#
# All scores are equal, so every weight is :math:`1/T` and the result is the mean of the values.

mean, weights = scaled_dot_attention(Q, K[:, :1].expand_as(K), V)
assert torch.allclose(weights, torch.full_like(weights, 1 / 7))
assert torch.allclose(mean, V.mean(dim=1, keepdim=True).expand_as(mean), atol=1e-6)

# %%
# .. solution-end::
#
# .. exercise-start:: Attention as a soft maximum
#    :label: attention-hard
#
# *Medium.* Multiply the queries by :math:`\beta` and let it grow. What does the layer become,
# and how fast? Suppose that the best score leads the second best by :math:`\Delta`.
#
# .. exercise-end::
#
# .. solution-start:: attention-hard
#    :label: attention-hard-answer
#    :class: dropdown
#
# The weights of all keys but the best sum to at most :math:`(T - 1)e^{-\beta\Delta}`, since
# each of their exponentials is at most :math:`e^{-\beta\Delta}` times the best one's. The layer
# becomes a lookup, exponentially fast.

scores = Q @ K.mT / math.sqrt(Q.shape[-1])
top = scores.topk(2, dim=-1).values
for beta in (1, 10, 100):
    _, weights = scaled_dot_attention(beta * Q, K, V)
    others = 1 - weights.amax(dim=-1)
    bound = 6 * torch.exp(-beta * (top[..., 0] - top[..., 1]))
    assert (others <= bound + 1e-6).all()
    print(f"beta {beta:3}: the other keys get {others.mean():.4f} on average")

# %%
# .. solution-end::
#
# .. exercise-start:: A bias that does nothing
#    :label: attention-bias
#
# *Hard.* One of the three bias vectors of the layer can be removed without changing any output.
# Which one, and why?
#
# .. exercise-end::
#
# .. solution-start:: attention-bias
#    :label: attention-bias-answer
#    :class: dropdown
#
# The bias :math:`b_k` of the keys. It adds :math:`(W_q q_t + b_q)^\top b_k / \sqrt{H}` to the
# scores of query :math:`t`: the same number for every key. The softmax does not change when all
# scores of a row move together.

for projection in (layer.W_k, layer.W_q, layer.W_v):
    before, _ = layer(queries, keys, values)
    with torch.no_grad():
        projection.bias.add_(10.0)
    after, _ = layer(queries, keys, values)
    assert torch.allclose(before, after, atol=1e-5) == (projection is layer.W_k)

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
