r"""
Causal attention: no looking ahead
==================================

After this page you can mask attention so that no output depends on a later input, test a whole
model for it by changing inputs rather than by eye, and say what causality buys when a model writes.
"""

from types import SimpleNamespace

import torch
from torch import nn

from a3.lab import figures
from a3.translation.attention import CausalScaledDotAttention, ScaledDotAttention
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.word_pairs import WordPairs

T, H = 7, 32
torch.manual_seed(0)
sequence = torch.randn(1, T, H)
plain, causal = ScaledDotAttention(H), CausalScaledDotAttention(H)


def influence(layer):
    """Norm of d output[t] / d input[i] for every pair of positions, by autograd."""

    def outputs(x):  # (1, T, H) -> (T, H)
        return layer(x, x, x)[0][0]

    jacobian = torch.autograd.functional.jacobian(outputs, sequence)  # (T, H, 1, T, H)
    return jacobian[:, :, 0].norm(dim=(1, 3))  # (T, T)


figure, axes = figures.subplots(
    1, 2, figsize=(6.4, 3), sharey=True,
    alt="""Size of the derivative of each output with respect to each input. Full for plain
    attention, lower triangular for causal attention.""",
)  # fmt: skip
for ax, title, layer in zip(axes, ("plain", "causal"), (plain, causal), strict=True):
    norms = influence(layer)
    ax.imshow(norms.where(norms != 0, torch.nan), cmap="cividis")
    ax.set(title=title, xlabel="input position $i$")
    ax.grid(False)
axes[0].set_ylabel("output position $t$")

# %%
# **What depends on what.** The figure shows how strongly each output depends on each input, to
# first order, for plain and for causal attention. A place without colour is exactly zero.
#
# The question
# ------------
#
# .. exercise-start:: Causal attention (2025, 2.1-2; 2023, 3.1-2)
#    :label: n2
#
# A decoder writes from left to right. Change scaled dot-product attention,
# :eq:`scaled-dot-attention`, so that the output at position :math:`t` uses no :term:`key` after
# :math:`t`, by adding a very negative number to some of the scores
# :cite:p:`handout2025,handout2023`. Which ones? How would you show that nothing leaks, other than
# by looking at the weights?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write the :math:`4 \times 4` matrix of what you would add. Then plan an experiment with the
#    finished layer: what do you change, what must stay as it was, and how could a leak escape you?
#
# .. solution-start:: n2
#    :label: n2-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short with-code
#
#    Add ``neg_inf`` to the scores above the diagonal, where a key stands after its query, and do
#    all else as before. In the softmax the exponential of such a number is zero, so a later key has
#    no weight, and the weights of the others still sum to one. To test it, change the inputs after
#    a place, by small and by large amounts and from many starting points: its output must stay.


def forward(self, queries, keys, values):
    if queries.dim() == 2:
        queries = queries.unsqueeze(1)  # k = 1
    q, k, v = self.Q(queries), self.K(keys), self.V(values)
    unnormalized_attention = q @ k.transpose(1, 2) * self.scaling_factor
    after = 1 + keys.shape[1] - queries.shape[1]  # one, if all ask
    mask = torch.full_like(unnormalized_attention, self.neg_inf).triu(after)
    attention_weights = self.softmax(unnormalized_attention + mask)
    return torch.bmm(attention_weights, v), attention_weights


# %% tags=["hide-input"]
# **Why before the softmax.** With :math:`-\infty` in the place of ``neg_inf`` this is
#
# .. math::
#    :label: causal-attention
#
#    \tilde\alpha_{ti} \leftarrow \tilde\alpha_{ti} + M_{ti}, \qquad
#    M_{ti} = \begin{cases} 0 & i \le t \\ -\infty & i > t. \end{cases}
#
# Since :math:`e^{-\infty} = 0`, a masked key has weight zero exactly, and the others still sum to
# one. Zeroing the weights *after* the softmax would break the sum, and worse: the later scores
# would still be in the denominator, so the future would leak through it. We compare the lines above
# with the book's layer, :class:`a3.translation.attention.CausalScaledDotAttention`.

notebook = SimpleNamespace(softmax=nn.Softmax(dim=2), scaling_factor=H**-0.5, neg_inf=-1e7)
notebook.Q, notebook.K, notebook.V = causal.W_q, causal.W_k, causal.W_v
three = [sequence] * 3  # queries, keys and values
ours, theirs = causal(*three), forward(notebook, *three)
for found, expected in zip(theirs, ours, strict=True):
    assert torch.allclose(found, expected, atol=1e-6)
last, _ = forward(notebook, sequence[:, -1], *three[1:])
assert torch.allclose(last, ours[0][:, -1:], atol=1e-6)
for _, weights in (ours, theirs):
    assert (weights.triu(1) == 0).all()  # exactly
    assert torch.allclose(weights.sum(-1), torch.ones(1, T))
print(f"outputs differ by at most {(ours[0] - theirs[0]).detach().abs().max():.1e}")

# %%
# **The test.** The weights are where we put the mask, so they prove little. That nothing leaks
# means: *change* the inputs after :math:`t` as you like, and output :math:`t` stays as it was, to
# the last bit. So we change them, by small and by large amounts, from many starting points. The
# test takes any function from inputs to outputs, and so it works for a whole model. Here it is the
# decoder of the book: embeddings to logits, three layers, all the target positions at once.

model = EncoderDecoder(hidden=H, layers=3)
batch = WordPairs(["working"])[torch.tensor([0])]
source = model.decoder.project(model.encoder(batch.source)[0])
embedded = model.decoder.embedding(batch.inputs).detach()


def decoder_logits(x):  # (1, T, H) -> (T, V)
    x = model.decoder.positions(x)
    for layer, annotations in zip(model.decoder.layers, source, strict=True):
        x, _, _ = layer(x, annotations)
    return model.decoder.to_logits(x)[0]


def self_attend(layer):
    return lambda x: layer(x, x, x)[0][0]  # (1, T, H) -> (T, H)


@torch.no_grad()
def leak(outputs, like, draws=20):
    """Largest change of an output when inputs after it are drawn anew."""
    largest = 0.0
    for _ in range(draws):
        x = torch.randn(like.shape) * like.std()
        before = outputs(x)
        for t in range(like.shape[1] - 1):
            for size in (1e-2, 1, 100):
                changed = x.clone()
                changed[:, t + 1 :] += size * torch.randn_like(x[:, t + 1 :])
                moved = (outputs(changed) - before)[: t + 1].abs().max()
                largest = max(largest, float(moved))
    return largest


for name, outputs, like in (
    ("plain attention", self_attend(plain), sequence),
    ("causal attention", self_attend(causal), sequence),
    ("the decoder", decoder_logits, embedded),
):
    print(f"{name}: outputs move by at most {leak(outputs, like):.3g}")
    assert (leak(outputs, like) == 0) == (name != "plain attention")

# %%
# A test by changes can miss a leak, but what it finds is one. **The derivative**, :math:`\partial
# c_t / \partial x_i`, an :math:`H \times H` block for every pair of positions, is what the figure
# draws. It is a good picture and a weaker test: it must vanish where there is no dependence, but it
# can vanish where there is one. Here is a leak that it does not see: a later input that gets in by
# way of a ReLU which happens to be off.

assert (influence(plain) > 0).all()
assert torch.equal(influence(causal) > 0, torch.ones(T, T, dtype=bool).tril())


def switched_off(x):  # looks one place ahead, if the first entry there is above 3
    return self_attend(causal)(x) + (x[0].roll(-1, dims=0)[:, :1] - 3).relu()


jacobian = torch.autograd.functional.jacobian(switched_off, sequence)
later = jacobian[:, :, 0].norm(dim=(1, 3)).triu(1)[:-1]
moved = leak(switched_off, sequence)
assert float(sequence[..., 0].max()) < 3 and (later == 0).all() and moved > 1
print(f"no derivative by a later input, but outputs move by up to {moved:.0f}")

# %%
# .. solution-end::
#
# What causality buys
# -------------------
#
# Training needs causality: every position is asked for the next token, which stands in the input
# one place later. Writing gains something else. Since nothing at position :math:`t` can ever be
# changed by what comes after it, its keys and values are final. They can be kept, and each new
# token costs one query instead of a new pass over all that was written: the :term:`key-value
# cache`. We write the same prefix both ways.

with torch.no_grad():
    at_once, _, _ = model.decoder(batch.inputs, source)
    cache, one_by_one = None, []
    for token in batch.inputs.split(1, dim=1):
        logits, _, cache = model.decoder(token, source, cache=cache)
        one_by_one.append(logits)
difference = float((at_once - torch.cat(one_by_one, dim=1)).abs().max())
assert difference < 1e-5
print(f"one by one and at once, logits differ by at most {difference:.1e}")

# %%
# An encoder, whose later tokens change earlier ones, has nothing to keep: every new letter would
# change every output of the encoder.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* nothing :cite:p:`vaswani2017`. *From the handouts:* they add :math:`-10^7`;
#    we set :math:`-\infty`, and the first exercise compares the two. *From common practice:* fused
#    kernels take a flag and never build the mask.
#
# Summary
# -------
#
# Causal attention sets the scores of later keys to :math:`-\infty`. Later inputs can then be
# changed without moving an output, in one layer and in any stack of them. That makes keys and
# values final, and a cache possible. A derivative of zero follows from it, but does not prove it.
#
# Exercises
# ---------
#
# .. exercise-start:: How large is very negative?
#    :label: causal-finite
#
# *Easy.* The handouts add :math:`-10^7`. In float32, when is that the same as :math:`-\infty`, when
# not, and what about :math:`-200`? Give scores with which a masked key gets all of the attention,
# and a row for which :math:`-10^7` masks nothing at all.
#
# .. exercise-end::
#
# .. solution-start:: causal-finite
#    :label: causal-finite-answer
#    :class: dropdown
#
# In float32 :math:`e^{-x}` is zero from about :math:`x = 104` on. So both numbers mask exactly
# while the scores are far smaller than they are: :math:`-10^7` for any scores that a layer is
# likely to have, :math:`-200` for scores of some tens. A derivative or a change that is exactly
# zero tells neither from :math:`-\infty`. They differ where a masked score exceeds the others by as
# much, and in a row in which every key is masked: a finite number then cancels from the softmax,
# and all keys are seen. With :math:`-\infty` such a row has no softmax; we give it weights of zero.

both_masked = torch.zeros(1, 1, 2, dtype=bool)
_, nothing = causal.attend(sequence[:, :2], *causal.project(*[sequence[:, :2]] * 2), both_masked)
leads = (15, 250, 2e7)  # of the masked key over the other
for mask in (-200.0, -1e7, -torch.inf):
    given = {x: float(torch.tensor([0.0, x + mask]).softmax(dim=0)[1]) for x in leads}
    alone = torch.tensor([1.0, 2.0]).add(mask).softmax(dim=0)
    print(f"{mask:9}: a masked key gets {given}, two masked ones {alone.tolist()}")
    assert given[15] == 0  # exactly
    assert (given[250] == 1) == (mask == -200) and (given[2e7] == 0) == (mask == -torch.inf)
    assert bool(alone.isnan().any()) == (mask == -torch.inf)
assert (nothing == 0).all()

# %%
# .. solution-end::
#
# .. exercise-start:: Order without positions
#    :label: causal-order
#
# *Hard.* Plain attention cannot tell in which order its inputs stand (:doc:`positions`). Is causal
# attention blind to order, too? Decide, then test.
#
# .. exercise-end::
#
# .. solution-start:: causal-order
#    :label: causal-order-answer
#    :class: dropdown
#
# No. The mask depends on place: position :math:`t` averages over the first :math:`t` vectors, so
# who comes first matters. Permuting the inputs and permuting the outputs are no longer the same.

order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
for name, layer in {"plain": plain, "causal": causal}.items():
    of_permuted = layer(*[sequence[:, order]] * 3)[0]
    permuted = layer(*three)[0][:, order]
    difference = float((of_permuted - permuted).detach().abs().max())
    assert (difference < 1e-6) == (name == "plain")
    print(f"{name}: the two sides differ by {difference:.1e}")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
