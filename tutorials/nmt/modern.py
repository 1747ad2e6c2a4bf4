r"""
From the handouts' transformer to today's: heads, norms, rotary positions
=========================================================================

After this page you can say what six changes of the transformer compute, derive two of them, and
say what each is worth on this task at equal compute.
"""

import numpy as np
import pandas as pd
import torch
from torch import nn

from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import in_short, show
from a3.runs.modern import ARMS, BUDGET, EXPERIMENTS
from a3.translation.attention import causal_mask
from a3.translation.modern import LayerNorm, ModernTransformer, MultiHeadAttention, Parts, rotate

full = profile() == "full"
experiment = EXPERIMENTS["modern parts"]
name_of = {parts: name for name, parts in ARMS.items()}
runs = pd.DataFrame(
    {"model": name_of[run["parts"]], "rate": run["learning_rate"], "seed": run["seed"], **result}
    for run, result in zip(experiment.settings, experiment.results(), strict=True)
)
tuning = runs.pivot_table("tuning", "model", "rate")  # mean over the seeds
best = tuning.idxmin(axis=1)
tuned = runs[runs["rate"] == runs["model"].map(best)]
loss = tuned.pivot(index="model", columns="seed", values="held out").loc[list(ARMS)]

figure, ax = figures.subplots(
    figsize=(8, 3.3),
    alt="""Loss on held-out words of ten models after equal compute, each at its best learning rate,
    a point a seed, on a log scale. The handouts' model is a dashed line.""",
)
for row, (name, losses) in enumerate(loss.iterrows()):
    ax.plot(losses, [row] * len(losses), "o", color=figures.COLORS[row > 6], alpha=0.8)
ax.axvline(loss.loc["the handouts' model"].median(), ls="--", color="#888888")
ax.set(xscale="log", yticks=range(len(loss)), yticklabels=loss.index)
ax.set(xlabel="loss on held-out words (nats a token, log scale)")
ax.invert_yaxis()

# %%
# **Ten models, one budget.** Each point is a training run, each row a model, at the learning rate
# that was best for it. Six have one change of the handouts' decoder-only model, three have several.
# The dashed line is the handouts' own.
#
# The handouts keep the transformer to its bones: one head, no norm, an MLP of one layer. Models in
# use have more. This page derives the parts, checks each against torch's own, and measures them.
#
# The question
# ------------
#
# .. exercise-start:: What is each part worth? (ours)
#    :label: e2
#
# Train the :doc:`decoder-only model <decoder_only>` of width 64 with two layers on the small list.
# Then give it four heads, layer norm behind or before each part, an MLP four times as wide, rotary
# positions, or one table for embeddings and logits: one change at a time, then together. All spend
# as many FLOPs, each has its own learning rate and three seeds. Which changes help?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Which of the six make a step more expensive, and so leave fewer steps? Which would you expect to
#    matter for words of ten letters, and which only for a model a thousand times as large?
#
# .. solution-start:: e2
#    :label: e2-answer
#    :class: dropdown

base = loss.loc["the handouts' model"]
ratio = loss / base  # seed by seed: the same split and order of words
steps = tuned.groupby("model")["steps"].first()
helps = ratio.index[(ratio.max(axis=1) < 1)]
hurts = ratio.index[(ratio.min(axis=1) > 1)]
if full:
    RATES = sorted(runs["rate"].unique())
    assert set(best) <= set(RATES[1:-1]), best  # no best rate is at an end of those tried
    assert abs(tuned["flops"] / BUDGET - 1).max() < 0.1
print("better with every seed:", ", ".join(helps))
print("worse with every seed:", ", ".join(hurts))
