r"""
The decoder-only model: one sequence, one stack
===============================================

After this page you can turn a word and its translation into the one sequence on which a
decoder-only model is trained, write its forward pass, and show what is scored and what leaks.
"""

from types import SimpleNamespace

import pandas as pd
import torch
from torch.nn import functional as F

from a3.lab.drawing import Drawing
from a3.lab.page import show
from a3.translation import prompts
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.pig_latin import ALPHABET, large_words, pig_latin
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import EOP, EOS, SOS, WordPairs, encode

reads = ["<SOS>", *"cat", "<EOP>", *pig_latin("cat")]
names = [*reads[1:], "<EOS>"]
drawing = Drawing(
    560, 214, alt="""The model reads SOS, c, a, t, EOP, a, t, c, a, y. At each place it
    names the next token. What it names from the place that reads EOP on is scored.""",
)  # fmt: skip
for i, (read, name) in enumerate(zip(reads, names, strict=True)):
    x, scored = 72 + 49 * i, i >= reads.index("<EOP>")
    drawing.box(x, 180, 46, 28, read, size=13)
    drawing.arrow((x + 23, 180), (x + 23, 143))
    drawing.arrow((x + 23, 103), (x + 23, 66), dashed=not scored)
    drawing.box(x, 36, 46, 28, name, color=1 if scored else None, dashed=not scored, size=13)
drawing.box(72, 104, 487, 38, "layers: no place looks to its right", color=0)
drawing.text(64, 194, "reads", align="end")
drawing.text(64, 50, "names", align="end")
drawing.text(170, 16, "not scored")
drawing.text(414, 16, "scored: the translation and its end", bold=True)
show(drawing)

# %%
# **What is read, and what is scored.** The word, a mark and the translation are one sequence. At
# each place a single stack of causal layers reads one token and names the next. What it names for
# the word itself has no loss.
#
# The sequence
# ------------
#
# .. exercise-start:: Training tensors (2025, 2.2-1; 2023, 3.2-1)
#    :label: d1
#
# Words end in a new token ``<EOP>``, the end of the :term:`prompt`, translations in ``<EOS>``. Make
# of a pair the sequence that a :term:`decoder-only` model reads, from ``<SOS>`` on, and that
# of the tokens that it must name :cite:p:`handout2025,handout2023`.
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write both sequences for ``team`` and ``eamtay`` under each other. Which places should be
#    scored, and how could a model do without ``<EOP>``?
#
# .. solution-start:: d1
#    :label: d1-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short with-code
#
#    The input is the start token, the source with its ``<EOP>``, and the target without its
#    ``<EOS>``. The output is the source and the whole target: the input moved on by one place.


def generate_tensors_for_training_decoder_nmt(src_EOP, tgt_EOS, start_token, cuda):
    SOS = torch.full_like(src_EOP[:, :1], start_token)  # on its device
    SOS_src_EOP_tgt = torch.cat([SOS, src_EOP, tgt_EOS[:, :-1]], dim=1)
    src_EOP_tgt_EOS = torch.cat([src_EOP, tgt_EOS], dim=1)
    return SOS_src_EOP_tgt, src_EOP_tgt_EOS


# %% tags=["hide-input"]
# **In symbols.** Let the word have :math:`S` tokens, ``<EOP>`` included, and the translation
# :math:`T`, ``<EOS>`` included. With ``<SOS>`` they make :math:`s + 1` tokens in all:
#
# .. math::
#    :label: decoder-sequence
#
#    \begin{aligned}
#    z &= (\texttt{SOS}, x_1, \dots, x_{S-1}, \texttt{EOP}, y_1, \dots, y_{T-1}, \texttt{EOS}),\\
#    \text{inputs} &= (z_0, \dots, z_{s-1}), \quad \text{targets} = (z_1, \dots, z_s), \quad
#    s = S + T . \end{aligned}
#
# The places to score must name a token of the translation. The first is place :math:`S`, which
# *reads* ``<EOP>``. :class:`a3.translation.prompts.Prompts` keeps them with each batch.

source = torch.tensor([[*encode("team")[:-1], EOP]])
target = torch.tensor([encode("eamtay")])
inputs, targets = generate_tensors_for_training_decoder_nmt(source, target, SOS, False)
ours = prompts.generate_tensors_for_training_decoder_nmt(source, target)
assert torch.equal(inputs, ours[0]) and torch.equal(targets, ours[1])
assert torch.equal(inputs[:, 1:], targets[:, :-1])  # one place on

S, s = source.shape[1], inputs.shape[1]
team = Prompts(WordPairs(["team"]))[torch.tensor([0])]
assert team.scored.tolist() == list(range(S, s)) and torch.equal(team.targets, target[0])
signs = {SOS: "SOS", EOP: "EOP", EOS: "EOS"} | dict(enumerate(ALPHABET))
rows = [[signs[z] for z in tokens[0].tolist()] for tokens in (inputs, targets)]
rows.append(["yes" if t in team.scored else "" for t in range(s)])
show(pd.DataFrame(rows, ["reads", "must name", "scored"]).style.hide(axis="columns"))

# %%
# .. solution-end::
#
# The model
# ---------
#
# .. exercise-start:: Forward pass (2025, 2.2-2; 2023, 3.2-2)
#    :label: d2
#
# Write the forward pass of the model: embeddings and positions, layers of causal
# :term:`self-attention` and an MLP, each with a :term:`residual connection`, and logits. The loss
# is on what follows ``<EOP>`` :cite:p:`handout2025,handout2023`. Ours: which logits get a gradient,
# and which embeddings? Does :term:`padding` need a mask?
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
# .. admonition:: In short
#    :class: in-short with-code
#
#    Add the positions to the embeddings, let each layer add its causal attention and then its MLP,
#    and map the result to logits at every place. The loss takes these from the place on that reads
#    ``<EOP>``, so the outputs before it get no gradient, but every embedding does.
#    Padding needs no mask: it comes last, and no scored place looks ahead.


def forward(self, inputs):
    x = self.embedding(inputs)  # (batch_size, seq_len, hidden_size)
    x = x + self.positional_encodings[: inputs.shape[1]]
    self_attention_weights = []
    for attention, mlp in zip(self.self_attentions, self.attention_mlps, strict=True):
        context, weights = attention(x, x, x)
        x = x + context
        x = x + mlp(x)
        self_attention_weights.append(weights)
    return self.out(x), torch.stack(self_attention_weights)


# %% tags=["hide-input"]
# **In symbols.** Let :math:`E` be the table of embeddings and :math:`P` that of positions. At each
# place :math:`t`, and for each layer :math:`l = 1, \dots, L`,
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
# the :math:`D` tokens of the translations, from place :math:`S` on:
#
# .. math::
#    :label: decoder-loss
#
#    \ell = -\frac{1}{D} \sum_{(x, y)} \sum_{t=S}^{s-1}
#    \ln p(z_{t+1} \mid z_0, \dots, z_t).
#
# :meth:`a3.translation.decoder_only.DecoderOnlyTransformer.loss` never computes the logits before
# ``<EOP>``. Scored places look at the prompt, so all embeddings get gradients. The sizes of both:

model = DecoderOnlyTransformer(hidden=32, layers=2).double()
notebook = SimpleNamespace(  # what the decoder of the notebook has
    embedding=model.embedding, positional_encodings=model.positions.table,
    self_attentions=[layer.self_attention for layer in model.layers],
    attention_mlps=[layer.mlp for layer in model.layers], out=model.to_logits,
)  # fmt: skip
output, weights = forward(notebook, inputs)
assert torch.allclose(output, model(inputs)[0], atol=1e-6)
assert torch.allclose(weights, torch.stack(model(inputs)[1]), atol=1e-6)


def logits_of(x, looks):  # embedded tokens (B, s, H); who looks at whom (s, s)
    x = model.positions(x)
    for layer in model.layers:
        a = layer.self_attention
        Q, K, V = a.W_q(x), a.W_k(x), a.W_v(x)
        x = x + F.scaled_dot_product_attention(Q, K, V, attn_mask=looks)
        x = x + layer.mlp(x)
    return model.to_logits(x)  # (B, s, V)


causal = torch.ones(s, s, dtype=torch.bool).tril()
embedded = model.embedding(inputs).detach().requires_grad_()
logits = logits_of(embedded, causal)
loss = F.cross_entropy(logits[0, S:], team.targets, reduction="sum")
assert torch.allclose(logits, output, atol=1e-12)
assert torch.allclose(loss, model.loss(team)[0], atol=1e-12)
of_logits, of_embeddings = torch.autograd.grad(loss, (logits, embedded))
assert (of_logits[0, :S] == 0).all() and (of_logits[0, S:] != 0).all()
assert (of_embeddings[0] != 0).any(dim=1).all()
sizes = [gradient[0].norm(dim=1).tolist() for gradient in (of_logits, of_embeddings)]
table = pd.DataFrame(sizes, ["logits", "embedding"])
show(table.style.relabel_index(rows[0], axis="columns").format("{:.1f}"))

# %% tags=["hide-input"]
# **Does anything leak?** As for :doc:`a single layer <causal>`, we change each input and see which
# logits move: those at its place and later, and without the mask all. So no place sees what it must
# name, and none sees padding, which comes last: a batch has the loss of its sequences one by one.
# The loss would stay honest if the places of the prompt could look at all of it
# :cite:p:`raffel2020`, since none of the places that are scored would see more.


def depends(looks):  # whether logits at each place move with each input, (s, s)
    moved = torch.zeros(s, s, dtype=torch.bool)
    for i in range(s):
        x = embedded.detach().repeat(21, 1, 1)  # the first stays as it was
        x[1:, i] += 10 * torch.randn(20, 32, dtype=x.dtype)
        logits = logits_of(x, looks)
        moved[:, i] = ((logits[1:] - logits[0]).abs() > 1e-9).any(dim=2).any(dim=0)
    return moved


prefix = causal.clone()
prefix[: S + 1, : S + 1] = True  # the places of the prompt look at all of it
for looks in (causal, causal | True, prefix):
    assert torch.equal(depends(looks), looks)
some = Prompts(WordPairs(large_words()[:64]))
alone = sum(model.loss(some[i])[0] for i in torch.arange(64).split(1))
off = abs(model.loss(some[torch.arange(64)])[0] - alone).item()
padding = 1 - float(some.lengths.double().mean() / some.lengths.max())
assert off < 1e-9 and padding > 0.1
print(f"{padding:.0%} padding moves the loss by {off:.0e} nats")

# %%
# .. solution-end::
#
# To translate, the model reads ``<SOS> word <EOP>``, names a letter, reads it, names the next,
# until ``<EOS>``. Nothing at a place depends on what is read later, so its keys and values are
# final: they can be kept. :doc:`end_of_prompt` shows what the mark is for, and what keeping saves.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper* that made summaries in this way: its loss was on source and target
#    :cite:p:`liu2018`. *From the handouts:* they batch words of equal lengths, and compute logits
#    everywhere. *From common practice:* short sequences are packed into one row, without padding.
#
# Summary
# -------
#
# A word, ``<EOP>`` and a translation are one sequence, and the targets are the inputs moved by one,
# :eq:`decoder-sequence`. The model is :eq:`decoder-forward`; its loss, :eq:`decoder-loss`, starts
# at ``<EOP>``. Causality makes it honest, and padding at the end harmless.
#
# Exercises
# ---------
#
# .. exercise-start:: How many places?
#    :label: decoder-only-places
#
# *Easy.* A word has :math:`m` letters and no hyphen. How many places are there, how many scored?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-places
#    :label: decoder-only-places-answer
#    :class: dropdown
#
# :math:`S = m + 1`. The translation adds *ay* or *way*, so :math:`T` is :math:`m + 3` or :math:`m +
# 4` and :math:`s` is :math:`2m + 4` or :math:`2m + 5`. More than half is scored, and nearly half of
# the tokens only prepare for those.

plain = Prompts(WordPairs(word for word in large_words() if "-" not in word))
S, T = plain.word_pairs.source_lengths, plain.word_pairs.target_lengths
assert set((T - S).tolist()) == {2, 3} and torch.equal(plain.lengths, S + T)
share = plain.tokens / int(plain.lengths.sum())
assert 0.5 < share < 0.6
print(f"{share:.0%} of the places are scored")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
