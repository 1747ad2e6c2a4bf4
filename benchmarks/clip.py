"""Time encoding and training of CLIP against calling open_clip as its documentation does.

Everything is timed in one run, on the same threads, in alternating pairs; the tables give
medians, and of the ratios the range too.

1. Images encoded a second, from PIL images to features: ``Clip.encode_image``, which batches and
   keeps the channels last, against open_clip's transform and model one image at a time. The small
   CLIP, and ViT-B/32 with weights drawn at random (they cost the same as trained ones). 'Apart' is
   how far the features of the two are from each other, at most.
2. Training steps of the small CLIP on as many images: the book's, with augmentation of a whole
   batch at once and two captions of each concept, against one put together from open_clip's own
   parts as its training script does: its transform for training on each PIL image, its tokenizer
   (renumbered for the same model) on a caption for each image, ``ClipLoss``, AdamW with the
   script's two groups, the scale clamped. The first row has the images and the captions ready made
   for both, so that models and losses alone are compared.

Usage: python benchmarks/clip.py [--threads N] [--repeats R]
"""

import logging
import math
import warnings
from statistics import median

import open_clip
import torch
from open_clip import ClipLoss
from open_clip.transform import AugmentationCfg, PreprocessCfg, image_transform_v2
from paired import alternate, start, table, with_range
from PIL import Image

from a3.clip.emoji import load_emoji
from a3.clip.emoji_split import split
from a3.clip.model import Clip
from a3.clip.small import SmallClip, build
from a3.clip.training import _Run
from a3.runs.clip import as_clip

SETTINGS = SmallClip(word_vectors=False)  # both train every weight


def as_pil(images):
    return [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in images]


def vit():
    """ViT-B/32 as it would come from the hub, but for its weights."""
    logging.getLogger().setLevel(logging.ERROR)  # it warns that there are no trained weights
    model = open_clip.create_model("ViT-B-32", force_quick_gelu=True).eval()
    model = model.to(memory_format=torch.channels_last)
    preprocess = image_transform_v2(PreprocessCfg(size=224), is_train=False)
    return Clip("ViT-B-32", model, preprocess, open_clip.get_tokenizer("ViT-B-32"), 224, 77)


def encoding(clip, theirs, images, repeats):
    """A row of the table of images encoded a second."""

    def one_by_one():
        with torch.no_grad():
            features = [theirs.encode_image(clip.preprocess(image)[None]) for image in images]
        features = torch.cat(features)
        return features / features.norm(dim=-1, keepdim=True)

    ours, loop = alternate(lambda: clip.encode_image(images), one_by_one, repeats)
    ratios = [their / our for our, their in zip(ours, loop, strict=True)]
    apart = (clip.encode_image(images) - one_by_one()).abs().max().item()
    rates = [f"{len(images) / median(times):,.0f}" for times in (ours, loop)]
    return [clip.name, *rates, with_range(ratios, 1), f"{apart:.0e}"]


class Theirs:
    """A training step put together from open_clip's parts."""

    def __init__(self, run):
        self.run = run
        self.model = build(SETTINGS, run.vocabulary).to(memory_format=torch.contiguous_format)
        self.model.train()
        augmentation = AugmentationCfg(color_jitter=(0.32, 0.32, 0.32, 0.08), color_jitter_prob=0.8)
        cfg = PreprocessCfg(size=SETTINGS.image_size)
        with warnings.catch_warnings(action="ignore"):  # of settings that it has used, in fact
            self.transform = image_transform_v2(cfg, is_train=True, aug_cfg=augmentation)
        small = {True: [], False: []}
        for parameter_name, parameter in self.model.named_parameters():
            excluded = (
                parameter.ndim < 2 or "bn" in parameter_name or "logit_scale" in parameter_name
            )
            small[excluded].append(parameter)
        groups = [
            {"params": small[True], "weight_decay": 0.0},
            {"params": small[False], "weight_decay": 0.2},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.98), eps=1e-6)
        self.loss = ClipLoss(cache_labels=True)

    def batch(self):
        run = self.run
        rows = torch.randperm(len(run.concepts), generator=run.generator)[: self.size]
        images = [self.transform(image) for image in as_pil(run.images[rows, 0])]
        captions = [run.concepts[row].name for row in rows.tolist()]
        return torch.stack(images), self.run.vocabulary(captions, quiet=True)

    def step(self, batch):
        images, captions = batch
        self.optimizer.zero_grad()
        outputs = [
            self.model.encode_image(images, normalize=True),
            self.model.encode_text(captions, normalize=True),
            self.model.logit_scale.exp(),
        ]
        self.loss(*outputs).backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))


def steps(repeats):
    """The rows of the table of training steps."""
    emoji = load_emoji()
    run = _Run(SETTINGS, emoji, split(emoji).seen)
    theirs, draw = Theirs(run), run.batch
    ready = draw()
    theirs.size = images = len(ready[0])
    ready_theirs = theirs.batch()
    for what, ours, other in (
        ("images ready", lambda: ready, lambda: ready_theirs),
        ("with augmentation", draw, theirs.batch),
    ):
        run.batch = ours
        our, their = alternate(run.step, lambda other=other: theirs.step(other()), repeats)
        ratios = [b / a for a, b in zip(our, their, strict=True)]
        rates = [f"{images / median(times):,.0f}" for times in (our, their)]
        yield [what, *rates, with_range(ratios, 2)]


def main():
    arguments = start(__doc__, f", open_clip {open_clip.__version__}")
    print(f"Medians of {arguments.repeats}; a ratio above 1 says that ours is faster.\n")
    emoji = load_emoji()
    run = _Run(SETTINGS, emoji, split(emoji).seen)
    result = {"tokens": run.vocabulary.tokens, "weights": run.model.state_dict()}
    clip = as_clip(SETTINGS, result)
    plain = build(SETTINGS, run.vocabulary).eval().to(memory_format=torch.contiguous_format)
    plain.load_state_dict(result["weights"])
    large = vit()
    print("Images encoded a second.\n")
    table(
        ["model", "ours", "one at a time", "ratio (range)", "apart"],
        encoding(clip, plain, as_pil(emoji.images[:512, 0]), arguments.repeats),
        encoding(large, large.model, as_pil(emoji.images[:32, 0]), arguments.repeats),
    )
    print(f"Training steps on the images of {SETTINGS.batch_size} concepts: images a second.\n")
    table(["step", "ours", "open_clip's", "ratio (range)"], *steps(arguments.repeats))


if __name__ == "__main__":
    main()
