r"""
Four runs: what width buys, and what data buys
==============================================

After this page you can train a transformer that translates letters, read its two loss curves,
and say what a wider model and a larger word list each changed. You will also know why a low loss
is not yet a correct word.

The task is English into Pig Latin, one character at a time. The model is the encoder--decoder of
the handouts: one head, residual connections, no normalisation. We train it four times, at two
widths and on two word lists, with three seeds each.
"""

# %%
# These are the handouts' settings, to the letter. :func:`a3.sweeps.train_translator` is one run: it
# returns the weights that validated best, the history, and the share of held-out words that come out
# without a single wrong letter. Twelve runs go to as many processes as there are cores. Each result is
# kept: the next time this page is built, nothing is trained.

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from a3 import figures
from a3.pig_latin import WordPairs, large_words, pig_latin, small_words
from a3.sweeps import profile, run_all, train_translator
from a3.training import History, Hyperparameters
from a3.translation import EncoderDecoder, translate

SEEDS = (0, 1, 2)
HANDOUT = {
    ("large", 64, 3): Hyperparameters(epochs=50, batch_size=512, patience=20),
    ("large", 32, 3): Hyperparameters(epochs=100, batch_size=512, patience=10),
    ("small", 32, 4): Hyperparameters(epochs=100, batch_size=64, patience=100),
    ("small", 64, 3): Hyperparameters(epochs=50, batch_size=64, patience=20),
}
full = profile() == "full"
if not full:  # short training for a quick look; the page says so
    HANDOUT = {run: replace(hp, epochs=3) for run, hp in HANDOUT.items()}

settings = [
    dict(words=words, hidden=hidden, layers=layers, hyperparameters=replace(hp, seed=seed))
    for (words, hidden, layers), hp in HANDOUT.items()
    for seed in SEEDS
]
results = run_all(train_translator, settings)

runs = {}  # (words, hidden) -> one result a seed
for setting, result in zip(settings, results, strict=True):
    result["history"] = History(**result["history"])
    runs.setdefault((setting["words"], setting["hidden"]), []).append(result)

# %%
# **What the best of them looks at.** Each row is a letter being written, each column a letter of
# the English word. Look along a row for the letter that the model is copying.

model = EncoderDecoder(hidden=64, layers=3)
model.load_state_dict(runs["large", 64][0]["weights"])
word = "working"
batch = WordPairs([word])[torch.tensor([0])]
_, maps = model(batch.source, batch.inputs)
figure = figures.attention_maps(
    [weights[0] for weights in maps.cross],
    rows=[*pig_latin(word), "⏎"],
    columns=[*word, "⏎"],
    titles=[f"layer {i}" for i in (1, 2, 3)],
    alt=f"""Attention of each letter of {pig_latin(word)} to the letters of {word}, in the three
    layers of the decoder.""",
)

# %%
# The question
# ------------
#
# .. exercise-start:: The four runs (2025, 2.1-4; 2023, 3.1-4)
#    :label: n4
#
# Train the encoder--decoder at widths 32 and 64, on the small and on the large word list: four
# runs :cite:p:`handout2025,handout2023`. Draw the losses once by width and once by word list, and
# give the lowest validation loss of each run. How does more width change the loss as the iterations
# go by? How does more data? Which of the two helps generalisation, and is it what you expected?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write down three predictions before you open the answer. Which of the four runs ends lowest?
#    In which do training and validation loss drift apart? If the loss is 0.2 nats a character,
#    what share of whole words do you expect to be right?
#
# .. solution-start:: n4
#    :label: n4-answer
#    :class: dropdown
#
# **The figures asked for.** First by width. Lines are medians over three seeds, bands their range.
# A training point is the mean over one epoch.


def histories(words, hidden):
    return [result["history"] for result in runs[words, hidden]]


figure = figures.loss_curves(
    {
        f"{words} word list": {f"width {hidden}": histories(words, hidden) for hidden in (32, 64)}
        for words in ("small", "large")
    },
    alt="""Training and validation loss at widths 32 and 64, for the small and the large word
    list. The wider model is lower throughout.""",
)

# %%
# Then the same runs by word list.

figure = figures.loss_curves(
    {
        f"width {hidden}": {f"{words} list": histories(words, hidden) for words in ("small", "large")}
        for hidden in (32, 64)
    },
    alt="""Training and validation loss on the small and the large word list, at widths 32 and 64.
    The large list reaches a lower validation loss.""",
)

# %%
# **The lowest validation losses**, beside what the course's own starter code reached in one run at
# the same settings. Ours is per token and the starter's is a mean of batch means, so the two columns
# compare loosely. The last columns say what the loss means for whole words.

STARTER = {("small", 32): 0.764, ("large", 32): 0.532, ("small", 64): 0.361, ("large", 64): 0.232}


def median(run, value):
    return float(np.median([value(result) for result in runs[run]]))


table = pd.DataFrame(
    {
        "word list": words,
        "width": hidden,
        "lowest validation loss": median((words, hidden), lambda r: r["history"].best_loss),
        "seeds from": min(h.best_loss for h in histories(words, hidden)),
        "to": max(h.best_loss for h in histories(words, hidden)),
        "starter": STARTER[words, hidden],
        "words exactly right": median((words, hidden), lambda r: r["accuracy"]),
        "iterations": histories(words, hidden)[0].iterations[-1],
        "TFLOPs": histories(words, hidden)[0].flops[-1] / 1e12,
        "core seconds": median((words, hidden), lambda r: r["history"].seconds[-1]),
    }
    for words, hidden in runs
)
table.style.hide().format(precision=3).format("{:.0%}", subset=["words exactly right"]).format(
    "{:.0f}", subset=["core seconds"]
)

# %%
# **Width.** At either list the wider model falls faster per iteration and ends lower, with half the
# epochs. **Data.** At either width the larger list ends lower on held-out words. The next lines
# check both statements for every seed, and measure the gap between the last training loss and the
# lowest validation loss, which is what generalisation means here.


def best(words, hidden):
    return [history.best_loss for history in histories(words, hidden)]


def gap(words, hidden):
    last_epochs = [np.mean(h.train_loss[h.iterations[-2] :]) for h in histories(words, hidden)]
    lasts = [h.valid_loss[-1] for h in histories(words, hidden)]
    return float(np.median(np.subtract(lasts, last_epochs)))


if full:
    for words in ("small", "large"):
        assert max(best(words, 64)) < min(best(words, 32)), "wider is better"
    for hidden in (32, 64):
        assert max(best("large", hidden)) < min(best("small", hidden)), "more data is better"
        assert gap("large", hidden) < gap("small", hidden), "more data closes the gap"
    assert 0.5 < np.median(best("large", 32)) / np.median(best("small", 64)) < 2
    for run, reached in STARTER.items():
        assert np.median(best(*run)) <= reached, "no worse than the starter"

for words, hidden in runs:
    print(
        f"width {hidden}, {words} list: validation minus training loss at the end "
        f"is {gap(words, hidden):.3f} nats per token"
    )

# %%
# **The answer in six sentences.** A wider model learns more from each step: its loss falls faster
# per iteration and ends lower, on either list. More data gives a lower validation loss at either
# width. On the small list training loss keeps falling after validation loss has stopped: the model
# memorises. On the large list the two stay together, so the model is limited by what it can
# represent and by how long it trains, not by what it has seen. Both effects are the expected ones.
# What may surprise is the rate of exchange: the narrow model with the large list and the wide model
# with the small one end within a factor of two of each other, although one has seven times the
# words and the other about four times the weights.
#
# .. solution-end::
#
# From letters to words
# ---------------------
#
# A translation is right when every one of its letters is. Suppose every letter were equally hard,
# with the same loss :math:`\ell`. A word of :math:`T` tokens would then have probability
#
# .. math::
#    :label: word-probability
#
#    p(\text{word}) = \prod_{t=1}^{T} p(y_t \mid y_{<t}, x) = e^{-\ell T},
#
# and averaging :eq:`word-probability` over the held-out lengths would predict the share of right
# words. The figure draws that prediction beside what greedy decoding reached in each run.

lengths = WordPairs(large_words()).split()[1].target_lengths
losses = np.linspace(0, 1, 200)
even = [float((-loss * lengths).exp().mean()) for loss in losses]

figure, ax = figures.subplots(
    figsize=(6, 3.4),
    alt="""Share of held-out words translated exactly against validation loss, one point a run. All
    points lie above the curve that equally hard letters would give.""",
)
ax.plot(losses, even, color="#888888", ls="--", label="if every letter were equally hard")
for (run, results_of_run), marker in zip(runs.items(), "osD^", strict=True):
    points = [(r["history"].best_loss, r["accuracy"]) for r in results_of_run]
    ax.plot(*zip(*points, strict=True), marker, label=f"width {run[1]}, {run[0]} list")
    for loss, accuracy in points:
        assert not full or accuracy > np.interp(loss, losses, even), "errors are concentrated"
ax.set(xlabel="lowest validation loss (nats per token)", ylabel="words exactly right")
ax.legend();  # fmt: skip

# %%
# Every run lies far above the curve. Letters are not equally hard: a few words carry most of the loss,
# and the rest are nearly certain. So exact match can rise long after the loss looks flat, and the book
# never reports a loss alone. Here is the handouts' sentence at each setting, first seed.

SENTENCE = "the air conditioning is working"
print(f"{'truth':22}{pig_latin(SENTENCE)}")
for (words, hidden, layers) in HANDOUT:
    model = EncoderDecoder(hidden, layers)
    model.load_state_dict(runs[words, hidden][0]["weights"])
    print(f"{f'width {hidden}, {words} list':22}{translate(model, SENTENCE)}")

# %%
# .. admonition:: Where this differs
#    :class: note
#
#    *From the paper:* one head, no normalisation, no dropout, a one-layer MLP as wide as the model
#    :cite:p:`vaswani2017`. *From the handouts' starter:* it batches only words of exactly equal
#    lengths, so an epoch has many small batches and many more steps. We sort by length, pad, and mask:
#    fewer steps, full batches. Our word lists are close to the course's and not the same
#    (:doc:`/translation`). *From common practice:* one learning rate for every run. The
#    :doc:`next page <tuning>` measures what that hides.
#
# Summary
# -------
#
# Width and data each lower the validation loss, for every seed. More data also closes the gap between
# training and validation. Loss is not spread evenly over words, so exact match must be measured, not
# inferred.
#
# Exercises
# ---------
#
# .. exercise-start:: Who carries the loss?
#    :label: runs-hardest
#
# *Medium.* Rank the held-out words by their summed loss. What share of the total falls on the worst
# tenth? Which words are they?
#
# .. exercise-end::
#
# .. solution-start:: runs-hardest
#    :label: runs-hardest-answer
#    :class: dropdown
#
# In every run the worst tenth carries far more than a tenth. The words are long, rare, or not English.

for (words, hidden, layers), _ in HANDOUT.items():
    pairs = WordPairs(small_words() if words == "small" else large_words()).split()[1]
    model = EncoderDecoder(hidden, layers)
    model.load_state_dict(runs[words, hidden][0]["weights"])
    batch = pairs[torch.arange(len(pairs))]
    logits = model(batch.source, batch.inputs, batch.source_mask)[0].detach()
    loss = torch.nn.functional.cross_entropy(logits.mT, batch.targets, reduction="none").sum(dim=1)
    order = loss.argsort(descending=True)
    share = float(loss[order[: len(order) // 10]].sum() / loss.sum())
    assert not full or share > 0.3
    hardest = ", ".join(pairs.pairs[i][0] for i in order[:4])
    print(f"width {hidden}, {words} list: {share:.0%} of the loss. Hardest: {hardest}")

# %%
# .. solution-end::
#
# .. exercise-start:: What the starting loss should be
#    :label: runs-start
#
# *Medium.* A model that knows nothing spreads its probability evenly over the vocabulary. Is the first
# training loss near :math:`\ln 29`? Why is it higher here?
#
# .. exercise-end::
#
# .. solution-start:: runs-start
#    :label: runs-start-answer
#    :class: dropdown
#
# It is higher. Embeddings start with unit variance and nothing normalises the sum of the layers, so
# the first logits are not small: the model starts out confident, and wrong.

first = [h.train_loss[0] for words, hidden in runs for h in histories(words, hidden)]
print(f"first losses from {min(first):.2f} to {max(first):.2f}; ln 29 = {np.log(29):.2f}")
assert min(first) > np.log(29)

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :keyprefix: runs-
