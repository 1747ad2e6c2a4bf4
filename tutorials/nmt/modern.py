r"""
From the handouts' transformer to today's: heads, norms, rotary positions
=========================================================================

After this page you can say what six changes of the transformer compute, derive two of them, and
say what each is worth on this task at equal compute.
"""

import numpy as np
import pandas as pd
import torch
from torch import nn

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.modern import ARMS, BUDGET, EXPERIMENTS
from a3.translation.attention import causal_mask
from a3.translation.modern import LayerNorm, ModernTransformer, MultiHeadAttention, Parts, rotate

full = profile() == "full"
experiment = EXPERIMENTS["modern parts"]
name_of = {parts: name for name, parts in ARMS.items()}
runs = pd.DataFrame(
    {"model": name_of[run["parts"]], "rate": run["learning_rate"], "seed": run["seed"], **result}
    for run, result in zip(experiment.settings, experiment.results(), strict=True)
)
tuning = runs.pivot_table("tuning", "model", "rate")  # mean over the seeds
best = tuning.idxmin(axis=1)
tuned = runs[runs["rate"] == runs["model"].map(best)]
loss = tuned.pivot(index="model", columns="seed", values="held out").loc[list(ARMS)]

figure, ax = figures.subplots(
    figsize=(8, 3.3),
    alt="""Loss on held-out words of ten models after equal compute, each at its best learning rate,
    a point a seed, on a log scale. The handouts' model is a dashed line.""",
)
for row, (_, losses) in enumerate(loss.iterrows()):
    ax.plot(losses, [row] * len(losses), "o", color=figures.COLORS[row > 6])
ax.axvline(loss.loc["the handouts' model"].median(), ls="--", color="#888888")
ax.set(xscale="log", yticks=range(len(loss)), yticklabels=loss.index)
ax.set(xlabel="loss on held-out words (nats a token, log scale)")
ax.set_xticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"], minor=False)
ax.set_xticks([], minor=True)
ax.invert_yaxis()

# %% tags=["hide-input"]
# **Ten models, one budget.** Each point is a training run, each row a model, at the learning rate
# that was best for it. Six have one change of the handouts' decoder-only model, three have several.
# The dashed line is the handouts' own.
#
# The question
# ------------
#
# .. exercise-start:: What is each part worth? (ours)
#    :label: e2
#
# Train the :doc:`decoder-only model <decoder_only>` of width 64 with two layers on the small list.
# Then give it four heads, layer norm behind or before each part, an MLP four times as wide, rotary
# positions, or one table for embeddings and logits: one change at a time, then together. All spend
# as many FLOPs, each has its own learning rate and three seeds. Which changes help?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Which of the six make a step dearer, and so leave fewer steps? Which would you expect to matter
#    for words of ten letters, and which only for a model a thousand times as large?
#
# .. solution-start:: e2
#    :label: e2-answer
#    :class: dropdown

ratio = loss / loss.loc["the handouts' model"]  # seed by seed: the same words in the same order
worth = np.exp(np.log(ratio).mean(axis=1))  # geometric mean over the seeds
steps = tuned.groupby("model")["steps"].first()
joint = "heads, norm before, rotary"
if full:
    rates = sorted(runs["rate"].unique())
    assert set(best.drop("tied embeddings")) <= set(rates[1:-1])  # not at an end of those tried
    assert abs(tuned["flops"] / BUDGET - 1).max() < 0.1
    assert worth[["four heads", "rotary positions"]].max() < 0.9
    assert worth["wider MLP"] > 1.1
    assert 2 / 3 < worth["norm behind"] < 3 / 2 and 2 / 3 < worth["norm before"] < 3 / 2
    assert worth[joint] < worth.drop(joint).min() and ratio.loc[joint].max() < 0.8
    assert worth["all together"] == worth.max() > 1.5
    assert max(steps["wider MLP"], steps["all together"]) < steps["the handouts' model"] / 2

in_short(
    """At equal compute, several heads and rotary positions lower the loss, to {worth[four
    heads]:.2f} and {worth[rotary positions]:.2f} of that of the handouts' model (means over
    {seeds} seeds). A wider MLP raises it, to {worth[wider MLP]:.2f}: it makes a step so dear
    that less than half as many can be paid. Norms alone change it by less than a half, to either
    side, and of tied embeddings we cannot tell: which rate is best for them hangs on rounding.
    Heads, norms before each part and rotary positions together do best, {worth[heads, norm
    before, rotary]:.2f}; all but norms behind, which exclude those before, do worst, {worth[all
    together]:.2f}.""",
    seeds=loss.shape[1],
    worth=worth,
)

# %% tags=["hide-input"]
# **In numbers.** The ratio is to the handouts' model of the same seed, which has the same words in
# the same order; its mean is geometric. The rate is that with the lowest mean loss on a tenth of
# the training words, so the held-out words chose nothing. Dearer steps are fewer.

table = pd.DataFrame({"rate": best, "steps": steps, "loss, median": loss.median(axis=1)})
table = table.join(pd.DataFrame({"ratio, mean": worth, "least": ratio.min(axis=1)}))
table = table.assign(greatest=ratio.max(axis=1))
table = table.loc[list(ARMS)].reset_index(names="model")
show(table.style.hide().format(precision=2).format(precision=3, subset=["rate", "loss, median"]))

# %%
# .. solution-end::
#
# Several heads
# -------------
#
# One head gives each position one weighted mean. To copy a letter and to look whether the word
# starts with a vowel are two questions, and one softmax must answer both. With :math:`h` heads the
# projections are cut into :math:`h` parts of width :math:`H/h`, each part attends by itself, and a
# last map mixes the contexts :cite:p:`vaswani2017`:
#
# .. math::
#    :label: multi-head
#
#    \operatorname{head}_j = \operatorname{softmax}\!\left(\frac{Q_j K_j^\top}{\sqrt{H/h}}\right)
#    V_j, \qquad C = [\operatorname{head}_1, \dots, \operatorname{head}_h]\, W_o .
#
# The products cost the same as one head's but for :math:`W_o`. The class of this page is
# :class:`a3.translation.modern.MultiHeadAttention`; torch's own gives the same:

torch.manual_seed(0)
x = torch.randn(2, 9, 64)
ours, theirs = MultiHeadAttention(64, heads=4), nn.MultiheadAttention(64, 4, batch_first=True)
maps = (ours.W_q, ours.W_k, ours.W_v)
theirs.in_proj_weight.data = torch.cat([each.weight.detach() for each in maps])
theirs.in_proj_bias.data = torch.cat([each.bias.detach() for each in maps])
theirs.out_proj.load_state_dict(ours.W_o.state_dict())
context, weights = ours(x)  # (B, T, H) and (B, h, T, T)
expected, _ = theirs(x, x, x, attn_mask=~causal_mask(9, 9))
assert weights.shape == (2, 4, 9, 9)
assert (context - expected).abs().max() < 1e-6

# %%
# Layer norm
# ----------
#
# Residual connections add up, so vectors grow from layer to layer, and the next layer's scores with
# them. Layer norm takes off the mean of a vector's entries and divides by their standard deviation
# :math:`s` :cite:p:`ba2016`:
#
# .. math::
#    :label: layer-norm
#
#    y = g \odot \hat x + b, \qquad \hat x = \frac{x - \bar x}{\sqrt{s^2 + \epsilon}} .
#
# *Its gradient.* Write :math:`\hat x = c / r` with :math:`c = x - \bar x` and
# :math:`r = \sqrt{s^2}`, leaving out :math:`\epsilon`. Then :math:`\mathrm{d}c = (I -
# \tfrac{1}{H} \mathbf{1}\mathbf{1}^\top)\, \mathrm{d}x` and :math:`\mathrm{d}r =
# c^\top \mathrm{d}c / (H r) = \hat x^\top \mathrm{d}x / H`, since :math:`c` is orthogonal to
# :math:`\mathbf{1}`. So
#
# .. math::
#    :label: layer-norm-jacobian
#
#    \frac{\partial \hat x}{\partial x} = \frac{1}{s} \left( I - \frac{1}{H}
#    \mathbf{1}\mathbf{1}^\top - \frac{1}{H} \hat x \hat x^\top \right),
#
# the projection onto what is orthogonal to :math:`\mathbf{1}` and to :math:`\hat x`, over
# :math:`s`. A gradient that comes back through it has no part along these two: adding a constant to
# :math:`x` or stretching it changes nothing. And it is divided by :math:`s`: the larger the vector,
# the smaller the gradient.

norm, torchs = LayerNorm(64), nn.LayerNorm(64)
assert (norm(x) - torchs(x)).abs().max() < 1e-6
v = torch.randn(64, dtype=torch.float64)
exact = LayerNorm(64, epsilon=0.0).double()
jacobian = torch.autograd.functional.jacobian(exact, v)
unit, one = exact(v).detach(), torch.ones(64, dtype=torch.float64)
projection = torch.eye(64) - (torch.outer(one, one) + torch.outer(unit, unit)) / 64
assert (jacobian - projection / v.std(correction=0)).abs().max() < 1e-12
assert (jacobian @ one).abs().max() < 1e-12 and (jacobian @ unit).abs().max() < 1e-12

# %%
# *Behind or before.* The paper normalises each sum, :math:`x \leftarrow \operatorname{LN}(x +
# f(x))`. Then every gradient passes every norm. Models since GPT-2 normalise what each part reads,
# :math:`x \leftarrow x + f(\operatorname{LN}(x))`, so that from the loss to every layer leads a
# path through the last norm alone, which stands before the logits. An exercise below measures what
# this does in a deep stack.
#
# Rotary positions
# ----------------
#
# :doc:`Sinusoids <positions>` are added to the vectors, and each layer must find the distance of
# two letters in a product of sums. Rotary positions put the distance into the score itself
# :cite:p:`su2021`. Queries and keys are turned, pair of entries by pair, by an angle that grows
# with the position:
#
# .. math::
#    :label: rotary
#
#    (R_t x)_{2i} + \mathrm{i}\,(R_t x)_{2i+1} = e^{\mathrm{i} t \theta_i}
#    \, (x_{2i} + \mathrm{i}\, x_{2i+1}), \qquad \theta_i = 10000^{-2i/H} .
#
# A turn keeps lengths, and turns in a plane add up: :math:`R_t^\top R_u = R_{u-t}`. So the score of
# a query at :math:`t` and a key at :math:`u` depends on the distance alone:
#
# .. math::
#    :label: rotary-shift
#
#    (R_t q)^\top (R_u k) = q^\top R_t^\top R_u\, k = q^\top R_{u-t}\, k .

q, k = torch.randn(2, 1, 64, dtype=torch.float64)
scores = [(rotate(q, t) @ rotate(k, t + 3).mT).item() for t in (0, 7, 40)]
print("scores at distance 3, from places 0, 7 and 40:", *(f"{score:.6f}" for score in scores))
assert max(scores) - min(scores) < 1e-9
assert abs(scores[0] - (q @ rotate(k, 4).mT).item()) > 0.01  # at distance 4 it is another

# %%
# A wider MLP and a shared table
# ------------------------------
#
# Today's MLP is :math:`W_2 \operatorname{GELU}(W_1 x)` with :math:`4H` units in the middle. It
# holds most of a large model's parameters. Per token and layer it takes :math:`16H^2` operations,
# the handouts' takes :math:`2H^2`, and attention's projections :math:`6H^2`.
#
# Tying uses the embedding table as the map to logits :cite:p:`press2017`. With a vocabulary of
# fifty thousand tokens that saves a good part of a small model. Ours has thirty.
#
# What they are for elsewhere
# ---------------------------
#
# Norms let deep stacks train at all, wide MLPs store what a large corpus holds, tied tables save
# memory with large vocabularies. Our task asks for none of these: two layers, three thousand words,
# thirty tokens. What it asks for is to find letters by their place, and to copy. So this table does
# not say which part is worth having in a large model. It says what each does for a small one that
# must move letters, at this budget, and may rank them otherwise at another.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* all of it is ours. *From models in use:* RMS norm takes no mean off, gated
#    MLPs have a third map, and heads share keys; none is tried here. A tied table begins with
#    variance :math:`1/H`, and is read times :math:`\sqrt{H}` where sinusoids are added, as in
#    :cite:t:`vaswani2017`.
#
# Summary
# -------
#
# A norm's gradient has no part along the vector; rotary scores depend on the distance alone. What
# each change is worth hangs on the task and the budget, and so does what they are worth together.
#
# Exercises
# ---------
#
# .. exercise-start:: Gradients in a deep stack
#    :label: modern-deep
#
# *Medium.* Build stacks of twelve layers without a norm, with norms behind and with norms before.
# Before any training: how large are the vectors at the end, and the gradients at the MLP of the
# first layer and of the last?
#
# .. exercise-end::
#
# .. solution-start:: modern-deep
#    :label: modern-deep-answer
#    :class: dropdown
#
# Without a norm the vectors grow with each layer, and the gradients are hundreds of times as large.
# With norms before, later layers add to vectors that have grown, and so count less: the gradient
# falls with depth. Behind each sum it is about level.

tokens = torch.randint(0, 29, (32, 16), generator=torch.Generator().manual_seed(0))
found = {}
for norm in ("none", "post", "pre"):
    model = ModernTransformer(Parts(norm=norm), layers=12)
    sizes = []  # of the vectors before the last norm, if there is one
    model.norm.register_forward_pre_hook(lambda module, x, to=sizes: to.append(x[0].std()))
    logits = model(tokens).flatten(0, 1)
    nn.functional.cross_entropy(logits, tokens.roll(-1, 1).flatten()).backward()
    first, last = (model.layers[i].mlp[0].weight.grad.norm().item() for i in (0, -1))
    found[norm] = first, last
    print(f"{norm:5} size {sizes[0]:5.1f}, gradients {first:.2f} and {last:.2f}")
assert min(found["none"]) > 100 * max(found["post"] + found["pre"])
assert found["pre"][0] > 1.3 * found["pre"][1] and sizes[0] > 2  # of the last, "pre"
assert 0.8 < found["post"][0] / found["post"][1] < 1.25

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
