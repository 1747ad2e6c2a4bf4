r"""
One stack that reads and writes
===============================

After this page you can write the forward pass of a decoder-only model, show that nothing leaks
into its loss, and let it write without computing anything twice.

The figure shows what the last of these is worth, for a model of the handouts' size. Before each
new token it either reads everything again, or reads the newest token alone and keeps the keys and
values of the others. The lines are ratios of the two, in operations and in time.
"""

from functools import partial
from timeit import timeit

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from a3.lab import figures
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import complete
from a3.translation.pig_latin import large_words, pig_latin
from a3.translation.prompts import Prompts
from a3.translation.training import Hyperparameters, train
from a3.translation.word_pairs import EOP, EOS, SOS, WordPairs, decode, encode

large = DecoderOnlyTransformer(hidden=128, layers=4)  # not trained
tokens = torch.randint(27, (64, 128), generator=torch.Generator().manual_seed(0))
lengths = [8, 16, 32, 64, 128]


def operations(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@torch.no_grad()
def ratios(measure, T, repeats):  # all tokens over the last one, in turn
    past = large(tokens[:, : T - 1])[2]
    again = partial(large, tokens[:, :T])
    kept = partial(large, tokens[:, T - 1 : T], past)
    return [measure(again) / measure(kept) for _ in range(repeats)]


in_operations = [ratios(operations, T, repeats=1)[0] for T in lengths]
seconds = partial(timeit, number=1)
in_time = np.array([ratios(seconds, T, repeats=13)[4:] for T in lengths])
figure, ax = figures.subplots(
    figsize=(6, 3.2),
    alt="""Work of reading again over work with a cache, against the tokens read. The
    ratio of operations is the number of tokens; that of times is smaller.""",
)
ax.loglog(lengths, in_operations, "o-", base=2, label="operations")
figures.band(ax, lengths, in_time.T, "time", ls="--", marker="s")
ax.xaxis.set_major_formatter("{x:.0f}")
ax.yaxis.set_major_formatter("{x:.0f}")
ax.set(xlabel="tokens read (log scale)", ylabel="read again / kept (log scale)")
ax.legend()
assert in_operations == lengths  # exactly
assert 1.5 < np.median(in_time[-1]) < lengths[-1] / 2

# %%
# The question
# ------------
#
# .. exercise-start:: Forward pass (2025, 2.2-2; 2023, 3.2-2)
#    :label: d2
#
# Write the forward pass of the decoder-only model: embeddings and positions, layers of causal
# :term:`self-attention` and an MLP, each with a :term:`residual connection`, and logits. Score only
# what follows ``<EOP>`` :cite:p:`handout2025,handout2023`. Which logits get a gradient, and which
# embeddings? Does the :term:`padding` of a batch need a mask?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Is the place that reads ``<EOP>`` scored? Padding stands at the end: who could look at it?
#
# .. solution-start:: d2
#    :label: d2-answer
#    :class: dropdown
#
# Let :math:`E` be the table of embeddings and :math:`P` that of positions. At each place :math:`t`
# of :doc:`the sequence <one_sequence>` :math:`z`, and for each layer :math:`l = 1, \dots, L`,
#
# .. math::
#    :label: decoder-forward
#
#    \begin{aligned} x^{(0)}_t &= E_{z_t} + P_t, \\
#    a^{(l)} &= x^{(l-1)} + \operatorname{CausalAttention}(x^{(l-1)}), \\
#    x^{(l)}_t &= a^{(l)}_t + \operatorname{ReLU}(W a^{(l)}_t + b), \\
#    p(\cdot \mid z_0, \dots, z_t) &= \operatorname{softmax}(W_o x^{(L)}_t + b_o), \end{aligned}
#
# with :doc:`causal attention <causal>` and other weights in every layer. The loss is the mean over
# the :math:`D` tokens of the translations, from place :math:`S` on, which reads ``<EOP>``:
#
# .. math::
#    :label: decoder-loss
#
#    \ell = -\frac{1}{D} \sum_{(x, y)} \sum_{t=S}^{s-1}
#    \ln p(z_{t+1} \mid z_0, \dots, z_t).

model = DecoderOnlyTransformer(hidden=32, layers=2).double()


def logits_of(x, looks):  # embedded tokens (B, s, H); who looks at whom (s, s)
    x = model.positions(x)
    for layer in model.layers:
        a = layer.self_attention
        Q, K, V = a.W_q(x), a.W_k(x), a.W_v(x)
        x = x + F.scaled_dot_product_attention(Q, K, V, attn_mask=looks)
        x = x + layer.mlp(x)
    return model.to_logits(x)  # (B, s, V)


team = Prompts(WordPairs(["team"]))[torch.tensor([0])]
inputs, S, s = team.inputs, int(team.scored[0]), team.inputs.shape[1]
causal = torch.ones(s, s, dtype=torch.bool).tril()
embedded = model.embedding(inputs).detach().requires_grad_()
logits = logits_of(embedded, causal)
loss = F.cross_entropy(logits[0, S:], team.targets, reduction="sum")
assert torch.allclose(logits, model(inputs)[0], atol=1e-12)
assert torch.allclose(loss, model.loss(team)[0], atol=1e-12)

# %%
# **Which gradients?** The loss does not depend on the logits before ``<EOP>``, so
# :meth:`a3.translation.decoder_only.DecoderOnlyTransformer.loss` does not compute them. The prompt
# still learns: scored places look at its keys and values, so every embedding gets a gradient.

of_logits, of_embeddings = torch.autograd.grad(loss, (logits, embedded))
assert (of_embeddings[0] != 0).any(dim=1).all()
assert (of_logits[0, :S] == 0).all() and (of_logits[0, S:] != 0).all()
print("reads    ", *map("{:>4}".format, ["⊢", *"team", "»", *"eamtay"]))
for name, gradient in (("logits", of_logits), ("embedding", of_embeddings)):
    print(f"{name:9}", *(f"{size:4.2f}" for size in gradient[0].norm(dim=1)))

# %%
# **Does anything leak?** As for :doc:`a single layer <causal>`, we change each input and see which
# logits move: those at its place and later, and without the mask all. So no place sees what it must
# name, and none sees padding, which comes last: a batch has the loss of its sequences one by one.


def depends(looks):  # whether logits at each place move with each input, (s, s)
    moved = torch.zeros(s, s, dtype=torch.bool)
    for i in range(s):
        x = embedded.repeat(21, 1, 1)  # the first stays as it was
        x[1:, i] += 10 * torch.randn(20, 32, dtype=x.dtype)
        logits = logits_of(x, looks)
        moved[:, i] = ((logits[1:] - logits[0]).abs() > 1e-9).any(dim=2).any(dim=0)
    return moved


assert torch.equal(depends(causal), causal) and depends(causal | True).all()
prompts = Prompts(WordPairs(large_words()[:64]))
alone = sum(model.loss(prompts[i])[0] for i in torch.arange(64).split(1))
off = abs(model.loss(prompts[torch.arange(64)])[0] - alone).item()
padding = 1 - float(prompts.lengths.double().mean() / prompts.lengths.max())
assert off < 1e-9 and padding > 0.1
print(f"{padding:.0%} padding moves the loss by {off:.0e} nats")

# %%
# .. solution-end::
#
# Writing: nothing is computed twice
# ----------------------------------
#
# To translate, the model reads ``<SOS> word <EOP>``, names a letter, reads that letter, names the
# next, until it names ``<EOS>``. Nothing at a place depends on what is read later, so its keys and
# values are final. :func:`a3.translation.decoding.complete` holds them in a :term:`key-value
# cache`. We teach a model some words by heart, and compare with reading everything again for each
# letter.


@torch.no_grad()
def read_again(word, longest=20):
    read, written = [SOS, *encode(word)[:-1], EOP], []
    while len(written) < longest and EOS not in written:
        logits, _, _ = model(torch.tensor([read + written]))
        written.append(int(logits[0, -1].argmax()))
    return decode(written)


words = ["quick", "string", "team", "well-known", "apple", "my", "writing"]
data = Prompts(WordPairs(words))
settings = Hyperparameters(epochs=100, learning_rate=1e-2)
train(model, data, data, settings, device="cpu", progress=False)
assert complete(model, words) == list(map(read_again, words)) == list(map(pig_latin, words))

# %%
# **What it saves.** A step that reads the :math:`T`-th token has one query in each layer, where a
# pass over all :math:`T` has :math:`T`. So the pass takes exactly :math:`T` times the operations;
# :doc:`the next page <counting>` counts them for whole words. Here are the ratios of the times.

for T, of_time in zip(lengths, in_time, strict=True):
    print(f"{T:3} tokens: {np.median(of_time):.1f} ({of_time.min():.1f} to {of_time.max():.1f})")
    assert np.median(of_time) < T

# %%
# Time falls less than operations. The usual reason is memory: a step fetches all keys, values and
# weights to do little with each :cite:p:`pope2022`. We did not separate it from the fixed cost of
# a call. Without the causal mask a new token would change all keys above the first layer.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* they compute logits at every place and read all again for each letter.
#    *From the paper:* its encoder looks both ways :cite:p:`vaswani2017`. *From common practice:*
#    memory for the cache is set aside once; ours is copied at each step.
#
# Summary
# -------
#
# The model is :eq:`decoder-forward`; its loss, :eq:`decoder-loss`, starts at ``<EOP>``. Causality
# makes the loss honest, padding at the end harmless, and keys and values final. Keeping them
# divides the operations of a step by the number of tokens read, and its time by less.
#
# Exercises
# ---------
#
# .. exercise-start:: Padding in front
#    :label: decoder-only-left
#
# *Easy.* Pad a sequence in front in place of behind. Does its loss stay the same? Why?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-left
#    :label: decoder-only-left-answer
#    :class: dropdown
#
# It changes: every place can look at the padding, and every token stands at another position.

for front in (0, 3):
    padded = F.pad(inputs, (front, 3 - front), value=EOS)
    logits = model(padded)[0][0, front + S : front + s]
    loss = F.cross_entropy(logits, team.targets, reduction="sum")
    moved = abs(loss - model.loss(team)[0]).item()
    assert moved < 1e-9 if front == 0 else moved > 1

# %%
# .. solution-end::
#
# .. exercise-start:: Room for the cache
#    :label: decoder-only-memory
#
# *Medium.* How many numbers does the cache hold? When does it outgrow the weights, in the figure?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-memory
#    :label: decoder-only-memory-answer
#    :class: dropdown
#
# A key and a value of :math:`H` numbers in each layer, for each token of each sequence.

cache = large(tokens)[2]
each = 2 * 4 * 128  # numbers for each token
assert sum(x.numel() for pair in cache for x in pair) == tokens.numel() * each
T = sum(parameter.numel() for parameter in large.parameters()) / each
print(f"at {T:.0f} tokens of one sequence, {T / 64:.0f} each of a batch of 64")

# %%
# .. solution-end::
#
# .. exercise-start:: A prompt that looks both ways
#    :label: decoder-only-prefix
#
# *Hard.* Let the places of the prompt look at all of it :cite:p:`raffel2020`. Is the loss still
# honest? Would a loss on the prompt be? Can keys and values still be kept?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-prefix
#    :label: decoder-only-prefix-answer
#    :class: dropdown
#
# No scored place sees a later token, so the loss is honest. On the prompt it would not be: places
# would see what they must name. What is written does not change the prompt, which can be kept.

prefix = causal.clone()
prefix[: S + 1, : S + 1] = True
assert torch.equal(depends(prefix), prefix)
alone = logits_of(embedded[:, : S + 1], prefix[: S + 1, : S + 1])
within = logits_of(embedded, prefix)[:, : S + 1]
assert torch.allclose(alone, within, atol=1e-9)

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
