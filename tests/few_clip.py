"""A CLIP trained for a few steps on the emoji of few_emoji, for tests of what is built on one."""

from functools import cache

from few_emoji import few_emoji

from a3.clip.small import SmallClip
from a3.clip.training import _Run
from a3.runs.clip import as_clip

SETTINGS = SmallClip(
    image_size=32,
    image_width=4,
    text_width=16,
    text_heads=2,
    features=16,
    steps=30,
    batch_size=16,
    augmentation=None,
    word_vectors=False,
)


@cache
def few_clip(steps=SETTINGS.steps):
    emoji = few_emoji()
    run = _Run(SETTINGS, emoji, (emoji.images >= 0).flatten(2).any(dim=2))
    for _ in range(steps):
        run.step()
    return as_clip(SETTINGS, {"tokens": run.vocabulary.tokens, "weights": run.model.state_dict()})
