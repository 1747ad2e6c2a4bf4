r"""
The end of the prompt: what a trained model does with it
========================================================

After this page you can say what the mark after the word is for, test what a trained decoder-only
model uses, and let one write without computing anything twice.
"""

import math
from functools import partial
from timeit import timeit

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from a3.lab import figures
from a3.lab.environment import profile
from a3.runs.short_runs import EXPERIMENTS, PromptToo
from a3.translation.decoder_only import DecoderOnlyTransformer
from a3.translation.decoding import complete
from a3.translation.figures import attention_maps
from a3.translation.pig_latin import large_words, pig_latin
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import EOP, EOS, SOS, WordPairs, decode, encode

full = profile() == "full"
words = large_words() if full else large_words()[::10]
*runs, of_both = EXPERIMENTS["one sequence"].results()


def with_weights(model, run):
    model.load_state_dict(run["weights"])
    return model


models = [with_weights(DecoderOnlyTransformer(hidden=32, layers=2), run) for run in runs]
one = Prompts(WordPairs(["string"]))[torch.tensor([0])]
maps = [weights[0] for weights in models[0](one.inputs)[1]]
reads, names = ["⊢", *"string", "»", *"ingstray"], [*"ingstray", "⏎"]
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
# **Where a trained model looks.** It is :doc:`decoder-only <decoder_only>` and has seen the large
# list twice. Each row is a place of the sequence: it reads the token on its left, and below the
# line it must name the one on its right. In the first layer the places of the translation look
# mostly at ``<EOP>``, here ``»``. In the second most of those that copy a letter look at it.
#
# The question
# ------------
#
# .. exercise-start:: What the mark is used for (ours, after 2025, 2.2-1; 2023, 3.2-1)
#    :label: decoder-only-mark
#
# Why does the sequence need ``<EOP>`` :cite:p:`handout2025,handout2023`? And do trained models rely
# on it, as the figure suggests? Test it: hide the mark from all later places in the first layer,
# and count the letters that are still right. What would be a fair comparison?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write the sequences for ``be`` and ``bee`` without ``<EOP>``. What should come after ``bee``?
#
# .. solution-start:: decoder-only-mark
#    :label: decoder-only-mark-answer
#    :class: dropdown
#
# Without a mark the same tokens can stand for two states of the work. A model that has read ``bee``
# may have before it the word *bee*, or *be* and the first letter of *ebay*. We count such cases in
# the large list.

known = set(large_words())
clashes = {
    word + pig_latin(word)[:k] for word in known for k in range(1, len(word) + 2)
} & known
assert "bee" in clashes and pig_latin("bee")[0] != pig_latin("be")[1]
print(f"{len(clashes)} words are another word and the start of its translation")

# %%
# The place that reads the mark is also the first that has seen the whole word, so it can find out
# where to cut. For the test, hide another token in the same way, such as the last letter of the
# word. That one is missed far less than the mark, with either of two seeds.


@torch.no_grad()
def right_letters(model, hide):  # hide (B, s): what later places must not see
    x = model.positions(model.embedding(batch.inputs))
    looks = torch.eye(hide.shape[1]).bool() | ~hide[:, None]  # (B, s, s)
    for layer, mask in zip(model.layers, (looks, None), strict=True):
        x = x + layer.self_attention(x, x, x, mask)[0]
        x = x + layer.mlp(x)
    named = model.to_logits(x.flatten(0, 1)[batch.scored]).argmax(dim=1)
    return float((named == batch.targets).double().mean())


held_out = Prompts(WordPairs(words)).split()[1]
batch = held_out[torch.arange(400)]
marks = batch.inputs == EOP
for model in models:
    hidden = (marks & False, marks.roll(-1, 1), marks)
    right, last, mark = (right_letters(model, hide) for hide in hidden)
    print(f"{right:.0%} right; last letter hidden {last:.0%}, mark {mark:.0%}")
    assert not full or right - mark > 2 * (right - last)

# %% tags=["hide-input"]
# .. solution-end::
#
# Writing: nothing is computed twice
# ----------------------------------
#
# Nothing at a place depends on what is read later, so its keys and values are final.
# :func:`a3.translation.decoding.complete` holds them in a :term:`key-value cache`. It writes the
# same as reading everything again for each letter does. In operations a step is cheaper by exactly
# the number of tokens read, in time by less. Here are both, for a model of the handouts' size.


@torch.no_grad()
def read_again(model, word, longest=20):
    read, written = [SOS, *encode(word)[:-1], EOP], []
    while len(written) < longest and EOS not in written:
        written.append(int(model(torch.tensor([read + written]))[0][0, -1].argmax()))
    return decode(written)


few = ["quick", "string", "team", "well-known", "apple", "my", "writing"]
assert complete(models[0], few) == [read_again(models[0], word) for word in few]

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
    figsize=(6, 3),
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
assert all(np.median(of) < T for T, of in zip(lengths, in_time, strict=True))
assert 1.5 < np.median(in_time[-1]) < lengths[-1] / 2

# %%
# A step that reads the :math:`T`-th token has one query in each layer, where a pass over all
# :math:`T` has :math:`T`; :doc:`counting` counts this for whole words. Time falls less. The usual
# reason is memory: a step fetches all keys, values and weights to do little with each
# :cite:p:`pope2022`. We did not separate it from the fixed cost of a call.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* they read all again for each letter. *From common practice:* memory for
#    the cache is set aside once; ours is copied at each step.
#
# Summary
# -------
#
# The mark says where the word ends, and trained models rely on it. Causality makes keys and values
# final. Keeping them divides the operations of a step by the number of tokens read, and its time by
# less.
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

S, s = int(one.scored[0]), one.inputs.shape[1]
for front in (0, 3):
    padded = F.pad(one.inputs, (front, 3 - front), value=EOS)
    logits = models[0](padded)[0][0, front + S : front + s]
    loss = F.cross_entropy(logits, one.targets, reduction="sum")
    moved = abs(loss - models[0].loss(one)[0]).item()
    assert moved < 1e-4 if front == 0 else not full or moved > 1

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
# A translation follows from its word, so its floor is zero. :class:`a3.runs.short_runs.PromptToo`
# was trained with a loss on both, for one pass. Most of its loss is the prompt's, and that share
# would tend to one as translations become right. It measures how well the model spells, which
# nobody asked for.

both = with_weights(PromptToo(hidden=32, layers=2), of_both)
n = len(held_out)
batch = held_out[torch.arange(n)]
with torch.no_grad():
    prompt = float(both.prompt_loss(batch)) / n
    translation = float(both.loss(batch)[0]) / n - prompt
assert prompt > math.log(n) and (not full or prompt > translation)
print(f"{prompt:.1f} nats a held-out prompt, {translation:.1f} a translation")
print(f"ln {n} = {math.log(n):.1f}; {prompt / (prompt + translation):.0%} is the prompt's")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
