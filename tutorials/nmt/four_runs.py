r"""
Training the encoder--decoder: what width buys, and what data buys
==================================================================

After this page you can train a transformer that translates letters, read its two loss curves,
and say what a wider model and a larger word list each change.
"""

import numpy as np
import pandas as pd
import torch

from a3.lab.elsewhere import elsewhere
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.translation import FOUR_RUNS, four_runs
from a3.translation.decoding import translate
from a3.translation.figures import attention_maps, loss_curves
from a3.translation.pig_latin import large_words, pig_latin, small_words
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
LISTS = {"small": small_words, "large": large_words}
found = four_runs()
runs = {(words, hidden): found[words, hidden] for words in LISTS for hidden in (32, 64)}

word = "working"
batch = WordPairs([word])[torch.tensor([0])]
_, maps = runs["large", 64][0].model(batch.source, batch.inputs)
figure = attention_maps(
    [weights[0] for weights in maps.cross],
    rows=[*pig_latin(word), "⏎"],
    columns=[*word, "⏎"],
    titles=[f"layer {i}" for i in (1, 2, 3)],
    alt=f"""Attention of each letter of {pig_latin(word)} to the letters of {word}, in the
    three layers of the decoder.""",
)

# %% tags=["hide-input"]
# .. live-figure:: translate
#
# **What one of the models looks at.** Each row is a letter being written, each column a
# letter of the English word. Look along a row for the letter that the model is copying. The task is
# English into Pig Latin, one character at a time (:doc:`/translation`). The model is
# the encoder--decoder of the handouts: one head, residual connections, no normalisation. We train
# it four times, at two widths and on two word lists, with three seeds each.
#
# The question
# ------------
#
# .. exercise-start:: The four runs (2025, 2.1-4; 2023, 3.1-4)
#    :label: n4
#
# Train the encoder--decoder at widths 32 and 64, on the small and on the large word list: four
# runs :cite:p:`handout2025,handout2023`. Draw the losses once by width and once by word list,
# and give the lowest validation loss of each run. How does more width change the loss as the
# iterations go by? How does more data? Which of the two helps generalisation, and is it what you
# expected?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Write down three predictions before you open the answer. Which of the four runs ends lowest?
#    In which do training and validation loss drift apart? What share of whole words will be right
#    where the loss is lowest?
#
# .. solution-start:: n4
#    :label: n4-answer
#    :class: dropdown

def histories(words, hidden):
    return [run.history for run in runs[words, hidden]]


starter = elsewhere("starter's encoder-decoder")["value"]  # and the source of each

each = pd.DataFrame(
    {
        "word list": words,
        "width": hidden,
        "validation loss": run.history.best_loss,
        "starter": starter[f"{words} {hidden}"],
        "gap": run.history.valid_loss[-1]
        - np.mean(run.history.train_loss[run.history.iterations[-2] :]),
        "words right": run.accuracy,
        "iterations": run.history.iterations[-1],
        "TFLOPs": run.history.flops[-1] / 1e12,
        "core seconds": run.history.seconds[-1],
    }
    for (words, hidden), of_seeds in runs.items()
    for run in of_seeds
)


def between(numbers, one, other):
    """Least and greatest ratio of a number of one run and of another, over pairs of seeds."""
    numbers = numbers.groupby(["word list", "width"])
    low, high = numbers.min(), numbers.max()
    return low[one] / high[other], high[one] / low[other]


at_1400 = [np.mean(h.train_loss[1_300:1_500]) for key in runs for h in histories(*key)]
columns = each.assign(training=at_1400).set_index(["word list", "width"])
loss, gap, training = (columns[name] for name in ("validation loss", "gap", "training"))
by_width = [between(training, (words, 32), (words, 64)) for words in ("small", "large")]
by_list = [between(training, ("small", hidden), ("large", hidden)) for hidden in (32, 64)]
exchange = between(loss, ("large", 32), ("small", 64))
trained_on = {w: len(WordPairs(every()).split()[0]) for w, every in LISTS.items()}
weights = {h: sum(p.numel() for p in runs["large", h][0].model.parameters()) for h in (32, 64)}
times_words, times_weights = trained_on["large"] / trained_on["small"], weights[64] / weights[32]
if full:
    for words in ("small", "large"):
        assert between(loss, (words, 64), (words, 32))[1] < 1  # wider is better
    for hidden in (32, 64):
        assert between(loss, ("large", hidden), ("small", hidden))[1] < 1  # so is more data
    data = [between(gap, ("large", hidden), ("small", hidden)) for hidden in (32, 64)]
    width = [between(gap, (words, 64), (words, 32)) for words in ("small", "large")]
    assert max(high for _, high in data) < 1 / 3  # with a smaller gap
    assert max(high for _, high in data) < min(low for low, _ in width)  # more so than by width
    least_by_width = min(low for low, _ in by_width)
    assert least_by_width > 1  # at equal iterations
    assert all(1 / least_by_width < low < high < least_by_width for low, high in by_list)
    assert 0.5 < exchange[0] < exchange[1] < 2
    assert 6.5 < times_words < 7.5 and 3.5 < times_weights < 4.5
    assert (each["validation loss"] <= each["starter"]).all()

low = each.groupby(["word list", "width"])["validation loss"].median()
in_short(
    """The lowest validation losses of the narrow and the wide model are {s32:.2f} and {s64:.2f} on
    the small list, {l32:.2f} and {l64:.2f} on the large one. With more width the loss falls faster
    per iteration and ends lower, on either list. With more data, in larger batches, the loss by
    iteration changes less, for some seeds up and for others down, but the validation loss ends
    lower at either width. More data helps generalisation most: the gap between validation and
    training loss is less than a third as large, and width closes it less. Both directions are
    expected. What may surprise is the rate of exchange: the narrow model with the large list and
    the wide one with the small list end within a factor of two of each other, although the first
    has {times_words:.1f} times the words and the second {times_weights:.1f} times the weights.""",
    **dict(zip(("s32", "s64", "l32", "l64"), low[list(runs)], strict=True)),
    **{"times_words": times_words, "times_weights": times_weights},
)

# %%
# **The settings** are the handouts', and differ in more than width and list: the narrow model has
# one layer more on the small list, batches are eight times as large on the large one, and epochs
# and patience change, too. So a comparison below says less of width or data alone.

settings = pd.DataFrame(
    {
        "word list": run["words"],
        "width": run["hidden"],
        "layers": run["layers"],
        **vars(run["hyperparameters"]),
    }
    for run in FOUR_RUNS
).drop(columns="seed")
show(settings.style.hide().format(precision=4))

# %% tags=["hide-input"]
# **The figures asked for.** First by width. Lines are medians over three seeds, bands their
# range. A training point is the mean over one epoch.

figure = loss_curves(
    {
        f"{words} list": {
            f"width {hidden}": histories(words, hidden) for hidden in (32, 64)
        }
        for words in ("small", "large")
    },
    alt="""Training and validation loss at widths 32 and 64, for the small and the large word
    list. The wider model ends lower on both.""",
)

# %% tags=["hide-input"]
# Then the same runs by word list.

figure = loss_curves(
    {
        f"width {hidden}": {
            f"{words} list": histories(words, hidden) for words in ("small", "large")
        }
        for hidden in (32, 64)
    },
    alt="""Training and validation loss on the small and the large word list, at widths 32 and 64.
    The large list reaches a lower validation loss.""",
)

# %%
# **The lowest validation losses**, medians over the seeds, beside what the course's own starter
# code reached in one run at the same settings. Ours are per token and the starter's are means of
# batch means, so the two columns compare loosely. The gap is the validation loss after the last
# epoch minus the training loss over it: what the model knows of its training words only.

table = each.groupby(["word list", "width"], as_index=False, sort=False).median()
show(table.style.hide().format(precision=3).format("{:.0f}", ["iterations", "core seconds"]))

# %% tags=["hide-input"]
# **On what the answer rests.** Each ratio is of two runs, over all pairs of their seeds: the least
# and the greatest. So each compares the *worst* seed on one side with the *best* on the other, and
# no choice among these seeds would change the answer.

for name, ratios in {
    "training loss near iteration 1,400, narrow over wide, on either list": by_width,
    "the same, small list over large, at either width": by_list,
    "validation loss, narrow on large over wide on small": [exchange],
}.items():
    print(f"{name}:", "; ".join(f"{low:.2f} to {high:.2f}" for low, high in ratios))

# %%
# .. solution-end::
#
# The sentence
# ------------
#
# A loss is not a translation. Here is the handouts' sentence from each run, first seed. How a
# loss turns into whole words is the subject of :doc:`wrong_words`.

SENTENCE = "the air conditioning is working"
print(f"{'truth':22}{pig_latin(SENTENCE)}")
for (words, hidden), of_seeds in runs.items():
    print(f"{f'width {hidden}, {words} list':22}{translate(of_seeds[0].model, SENTENCE)}")

# %%
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* one head, no normalisation, no dropout, a one-layer MLP as wide as the
#    model :cite:p:`vaswani2017`. *From the handouts' starter:* it batches only words of exactly
#    equal lengths, so an epoch has many small batches and many more steps. We sort by length,
#    pad, and mask: fewer steps, full batches. Our word lists are close to the course's and not
#    the same. *From common practice:* one learning rate for every run. :doc:`tuning` measures
#    what that hides.
#
# Summary
# -------
#
# The handouts' wider model and their larger list each lower the validation loss, for every seed.
# With more data the gap between training and validation is several times smaller as well.
#
# Exercises
# ---------
#
# .. exercise-start:: Equal numbers of tokens
#    :label: runs-tokens
#
# *Easy.* The large-list runs see far more words. When a large-list run has seen as many tokens
# as the small-list run did in all, which of the two is ahead?
#
# .. exercise-end::
#
# .. solution-start:: runs-tokens
#    :label: runs-tokens-answer
#    :class: dropdown
#
# The history knows its tokens, so this is a lookup. At equal tokens the large-list run has made
# far fewer steps, in batches eight times the size, and is still behind, with each seed. Its
# advantage comes later.

for hidden in (32, 64):
    pairs = zip(histories("small", hidden), histories("large", hidden), strict=True)
    for small, large in pairs:
        at = min(np.searchsorted(large.tokens, small.tokens[-1]), large.epochs - 1)
        print(
            f"width {hidden}, after {large.tokens[at] / 1e6:.1f} million tokens: "
            f"large list {large.valid_loss[at]:.2f}, small list {small.valid_loss[-1]:.2f}"
        )
        assert not full or large.valid_loss[at] > small.valid_loss[-1]

# %%
# .. solution-end::
#
# .. exercise-start:: What the starting loss should be
#    :label: runs-start
#
# *Medium.* A model that knows nothing spreads its probability evenly over the vocabulary. Is the
# first training loss near :math:`\ln 29`? If not, why?
#
# .. exercise-end::
#
# .. solution-start:: runs-start
#    :label: runs-start-answer
#    :class: dropdown
#
# It is higher. Embeddings start with unit variance and nothing normalises the sum of the
# layers, so the first logits are not small: the model starts out confident, and wrong.

first = [run.history.train_loss[0] for of_seeds in runs.values() for run in of_seeds]
assert min(first) > np.log(29)
print(f"first losses from {min(first):.2f} to {max(first):.2f}; ln 29 = {np.log(29):.2f}")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
