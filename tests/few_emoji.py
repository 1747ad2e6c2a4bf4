"""A few made-up emoji for the tests of CLIP: shapes in colours, by two artists."""

import torch

from a3.clip.emoji import Concept, Emoji

COLOURS = {"red": (220, 30, 30), "green": (30, 170, 60), "blue": (30, 60, 220)}
THINGS = ["disc", "ring", "bar", "post", "cross", "slash", "frame", "dot"]


def few_emoji(size=32):
    """24 things, 4 people and 4 flags; the second artist draws bolder and outlines."""
    concepts, images = [], []
    for thing in THINGS:
        for colour, rgb in COLOURS.items():
            group = "objects" if THINGS.index(thing) % 2 else "symbols"
            name = f"{colour} {thing}"
            concepts.append(Concept("?", name, (f"{thing} in {colour}",), (), group, thing))
            images.append(torch.stack([draw(thing, rgb, size, bold) for bold in (0.0, 0.08)]))
    for number, (name, group) in enumerate(
        [
            (f"{role} {who}", "people & body")
            for role in ("cook", "nurse")
            for who in ("man", "woman")
        ]
        + [(f"flag of {land}", "flags") for land in ("north", "south", "east", "west")]
    ):
        concepts.append(Concept("?", name, (), (), group, "some"))
        generator = torch.Generator().manual_seed(number)
        images.append(torch.randint(256, (2, 3, size, size), generator=generator))
    images = torch.stack([i.to(torch.uint8) for i in images])
    return Emoji(tuple(concepts), images, outlined=images[:, 0].clone())


def draw(thing, rgb, size, bold):
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    radius, w = (x**2 + y**2).sqrt(), 0.25 + bold
    inside = {
        "disc": radius < 0.7 + bold,
        "ring": (radius < 0.8 + bold) & (radius > 0.5),
        "bar": (y.abs() < w) & (x.abs() < 0.9),
        "post": (x.abs() < w) & (y.abs() < 0.9),
        "cross": (x.abs() < w) | (y.abs() < w),
        "slash": (x - y).abs() < w,
        "frame": (torch.maximum(x.abs(), y.abs()) < 0.85) & (torch.maximum(x.abs(), y.abs()) > 0.5),
        "dot": radius < 0.3 + bold,
    }[thing]
    return torch.where(inside, torch.tensor(rgb).view(3, 1, 1), 255)
