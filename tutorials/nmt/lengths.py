r"""
Any length? Positions beyond the training words
===============================================

A table of sines and cosines has a row for every position, so it is often said to handle
sequences of any length. This page trains models on words of at most seven letters and tests
them on longer ones. After it you can tell what a code makes *possible* from what training makes
*true*.

The figure shows the share of held-out words translated without a mistake, by their length, for
three kinds of position: sinusoidal, :term:`one-hot`, and none. A one-hot code times a learned
matrix is a table with one free row a position, which is how it is used in practice:
:class:`a3.runs.short_runs.LearnedPositions`.
"""

import numpy as np

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.intervals import student
from a3.runs.short_runs import EXPERIMENTS, LENGTHS, LONGEST
from a3.translation.pig_latin import large_words
from a3.translation.word_pairs import WordPairs

full = profile() == "full"
results = EXPERIMENTS["positions by length"].results()
kinds = ("sinusoidal", "one-hot", "none")
shares = np.reshape([result["accuracy"] for result in results], (3, 3, len(LENGTHS)))
accuracy = dict(zip(kinds, shares, strict=True))  # kind -> (seeds, lengths)

figure, ax = figures.subplots(
    figsize=(6, 3.2),
    alt="""Share of held-out words translated exactly against their length, for three kinds of
    position. All fall beyond the longest training words.""",
)
for (kind, runs), style in zip(accuracy.items(), ("-", "--", ":"), strict=True):
    figures.band(ax, LENGTHS, runs, kind, ls=style)
ax.axvline(LONGEST + 0.5, color="#888888", lw=1)
ax.annotate("longest in training", (LONGEST + 0.6, 0.9), color="#888888")
ax.set(xlabel="letters in the word", ylabel="words exactly right", ylim=(0, 1))
ax.legend()

# %%
# The question
# ------------
#
# .. exercise-start:: Positions, continued (2025, 2.1-3; 2023, 3.1-3)
#    :label: n3-lengths
#
# Sinusoidal positions are defined at any place; the rows of a learned table are not trained
# beyond the longest training word. Which model do you expect to translate longer words, and how
# much longer?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Sketch the three lines of the figure on from eight letters, before you look at them again.
#    Which parts of the model meet something new when the word gets one letter longer?
#
# .. solution-start:: n3-lengths
#    :label: n3-lengths-answer
#    :class: dropdown
#
# We average the shares of the lengths seen in training, and look at words of one letter more and of
# two or more. A row has the three seeds.

seen, beyond = slice(0, LONGEST - 1), slice(LONGEST, None)  # 2 to 7 letters; 9 and more
within = {kind: runs[:, seen].mean(axis=1) for kind, runs in accuracy.items()}
one_more = {kind: runs[:, LONGEST - 1] for kind, runs in accuracy.items()}
two_more = {kind: runs[:, beyond].max(axis=1) for kind, runs in accuracy.items()}
parts = {"up to 7 letters": within, "8 letters": one_more, "9 or more, at best": two_more}
for name, shares in parts.items():
    for kind, of_seeds in shares.items():
        print(f"{name:18} {kind:10}", *(f"{share:6.1%}" for share in of_seeds))
apart = within["sinusoidal"] - within["one-hot"]
low, high = apart.mean() + student(3) * apart.std(ddof=1) * np.array([-1, 1])
print(f"sinusoidal over one-hot, up to 7 letters: {low:+.2f} to {high:+.2f}")
if full:
    assert accuracy["none"].max() < 0.5 < min(within["sinusoidal"].min(), within["one-hot"].min())
    assert (np.diff(accuracy["none"][:, :LONGEST]) < 0).all()
    assert low < 0 < high  # cannot tell
    assert one_more["sinusoidal"].min() > 3 * one_more["one-hot"].max()
    assert (one_more["sinusoidal"] < 0.6 * accuracy["sinusoidal"][:, LONGEST - 2]).all()
    assert max(of_seeds.max() for of_seeds in two_more.values()) < 0.05

# %% Positions are needed: without them fewer than half of the words are right at any length, and
# the longer the word, the fewer. At the lengths seen in training these three seeds cannot tell the
# two kinds of position apart: the interval of the difference holds zero, and is wide. One letter
# beyond, sinusoidal positions still get some words right, in each seed more than three times as
# many as learned rows in any, but fewer than six for ten at seven letters. Two letters beyond,
# fewer than one word in twenty is right with either, in any seed.
#
# The table goes on for ever, but the model has never been asked to read that part of it. Fixed
# waves make long inputs *possible*. That a shift is one and the same map everywhere, :doc:`as the
# page before shows <positions>`, does not make training find it. Codes of distance in place of
# position are a later attempt at that :cite:p:`shaw2018,su2021`.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* its authors chose sines because they *might* extrapolate, and found
#    learned rows as good within the training lengths :cite:p:`vaswani2017`; we test the first, and
#    have too few seeds for the second. *From the handouts:* they compare the two in words. *From
#    common practice:* large models are trained at the lengths they are used at.
#
# Summary
# -------
#
# A code that is defined everywhere is necessary for long inputs and not sufficient. A model has
# to be trained where it is used.
#
# Exercises
# ---------
#
# .. exercise-start:: Which part is lost?
#    :label: lengths-unseen
#
# *Medium.* A word of eight letters has nine source tokens. List the position rows that a model
# trained on seven letters has never met, in the encoder and in the decoder. How long are the
# translations?
#
# .. exercise-end::
#
# .. solution-start:: lengths-unseen
#    :label: lengths-unseen-answer
#    :class: dropdown
#
# The rows beyond the longest training source and the longest training input. They are few for
# one letter more, so a smooth code can still help there.

pairs = WordPairs(word for word in large_words() if "-" not in word)
seen = pairs.source_lengths <= LONGEST + 1
for name, lengths in {
    "encoder": pairs.source_lengths,
    "decoder": pairs.target_lengths,
}.items():
    known, needed = int(lengths[seen].max()), int(lengths.max())
    assert known < needed
    print(f"{name}: rows 0 to {known - 1} are trained, rows up to {needed - 1} are needed")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
