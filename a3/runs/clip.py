"""The small CLIP trained with one thing changed, to measure what that is worth."""

from __future__ import annotations

from dataclasses import replace

from a3.clip.small import SmallClip

__all__ = ["ABLATIONS", "BASES"]

_SHORT = SmallClip(image_size=32, batch_size=48, steps=500)
BASES = {"main": SmallClip(), "short": _SHORT}
"""What is changed: the book's own run, and one that takes a small part of the time.

:meta hide-value:
"""
ABLATIONS = {
    "main: no augmentation": SmallClip(augmentation=None),
    "main: no noise on words": SmallClip(word_noise=0.0),
    "short: no augmentation": replace(_SHORT, augmentation=None),
    "short: no noise on words": replace(_SHORT, word_noise=0.0),
    "short: word vectors learned here": replace(_SHORT, word_vectors=False),
    "short: bare names as captions": replace(_SHORT, rich_captions=False),
    "short: scale fixed at 1": replace(_SHORT, scale=1.0, learn_scale=False),
    "short: batch of 16": replace(_SHORT, batch_size=16, steps=3 * _SHORT.steps),
    "short: CLIP's loss alone": replace(_SHORT, all_pairs=False),
}
"""Runs that differ in one thing from the base before the colon, and see as many images.

:meta hide-value:
"""
