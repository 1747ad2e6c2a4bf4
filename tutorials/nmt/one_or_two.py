r"""
Decoder-only or encoder--decoder: one stack or two?
===================================================

After this page you can compare the two architectures in a way that is fair to both: at equal
numbers of parameters, after equal numbers of words, and for equal compute.
"""

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.intervals import student
from a3.lab.page import in_short, show
from a3.runs.translation import DECODER_ONLY_RUN, four_runs, one_or_two_stacks
from a3.translation.decoding import translate
from a3.translation.encoder_decoder import EncoderDecoder
from a3.translation.pig_latin import pig_latin, small_words
from a3.translation.prompts import Prompts
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
kinds = ("decoder-only", "encoder–decoder")
runs = dict(zip(kinds, one_or_two_stacks().values(), strict=True))
one, two = (of_seeds[0].model for of_seeds in runs.values())
training, held_out = WordPairs(small_words()).split(seed=0)
per_epoch = (3 * one.flops(Prompts(training)), 3 * two.flops(training))
epoch_flops = dict(zip(kinds, per_epoch, strict=True))

figure, (left, right) = figures.subplots(
    1, 2, figsize=(8, 3.2), sharey=True,
    alt="""Validation loss of both models, log scale. By epoch they fall together,
    and the encoder-decoder stops earlier. By compute the encoder-decoder is ahead
    at first; in the end the bands overlap.""",
)  # fmt: skip
for (name, of_seeds), style in zip(runs.items(), ("-", "--"), strict=True):
    valid = [run.history.valid_loss for run in of_seeds]
    epochs = np.arange(1, max(map(len, valid)) + 1)
    figures.band(left, epochs, valid, name, ls=style)
    figures.band(right, epochs * epoch_flops[name] / 1e12, valid, name, ls=style)
left.set(yscale="log", xlabel="epochs", ylabel="validation loss (nats per token)")
right.set(xscale="log", xlabel="compute (TFLOPs)")
left.legend()

# %% tags=["hide-input"]
# **At equal parameters, by epoch and by compute.** On one side is the decoder-only model of the
# handouts, on the other an encoder--decoder with as many parameters. Both read the same words with
# the same optimiser. The losses are on held-out words; lines are medians of three seeds, bands
# their range.
#
# The question
# ------------
#
# .. exercise-start:: Decoder-only against encoder--decoder (2025, 2.2-3; 2023, 3.2-3)
#    :label: d3
#
# Train the decoder-only model at width 128 with four layers and let it translate
# :cite:p:`handout2025,handout2023`. How good are its translations beside those of the
# encoder--decoder? What are the pros and cons of the decoder-only approach?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    The handouts' encoder--decoders are 32 and 64 wide. Why would a comparison with them not be
#    fair? If both have the same number of parameters, which needs more compute for a word? Which
#    letters can each look at while it reads the word?
#
# .. solution-start:: d3
#    :label: d3-answer
#    :class: dropdown
#

def params(model):
    """Number of parameters, embedding tables left out."""
    named = model.named_parameters()
    return sum(each.numel() for name, each in named if "embedding" not in name)


handouts = {"decoder-only, width 128": runs["decoder-only"]} | {
    f"encoder–decoder, width {hidden}": four_runs()["small", hidden] for hidden in (64, 32)
}


def row(of_seeds):
    measured = [
        (run.history.best_loss, run.accuracy, run.history.flops[-1] / 1e12)
        for run in of_seeds
    ]
    return [params(of_seeds[0].model), *np.median(measured, axis=0)]


def losses(name, flops):
    """Lowest validation loss of each seed within a budget."""
    epochs = max(1, int(1.001 * flops / epoch_flops[name]))
    return np.array([min(run.history.valid_loss[:epochs]) for run in runs[name]])


columns = ["parameters", "validation loss", "words right", "TFLOPs"]
table, fair = (pd.DataFrame(map(row, of.values()), of, columns) for of in (handouts, runs))
total = DECODER_ONLY_RUN["hyperparameters"].epochs * epoch_flops["decoder-only"]
ratio = np.log(losses("decoder-only", total) / losses("encoder–decoder", total))
low, high = np.exp(ratio.mean() + student(3) * ratio.std(ddof=1) * np.array([-1, 1]))
cost = epoch_flops["decoder-only"] / epoch_flops["encoder–decoder"]
(a, b, _), (c, d, _) = table.iloc[:, 1:].to_numpy()[:2]
more = table.iloc[0] / table.iloc[1]
if full:
    for own, its in zip(*list(handouts.values())[:2], strict=True):  # seed by seed
        assert own.history.best_loss < its.history.best_loss and own.accuracy > its.accuracy
    assert more["parameters"] > 1.5 and more["TFLOPs"] > 5
    assert abs(params(two) / params(one) - 1) < 0.03 and 1.9 < cost < 2.2
    for C in (0.4e12, 0.8e12):
        assert losses("encoder–decoder", C).max() < losses("decoder-only", C).min()
    assert low < 0.5 and high > 2  # neither can be called better, nor are they equal
in_short(
    """At the handouts' settings the decoder-only model translates better, with every seed: its
    validation loss is {a:.2f} and {b:.0%} of the held-out words come out right, beside {c:.2f} and
    {d:.0%} of the wider encoder–decoder on the same list (medians of three seeds). But it has
    {parameters:.1f} times the parameters and used {flops:.0f} times the compute. Against an
    encoder–decoder with as many parameters it is behind while compute is short, with every seed,
    and with compute to spare these seeds cannot tell which ends lower.

    Pros: it is one kind of layer, trained and decoded by the same code; every layer sees the word
    and what is written so far; and any sequence with a mark in it is a task for it. Cons: it
    reads the word from left to right only, so the first letters are encoded without knowing the
    others. And every token goes through all of its layers, so at equal parameters a word costs
    {cost:.1f} times the compute.""",
    a=a, b=b, c=c, d=d, parameters=more["parameters"], flops=more["TFLOPs"], cost=cost,
)

# %% tags=["hide-input"]
# **The models of the handouts**, side by side on the small list, at their own settings: the
# decoder-only one, and the encoder--decoders of :doc:`four_runs`. Numbers are medians over three
# seeds. The decoder-only model is the better one, and the larger one, trained with more compute:
# that it is decoder-only is not the only difference.

formats = {"parameters": "{:,.0f}", "words right": "{:.1%}", "TFLOPs": "{:.1f}"}
show(table.style.format(formats, precision=3))

# %% tags=["hide-input"]
# The handouts' sentence, from the first seed of each:

SENTENCE = "the air conditioning is working"
print(f"{'truth':27}{pig_latin(SENTENCE)}")
for name, of_seeds in handouts.items():
    print(f"{name:27}{translate(of_seeds[0].model, SENTENCE)}")

# %% tags=["hide-input"]
# **A fair opponent.** More parameters or more compute would help either model. So we give the
# encoder--decoder three layers a side, and the width, 90, at which its parameters come closest. It
# takes half the compute for a word, since the letters of the word pass through its encoder only and
# those of the translation through its decoder only; one stack takes both through all its layers.
# With its epochs limited by the same compute, it stops when its loss has not improved for thirty.

show(fair.style.format(formats, precision=3))

# %% tags=["hide-input"]
# **Equal epochs and equal compute.** The lowest validation loss that each has reached: median and
# range over the seeds. The last row is the end of both. Two stacks have stopped by then, well
# before they have spent what one stack does.


def shown(found):
    return f"{np.median(found):.3f} ({found.min():.3f} to {found.max():.3f})"


histories = [run.history for of_seeds in runs.values() for run in of_seeds]
common = min(history.epochs for history in histories)
by_epoch = {
    n: [losses(name, n * epoch_flops[name]) for name in kinds] for n in (10, 20, common)
}
budgets = (0.4e12, 0.8e12, 1.6e12, total)
by_compute = {C: [losses(name, C) for name in kinds] for C in budgets}
rows = {f"{n} epochs": list(map(shown, found)) for n, found in by_epoch.items()}
for C, found in by_compute.items():
    until = f"{C / 1e12:.1f} TFLOPs" if C < total else "the end"
    rows[until] = list(map(shown, found))
if full:
    leads = [of_one < of_two for of_one, of_two in by_epoch.values()]
    assert leads[0].all() and all(len(set(own)) == 2 for own in leads[1:])
    for history in histories:  # known by heart
        assert np.mean(history.train_loss[-40:]) < history.best_loss / 5
    assert all(run.history.flops[-1] < total / 2 for run in runs["encoder–decoder"])  # stopped
    print(f"loss of one stack over that of two, with all the compute: {low:.2f} to {high:.2f}")
show(pd.DataFrame.from_dict(rows, orient="index", columns=list(runs)).style)

# %%
# **While compute is short, two stacks lead.** They make twice as many passes for it, and the worst
# of their seeds is ahead of the best of one stack's. After 10 epochs, which cost them half as much,
# one stack is ahead with every seed; after 20 and later it is so with some seeds only.
#
# **In the end we cannot tell.** Both come to know their training words by heart, and how low the
# validation loss gets is partly luck. A seed gives both models the same words, so we take the ratio
# of their losses seed by seed, and the interval of its geometric mean. It holds 1, and ratios far
# from it on both sides: three seeds are few.
#
# .. solution-end::
#
# With more words than the few thousand of the small list neither model could learn them by heart.
# Which words each gets wrong is the subject of :doc:`wrong_words`.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the handouts:* we add an opponent of equal size, with early stopping, and several seeds.
#    *From common practice:* large decoder-only models gain from text that is no translation at all,
#    and from training on the prompt too. Neither is in play here.
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
    assert 0.9 < cost / epoch_flops["encoder–decoder"] < 1.1

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
greedy = runs["decoder-only"][0].accuracy
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
