r"""
Causal attention: no looking ahead
==================================

After this page you can mask attention so that no output depends on a later input, prove it with
a derivative rather than by eye, and say what causality buys when a model writes.

The figure shows how strongly each output depends on each input, for plain and for causal
attention. White is exactly zero.
"""

import torch

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

    jacobian = torch.autograd.functional.jacobian(
        outputs, sequence
    )  # (T, H, 1, T, H)
    return jacobian[:, :, 0].norm(dim=(1, 3))  # (T, T)


figure, axes = figures.subplots(
    1, 2, figsize=(6.4, 3), sharey=True,
    alt="""Size of the derivative of each output with respect to each input. Full for plain
    attention, lower triangular for causal attention.""",
)  # fmt: skip
for ax, (title, layer) in zip(
    axes, {"plain": plain, "causal": causal}.items(), strict=True
):
    norms = influence(layer)
    ax.imshow(norms.masked_fill(norms == 0, float("nan")), cmap="cividis")
    ax.set(title=title, xlabel="input position $i$")
    ax.grid(False)
axes[0].set_ylabel("output position $t$")

# %%
# The question
# ------------
#
# .. exercise-start:: Causal attention (2025, 2.1-2; 2023, 3.1-2)
#    :label: n2
#
# A decoder writes from left to right. Change scaled dot-product attention,
# :eq:`scaled-dot-attention`, so that the output at position :math:`t` uses no :term:`key` after
# :math:`t`, by adding a very negative number to some of the scores
# :cite:p:`handout2025,handout2023`. Which ones? How would you show that nothing leaks, other
# than by looking at the weights?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write the :math:`4 \times 4` matrix of what you would add. Then think of a number that is
#    zero exactly if output :math:`t` does not depend on input :math:`i` at all.
#
# .. solution-start:: n2
#    :label: n2-answer
#    :class: dropdown
#
# Add :math:`-\infty` to every score above the diagonal, before the softmax:
#
# .. math::
#    :label: causal-attention
#
#    \tilde\alpha_{ti} \leftarrow \tilde\alpha_{ti} + M_{ti}, \qquad
#    M_{ti} = \begin{cases} 0 & i \le t \\ -\infty & i > t. \end{cases}
#
# Since :math:`e^{-\infty} = 0`, a masked key has weight zero exactly, and the others still sum
# to one. Zeroing the weights *after* the softmax would break the sum, and worse: the later
# scores would still be in the denominator, so the future would leak through it.


def causal_attend(Q, K, V):
    scores = Q @ K.mT / Q.shape[-1] ** 0.5  # (B, T, T)
    M = torch.full((T, T), -torch.inf).triu(1)  # zero on and below the diagonal
    return (scores + M).softmax(dim=-1) @ V


context, weights = causal(sequence, sequence, sequence)
ours = causal_attend(causal.W_q(sequence), causal.W_k(sequence), causal.W_v(sequence))
assert torch.allclose(context, ours, atol=1e-6)
assert (weights.triu(1) == 0).all()  # exactly
assert torch.allclose(weights.sum(-1), torch.ones(1, T))

# %%
# The weights are where we put the mask, so they prove little. The evidence is the derivative of
# each output with respect to each input, :math:`\partial c_t / \partial x_i`: an :math:`H
# \times H` block for every pair of positions. If an output depends on a later input by any
# path, its block is not zero. The figure above draws the norm of each block; these lines check
# it.

norms = influence(causal)
assert (influence(plain) > 0).all()
assert (norms.triu(1) == 0).all()  # no output depends on a later input: exactly zero
assert (
    norms[torch.ones(T, T, dtype=bool).tril()] > 0
).all()  # and on every earlier one

# %%
# The check is about paths, so it works for a whole model. Here is the decoder of the book:
# embeddings to logits, three layers, all the target positions at once.

model = EncoderDecoder(hidden=H, layers=3)
batch = WordPairs(["working"])[torch.tensor([0])]
source = model.decoder.project(model.encoder(batch.source)[0])
embedded = model.decoder.embedding(batch.inputs).detach()


def decoder_logits(x):  # (1, T, H) -> (T, V)
    x = model.decoder.positions(x)
    for layer, annotations in zip(model.decoder.layers, source, strict=True):
        x, _, _ = layer(x, annotations)
    return model.decoder.to_logits(x)[0]


jacobian = torch.autograd.functional.jacobian(
    decoder_logits, embedded
)  # (T, V, 1, T, H)
norms = jacobian[:, :, 0].norm(dim=(1, 3))
assert (norms.triu(1) == 0).all() and (norms.diagonal() > 0).all()
print(
    f"largest derivative with respect to a later input: {float(norms.triu(1).max())}"
)

# %%
# .. solution-end::
#
# What causality buys
# -------------------
#
# Training needs causality to be honest: every position is asked for the next token, which
# stands in the input one place later. Writing gains something else. Since nothing at position
# :math:`t` can ever be changed by what comes after it, its keys and values are final. They can
# be kept, and each new token costs one query instead of a new pass over all that was written:
# the :term:`key-value cache`. We write the same prefix both ways.

with torch.no_grad():
    at_once, _, _ = model.decoder(batch.inputs, source)
    cache, one_by_one = None, []
    for token in batch.inputs.split(1, dim=1):
        logits, _, cache = model.decoder(token, source, cache=cache)
        one_by_one.append(logits)
difference = float((at_once - torch.cat(one_by_one, dim=1)).abs().max())
assert difference < 1e-5
print(
    f"{batch.inputs.shape[1]} tokens one by one and at once: logits differ by {difference:.1e}"
)

# %%
# Where this stops being true: a model whose later tokens may change earlier ones, such as the
# encoder, has nothing to keep. Every new letter would change every annotation.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* nothing :cite:p:`vaswani2017`. *From the handouts:* they add a large
#    finite number; we set :math:`-\infty`, and the first exercise shows why. *From common
#    practice:* fused kernels take a flag and never build the mask.
#
# Summary
# -------
#
# Causal attention sets the scores of later keys to :math:`-\infty`. The Jacobian of outputs by
# inputs is then lower triangular, exactly, for one layer and for any stack of them. That makes
# keys and values final, and a cache possible.
#
# Exercises
# ---------
#
# .. exercise-start:: A finite mask leaks
#    :label: causal-finite
#
# *Easy.* Mask with :math:`-10` in place of :math:`-\infty`. When does the future get through?
# Give a row of scores for which nearly all of the attention goes to a masked key.
#
# .. exercise-end::
#
# .. solution-start:: causal-finite
#    :label: causal-finite-answer
#    :class: dropdown
#
# When a later score exceeds the allowed ones by more than 10. Trained scores can do that; a
# mask must not depend on the size of what it masks.

scores = torch.tensor([0.0, 15.0])  # the second key is in the future
leaked = float((scores + torch.tensor([0.0, -10.0])).softmax(dim=0)[1])
assert leaked > 0.99
print(f"the masked key gets {leaked:.1%} of the attention")

# %%
# .. solution-end::
#
# .. exercise-start:: Order without positions
#    :label: causal-order
#
# *Hard.* Plain attention cannot tell in which order its inputs stand
# (:doc:`positions`). Is causal attention blind to order, too? Decide, then test.
#
# .. exercise-end::
#
# .. solution-start:: causal-order
#    :label: causal-order-answer
#    :class: dropdown
#
# No. The mask depends on place: position :math:`t` averages over the first :math:`t` vectors,
# so who comes first matters. Permuting the inputs and permuting the outputs are no longer the
# same.

order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
for name, layer in {"plain": plain, "causal": causal}.items():
    permuted = sequence[:, order]
    sides = (
        layer(permuted, permuted, permuted)[0],
        layer(sequence, sequence, sequence)[0][:, order],
    )
    difference = float((sides[0] - sides[1]).detach().abs().max())
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
