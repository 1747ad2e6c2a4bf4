r"""
Evaluating a CLIP on drawings that it has never seen
====================================================

After this page you can judge an image model by what it has not seen: in another artist's hand, or
not at all, each beside chance and with its interval.
"""

import pandas as pd
import torch

from a3.clip.contrastive import cosine_similarity, zero_shot_weights
from a3.clip.emoji import CREDITS, TEMPLATES, load_emoji
from a3.clip.emoji_split import STRATA, kinds, split, stratum
from a3.clip.evaluation import evaluate, gallery, held_out_features
from a3.clip.retrieval import ranks, top_k
from a3.lab import figures
from a3.lab.environment import profile
from a3.lab.intervals import share, student
from a3.lab.page import in_short, show
from a3.runs.clip import small_clips

full = profile() == "full"
clips, emoji = small_clips(), load_emoji()
held_out = split(emoji)
things = stratum(emoji) == 0  # not flags, not people
across, unseen = (rows[things[rows]] for rows in (held_out.across, held_out.unseen))


def similarities(clip, things):  # captions by drawings, (n, n)
    return cosine_similarity(*held_out_features(clip, emoji, held_out, things))


def draw_best(things, number, seed):
    """Captions drawn by lot, and the five drawings that fit each best."""
    generator = torch.Generator().manual_seed(seed)
    lot = torch.randperm(len(things), generator=generator)[:number].tolist()
    best = top_k(similarities(clips[0], things)[lot], 5)[1].tolist()
    drawings = gallery(emoji, held_out, things).permute(0, 2, 3, 1).numpy()
    found = sum(own in row for own, row in zip(lot, best, strict=True))
    figure, axes = figures.subplots(
        number // 2, 10, figsize=(7, 0.5 * number),
        alt=f"""{number} captions, each with the five drawings that fit best. The right one is
        among them, and framed, in {found} of the {number}.""",
    )  # fmt: skip
    for row, own, columns in zip(axes.reshape(-1, 5), lot, best, strict=True):
        name = row[0].text(0, 1.12, emoji.concepts[things[own]].name, transform=row[0].transAxes)
        name.set_in_layout(False)
        for ax, column in zip(row, columns, strict=True):
            ax.imshow(drawings[column])
            ax.set(title=" ", xticks=[], yticks=[])
            ax.spines[:].set(visible=column == own, linewidth=3, color=figures.COLORS[1])


draw_best(across, number=6, seed=1)
print(*CREDITS.values(), sep="\n")

# %% tags=["hide-input"]
# **Six captions, drawn by lot, and the five drawings that fit each best,** of some three hundred,
# by :doc:`the small CLIP <small_clip>`. In training the model saw another artist draw these things;
# every drawing in the gallery is new to it. The right one, if found, has a frame.
#
# The question
# ------------
#
# .. exercise-start:: What has it understood?
#    :label: unseen
#
# The handouts show CLIP images that it may have met :cite:p:`handout2025,handout2023`. Beyond both
# editions: hold drawings out, so that a hit means something. How often is the right one first, and
# among the first five, of a thing seen in one artist's hand only, and of one never seen in any?
#
# .. exercise-end::
#
# .. admonition:: Try it first
#    :class: tip
#
#    Guess the share of captions whose drawing comes first, out of 300, when the other artist's was
#    in the training set; and when the thing was never seen in any hand. What would you have to
#    leave out of training for the second number to mean what it says?
#
# .. solution-start:: unseen
#    :label: unseen-answer
#    :class: dropdown

table = evaluate(clips, emoji, held_out).set_index(["task", "of", "k"])


def percent(task, of, k):
    one = table.loc[task, of, k]
    return f"{100 * one.value:.0f} ({100 * one.low:.0f} to {100 * one.high:.0f})"


cases = [(held, k) for held in ("across artists", "never seen") for k in (1, 5)]
for held, k in cases if full else ():
    for one in (table.loc[f"caption to image, {held}", of, k] for of in ("things", "all")):
        assert min(one.seeds) > 3 * one.chance
in_short(
    """Of things seen in one artist's hand, the right drawing is first for {acros_1} % of the
    captions and among the first five for {acros_5} %. Of things never seen it is first for
    {never_1} % and among the first five for {never_5} %. In brackets are intervals for things other
    than flags and people; every seed finds more than three times what a guess would.""",
    **{f"{held[:5]}_{k}": percent(f"caption to image, {held}", "things", k) for held, k in cases},
)

# %% tags=["hide-input"]
# **The evaluation.** *Across artists*: the first artist's drawing of a thing was in training, the
# second's is in the gallery. *Never seen*: neither was, nor any variant that
# :func:`a3.clip.emoji_split.kinds` finds; whole kinds are held out for this. Captions say what is
# known of a thing. A thing counts by its mean over the seeds, and variants may be found together:
# intervals (95 %) are for so many kinds. *Most frequent* is what one group, answered to all, gets.

asked = [*dict.fromkeys((task, k) for task, _, k in table.index)]
rows = []
for task, k in asked:
    one, right = table.loc[task, "things", k], percent(task, "things", k)
    rows.append([task, k, right, 100 * one.chance, 100 * one.majority, int(one.n), int(one.kinds)])
columns = ["task", "k", "right among k, %", "chance, %", "most frequent, %", "of", "kinds"]
show(pd.DataFrame(rows, columns=columns).style.hide().format(precision=1, na_rep=""))

# %% tags=["hide-input"]
# The same with flags and people apart, each in a gallery of its own, except in the last column. A
# flag is its colours, people differ in what the caption says of hair, gender and trade. In another
# hand both are found more often than things. The people never seen are of few kinds.

at_once = table.loc["caption to image, across artists"]["value"].xs(1, level="k")
assert not full or at_once["things"] < min(at_once[["people", "flags", "all"]])
people = table.loc["caption to image, never seen", "people", 1]
print(f"people never seen: {people.n:.0f} of {people.kinds:.0f} kinds")
some = [key for key in asked if key[0].startswith(("caption", "group by one"))]
show(pd.DataFrame(
    ([task, k, *(percent(task, of, k) for of in (*STRATA, "all"))] for task, k in some),
    columns=["task", "k", *STRATA, "all"],
).style.hide())  # fmt: skip

# %% tags=["hide-input"]
# **Of what it has never seen** the model knows what the words say, and what it has seen of their
# neighbours. Printed are the captions that hold the name of a trained thing, as alias or keyword.

draw_best(unseen, number=6, seed=0)
trained = {emoji.concepts[i].name for i in held_out.seen.any(dim=1).nonzero().flatten().tolist()}
tested = [emoji.concepts[i] for i in held_out.unseen.tolist()]
leak = [c.name for c in tested if trained & {c.name, *c.aliases[:2], *c.keywords[:4]}]
print(f"{len(leak)} of {len(tested)} captions do: {', '.join(leak[:3])} ...")

# %%
# **Is it good?** Every seed finds more than three times what a guess would. Here are goals that we
# set early, for a test that we then redrew: its gallery across artists had both hands in it, its
# captions no keywords, its kinds fewer variants each.

goals = {("across artists", 1): 0.35, ("across artists", 5): 0.70, ("never seen", 5): 0.35}
for (held, k), goal in goals.items():
    one = table.loc[f"caption to image, {held}", "things" if held[0] == "a" else "all", k]
    said = f"goal {goal:.0%} {'' if one.value >= goal else 'not '}reached; seeds"
    print(f"{held}, first {k}: {said}", *(f"{value:.0%}" for value in one.seeds))

# %%
# .. solution-end::
#
# .. admonition:: Where this differs
#    :class: differs
#
#    *From the paper:* its tests are of classes that 400 million pairs will have shown
#    :cite:p:`radford2021`; here no variant that our rule finds was. *From common practice:* the
#    test was redrawn after its goals were set, so they are no test of the model.
#
# Summary
# -------
#
# A CLIP of two million parameters learns in minutes to find drawings that it has never seen, by
# captions, more than three times as often as by guessing. What it scores depends on what is asked:
# flags and people are found more often in another hand, so they are reported apart.
#
# Exercises
# ---------
#
# .. exercise-start:: Say more
#    :label: unseen-more
#
# *Easy.* The captions of the evaluation say what is known: two more names, a few keywords, the
# subgroup and the group. How much of the score is due to that, for things seen in one hand and for
# things never seen? For which should it matter more?
#
# .. exercise-end::
#
# .. solution-start:: unseen-more
#    :label: unseen-more-answer
#    :class: dropdown
#
# Less than ten points in any of the three. Of things seen in one hand the names were trained. Of
# things never seen keywords and group were seen with others, but their names have vectors of a
# language model (:doc:`small_clip`), which already say what they are like.

by_name = evaluate(clips, emoji, held_out, "name").set_index(["task", "of", "k"])
for held, k in goals:
    task = f"caption to image, {held}", "things", k
    more, less = (each.loc[task].value for each in (table, by_name))
    print(f"{held}, first {k}: name {100 * less:.0f} %, with the rest {100 * more:.0f} %")
    assert not full or abs(more - less) < 0.1

# %%
# .. solution-end::
#
# .. exercise-start:: A variant next door
#    :label: unseen-variant
#
# *Medium.* Across artists, a variant of a tested thing may have been trained in both hands: an
# arrow that points elsewhere, a heart of another colour. For how many is that so, and are they
# found more often?
#
# .. exercise-end::
#
# .. solution-start:: unseen-variant
#    :label: unseen-variant-answer
#    :class: dropdown
#
# :func:`a3.clip.emoji_split.kinds` says what is a variant of what. A variant can help, since it
# shows how the second artist draws such things, and harm, since it looks and reads nearly the same.


def first(similarity):  # whether the right one is, (n,)
    return (ranks(similarity, torch.arange(len(similarity))) == 1).float()


alone = torch.stack([first(similarities(clip, across)) for clip in clips])  # (seeds, n)
kind = kinds(emoji)
variant = torch.isin(kind[across], kind[held_out.seen.all(dim=1)])
for name, of in (("with a variant in training", variant), ("without", ~variant)):
    one = share(alone[:, of] == 1, chance=1 / len(across), group=kind[across][of])
    print(f"{one.n} {name}: {one.value:.0%} ({one.low:.0%} to {one.high:.0%})")

# %%
# .. solution-end::
#
# .. exercise-start:: Three models vote
#    :label: unseen-vote
#
# *Hard.* The three seeds differ in their weights, batches and captions. Add up their similarities
# and rank by the sum. What is gained over the mean of the three, and why?
#
# .. exercise-end::
#
# .. solution-start:: unseen-vote
#    :label: unseen-vote-answer
#    :class: dropdown
#
# What the seeds have in common adds up, and what each has made up by itself partly cancels.
# Features of different models cannot be averaged, since each has axes of its own; similarities can.

together = first(sum(similarities(clip, across) for clip in clips))
print(f"first, the three apart: {alone.mean():.0%}, together: {together.mean():.0%}")
assert not full or together.mean() > alone.mean()

# %%
# .. solution-end::
#
# .. exercise-start:: What a sentence is worth
#    :label: zero-shot-prompts
#
# *Hard.* The paper puts a class name into a sentence and gains; it averages the features of many
# sentences and gains again :cite:p:`radford2021`. Is it so here? Give each prompt's share of
# drawings named right among all names, and the gain on the same drawings with its interval. What
# decides the width of that interval: the seeds or the things?
#
# .. exercise-end::
#
# .. solution-start:: zero-shot-prompts
#    :label: zero-shot-prompts-answer
#    :class: dropdown
#
# The things: a thing counts by its mean over the seeds, which are no further trials. The shares are
# of the same things, so what counts is each thing's gain over the bare name. No prompt gains or
# loses as much as four points. The small CLIP met all of these sentences in training: with or
# without one, a name's feature points in nearly the same direction.

names = [emoji.concepts[i].name for i in across.tolist()]
images = [clip.encode_image(gallery(emoji, held_out, across)) for clip in clips]
prompts = {each: [each] for each in dict.fromkeys(TEMPLATES)}
prompts["all of these"], gains, bare = [*prompts], {}, None
for prompt, templates in prompts.items():
    weights = [zero_shot_weights(clip.encode_text, names, templates) for clip in clips]
    hits = torch.stack([first(x @ w.T) for x, w in zip(images, weights, strict=True)])
    bare = hits if bare is None else bare
    one, gain = share(hits == 1, 1 / len(names)), (hits - bare).mean(dim=0)  # (n,)
    gains[prompt] = [*one[:3], gain.mean(), student(len(gain)) * gain.std()]
columns = ["right, %", "from", "to", "gain, points", "±"]
gains = 100 * pd.DataFrame.from_dict(gains, "index", float, columns)
name, picture = clips[0].encode_text([*names, *(f"a picture of a {n}" for n in names)]).chunk(2)
assert not full or (abs(gains["gain, points"]) < 4).all() and (name * picture).sum(1).mean() > 0.8
show(gains.style.format(precision=1))

# %%
# .. solution-end::
#
# References
# ----------
#
# .. bibliography::
#    :filter: docname in docnames
#    :list: bullet
