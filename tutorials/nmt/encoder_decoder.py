r"""
The encoder--decoder transformer, from its equations
====================================================

After this page you can draw the encoder--decoder, give the shape of every tensor in it, and say
what it computes once a word, what once a letter, and what it keeps in between.
"""

import math

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from a3.lab.drawing import Drawing
from a3.lab.page import show
from a3.runs.translation import four_runs
from a3.translation.attention import positional_encoding
from a3.translation.decoding import translate
from a3.translation.pig_latin import small_words
from a3.translation.word_pairs import SOS, WordPairs, decode

drawing = Drawing(
    560, 345,
    alt="""The encoder on the left: tokens of the word, embedding and positions, then a stack of
    layers of self-attention and MLP. The decoder on the right: tokens written so far, embedding and
    positions, then a stack of layers of causal self-attention, cross-attention and MLP, then a
    linear map to logits. An arrow leads from the encoder's output into every cross-attention.""",
)  # fmt: skip
decoder = ("causal self-attention", "cross-attention", "MLP")
for x, tokens, parts in (
    (20, "English word  (B, S)", ("self-attention", "MLP")),
    (310, "letters so far  (B, T)", decoder),
):
    middle, top = x + 115, 240 - 56 * len(parts)
    drawing.text(middle, 334, tokens, size=15)
    drawing.arrow((middle, 324), (middle, 306))
    drawing.box(x, 274, 230, 32, "embedding + positions", color=0, size=15)
    drawing.arrow((middle, 274), (middle, 240))
    drawing.box(x, top, 230, 262 - top, dashed=True)
    drawing.text(x + 224, top + 11, "× L", align="end", size=13)
    for number, part in enumerate(parts):
        y = 208 - 56 * number
        drawing.box(x + 32, y, 176, 32, part, color=2 if part == "MLP" else 1, size=15)
        drawing.arrow((middle, y), (middle, y - 24), head=number + 1 < len(parts))
        drawing.arrow((middle, y + 44), (x + 16, y + 44), (x + 16, y - 8), (middle, y - 8))
drawing.arrow((135, 128), (135, 112))
drawing.text(135, 100, "annotations  (B, S, H)", size=15)
drawing.arrow((225, 100), (280, 100), (280, 168), (342, 168), color=3)
drawing.arrow((425, 72), (425, 46))
drawing.box(310, 14, 230, 32, "linear: logits  (B, T, V)", color=0, size=15)
show(drawing)

# %%
# **The whole model.** The loop around each box is a residual connection: what the box gives is
# added to what it got. The encoder reads the word once. The decoder reads what is written so far
# and the encoder's output, and scores the next letter. A word has :math:`S` tokens and its
# translation :math:`T`; vectors have the width :math:`H`, the alphabet :math:`V` tokens.
#
# The handouts give this model and ask for two parts, :doc:`attention <attention>` and its
# :doc:`causal form <causal>`.
#
# The question
# ------------
#
# .. exercise-start:: The whole model by hand (ours)
#    :label: e1
#
# You are given the weights of a trained encoder--decoder and nothing else: no modules. Compute its
# logits with products, softmax and ReLU. Which of the results can be kept when the next letter is
# to be written?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Where does the decoder take its queries from in cross-attention, and where its keys? How many
#    times is each encoder layer computed for a word of nine letters?
#
# .. solution-start:: e1
#    :label: e1-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short with-code
#
#    Every layer is attention and a ReLU layer, each added to its input. Cross-attention is the same
#    attention with queries from the decoder, and keys and values from the encoder's output. Kept
#    are the keys and values of the encoder's output, and those of the letters already written.

model = four_runs()["large", 64][0].model.double()
W, layers = model.state_dict(), len(model.encoder.layers)
positions = positional_encoding(128, 64).double()


def linear(x, name):
    return x @ W[f"{name}.weight"].T + W[f"{name}.bias"]


def attention(x, y, name, mask):
    """Queries from x, (B, T, H); keys and values from y, (B, S, H)."""
    Q, K = linear(x, f"{name}.W_q"), linear(y, f"{name}.W_k")
    scores = Q @ K.mT / math.sqrt(Q.shape[-1])  # (B, T, S)
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
    return weights @ linear(y, f"{name}.W_v")  # (B, T, H)


def encode(source, mask):
    x = W["encoder.embedding.weight"][source] + positions[: source.shape[1]]
    for i in range(layers):
        x = x + attention(x, x, f"encoder.layers.{i}.self_attention", mask)
        x = x + linear(x, f"encoder.layers.{i}.mlp.0").relu()
    return x


def score(letters, Z, mask):
    T = letters.shape[1]
    causal = torch.ones(T, T, dtype=torch.bool).tril()
    x = W["decoder.embedding.weight"][letters] + positions[:T]  # (B, T, H)
    for i in range(layers):
        x = x + attention(x, x, f"decoder.layers.{i}.self_attention", causal)
        x = x + attention(x, Z, f"decoder.layers.{i}.cross_attention", mask)
        x = x + linear(x, f"decoder.layers.{i}.mlp.0").relu()
    return linear(x, "decoder.to_logits")  # (B, T, V)


batch = WordPairs(small_words())[torch.arange(256)]
with torch.no_grad():
    logits, maps = model(batch.source, batch.inputs, batch.source_mask)
    Z = encode(batch.source, batch.source_mask)
    difference = (score(batch.inputs, Z, batch.source_mask) - logits).abs().max()
assert difference < 1e-6
print(f"largest difference of {logits.numel():,} logits: {difference:.0e}")

# %%
# **The equations.** A token :math:`a_t` becomes a vector: a row of the embedding table :math:`E`
# and the encoding :math:`P_t` of its :doc:`place <positions>`,
#
# .. math::
#    :label: e1-embedding
#
#    x_t = E_{a_t} + P_t .
#
# Let :math:`\operatorname{att}(X, Y)` be :eq:`projected-attention` with queries from the rows of
# :math:`X` and keys and values from those of :math:`Y`. A layer of the encoder is
#
# .. math::
#    :label: e1-encoder
#
#    X' = X + \operatorname{att}(X, X), \qquad X'' = X' + \operatorname{ReLU}(X' W + b),
#
# and the last of them gives the *annotations* :math:`Z`, of shape :math:`B \times S \times H`. A
# layer of the decoder has one step more, :term:`cross-attention`:
#
# .. math::
#    :label: e1-decoder
#
#    \begin{aligned}
#    X' &= X + \operatorname{att}_{\text{causal}}(X, X), \\
#    X'' &= X' + \operatorname{att}(X', Z), \\
#    X''' &= X'' + \operatorname{ReLU}(X'' W + b).
#    \end{aligned}
#
# Each of its positions asks its own question of all of the word. That is the only way from the
# word to the translation. The logits are a linear map of the last :math:`X'''`. Training scores all
# positions of the translation at once, since the causal mask hides what is not yet written.
#
# **The shapes**, for these words. Padding makes all words of a batch as long as the longest:

tensors = [
    ("tokens of the word", "B S", batch.source),
    ("annotations", "B S H", Z),
    ("an encoder layer's weights", "B S S", maps.encoder[0]),
    ("letters so far", "B T", batch.inputs),
    ("a decoder layer's own weights", "B T T", maps.decoder[0]),
    ("its weights on the word", "B T S", maps.cross[0]),
    ("logits", "B T V", logits),
]
H, V = W["encoder.embedding.weight"].shape[1], len(W["decoder.to_logits.bias"])
sizes = dict(B=256, S=batch.source.shape[1], T=batch.inputs.shape[1], H=H, V=V)
for _, shape, tensor in tensors:
    assert [sizes[letter] for letter in shape.split()] == [*tensor.shape]
table = pd.DataFrame(tensors, columns=["tensor", "shape", "here"])
table["here"] = [" × ".join(map(str, tensor.shape)) for tensor in table["here"]]
show(table.style.hide())

# %% tags=["hide-input"]
# .. solution-end::
#
# One letter at a time
# --------------------
#
# To translate, the decoder writes a letter, reads it, and writes the next. Run as above it would
# compute every letter again at each step. Nothing of it changes, though: by the causal mask a
# position never sees a later one. So two things are kept:
#
# - the annotations' keys and values for the cross-attention of every layer: :math:`2LSH` numbers,
#   computed once;
# - the keys and values of the letters written so far, for the causal self-attention: :math:`2LtH`
#   numbers after :math:`t` letters, each computed when its letter is read.
#
# A step then computes one query in each attention, and the logits of one position.

drawing = Drawing(
    560, 190,
    alt="""One step of decoding: the last letter goes through the decoder, which reads the keys and
    values of the word and of the letters so far, adds its own, and gives the next letter.""",
)  # fmt: skip
drawing.box(10, 20, 210, 60, "keys and values of the word\n2 L S H, once a word", color=3)
drawing.box(10, 110, 210, 60, "keys and values so far\n2 L t H, grows by each letter", color=3)
drawing.box(300, 65, 110, 60, "decoder,\none position", color=1)
drawing.arrow((220, 50), (300, 82))
drawing.arrow((220, 132), (300, 104))
drawing.arrow((330, 125), (330, 155), (220, 155), dashed=True)
drawing.text(338, 165, "adds its own", align="start", size=13)
drawing.arrow((410, 95), (460, 95))
drawing.text(505, 95, "next letter", size=15)
drawing.arrow((505, 84), (505, 40), (355, 40), (355, 65), dashed=True)
show(drawing)

# %%
# We write the words both ways, and count the floating-point operations of their products with
# torch's own counter.


@torch.no_grad()
def write(words, keep):
    """Greedy translations, keeping keys and values or computing all again."""
    pairs = WordPairs(words)[torch.arange(len(words))]
    annotations, _ = model.encoder(pairs.source, pairs.source_mask)
    letters, cache = torch.full((len(words), 1), SOS), None
    source = model.decoder.project(annotations)
    for _ in range(20):
        if not keep:
            source, cache = model.decoder.project(annotations), None
        new = letters[:, -1:] if keep else letters
        logits, _, cache = model.decoder(new, source, pairs.source_mask, cache)
        letters = torch.cat([letters, logits[:, -1:].argmax(dim=-1)], dim=1)
    return [decode(row) for row in letters[:, 1:].tolist()]


words, spent = small_words()[:200], {}
for keep in (True, False):
    with FlopCounterMode(display=False) as counter:
        written = write(words, keep)
    spent[keep] = counter.get_total_flops()
    assert written == translate(model, words)  # the same letters
print(f"operations: {spent[False] / spent[True]:.1f} times as many if nothing is kept")
assert spent[False] > 8 * spent[True]

# %%
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper* :cite:p:`vaswani2017`: one head without an output projection, no layer norm,
#    no dropout, an MLP of one layer, embeddings neither scaled nor shared with the logits.
#    :doc:`modern` puts most of them back, one at a time. *From the handouts:* they compute all
#    letters again at each step, and pad nothing, since their batches have words of one length.
#
# Summary
# -------
#
# Two stacks of the same two parts, and one bridge: every layer of the decoder attends to the
# encoder's output. Training scores all letters at once. Writing goes letter by letter, and keeps
# the keys and values of the word and of what is written.
#
# Exercises
# ---------
#
# .. exercise-start:: Without the bridge
#    :label: encoder-decoder-bridge
#
# *Medium.* Take the cross-attention out of the trained decoder, that is, set what it adds to zero.
# Which words does it write for *cat* and for *string*?
#
# .. exercise-end::
#
# .. solution-start:: encoder-decoder-bridge
#    :label: encoder-decoder-bridge-answer
#    :class: dropdown
#
# The same for both: nothing else brings the word to the decoder.

seeing = translate(model, "cat string")
for layer in model.decoder.layers:
    layer.cross_attention.W_v.register_forward_hook(lambda module, inputs, output: 0 * output)
blind = translate(model, ["cat", "string"])
assert blind[0] == blind[1]
print(f"with cross-attention: {seeing}; without it, both: {blind[0]}")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
