r"""
One stack or two?
=================

After this page you can compare two architectures in a way that is fair to both: at equal numbers of
parameters, after equal numbers of words, and for equal compute. Three seeds leave one answer open.

On one side is the decoder-only model of the handouts. On the other is an
:doc:`encoder--decoder </translation>` with as many parameters. Both read the same words with the
same optimiser. The figure shows their losses on held-out words twice: by epoch, and by compute.
Lines are medians of three seeds, bands their range.
"""

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.intervals import student
from a3.runs.translation import DECODER_ONLY_RUN, TWO_STACKS_RUN, one_or_two_stacks
from a3.translation.decoding import translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import pig_latin, small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
runs = one_or_two_stacks()
one, two = (of_seeds[0].model for of_seeds in runs.values())
training, held_out = WordPairs(small_words()).split(seed=0)
epoch_flops = {
    "one stack": 3 * one.flops(Prompts(training)),
    "two stacks": 3 * two.flops(training),
}

figure, (left, right) = figures.subplots(
    1, 2, figsize=(8, 3.4), sharey=True,
    alt="""Validation loss of both models, log scale. By epoch they fall together,
    and the encoder-decoder stops earlier. By compute the encoder-decoder is ahead
    at first; in the end the bands overlap.""",
)  # fmt: skip
for (stacks, of_seeds), style in zip(runs.items(), ("-", "--"), strict=True):
    histories = [run.history for run in of_seeds]
    epochs = np.arange(1, min(history.epochs for history in histories) + 1)
    valid = [history.valid_loss[: len(epochs)] for history in histories]
    compute = epochs * epoch_flops[stacks] / 1e12
    figures.band(left, epochs, valid, stacks, ls=style)
    figures.band(right, compute, valid, stacks, ls=style)
left.set(yscale="log", xlabel="epochs", ylabel="validation loss (nats per token)")
right.set(xscale="log", xlabel="compute (TFLOPs)")
left.legend()

# %%
# The question
# ------------
#
# .. exercise-start:: Decoder-only against encoder--decoder (2025, 2.2-3; 2023, 3.2-3)
#    :label: d3
#
# Train the decoder-only model at width 128 with four layers and let it translate
# :cite:p:`handout2025,handout2023`. Is it better or worse than the encoder--decoder? What speaks
# for one stack of layers, and what for two?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    The handouts' encoder--decoders are 32 and 64 wide, this model is 128. Why would a comparison
#    with them prove nothing? If both have the same number of parameters, which needs more compute
#    for a word? Which letters can each look at while it reads the word?
#
# .. solution-start:: d3
#    :label: d3-answer
#    :class: dropdown
#
# **A fair opponent.** More parameters or more compute would help either model. So the
# encoder--decoder has three layers a side, and the width at which its parameters come closest. It
# takes half the compute for a word, since the letters of the word pass through its encoder only and
# those of the translation through its decoder only; one stack takes both through all its layers.


def params(model):
    """Number of parameters, embedding tables left out."""
    named = model.named_parameters()
    return sum(each.numel() for name, each in named if "embedding" not in name)


table = pd.DataFrame(
    {
        "model": stacks,
        "width": run["hidden"],
        "layers": run["layers"],
        "parameters": params(runs[stacks][0].model),
        "GFLOPs an epoch": epoch_flops[stacks] / 1e9,
        "epochs, at most": run["hyperparameters"].epochs,
        "patience": run["hyperparameters"].patience,
    }
    for stacks, run in zip(runs, (DECODER_ONLY_RUN, TWO_STACKS_RUN), strict=True)
)
assert abs(params(two) / params(one) - 1) < 0.03
assert epoch_flops["two stacks"] < 0.55 * epoch_flops["one stack"]
table.style.hide().format(precision=1, thousands=",")

# %%
# **Two comparisons.** We take the lowest validation loss that each has reached: once after equal
# numbers of epochs, once for equal compute. The encoder--decoder may use the compute of all the
# decoder-only model's epochs, but stops when its loss has not improved for thirty of its own.


def losses(stacks, flops):
    """Lowest validation loss of each seed within a budget."""
    epochs = max(1, int(1.001 * flops / epoch_flops[stacks]))
    histories = [run.history for run in runs[stacks]]
    return np.array([min(history.valid_loss[:epochs]) for history in histories])


def shown(found):  # median and range
    return f"{np.median(found):.3f} ({found.min():.3f} to {found.max():.3f})"


histories = [run.history for of_seeds in runs.values() for run in of_seeds]
common = min(history.epochs for history in histories)
total = DECODER_ONLY_RUN["hyperparameters"].epochs * epoch_flops["one stack"]
table = pd.DataFrame(columns=list(runs))
by_epoch = {
    n: [losses(stacks, n * epoch_flops[stacks]) for stacks in runs] for n in (10, 20, common)
}
for n, at_n in by_epoch.items():
    table.loc[f"{n} epochs"] = list(map(shown, at_n))
for C in (0.4e12, 0.8e12, 1.6e12, total):
    at_C = [losses(stacks, C) for stacks in runs]
    table.loc[f"{C / 1e12:.1f} TFLOPs"] = list(map(shown, at_C))
table.style

# %% **While compute is short, two stacks lead.** They make twice as many passes for it, and lead
# with every seed. After 10 epochs, which cost them half as much, one stack is ahead with every
# seed, after 20 and later neither is.
#
# **In the end we cannot tell.** Both come to know their training words by heart, and how low the
# validation loss gets is partly luck. A seed gives both models the same words, so we take the ratio
# of their losses seed by seed, and the interval of its geometric mean. It holds 1, and ratios far
# from it on both sides: three seeds are few.

of_one, of_two = at_C  # of all the compute
if full:
    ratio = np.log(of_one / of_two)
    low, high = np.exp(ratio.mean() + student(3) * ratio.std(ddof=1) * np.array([-1, 1]))
    print(f"loss of one stack over that of two: {low:.2f} to {high:.2f}")
    assert low < 0.5 and high > 2  # neither can be called better, nor are they equal
    for C in (0.4e12, 0.8e12):
        assert losses("two stacks", C).max() < losses("one stack", C).min()
    leads = [one_stack < two_stacks for one_stack, two_stacks in by_epoch.values()]
    assert leads[0].all() and all(len(set(own)) == 2 for own in leads[1:])
    for history in histories:  # known by heart
        assert np.mean(history.train_loss[-40:]) < history.best_loss / 5
    assert all(run.history.flops[-1] < total / 2 for run in runs["two stacks"])  # stopped

# %%
# **Whole words.** A loss is not a translation. The sentence of the handouts, from the first seed of
# each, and the share of the held-out words that are right in every letter:

SENTENCE = "the air conditioning is working"
print(f"{'truth':12}{pig_latin(SENTENCE)}")
for stacks, of_seeds in runs.items():
    print(f"{stacks:12}{translate(of_seeds[0].model, SENTENCE)}")
for stacks, of_seeds in runs.items():
    share = [run.accuracy for run in of_seeds]
    print(
        f"{stacks}: {np.median(share):.1%} of the held-out words are right "
        f"({min(share):.1%} to {max(share):.1%})"
    )

# %%
# **For one stack.** It is one kind of layer, trained and decoded by the same code, and any sequence
# with a mark in it is a task for it. Every layer sees both the word and what is written so far.
# At equal parameters and with compute to spare these seeds do not show it to be worse, or better.
#
# **For two.** The encoder reads the word in both directions, while a prompt is read from left to
# right: its first letters are encoded without knowing the others. And no letter passes through
# all the layers, so a word costs half the compute in training and in use. While compute is short,
# that decides.
#
# .. solution-end::
#
# Where this stops being true: the small list has a few thousand words. With more of them neither
# model could learn them by heart, and the end would not be left to the seed. Which words each gets
# wrong is the subject of :doc:`the next page <wrong_words>`.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* they set a decoder-only model of width 128 beside encoder--decoders of
#    widths 32 and 64. We give it an opponent of its own size, several seeds, and early stopping to
#    the opponent. *From common practice:* large decoder-only models gain from text that is no
#    translation at all, and from training on the prompt too. Neither is in play here.
#
# Summary
# -------
#
# At equal parameters the encoder--decoder takes half the compute for a word, and leads while
# compute is short, with every seed. With compute to spare both learn their words by heart, and
# three seeds cannot tell which ends lower. Say what is held equal, and try more than one seed.
#
# Exercises
# ---------
#
# .. exercise-start:: The price of a prompt
#    :label: one-or-two-prompt
#
# *Easy.* What share of the decoder-only model's tokens belong to the prompt, which has no loss?
#
# .. exercise-end::
#
# .. solution-start:: one-or-two-prompt
#    :label: one-or-two-prompt-answer
#    :class: dropdown
#
# A word and its marks are almost as long as its translation, so nearly half of the tokens only
# prepare for those that are scored.

prompts = Prompts(training)
share = 1 - prompts.tokens / int(prompts.lengths.sum())
assert 0.4 < share < 0.5
print(f"{share:.0%} of the tokens are prompt")

# %%
# .. solution-end::
#
# .. exercise-start:: As many layers a side
#    :label: one-or-two-layers
#
# *Medium.* Which width has as many parameters as the decoder-only model with two layers a side, and
# which with four? What does an epoch of each cost?
#
# .. exercise-end::
#
# .. solution-start:: one-or-two-layers
#    :label: one-or-two-layers-answer
#    :class: dropdown
#
# A layer of the encoder and one of the decoder have :math:`4H^2` and :math:`7H^2` weights, one of
# the decoder-only model :math:`4H^2`. The width shrinks with the root of the number of layers, and
# the cost stays within a tenth of what it was.

for layers in (2, 3, 4):
    models = [EncoderDecoder(width, layers) for width in range(60, 120, 2)]
    nearest = min(models, key=lambda model: abs(params(model) - params(one)))
    width = nearest.decoder.to_logits.in_features
    cost = 3 * nearest.flops(training)
    print(f"{layers} layers: width {width}, {cost / 1e9:.1f} GFLOPs an epoch")
    assert 0.9 < cost / epoch_flops["two stacks"] < 1.1

# %%
# .. solution-end::
#
# .. exercise-start:: Sampling
#    :label: one-or-two-sampling
#
# *Hard.* Draw each letter from the decoder-only model's distribution instead of taking the
# likeliest. Predict the share of right words from the losses, then sample, and compare.
#
# .. exercise-end::
#
# .. solution-start:: one-or-two-sampling
#    :label: one-or-two-sampling-answer
#    :class: dropdown
#
# A word is right if every draw is. So its chance is the product of the probabilities of its
# letters, :eq:`word-probability`, and the share expected is the mean over the words. Each letter
# may be drawn after the *true* ones before it: a word with an earlier mistake is wrong anyway.

batch = Prompts(held_out)[torch.arange(len(held_out))]
word = batch.scored // batch.inputs.shape[1]  # the word of each scored place
with torch.no_grad():
    logits = one(batch.inputs)[0].flatten(0, 1)[batch.scored]
costs = F.cross_entropy(logits, batch.targets, reduction="none")
expected = torch.zeros(len(held_out)).index_add(0, word, -costs).exp().mean().item()
p, generator = logits.softmax(dim=-1), torch.Generator().manual_seed(0)
drawn = torch.multinomial(p, 100, replacement=True, generator=generator)
wrong = (drawn != batch.targets[:, None]).float()
mistakes = torch.zeros(len(held_out), 100).index_add(0, word, wrong)
sampled = (mistakes == 0).float().mean().item()
greedy = runs["one stack"][0].accuracy
print(f"expected {expected:.1%}, sampled {sampled:.1%}, greedy {greedy:.1%}")
assert abs(sampled - expected) < 0.01
assert not full or sampled < greedy

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
