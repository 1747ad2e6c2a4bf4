r"""
Two sequences as one
====================

After this page you can turn a word and its translation into the one sequence that a decoder-only
model is trained on, and say what the mark between them is for and why the loss starts there.

The figure is such a model after two passes over the large word list. Each row is a place of the
sequence: it reads the token on its left, and below the line it must name the one on its right. In
the first layer the places of the translation look mostly at ``<EOP>``, the mark (here ``»``). In
the second most of those that copy a letter look at it.
"""

import math

import pandas as pd
import torch

from a3.lab.environment import profile
from a3.runs.short_runs import EXPERIMENTS, PromptToo
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.figures import attention_maps
from a3.translation.pig_latin import ALPHABET, large_words, pig_latin
from a3.translation.prompts import Prompts, generate_tensors_for_training_decoder_nmt
from a3.translation.word_pairs import EOP, EOS, SOS, WordPairs, encode

full = profile() == "full"
words = large_words() if full else large_words()[::10]

*runs, of_both = EXPERIMENTS["one sequence"].results()


def with_weights(model, run):
    model.load_state_dict(run["weights"])
    return model


def letters(tokens):
    marks = {SOS: "⊢", EOP: "»", EOS: "⏎"}
    return [marks.get(z) or ALPHABET[z] for z in tokens.tolist()]


models = [with_weights(DecoderOnlyTransformer(hidden=32, layers=2), run) for run in runs]
one = Prompts(WordPairs(["string"]))[torch.tensor([0])]
maps = [weights[0] for weights in models[0](one.inputs)[1]]
reads, names = letters(one.inputs[0]), letters(one.targets)
mark = reads.index("»")
figure = attention_maps(
    maps, reads, reads, titles=["first layer", "second layer"],
    alt="""Attention within string, end of prompt, ingstray. Places of the translation
    look at the end of the prompt in the first layer, at letters in the second.""",
)  # fmt: skip
for ax in figure.axes[:2]:
    ax.axhline(mark - 0.5, color="white", lw=1)
figure.axes[0].set_ylabel("reads")
right = figure.axes[1].secondary_yaxis("right")
right.set_yticks(range(mark, len(reads)), names, family="monospace")
right.set_ylabel("must name")
if full:
    assert maps[0][mark + 1 :, mark].mean() > 0.5
    looked_at = [reads[i] for i in maps[1][mark:].argmax(dim=1)]
    assert sum(map(str.__eq__, looked_at, names)) > 3  # of the six letters to copy

# %%
# The question
# ------------
#
# .. exercise-start:: Training tensors (2025, 2.2-1; 2023, 3.2-1)
#    :label: d1
#
# Words end in ``<EOP>``, the end of the :term:`prompt`, and translations in ``<EOS>``. Make of a
# pair the sequence that a :term:`decoder-only` model reads, which starts with ``<SOS>``, and that
# of the tokens that it must name :cite:p:`handout2025,handout2023`. Which places should be scored?
# Why is ``<EOP>`` needed?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write both sequences for ``team`` and ``eamtay`` under each other. They are equally long, and
#    one is the other moved by one place. Then leave ``<EOP>`` out, and continue ``be``, ``e``.
#
# .. solution-start:: d1
#    :label: d1-answer
#    :class: dropdown
#
# Let the word have :math:`S` tokens, ``<EOP>`` included, and the translation :math:`T`, ``<EOS>``
# included. With ``<SOS>`` they are one sequence :math:`z` of :math:`s + 1` tokens. The inputs
# leave out the last of them, the targets the first:
#
# .. math::
#    :label: decoder-sequence
#
#    \begin{aligned}
#    z &= (\texttt{SOS}, x_1, \dots, x_{S-1}, \texttt{EOP}, y_1, \dots, y_{T-1}, \texttt{EOS}),\\
#    \text{inputs} &= (z_0, \dots, z_{s-1}), \qquad \text{targets} = (z_1, \dots, z_s), \qquad
#    s = S + T . \end{aligned}


def one_sequence(source, target):
    start = torch.full_like(source[:, :1], SOS)
    inputs = torch.cat([start, source, target[:, :-1]], dim=1)  # (B, S + T)
    return inputs, torch.cat([source, target], dim=1)


source = torch.tensor([[*encode("team")[:-1], EOP]])
target = torch.tensor([encode("eamtay")])
inputs, targets = one_sequence(source, target)
theirs = generate_tensors_for_training_decoder_nmt(source, target)
assert torch.equal(inputs, theirs[0]) and torch.equal(targets, theirs[1])
assert torch.equal(inputs[:, 1:], targets[:, :-1])  # one place on

# %%
# The places to score are those that must name a token of the translation. The first is place
# :math:`S`, which *reads* ``<EOP>``. :class:`a3.translation.prompts.Prompts` keeps them with each
# batch.

S, s = source.shape[1], inputs.shape[1]
batch = Prompts(WordPairs(["team"]))[torch.tensor([0])]
assert batch.scored.tolist() == list(range(S, s))
assert torch.equal(batch.targets, target[0])
pd.DataFrame(
    {
        "place": range(s),
        "reads": letters(inputs[0]),
        "must name": letters(targets[0]),
        "scored": ["yes" if t in batch.scored else "" for t in range(s)],
    }
).style.hide()

# %%
# **Why a mark?** Without one, the same tokens can stand for two states of the work. A model that
# has read ``bee`` may have before it the word *bee*, or *be* and the first letter of *ebay*. We
# count such cases in the large list.

known = set(large_words())
clashes = {
    word + pig_latin(word)[:k]
    for word in known
    for k in range(1, len(word) + 2)
    if word + pig_latin(word)[:k] in known
}
assert "bee" in clashes and pig_latin("bee")[0] != pig_latin("be")[1]
print(f"{len(clashes)} words are another word and the start of its translation")

# %%
# The place that reads the mark is also the first that has seen the whole word, so it can find
# out where to cut. The last exercise shows that our models rely on it.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper* that made summaries in this way: its loss was on source and target
#    :cite:p:`liu2018`. *From the handouts:* they batch words of equal lengths; we pad. *From
#    common practice:* several short sequences are packed into one row in place of padding.
#
# Summary
# -------
#
# A word, ``<EOP>`` and a translation are one sequence, and the targets are the inputs moved by one,
# :eq:`decoder-sequence`. The mark says where the word ends, and the place that reads it names the
# first letter. The :doc:`next page <decoder_only>` is about the model.
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
# :math:`S = m + 1`. The translation adds *ay* or *way*, so :math:`T` is :math:`m + 3` or
# :math:`m + 4` and :math:`s` is :math:`2m + 4` or :math:`2m + 5`. More than half is scored.

plain = Prompts(WordPairs(word for word in large_words() if "-" not in word))
S, T = plain.word_pairs.source_lengths, plain.word_pairs.target_lengths
assert set((T - S).tolist()) == {2, 3} and torch.equal(plain.lengths, S + T)
print(f"{plain.tokens / int(plain.lengths.sum()):.0%} of the places are scored")

# %%
# .. solution-end::
#
# .. exercise-start:: A loss on the prompt as well
#    :label: decoder-only-prompt
#
# *Medium.* Score the prompt, too. Show that over any :math:`n` different words no model names the
# prompts for less than :math:`\ln n` nats a word. What is that floor for the translations?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-prompt
#    :label: decoder-only-prompt-answer
#    :class: dropdown
#
# Let :math:`q(x)` be the product of the model's probabilities along the prompt :math:`x`. Each
# prompt ends at its mark, so none is the beginning of another: they exclude each other, and
# :math:`\sum_x q(x) \le 1`. With Jensen's inequality,
#
# .. math::
#    :label: decoder-floor
#
#    \frac1n \sum_x -\ln q(x)
#    \ge -\ln\Bigl(\frac1n \sum_x q(x)\Bigr) \ge \ln n .
#
# A translation follows from its word, so its floor is zero. We train
# :class:`a3.runs.short_runs.PromptToo` with a loss on both.

both = with_weights(PromptToo(hidden=32, layers=2), of_both)
held_out = Prompts(WordPairs(words)).split()[1]
n = len(held_out)
batch = held_out[torch.arange(n)]
with torch.no_grad():
    prompt = float(both.prompt_loss(batch)) / n
    translation = float(both.loss(batch)[0]) / n - prompt
assert prompt > math.log(n) and (not full or prompt > translation)
share = prompt / (prompt + translation)
print(f"{prompt:.1f} nats a held-out prompt, {translation:.1f} a translation")
print(f"ln {n} = {math.log(n):.1f}; {share:.0%} of the loss is the prompt's")

# %%
# After one pass over the data most of the loss is the prompt's. It cannot fall below its floor, so
# its share would tend to one as translations become right. It measures how well the model spells,
# which nobody asked for.
#
# .. solution-end::
#
# .. exercise-start:: What the mark is used for
#    :label: decoder-only-mark
#
# *Hard.* The figure suggests that the places of the translation need what stands at ``<EOP>``.
# Test it: hide the mark from all later places in the first layer, and count the letters that are
# still right. What would be a fair comparison?
#
# .. exercise-end::
#
# .. solution-start:: decoder-only-mark
#    :label: decoder-only-mark-answer
#    :class: dropdown
#
# Hide another token in the same way, such as the last letter of the word. That one is missed far
# less than the mark.


def right_letters(model, hide):  # hide (B, s): what later places must not see
    x = model.positions(model.embedding(batch.inputs))
    looks = torch.eye(hide.shape[1]).bool() | ~hide[:, None]  # (B, s, s)
    for layer, mask in zip(model.layers, (looks, None), strict=True):
        x = x + layer.self_attention(x, x, x, mask)[0]
        x = x + layer.mlp(x)
    named = model.to_logits(x.flatten(0, 1)[batch.scored]).argmax(dim=1)
    return float((named == batch.targets).double().mean())


batch = held_out[torch.arange(400)]
marks = batch.inputs == EOP
for model in models:
    hidden = (marks & False, marks.roll(-1, 1), marks)
    right, last, mark = (right_letters(model, hide) for hide in hidden)
    print(f"{right:.0%} right; last letter hidden {last:.0%}, mark {mark:.0%}")
    assert not full or right - mark > 2 * (right - last)

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
