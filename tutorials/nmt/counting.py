r"""
Counting parameters and FLOPs
=============================

After this page you can count the parameters and the operations of a transformer from its layers,
check both to the unit, and say when the rule of thumb :math:`6ND` will do.
"""

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from a3.lab import figures
from a3.lab.elsewhere import elsewhere
from a3.lab.page import show
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import complete
from a3.translation.pig_latin import small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

training, _ = Prompts(WordPairs(small_words())).split()
mean = float(training.lengths.double().mean())


def parameters(H, L=4, V=30):
    return {
        "queries, keys, values": L * (3 * H**2 + 3 * H),
        "MLP": L * (H**2 + H),
        "logits": H * V + V,
    }


def flops(s, H, L=4, V=30):
    return {
        "queries, keys, values": L * 6 * s * H**2,
        "scores": L * 2 * s**2 * H,
        "softmax": L * 3 * s**2,
        "means of values": L * 2 * s**2 * H,
        "MLP": L * 2 * s * H**2,
        "logits": 2 * s * V * H,
    }


def over_the_rule(s, H):  # 3F / 6Ns
    return sum(flops(s, H).values()) / (2 * sum(parameters(H).values()) * s)


widths = np.array([16, 32, 48, 64, 96, 128])
figure, ax = figures.subplots(
    figsize=(6, 3), alt="""Operations over 6ND against width, for four lengths. The ratio
    falls towards one as the width grows, and is larger for longer sequences.""",
)  # fmt: skip
for s, style in zip((80, 40, mean, 10), ("-", "--", "-.", ":"), strict=True):
    ax.plot(widths, over_the_rule(s, widths), style, label=f"{s:.0f} tokens")
ax.set(xlabel="width", ylabel="FLOPs / $6ND$", ylim=(1, None), xticks=widths)
ax.legend()

# %%
# **How good the rule is.** For four layers; the dash-dotted line is for the mean length of the
# small list. The rule is good where sequences are short beside the width.
#
# The question
# ------------
#
# .. exercise-start:: Parameters and FLOPs (for 2025, 2.3; 2023, 3.3)
#    :label: decoder-only-counting
#
# The handouts' scaling questions rest on two counts :cite:p:`handout2025,handout2023`: the
# parameters :math:`N` of a decoder-only model, embeddings left out, and its :term:`FLOPs <FLOP>`
# for a sequence of :math:`s` tokens. Derive both, layer by layer. What does the backward pass cost?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    The product of an :math:`a \times b` and a :math:`b \times c` matrix takes :math:`2abc`
#    operations: as many multiplications as additions. List the products of one layer.
#
# .. solution-start:: decoder-only-counting
#    :label: decoder-only-counting-answer
#    :class: dropdown
#
# Three projections, the MLP and the last layer have each a matrix and a bias:
#
# .. math::
#    :label: decoder-parameters
#
#    N = L\,\bigl(\underbrace{3H^2 + 3H}_{W_q, W_k, W_v}
#    + \underbrace{H^2 + H}_{\text{MLP}}\bigr) + \underbrace{HV + V}_{\text{logits}} .
#
# Every token passes through each matrix. Attention adds two products without weights, and three
# operations for each entry of the softmax: an exponential, an addition, a division.
#
# .. math::
#    :label: decoder-flops
#
#    F(s) = L\,\bigl(\underbrace{6sH^2}_{Q, K, V} + \underbrace{2s^2H}_{QK^\top}
#    + \underbrace{3s^2}_{\text{softmax}} + \underbrace{2s^2H}_{\alpha V}
#    + \underbrace{2sH^2}_{\text{MLP}}\bigr) + \underbrace{2sVH}_{\text{logits}} .
#
# For each product :math:`Y = XW` the backward pass takes two of the same size, :math:`\partial X =
# \partial Y\, W^\top` and :math:`\partial W = X^\top \partial Y`. So it costs twice the forward
# pass, and a step of training :math:`3F`. Beside :math:`N` parameters a model holds the embeddings,
# and nothing else: positions are fixed.

H, L, V, s = 128, 4, 30, 20
model, x = DecoderOnlyTransformer(H, L), torch.randn(1, s, H)
a, mlp = model.layers[0].self_attention, model.layers[0].mlp
Q, K, values = a.W_q(x), a.W_k(x), a.W_v(x)
alpha = (Q @ K.mT / H**0.5).softmax(dim=-1)


def counted(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


torchs = {
    "queries, keys, values": 3 * L * counted(lambda: a.W_q(x)),
    "scores": L * counted(lambda: Q @ K.mT),
    "softmax": L * counted(lambda: alpha.softmax(dim=-1)),
    "means of values": L * counted(lambda: alpha @ values),
    "MLP": L * counted(lambda: mlp(x)),
    "logits": counted(lambda: model.to_logits(x)),
}
held = sum(p.numel() for p in model.parameters())
assert held - model.embedding.weight.numel() == sum(parameters(H).values())
assert torchs == flops(s, H) | {"softmax": 0}
columns = {"parameters": parameters(H), "FLOPs": flops(s, H), "torch": torchs}
show(pd.DataFrame(columns).reindex(torchs).style.format("{:,.0f}", na_rep=""))

# %%
# **A step of training.** Torch's count differs from :math:`3F` in three ways. Padding is computed,
# too. The softmax counts nothing. And our loss computes logits at scored places only. For 64 words
# these explain the difference to the unit.

batch = training[torch.arange(64)]
T = batch.inputs.shape[1]
step = counted(lambda: model.loss(batch)[0].backward())
F = sum(sum(flops(s, H).values()) for s in training.lengths[:64].tolist())
padding = 64 * sum(flops(T, H).values()) - F
softmax = 64 * flops(T, H)["softmax"]
unscored = 2 * (64 * T - batch.tokens) * V * H
assert step == 3 * (F + padding - softmax - unscored)
print(f"the formula, 3F: {3 * F:,}; torch: {step:,}")

# %%
# **The handouts' numbers** at this width are for as many words, and within one per cent of ours.

theirs = elsewhere("handouts' counts at width 128")["value"]
epoch = 3 * model.flops(training)
lengths = training.lengths.tolist()
assert epoch == 3 * sum(sum(flops(s, H).values()) for s in lengths)
assert abs(epoch / theirs["an epoch"] - 1) < 0.01
assert abs(theirs["an epoch"] / theirs["an example"] / len(lengths) - 1) < 0.002
print(f"an epoch: {epoch:.3e} FLOPs, theirs {theirs['an epoch']:.3e}")

# %%
# .. solution-end::
#
# When 6ND will do
# ----------------
#
# A rule for large models: two operations for each weight and token forward, four backward, :math:`C
# \approx 6ND` :cite:p:`kaplan2020`. For one sequence :math:`D = s`, and the two differ by
#
# .. math::
#    :label: decoder-rule
#
#    3F(s) - 6Ns = s\,\bigl[L\,(\underbrace{12sH + 9s}_{\text{attention}}
#    - \underbrace{24H}_{\text{biases}}) - \underbrace{6V}_{\text{bias}}\bigr] .
#
# The rule leaves out the products of attention, which have no weights, and takes biases for
# matrices. Relative to the leading term, :math:`24sLH^2`, it is off by about :math:`(s - 2) / 2H`:
# length against width. The table has the exact count of an epoch over the rule, and over two that
# are easily taken for it: :math:`N` with the embeddings, and :math:`D` as the scored tokens only.

rows = []
for H in widths.tolist():
    N, D = sum(parameters(H).values()), sum(lengths)
    exact = 3 * DecoderOnlyTransformer(H, L).flops(training)
    left_out = sum(s * (L * (12 * s * H + 9 * s - 24 * H) - 6 * V) for s in lengths)
    assert exact == 6 * N * D + left_out  # the equation, to the unit
    rules = (N * D, (N + V * H) * D, N * training.tokens)
    rows.append([H, N, *(exact / (6 * rule) for rule in rules)])
names = ["width", "N", "FLOPs / 6ND", "with embeddings", "with scored tokens"]
table = pd.DataFrame(rows, columns=names)
over, embedded, scored = (table[name] for name in names[2:])
assert 0.3 < 1 - 1 / over[0] < 0.37 and 1 - 1 / over[5] < 0.1
assert (1 < embedded).all() and (embedded < over).all() and (scored > 1.7 * over).all()
show(table.style.hide().format({"N": "{:,}"}, precision=2))

# %%
# The rule misses a third of the work of the smallest model and less than a tenth of the largest's.
# So it tilts a line through models of these sizes; this book keeps the exact count. With the
# embeddings in :math:`N` the rule looks better by chance, since looking up costs nothing. With
# scored tokens as :math:`D` it misses the reading of the prompt.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper* whose terms these are: it counts embeddings as a product, too
#    :cite:p:`hoffmann2022`. *From common practice:* fused kernels can skip the masked half of
#    :math:`QK^\top`; the count, like our code, does not.
#
# Summary
# -------
#
# The parameters are :eq:`decoder-parameters`, the operations of a forward pass :eq:`decoder-flops`;
# training takes three times those. The rule :math:`6ND` misses attention.
#
# Exercises
# ---------
#
# .. exercise-start:: What nobody counts
#    :label: decoder-only-small
#
# *Easy.* Count the additions of biases, residuals and positions, the ReLU and the division by
# :math:`\sqrt H`, one operation each. What share of the forward pass are they?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-small
#    :label: decoder-only-small-answer
#    :class: dropdown
#
# In a layer :math:`4sH` for biases, :math:`2sH` for residuals, :math:`sH` for the ReLU and
# :math:`s^2` for the division; then :math:`sH` for positions and :math:`sV` for the last bias.

for H in (16, 128):
    small = L * (7 * mean * H + mean**2) + mean * H + mean * V
    print(f"width {H}: {small / sum(flops(mean, H).values()):.1%}")

# %%
# .. solution-end::
#
# .. exercise-start:: Keys and values kept
#    :label: decoder-only-kept
#
# *Medium.* With :doc:`kept keys and values <end_of_prompt>`, what does the :math:`T`-th token cost?
# And writing :math:`n` letters after a prompt of :math:`P` tokens, with and without?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-kept
#    :label: decoder-only-kept-answer
#    :class: dropdown
#
# In every term of :eq:`decoder-flops` one factor :math:`s` counts the places that are computed. One
# place in place of :math:`T` costs :math:`F(T) / T`, and
#
# .. math::
#    :label: decoder-cache
#
#    \text{read again} = \sum_{T=P}^{P+n-1} F(T), \qquad
#    \text{kept} = F(P) + \sum_{T=P+1}^{P+n-1} \frac{F(T)}{T} .

model.to_logits.bias.data[0] = 1e6  # it writes "aaa…" and never ends
P, n = len("string") + 2, 20
F = [sum((flops(T, H) | {"softmax": 0}).values()) for T in range(P + n)]
again, kept = sum(F[P:]), F[P] + sum(F[T] // T for T in range(P + 1, P + n))
passes = [lambda T=T: model(batch.inputs[:1, :T]) for T in range(P, P + n)]
assert sum(map(counted, passes)) == again
assert counted(lambda: complete(model, ["string"], max_length=n)) == kept
print(f"{n} letters: {again / 1e6:.1f} MFLOPs, {kept / 1e6:.1f} with the cache")

# %%
# .. solution-end::
#
# .. exercise-start:: A cheaper backward pass
#    :label: decoder-only-frozen
#
# *Hard.* Freeze the embeddings. By how many operations does a step get cheaper, to the unit?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-frozen
#    :label: decoder-only-frozen-answer
#    :class: dropdown
#
# Nothing below the first layer learns, so the gradient of its input is not needed: one product less
# for each of its three projections, :math:`6TH^2` for each sequence of :math:`T` places.

model.embedding.weight.requires_grad_(False)
saved = step - counted(lambda: model.loss(batch)[0].backward())
assert saved == 64 * 6 * batch.inputs.shape[1] * H**2

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
