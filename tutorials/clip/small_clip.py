r"""
Training a small CLIP from scratch
==================================

After this page you can train a CLIP from nothing in minutes, and say what each part of the recipe
is for.
"""

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from a3.clip.contrastive import supervised_contrastive_loss
from a3.clip.drawings import augment, trimmed_to
from a3.clip.emoji import ARTISTS, CREDITS, caption_parts, draw_caption, load_emoji
from a3.clip.emoji_split import split
from a3.clip.retrieval import top_k
from a3.clip.small import SmallClip
from a3.clip.tokens import Vocabulary
from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.page import show
from a3.runs.clip import EXPERIMENTS, as_clip

full = profile() == "full"
recipe = SmallClip()
runs = EXPERIMENTS["small CLIP"].results()[:2]
model = as_clip(recipe, runs[0]).model

figure, (upper, lower) = figures.subplots(
    2, 1, figsize=(6, 4.6), sharex=True,
    alt="""Above: loss against step, falling from the line of features that tell nothing to not far
    above the least possible. Below: the logit scale, which falls. Both seeds lie together.""",
)  # fmt: skip
steps = np.arange(1, len(runs[0]["loss"]) + 1)
mean_of = max(1, len(steps) // 40)  # steps a point
at = steps[: len(steps) // mean_of * mean_of].reshape(-1, mean_of).mean(axis=1)
losses = [np.reshape(run["loss"][: len(at) * mean_of], (-1, mean_of)).mean(1) for run in runs]
figures.band(upper, at, losses, "two seeds")
nothing, least = np.log(4 * recipe.batch_size - 1), np.log(3)
for line, ls, name in ((nothing, "-", "features that tell nothing"), (least, "--", "the least")):
    upper.axhline(line, color="grey", lw=1, ls=ls, label=name)
upper.set(ylabel="loss (nats)", ylim=(0, None))
upper.legend(loc="center right", bbox_to_anchor=(1, 0.55))
figures.band(lower, steps, [run["scale"] for run in runs], "two seeds")
lower.set(xlabel="step", ylabel="logit scale τ")
assert not full or all(run["scale"][-1] < run["scale"][0] for run in runs)
print("seconds of each seed:", *(round(run["seconds"]) for run in runs))
assert not full or max(loss[-1] for loss in losses) < (nothing + least) / 2

# %%
# **Two small CLIPs learning,** alike but for the seed: the loss falls, and the scale, learned too,
# ends below where it began. :doc:`unseen_drawings` asks what they and a third have learned.
#
# The question
# ------------
#
# .. exercise-start:: Train a CLIP
#    :label: small-clip
#
# The handouts hand you a CLIP that others trained on 400 million pairs
# :cite:p:`handout2025,handout2023`. Beyond both editions: train one. You have about 1,900 emoji,
# each drawn by two artists, with their names, and six minutes on two cores. What are the two
# towers? What can they know before the first drawing? What do you vary in training, so that the
# model does not learn its pairs by heart? And what should the loss ask for?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    A model that is to find a *saxophone* has seen trumpets, but no saxophone and not its name.
#    How could it come to know what to look for? And by what would it tell one artist's trumpet from
#    the other's, when it should tell trumpets from drums?
#
# .. solution-start:: small-clip
#    :label: small-clip-answer
#    :class: dropdown
#
# .. admonition:: In short
#    :class: in-short
#
#    A convolutional network with attention at its end encodes drawings, a transformer captions.
#    Before the first drawing the words have vectors of a language model, so a word never met stands
#    near those that were. Drawings are turned, stretched and recoloured, captions drawn anew, and
#    noise is added to word vectors. The loss asks each feature of a thing, two drawings and two
#    captions, to pick the other three.
#
# **The two towers** are open_clip's own class :cite:p:`ilharco2021` in a small configuration, built
# by :func:`a3.clip.small.build`. A convolutional network with a last layer of attention turns an
# image into a feature in :math:`\mathbb{R}^d`; a transformer does so with a caption
# :cite:p:`radford2021`. The two meet in the loss only.

parts = {
    "image tower": model.visual,
    "token embeddings": model.token_embedding,
    "text tower": model.transformer,
}
counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
total = sum(p.numel() for p in model.parameters())
counts |= {"positions, projection, scale": total - sum(counts.values()), "all": total}
table = pd.DataFrame(counts.items(), columns=["part", "parameters"])
show(table.style.hide().format(thousands=","))

# %%
# **Words before drawings.** Most words come with one thing only, and those of a thing never seen
# with none. So the token embeddings are not learned here. Each word has the :term:`vector
# <word vector>` that MiniLM, a language model (:doc:`/language_models`), gives it: the largest
# principal components of the mean of its last layer, :func:`a3.clip.tokens.word_vectors`. They stay
# as they are. The model has then never seen a *saxophone*, but knows where the word stands. That
# vectors of words let an image model name what it was not shown is an old idea
# :cite:p:`frome2013`.

vocabulary = Vocabulary(runs[0]["tokens"], recipe.context)
vectors = F.normalize(model.token_embedding.weight[2:-1], dim=1)
for word in ("saxophone", "shark", "red", "woman"):
    near = top_k(vectors[vocabulary.words.index(word)] @ vectors.T, 7)[1].tolist()[1:]
    print(f"{word}: {', '.join(vocabulary.words[i] for i in near)}")
print(f"{len(vocabulary):,} of CLIP's 49,408 tokens are in use, numbered anew")
emoji = load_emoji()
trained = [emoji.concepts[i] for i in split(emoji).seen.any(dim=1).nonzero().flatten().tolist()]
new = len({*vocabulary.tokens} - {*Vocabulary.of(caption_parts(trained)).tokens})
print(f"{new} of them only in captions of things never seen; all in the components")

# %% tags=["hide-input"]
# **A word is a neighbourhood.** If each word were a point, the text tower could learn its captions
# by heart and say nothing of the points between. So each thing has two captions in a step. One is
# as it is, by which the model learns to tell things apart. The other has noise added to its
# vectors, of a strength drawn for it, up to somewhat more than their own spread. What is learned
# from it should hold around each word, where words lie that were never met: noise on what goes in
# makes smooth what comes out :cite:p:`bishop1995`.
#
# **Two hands brought closer.** One artist fills the square, the other leaves a border. What is
# white around a drawing is cut off (:func:`a3.clip.drawings.trimmed`), so that size tells nothing
# of the hand, and no pixel is wasted. And the second artist puts dark lines around shapes, where
# the first has none. All are vector drawings, so copies of the first's with such lines are made,
# and half of the time the model sees them. This uses how the second artist draws, and no drawing of
# theirs that is held out.
#
# **What is varied.** By :term:`data augmentation`, each time that a drawing is seen it is turned,
# stretched, shifted and recoloured at random, and perhaps mirrored, outlined or left without
# colours. That costs *left* and *right* their meaning, and colours little of theirs. The caption is
# drawn anew from names, keywords and groups.

generator = torch.Generator().manual_seed(0)
apple = next(i for i, c in enumerate(emoji.concepts) if c.name == "red apple")
three = torch.cat([emoji.images[apple], emoji.outlined[apple, None]])
copies = trimmed_to(64, three).div(255).repeat_interleave(8, dim=0)  # (24, 3, 64, 64)
copies = augment(copies, generator, recipe.augmentation, recipe.image_size)
figure, axes = figures.subplots(
    3, 8, figsize=(7, 2.8), gridspec_kw={"wspace": 0.05},
    alt="""Random copies of a red apple, eight from each artist and eight of the first's
    with dark lines: turned, stretched, paler or darker, of other reds or grey, some
    mirrored.""",
)  # fmt: skip
for ax, copy in zip(axes.flat, copies, strict=True):
    ax.imshow(copy.permute(1, 2, 0))
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
for ax, artist in zip(axes[:, 0], (*ARTISTS, "with lines"), strict=True):
    ax.set_ylabel(artist)
captions = [draw_caption(emoji.concepts[apple], generator) for _ in range(6)]
print(*captions, *CREDITS.values(), sep="\n")

# %%
# **The loss.** A step takes :math:`n` things, two captions and two images of each: both artists'
# drawings, or two random copies where one of the hands is held out. All four of a thing belong
# together, whatever they are. So each of the :math:`4n` features :math:`z_i` picks the other three
# of its thing, :math:`\mathcal{P}_i`, among all others, by softmax over similarities
# :math:`s_{ij}` times the scale :math:`\tau` of :doc:`the page on the loss <contrastive_loss>`
# :cite:p:`khosla2020`:
#
# .. math::
#    :label: small-clip-loss
#
#    L = -\frac{1}{4n} \sum_{i=1}^{4n} \frac13 \sum_{p \in \mathcal{P}_i}
#    \ln \frac{e^{\tau s_{ip}}}{\sum_{j \ne i} e^{\tau s_{ij}}} .
#
# CLIP's loss has only images picking captions and captions picking images. Features that tell
# nothing have the loss :math:`\ln (4n - 1)`. The least that there is, an exercise below shows.

nowhere = torch.ones(4 * recipe.batch_size, 2)
same = supervised_contrastive_loss(nowhere, torch.arange(recipe.batch_size).repeat(4), 20.0)
print(f"features that tell nothing: {same:.3f} nats, ln(4n - 1) = {nothing:.3f}")
assert abs(same - nothing) < 1e-4

# %%
# .. solution-end::
#
# :doc:`unseen_drawings` tests it, and :doc:`recipe` measures what parts of the recipe are worth.
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* 400 million pairs, batches of 32,768, weeks on hundreds of GPUs, a caption
#    for each image, a text tower that learns its words, and a random crop as the only augmentation
#    :cite:p:`radford2021`. That two images of one thing pick each other is from contrastive
#    learning of images alone :cite:p:`chen2020`; that all of a group do so at once, from learning
#    with labels :cite:p:`khosla2020`. *From common practice:* no validation loss decides when to
#    stop. The recipe was chosen on other held-out drawings,
#    :func:`a3.clip.emoji_split.validation_split`.
#
# Summary
# -------
#
# A small CLIP is two towers, words with vectors of a language model, drawings distorted anew each
# time, and a loss by which all that belongs to one thing picks the rest. Training takes minutes.
#
# Exercises
# ---------
#
# .. exercise-start:: How often does it see a thing?
#    :label: small-clip-passes
#
# *Easy.* How often does the model see each thing in training, and in how many steps is a given pair
# of things in the same batch? What does the second number mean for a panda and a bear?
#
# .. exercise-end::
#
# .. solution-start:: small-clip-passes
#    :label: small-clip-passes-answer
#    :class: dropdown
#
# A step takes a share :math:`q = n / N` of the things at random, and a pair with
# probability of nearly :math:`q^2`. In the few steps that have both, the panda must be told from
# the bear; in all the others, from things that are easier.

N = int(split(emoji).seen.any(dim=1).sum())
q = recipe.batch_size / N
together = q * (recipe.batch_size - 1) / (N - 1)
print(f"a thing: {recipe.steps * q:.0f} times; a pair: {recipe.steps * together:.1f} steps")
assert not full or recipe.steps * together < 5 < recipe.steps * q

# %%
# .. solution-end::
#
# .. exercise-start:: The least loss
#    :label: small-clip-least
#
# *Medium.* What is the least value of :eq:`small-clip-loss`? Show features that come close. Why is
# it not zero?
#
# .. exercise-end::
#
# .. solution-start:: small-clip-least
#    :label: small-clip-least-answer
#    :class: dropdown
#
# Each feature has three right answers, whose probabilities :math:`p_k` sum to one at most. By
# concavity :math:`\frac13 \sum_k \ln p_k \le \ln \bigl( \frac13 \sum_k p_k \bigr) \le -\ln 3`, so
# :math:`L \ge \ln 3`. It is approached where the four of a thing are one vector and things are far
# apart, as the scale grows.

n = recipe.batch_size
Z = torch.eye(n).repeat(4, 1)  # (4n, n): a direction for each thing
for scale in (5.0, 10.0, 20.0):
    loss = supervised_contrastive_loss(Z, torch.arange(n).repeat(4), scale).item()
    print(f"scale {scale:.0f}: {loss:.4f} nats, ln 3 = {least:.4f}")
    assert loss >= least - 1e-6
assert loss - least < 1e-4

# %%
# .. solution-end::
#
# .. exercise-start:: The largest number
#    :label: small-clip-end
#
# *Hard.* CLIP reads a caption's feature at the place of its largest token number. The vocabulary is
# numbered anew, and the end is still the largest. What would go wrong if it were not, and how much
# of the caption would still count?
#
# .. exercise-end::
#
# .. solution-start:: small-clip-end
#    :label: small-clip-end-answer
#    :class: dropdown
#
# The feature would be read at some word. Attention is :doc:`causal </tutorials/nmt/causal>`, so the
# words after that one might as well not be there.

row = vocabulary(["a drawing of a red apple"])
assert row.argmax() == (row != 0).sum() - 1  # the end is the last before the padding
no_end = torch.where(row == len(vocabulary) - 1, 0, row)
cut = no_end.clone()
cut[0, int(no_end.argmax()) + 1 :] = 0
with torch.inference_mode():
    whole, without, short = map(model.encode_text, (row, no_end, cut))
assert torch.allclose(without, short, atol=1e-6) and not torch.allclose(whole, short)
print(f"without an end it counts up to word {int(no_end.argmax())}, no further")

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
