from dataclasses import replace

import pytest
import torch

import a3.clip.emoji
from a3.clip.emoji import Emoji, load_emoji
from a3.clip.emoji_split import STRATA, kinds, split, stratum, validation_split


@pytest.fixture(scope="module")
def emoji():
    """All concepts, with images of noise: no two look the same."""
    concepts = tuple(a3.clip.emoji._concepts().values())
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (len(concepts), 2, 3, 4, 4), generator=generator)
    images = images.to(torch.uint8)
    return Emoji(concepts, images, outlined=images[:, 0])


@pytest.mark.parametrize(
    "names",
    [
        ["farmer", "man farmer", "woman farmer"],
        ["green book", "blue book", "orange book"],
        ["one o'clock", "ten thirty"],
        ["full moon", "crescent moon", "new moon face"],
        ["family man woman boy", "family woman girl"],
        ["cow", "cow face"],
        ["left arrow", "up right arrow"],
        ["red circle", "purple circle"],
        ["keycap 1", "keycap 9"],
        ["cat", "cat face", "grinning cat", "crying cat"],
        ["snowman", "snowman without snow"],
        ["umbrella", "umbrella with rain drops"],
        ["cloud with lightning", "cloud with lightning and rain"],
        ["check mark", "check mark button"],
        ["baby chick", "front facing baby chick"],
        ["bus", "oncoming bus"],
        ["chart increasing", "chart increasing with yen"],
    ],
    ids=lambda names: names[0],
)
def test_variants_of_one_thing_are_one_kind(emoji, names):
    by_name = dict(zip((c.name for c in emoji.concepts), kinds(emoji).tolist(), strict=True))
    assert len({by_name[name] for name in names}) == 1


def test_things_are_of_different_kinds(emoji):
    by_name = dict(zip((c.name for c in emoji.concepts), kinds(emoji).tolist(), strict=True))
    names = ["farmer", "cook", "cow", "pig", "red circle", "green book", "red heart", "full moon"]
    names += ["flag of norway", "flag of france", "flag of guinea", "flag of guinea bissau"]
    names += ["dog", "hot dog", "automobile", "railway car", "racing car", "person", "deaf person"]
    assert len({by_name[name] for name in names}) == len(names)


@pytest.fixture(scope="module")
def drawn():
    """The emoji themselves."""
    return load_emoji(progress=False)


@pytest.mark.parametrize(
    "pair", [("locked", "unlocked"), ("flag of mali", "flag of senegal")], ids=lambda pair: pair[0]
)
def test_what_looks_alike_is_one_kind(drawn, pair):
    by_name = dict(zip((c.name for c in drawn.concepts), kinds(drawn).tolist(), strict=True))
    assert by_name[pair[0]] == by_name[pair[1]]


def test_no_kind_is_a_chain_of_many_things(drawn):
    sizes = torch.bincount(kinds(drawn))
    assert len(sizes) > 1_250 and sizes.max() <= 50 and (sizes > 30).sum() <= 2


def test_shares_of_the_drawings(drawn):
    everything = torch.bincount(stratum(drawn)).double()
    for seed in range(3):
        made = split(drawn, seed)
        for held_out, share in ((made.unseen, 0.10), (made.across, 0.24)):
            found = torch.bincount(stratum(drawn)[held_out]) / everything
            torch.testing.assert_close(found, torch.full_like(found, share), atol=0.005, rtol=0)
        kind, seen = kinds(drawn), made.seen.any(dim=1)
        assert not set(kind[made.unseen].tolist()) & set(kind[seen].tolist())


@pytest.mark.parametrize("artist", [0, 1])
def test_what_looks_the_same_in_either_hand_is_one_kind(emoji, artist):
    before = kinds(emoji)
    pair = torch.tensor([100, 700])
    assert before[100] != before[700]
    images = emoji.images.clone()
    images[700, artist] = images[100, artist]
    after = kinds(replace(emoji, images=images))
    assert after[100] == after[700] and after.max() == before.max() - 1, pair


def test_flags_may_differ_by_more_than_other_things(emoji):
    """Two images differ by 0.05 everywhere: enough to tell things apart, not flags."""
    images = emoji.images.clone().clamp(max=240)
    flags = (stratum(emoji) == STRATA.index("flags")).nonzero().flatten()[-2:].tolist()
    for first, second in ((100, 700), flags):
        images[second] = images[first] + 13
    found = kinds(replace(emoji, images=images))
    assert found[100] != found[700] and found[flags[0]] == found[flags[1]]


def test_of_what_is_never_seen_no_variant_is_seen(emoji):
    kind = kinds(emoji)
    for made in (split(emoji), split(emoji, seed=3)):
        seen = made.seen.any(dim=1)
        for number in kind[made.unseen].unique():
            assert not seen[kind == number].any()


def test_sizes_and_shares(emoji):
    made, strata = split(emoji), stratum(emoji)
    assert len(made.unseen) == pytest.approx(190, abs=2)
    counts = torch.bincount(strata[made.across], minlength=3)
    assert counts[0] == pytest.approx(300, abs=3) and len(STRATA) == 3
    for part, whole in zip(counts.tolist(), torch.bincount(strata).tolist(), strict=True):
        assert part / whole == pytest.approx(0.24, abs=0.02)


def test_what_is_held_out_is_not_seen(emoji):
    made = split(emoji)
    assert not made.seen[made.unseen].any()
    assert (made.seen[made.across].sum(dim=1) == 1).all()
    both = made.seen.all(dim=1).sum()
    assert both + len(made.across) + len(made.unseen) == len(emoji.concepts)
    assert made.seen[made.across, 0].all() and not made.seen[made.across, 1].any()


def test_recipes_are_chosen_without_any_test_image(emoji):
    test, validation = split(emoji), validation_split(emoji)
    assert not (validation.seen & ~test.seen).any()
    for held_out in (validation.across, validation.unseen):
        assert test.seen[held_out].all(), "a concept is tested that the test split holds out"
    hidden = ~validation.seen[validation.across]
    assert test.seen[validation.across][hidden].all()
    assert len(validation.across) > 200 and len(validation.unseen) > 80


def test_the_seed_decides(emoji):
    assert torch.equal(split(emoji).seen, split(emoji).seen)
    assert not torch.equal(split(emoji).seen, split(emoji, seed=1).seen)
