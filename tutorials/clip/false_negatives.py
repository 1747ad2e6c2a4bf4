r"""
False negatives: two captions that fit one image
================================================

After this page you can say how low CLIP's loss can get when captions of a batch repeat, when that
does harm and when not, and what a loss would be that counts every right answer.
"""

import numpy as np
import pandas as pd
import torch

from a3.clip.contrastive import contrastive_loss, cosine_similarity, supervised_contrastive_loss
from a3.clip.emoji import ARTISTS, draw_caption, load_emoji
from a3.clip.emoji_split import kinds
from a3.lab import figures
from a3.lab.page import in_short, show

emoji = load_emoji(progress=False)
kind = kinds(emoji)
drawings = [[hash(image.numpy().tobytes()) for image in of] for of in emoji.images.unbind(1)]


def floor(labels):
    _, which, c = np.unique(labels, return_inverse=True, return_counts=True)
    return np.log(c[which]).mean()


def floors_of_a_batch(n, generator):
    rows = torch.randperm(len(emoji.concepts), generator=generator)[:n]
    concepts = [emoji.concepts[row] for row in rows.tolist()]
    floors = {
        "captions": floor([draw_caption(each, generator) for each in concepts]),
        "subgroups": floor([each.subgroup for each in concepts]),
        "groups": floor([each.group for each in concepts]),
    }
    for artist, same in zip(ARTISTS, drawings, strict=True):
        floors[artist] = floor([same[row] for row in rows.tolist()])
    _, which, c = kind[rows].unique(return_inverse=True, return_counts=True)
    return floors | {"of a kind": (c[which] > 1).double().mean().item()}


generator, sizes = torch.Generator().manual_seed(0), [16, 64, 256, 512, 1024, len(kind)]
draws = [[floors_of_a_batch(n, generator) for _ in range(5)] for n in sizes]
table = pd.DataFrame([pd.DataFrame(of).mean() for of in draws])
table = table.assign(**{"ln n": np.log(sizes), "n": sizes})[["n", "ln n", *table.columns]]

figure, ax = figures.subplots(
    figsize=(6.4, 3),
    alt="""Least loss against batch size. Captions as drawn: near zero. Subgroups: rising. Groups:
    higher, and parallel to the line of features that tell nothing.""",
)
for name, marker in (("groups", "^"), ("subgroups", "s"), ("captions", "o")):
    ax.plot(table["n"], table[name], f"{marker}-", label=f"{name}: floor")
ax.plot(table["n"], table["ln n"], color="grey", lw=1, label="features that tell nothing")
ax.set(xscale="log", xlabel="batch size n (log scale)", ylabel="loss (nats)")
ax.legend()

# %% tags=["hide-input"]
# **The least loss that is left.** The loss counts every other caption of a batch as wrong, whether
# it fits or not. The figure is of batches of emoji (:doc:`/clip`), if captions are drawn as in
# training, and if they only name the subgroup or the group.
#
# The question
# ------------
#
# .. exercise-start:: Right, and counted as wrong
#    :label: false-negatives
#
# Beyond both editions :cite:p:`handout2025,handout2023`. In a batch of :math:`n` pairs, :math:`c_i`
# have the same caption as pair :math:`i`. How low can :eq:`contrastive-loss` get? How low for the
# captions that this book trains with? Is that where the harm is?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Two images of a batch are both called *a red heart*. What is the best that the softmax over
#    captions can do for the first? And what becomes of *a red heart* and *a heart that is red*?
#
# .. solution-start:: false-negatives
#    :label: false-negatives-answer
#    :class: dropdown

groups = [each.group for each in emoji.concepts]
X = torch.eye(len(set(groups))).double()[np.unique(groups, return_inverse=True)[1]]
reached = contrastive_loss(X, X, 100).item()
assert abs(reached - floor(groups)) < 1e-6
assert (table["ln n"] - table["groups"] <= np.log(len(set(groups)))).all()
assert (table["captions"] < 0.05).all() and (table["subgroups"].iloc[1:] > 0.2).all()
assert (table[[*ARTISTS]] < 0.1).all(axis=None) and table["of a kind"].iloc[-1] > 0.2
in_short(
    """$L \\ge \\frac1n \\sum_i \\ln c_i$, where $c_i$ pairs have the caption of pair $i$. For the
    captions of this book that is at most {most:.1g} nats on average. The harm, if any, is not there
    but where a caption reads differently and nearly fits: in a batch of all emoji {of_a_kind:.0%}
    of the pairs have a variant of their thing in the batch, and the loss pushes its caption away
    without a floor to stop it.""",
    most=table["captions"].max(), of_a_kind=table["of a kind"].iloc[-1],
)  # fmt: skip

# %% tags=["hide-input"]
# **A floor.** What is right and counted as wrong is a :term:`false negative`. The columns of the
# :math:`c_i` equal captions are equal, so :math:`P_{ii} \le 1/c_i`. And these captions are one
# query with :math:`c_i` targets, on which the mean of :math:`-\ln Q` is at least :math:`\ln c_i`,
# since the logarithm is concave. So
#
# .. math::
#    :label: contrastive-floor
#
#    L \ge \frac1n \sum_{i=1}^n \ln c_i ,
#
# and the same with equal images in place of equal captions. It is approached at a high scale where
# features tell captions apart and nothing more.
#
# **The emoji.** Floors in nats, under an artist's name that of drawings equal in every pixel. *Of a
# kind* is none: it is the share of pairs with a variant of the same thing in the batch, as
# :func:`a3.clip.emoji_split.kinds` finds them.

print(f"groups, all emoji: floor {floor(groups):.4f} nats, reached {reached:.4f}")
show(table.style.hide().format(precision=3))

# %% tags=["hide-input"]
# Captions as drawn cost next to nothing, and so do equal drawings. With group names alone,
# :math:`\ln n - L` cannot exceed the entropy of the groups, however large the batch. A floor by
# itself does no harm. What can is the last column: a caption that reads differently and yet nearly
# fits. Off the diagonal every derivative :eq:`contrastive-gradient` is positive, so the loss pushes
# such a caption away, and there is no floor to stop it.
#
# **To see it,** leave out the towers and let features go where the loss sends them. Twelve pairs
# are of four kinds, and a caption of a kind fits all its images: at first each image is as near to
# all captions of its kind as to its own, and far from all others. CLIP's loss takes that apart,
# until captions that fit are nearly as far away as others. By the loss that counts all of a kind,
# :func:`a3.clip.contrastive.supervised_contrastive_loss` :cite:p:`khosla2020`, they stay.

of_kind = torch.arange(12) // 3
same_kind = of_kind[:, None] == of_kind
sisters = same_kind & ~torch.eye(12, dtype=torch.bool)


def by_kinds(X, Y, tau=10.0):
    return supervised_contrastive_loss(torch.cat([X, Y]), of_kind.repeat(2), tau)


def let_go(loss, steps=400, seed=0):
    """Similarities of images and captions, (12, 12), after gradient descent on the features."""
    generator = torch.Generator().manual_seed(seed)
    of_kinds = torch.randn(4, 16, generator=generator)
    X, Y = of_kinds[of_kind] + 0.2 * torch.randn(2, 12, 16, generator=generator)
    optimizer = torch.optim.Adam([X.requires_grad_(), Y.requires_grad_()], 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(X, Y).backward()
        optimizer.step()
    return cosine_similarity(X, Y).detach()


ends = {
    "at first": let_go(contrastive_loss, steps=0),
    "CLIP's loss": let_go(lambda X, Y: contrastive_loss(X, Y, 10.0)),
    "every right answer": let_go(by_kinds),
}
figure, axes = figures.subplots(
    1, 3, figsize=(7, 2.5), sharey=True,
    alt="""Similarities of twelve images and captions. At first there are four bright blocks of
    three. By CLIP's loss only the diagonal is bright. By the other loss the blocks stay.""",
)  # fmt: skip
means = {}
for ax, (name, s) in zip(axes, ends.items(), strict=True):
    shown = ax.imshow(s.numpy(), cmap="cividis", vmin=-1, vmax=1)
    ax.set(title=name, xlabel="caption", xticks=[], yticks=[])
    ax.grid(False)
    own, near, far = (s[at].mean() for at in (torch.eye(12) > 0, sisters, ~same_kind))
    means[name] = torch.stack([own, near, far]).tolist()
    print(f"{name}: own {own:.2f}, of its kind {near:.2f}, of others {far:.2f}")
axes[0].set_ylabel("image")
figure.colorbar(shown, ax=axes[-1], shrink=0.8, label="cosine similarity")
first, clip, every = means.values()
assert min(*first[:2], *every[:2]) > 0.9 and max(first[2], every[2]) < 0.2
assert clip[0] > 0.8 and abs(clip[1] - clip[2]) < 0.2 * (first[1] - first[2])

# %%
# **Which is wanted?** If a picture of one heart should not be found by the name of another, CLIP's.
# If both are *a heart*, the other. A loss cannot know; the labels say it.
#
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* with 400 million pairs and batches of 32,768 it takes near repeats as they
#    come :cite:p:`radford2021`. *From common practice:* repeated captions in a batch are often left
#    unremarked; here they are counted. Our own small CLIP counts both artists' drawings of a
#    thing as right for each other (:doc:`small_clip`).
#
# Summary
# -------
#
# Repeated captions put a floor under the loss, :eq:`contrastive-floor`, nearly zero for those of
# this book. What the loss pushes apart though it fits has no floor, and shows in no loss curve.
#
# Exercises
# ---------
#
# .. exercise-start:: How many repeats?
#    :label: false-negatives-repeats
#
# *Easy.* Draw :math:`n` of the :math:`N` emoji at random. How many pairs of them have the same
# subgroup, on average? Compare with draws.
#
# .. exercise-end::
#
# .. solution-start:: false-negatives-repeats
#    :label: false-negatives-repeats-answer
#    :class: dropdown
#
# There are :math:`n (n-1) / 2` pairs, and each is as likely as any two emoji to share: with
# :math:`m_k` emoji in subgroup :math:`k` that is
# :math:`\sum_k m_k (m_k - 1) / (N (N - 1))`.

subgroup = np.unique([c.subgroup for c in emoji.concepts], return_inverse=True)[1]
N, m, n = len(subgroup), np.bincount(subgroup), 64
expected = n * (n - 1) / 2 * (m * (m - 1)).sum() / (N * (N - 1))
counts = []
for _ in range(2_000):
    c = np.bincount(subgroup[torch.randperm(N, generator=generator)[:n].numpy()])
    counts.append((c * (c - 1) / 2).sum())
error = np.std(counts) / len(counts) ** 0.5
print(f"expected {expected:.2f}, drawn {np.mean(counts):.2f} ± {2 * error:.2f}")
assert abs(np.mean(counts) - expected) < 5 * error

# %%
# .. solution-end::
#
# .. exercise-start:: Only the group
#    :label: false-negatives-groups
#
# *Medium.* Show that the floor is :math:`\ln n - H`, with the entropy :math:`H` of the captions'
# shares of the batch. What does that say about training on nine group names?
#
# .. exercise-end::
#
# .. solution-start:: false-negatives-groups
#    :label: false-negatives-groups-answer
#    :class: dropdown
#
# A caption of :math:`c` pairs has the share :math:`p = c/n`, and :math:`\ln c = \ln n + \ln p`.
# The mean over pairs weights each caption by :math:`p`, so the mean of :math:`\ln p` is
# :math:`-H`. A larger batch raises floor and :math:`\ln n` together: there are at most
# :math:`H \le \ln 9` nats to learn from.

p = pd.Series(groups).value_counts(normalize=True)
H = -(p * np.log(p)).sum()
assert np.isclose(floor(groups), np.log(len(groups)) - H) and H <= np.log(9)
print(f"H = {H:.3f} nats of at most {np.log(9):.3f}; floor {floor(groups):.3f}")

# %%
# .. solution-end::
#
# .. exercise-start:: The floor of the other loss
#    :label: false-negatives-other-floor
#
# *Hard.* What is the least value of the loss that counts every right answer, for groups of
# :math:`c` pairs? Is it lower than that of :eq:`contrastive-floor`? What, then, has been gained?
#
# .. exercise-end::
#
# .. solution-start:: false-negatives-other-floor
#    :label: false-negatives-other-floor-answer
#    :class: dropdown
#
# A feature has :math:`2c - 1` right answers, whose probabilities sum to one at most. The mean of
# their logarithms is largest when they are equal, so :math:`L \ge \ln (2c - 1)`: no lower than
# :math:`\ln c`. What is gained is not a lower loss but another gradient. It vanishes where all of a
# kind are one, and there CLIP's loss still pushes.

noise = 0.02 * torch.randn(12, 16, generator=generator)  # all of a kind are nearly one
Z = (torch.eye(4, 16).repeat_interleave(3, dim=0) + noise).requires_grad_()
losses = {
    "every right answer": by_kinds(Z, Z, 50.0),
    "CLIP's loss": contrastive_loss(Z, Z, 50.0),
}
least = {"every right answer": np.log(2 * 3 - 1), "CLIP's loss": 0.0}
sizes = {}
for name, loss in losses.items():
    (gradient,) = torch.autograd.grad(loss, Z)
    sizes[name] = gradient.norm().item()
    print(f"{name}: {loss:.3f} nats, least {least[name]:.3f}; gradient {sizes[name]:.3f}")
every = "every right answer"
assert losses[every] - least[every] < 0.02 and sizes["CLIP's loss"] > 3 * sizes[every]

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
