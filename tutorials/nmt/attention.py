r"""
Scaled dot-product attention from its equation
==============================================

After this page you can turn the equation of scaled dot-product attention into code, for one query
or many, check it against torch, and say what the square root is for.
"""

import math
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

from a3.lab import figures
from a3.translation.attention import ScaledDotAttention, scaled_dot_attention

T, seeds, widths = 16, range(5), [2**p for p in range(1, 11)]


def largest_weight(H, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    Q, K = (torch.randn(256, n, H, generator=generator) for n in (1, T))
    return float((Q @ K.mT * scale).softmax(dim=-1).amax(dim=-1).mean())


raw = [[largest_weight(H, 1, seed) for H in widths] for seed in seeds]
scaled = [[largest_weight(H, 1 / math.sqrt(H), seed) for H in widths] for seed in seeds]

figure, ax = figures.subplots(
    figsize=(7, 3.2), alt="""Mean of the largest attention weight against width.
    Without the square root it climbs towards one; with it, it stays level.""",
)  # fmt: skip
figures.band(ax, widths, raw, "scores $q^T k$")
figures.band(ax, widths, scaled, r"scores $q^T k / \sqrt{H}$", ls="--")
ax.axhline(1 / T, color="#888888", ls=":", label=f"all {T} keys alike")
ax.set_xscale("log", base=2)
ax.set(xlabel="width $H$", ylabel="largest attention weight", ylim=(0, 1))
ax.legend()

assert min(run[-1] for run in raw) > 0.9  # one key takes nearly all
assert max(max(run[3:]) - min(run[3:]) for run in scaled) < 0.05  # level from H = 16 on

# %%
# **Why there is a root.** We draw random queries and keys of width :math:`H` and ask how much of
# the attention goes to a single key. Without the root, attention collapses onto one key as the
# vectors get wider. With it, that share stays level from width 16 on.
#
# The question
# ------------
#
# .. exercise-start:: Scaled dot-product attention (2025, 2.1-1; 2023, 3.1-1)
#    :label: n1
#
# A :term:`query` asks, a :term:`key` answers, a :term:`value` is what is handed over. Write a layer
# that projects each of the three by a matrix of its own, scores every key by its dot product with
# the query over the root of the width, turns the scores into weights that sum to one, and averages
# the values by them. It must accept one query a sequence, :math:`(B, H)`, and several, :math:`(B,
# k, H)` :cite:p:`handout2025,handout2023`.
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    You need one batched matrix product, a softmax and another product. Along which axis must the
#    softmax run? Test yours with ``torch.nn.functional.scaled_dot_product_attention``.
#
# .. solution-start:: n1
#    :label: n1-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short with-code
#
#    Project all three, score each key by its scaled dot product with the query, normalise over the
#    keys, and average the values. A query of shape ``(batch_size, hidden_size)`` gets a middle axis
#    of length one, and comes back with it. The notebook's text says that weights are ``(batch_size,
#    seq_len, k)``, but its softmax runs along the last axis and its plots have a row for each
#    query, so they must be ``(batch_size, k, seq_len)``.


def forward(self, queries, keys, values):
    if queries.dim() == 2:
        queries = queries.unsqueeze(1)  # k = 1
    q, k, v = self.Q(queries), self.K(keys), self.V(values)
    unnormalized_attention = q @ k.transpose(1, 2) * self.scaling_factor
    attention_weights = self.softmax(unnormalized_attention)
    context = torch.bmm(attention_weights, v)  # (batch_size, k, hidden_size)
    return context, attention_weights


# %% tags=["hide-input"]
# **The derivation.** Let :math:`q_t \in \mathbb{R}^H` be a query and :math:`k_i, v_i \in
# \mathbb{R}^H` the keys and values, :math:`i = 1, \dots, T`. The layer projects them and scores
# each pair:
#
# .. math::
#    :label: projected-attention
#
#    \begin{aligned}
#    \tilde\alpha_{ti} &= \frac{(W_q q_t)^\top (W_k k_i)}{\sqrt{H}}, \\
#    \alpha_{ti} &= \frac{e^{\tilde\alpha_{ti}}}{\sum_{j=1}^{T} e^{\tilde\alpha_{tj}}}, \\
#    c_t &= \sum_{i=1}^{T} \alpha_{ti}\, W_v v_i . \end{aligned}
#
# Stack the projected vectors as the rows of :math:`Q \in \mathbb{R}^{k \times H}` and :math:`K, V
# \in \mathbb{R}^{T \times H}`. Entry :math:`(t, i)` of :math:`QK^\top` is then the dot product of
# query :math:`t` with key :math:`i`, and :eq:`projected-attention` becomes one formula:
#
# .. math::
#    :label: scaled-dot-attention
#
#    C = \operatorname{softmax}\!\left(\frac{QK^\top}{\sqrt{H}}\right) V,
#    \qquad C \in \mathbb{R}^{k \times H},
#
# with the softmax along each row: every query deals out one unit of attention.
#
# **The check.** The book's layer is :class:`a3.translation.attention.ScaledDotAttention`. The lines
# above, torch's function and torch's multi-head layer with one head must agree with it.

B, k, T, H = 5, 3, 7, 32
torch.manual_seed(0)
queries, keys, values = (torch.randn(B, n, H) for n in (k, T, T))
layer, notebook = ScaledDotAttention(H), SimpleNamespace(softmax=nn.Softmax(dim=2))
notebook.Q, notebook.K, notebook.V = maps = layer.W_q, layer.W_k, layer.W_v
notebook.scaling_factor = 1 / math.sqrt(H)
Q, K, V = (W(x) for W, x in zip(maps, (queries, keys, values), strict=True))
context, weights = layer(queries, keys, values)
multihead = nn.MultiheadAttention(H, num_heads=1, batch_first=True)
multihead.load_state_dict({
    "in_proj_weight": torch.cat([W.weight for W in maps]),
    "in_proj_bias": torch.cat([W.bias for W in maps]),
    "out_proj.weight": torch.eye(H), "out_proj.bias": torch.zeros(H),  # ours has none
})  # fmt: skip

lines_above = forward(notebook, queries, keys, values)
for name, other in {
    "the lines above": lines_above[0],
    "torch's scaled_dot_product_attention": F.scaled_dot_product_attention(Q, K, V),
    "torch's MultiheadAttention, one head": multihead(queries, keys, values)[0],
}.items():
    difference = float((context - other).detach().abs().max())
    assert difference < 1e-6
    print(f"{name:38} differs by at most {difference:.1e}")

assert torch.allclose(lines_above[1], weights, atol=1e-6)
one, of_one = forward(notebook, queries[:, 0], keys, values)  # one query a sequence
assert one.shape == (B, 1, H) and of_one.shape == (B, 1, T)
for expected in (context[:, 0], layer(queries[:, 0], keys, values)[0]):
    assert torch.allclose(one[:, 0], expected, atol=1e-6)

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
# Scores of size :math:`\sqrt{H}` make the softmax all but a maximum. That is bad for learning, too:
# the derivative of the weights by the scores is
#
# .. math::
#    :label: softmax-jacobian
#
#    \frac{\partial \alpha_i}{\partial \tilde\alpha_j} = \alpha_i(\delta_{ij} - \alpha_j),
#
# which vanishes when one weight is 1. Dividing by :math:`\sqrt{H}` gives the scores variance 1 at
# any width :cite:p:`vaswani2017`, *for queries and keys of variance 1*. The derivative's size:


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
# Our own scores start smaller: torch draws weights of variance :math:`1/(3H)`, so from inputs of
# variance 1 the scores have about a ninth. With the root it hardly depends on the width.

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
#    handouts:* for one query our layer drops the middle axis again. *From common practice:* large
#    models use a fused kernel that never stores the weights; we keep them, to look at.
#
# Summary
# -------
#
# Attention is an average of values, weighted by a softmax of scores, :eq:`scaled-dot-attention`. At
# the first step the root keeps scores, and so the gradient, nearly alike for any width.
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
# All scores are equal, so every weight is :math:`1/T`, and the result is the mean value.

mean, weights = scaled_dot_attention(Q, K[:, :1].expand_as(K), V)
assert torch.allclose(weights, torch.full_like(weights, 1 / 7))
assert torch.allclose(mean, V.mean(dim=1, keepdim=True).expand_as(mean), atol=1e-6)

# %%
# .. solution-end::
#
# .. exercise-start:: Attention as a soft maximum
#    :label: attention-hard
#
# *Medium.* Multiply the queries by :math:`\beta` and let it grow. What does the layer become, and
# how fast? Suppose that the best score leads the second best by :math:`\Delta`.
#
# .. exercise-end::
#
# .. solution-start:: attention-hard
#    :label: attention-hard-answer
#    :class: dropdown
#
# The weights of all keys but the best sum to at most :math:`(T - 1)e^{-\beta\Delta}`, since each of
# their exponentials is at most :math:`e^{-\beta\Delta}` times the best one's. The layer becomes a
# lookup, exponentially fast.

top = (Q @ K.mT / math.sqrt(H)).topk(2, dim=-1).values
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
