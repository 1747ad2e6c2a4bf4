from collections import Counter

import pytest
import torch

import a3.clip.emoji
from a3.clip.emoji import ARTISTS, CREDITS, caption_parts, draw_caption, load_emoji


@pytest.fixture(scope="module")
def concepts():
    return list(a3.clip.emoji._concepts().values())


@pytest.fixture
def a_few(monkeypatch, tmp_path):
    """Only the first emoji of each group, drawn into a cache of their own."""
    every = a3.clip.emoji._concepts()
    first = {concept.group: code for code, concept in reversed(every.items())}
    few = {code: every[code] for code in first.values()}
    monkeypatch.setattr("a3.clip.emoji._concepts", lambda: dict(few))
    monkeypatch.setenv("A3_CACHE", str(tmp_path))
    return few


def test_there_are_about_1900_concepts_in_nine_groups_and_both_artists_drew_them(concepts):
    assert 1_850 < len(concepts) < 2_100
    groups = Counter(concept.group for concept in concepts)
    assert len(groups) == 9 and min(groups.values()) > 80
    for artist in ARTISTS:
        assert set(a3.clip.emoji._concepts()) <= set(a3.clip.emoji._files(artist))


def test_skin_tones_are_left_out(concepts):
    assert not [concept.name for concept in concepts if "skin tone" in concept.name]
    assert len({concept.name for concept in concepts}) == len(concepts)


@pytest.mark.parametrize(
    ("character", "name", "alias", "group"),
    [
        ("🍎", "red apple", "apple", "food & drink"),
        ("🐠", "tropical fish", None, "animals & nature"),
        ("🇳🇴", "flag of norway", "norway flag", "flags"),
        ("🕐", "one o'clock", "clock face one oclock", "travel & places"),
    ],
)
def test_names(concepts, character, name, alias, group):
    concept = next(c for c in concepts if c.character == character)
    assert concept.name == name and concept.group == group
    assert alias is None or alias in concept.aliases
    assert concept.description.startswith(name) and concept.description.endswith(group)


@pytest.mark.parametrize(
    ("character", "keyword"), [("🎷", "instrument"), ("🦈", "fish"), ("❤️", None), ("🇳🇴", None)]
)
def test_keywords_say_more_than_the_names(concepts, character, keyword):
    concept = next(c for c in concepts if c.character == character)
    assert keyword is None or keyword in concept.keywords
    assert not {concept.name, *concept.aliases} & set(concept.keywords)


def test_most_things_have_keywords_in_plain_words(concepts):
    words = [word for concept in concepts for word in concept.keywords]
    assert sum(bool(concept.keywords) for concept in concepts) > len(concepts) / 2
    assert all(word == a3.clip.emoji._plain(word) and word for word in words)


def test_images_are_rgb_on_white_and_differ_between_artists(a_few):
    emoji = load_emoji(32, progress=False)
    assert emoji.images.shape == (len(a_few), 2, 3, 32, 32) and emoji.images.dtype == torch.uint8
    corners = emoji.images[:, :, :, 0, 0].float().mean(dim=2)
    assert (corners.median(dim=0).values > 250).all()
    assert (emoji.images[:, 0] != emoji.images[:, 1]).flatten(1).any(dim=1).all()
    assert (emoji.images.float().flatten(2).std(dim=2) > 5).all(), "an image is blank"


def test_outlines_are_dark_lines_around_the_first_artists_shapes(a_few):
    emoji = load_emoji(72, progress=False)
    assert emoji.outlined.shape == (len(a_few), 3, 72, 72)
    plain, lined = (255 - x.float().mean(dim=1) for x in (emoji.images[:, 0], emoji.outlined))
    more_ink = lined.mean(dim=(1, 2)) - plain.mean(dim=(1, 2))
    assert (more_ink > 0).double().mean() > 0.7, "lines add ink, but for room that they take"
    black = [(x > 200).double().mean(dim=(1, 2)) for x in (plain, lined)]
    assert (black[1] > black[0]).double().mean() > 0.9


def test_a_drawing_with_outlines_is_a_drawing_of_strokes_with_room_for_them():
    svg = '<svg viewBox="0 0 36 36"><path fill="#f00" d="M0 0h36v36H0z"/></svg>'
    lined = a3.clip.emoji._with_outlines(svg)
    assert 'viewBox="-1.0 -1.0 38.0 38.0"' in lined and lined.count("<path") == 1
    image = torch.from_numpy(a3.clip.emoji._rasterise(lined, 380).copy())  # (3, 380, 380)
    assert image[:, 190, 10].tolist() == image[:, 10, 190].tolist() == [0, 0, 0]
    assert image[:, 190, 190].tolist() == [255, 0, 0]


def test_images_are_drawn_once(a_few, monkeypatch):
    first = load_emoji(16, progress=False)
    monkeypatch.setattr("a3.clip.emoji.kept", spy := Spy(a3.clip.emoji.kept))
    again = load_emoji(16, progress=False)
    assert again.concepts == first.concepts and torch.equal(again.images, first.images)
    assert spy.calls == 1
    assert load_emoji(24, progress=False).images.shape[-1] == 24


class Spy:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.function(*arguments)


def test_a_damaged_cache_is_made_again(a_few, tmp_path):
    first = load_emoji(16, progress=False)
    (file,) = tmp_path.glob("*.pt")
    file.write_bytes(file.read_bytes()[:1_000])
    with pytest.warns(RuntimeWarning, match="cannot read .* it is made again"):
        again = load_emoji(16, progress=False)
    assert torch.equal(again.images, first.images)


def test_a_cache_that_cannot_be_written_is_no_obstacle(a_few, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="cannot write"):
        assert len(load_emoji(8, progress=False).concepts) == len(a_few)


def test_a_glyph_that_one_artist_lacks_is_left_out(a_few, monkeypatch):
    files = a3.clip.emoji._files
    lacking = next(iter(a_few))

    def fewer(artist):
        return {c: p for c, p in files(artist).items() if artist == "Twemoji" or c != lacking}

    monkeypatch.setattr("a3.clip.emoji._files", fewer)
    emoji = load_emoji(8, progress=False)
    assert len(emoji.concepts) == len(emoji.images) == len(a_few) - 1
    assert a_few[lacking] not in emoji.concepts


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        load_emoji(0)


def test_drawn_captions_vary_and_keep_to_their_parts(concepts):
    apple = next(c for c in concepts if c.character == "🍎")
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(draw_caption(apple, generator) for _ in range(400))
    assert len(drawn) > 20
    words = {word for part in caption_parts([apple]) for word in part.replace(",", " ").split()}
    assert {w for caption in drawn for w in caption.replace(",", " ").split()} <= words
    assert sum(n for caption, n in drawn.items() if "apple" in caption) == 400
    assert any("food & drink" in caption for caption in drawn)
    again = torch.Generator().manual_seed(0)
    assert next(iter(drawn)) == draw_caption(apple, again)


def test_each_artist_is_credited_with_the_licence():
    assert set(CREDITS) == set(ARTISTS)
    assert "CC BY 4.0" in CREDITS["Twemoji"] and "CC BY-SA 4.0" in CREDITS["OpenMoji"]
