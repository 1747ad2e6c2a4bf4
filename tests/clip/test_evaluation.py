import pytest
import torch
from few_clip import few_clip
from few_emoji import few_emoji

import a3.clip.evaluation
from a3.clip.emoji_split import STRATA, Split, kinds
from a3.clip.evaluation import caption_features, evaluate, gallery, held_out_features
from a3.lab.intervals import share


@pytest.fixture
def emoji():
    return few_emoji()


@pytest.fixture
def split(emoji):
    seen = torch.ones(len(emoji.concepts), 2, dtype=torch.bool)
    across, unseen = torch.tensor([0, 3, 6, 9, 24, 28]), torch.tensor([1, 4, 25, 29])
    seen[across, torch.tensor([0, 1, 0, 1, 0, 1])] = False
    seen[unseen] = False
    return Split(seen, across, unseen)


class Oracle:
    """Stands in for a CLIP: an image's feature is its place, a caption's that of its concept."""

    def __init__(self, emoji, mistaken=()):
        self.emoji, self.mistaken = emoji, mistaken
        self.places = torch.eye(len(emoji.concepts))

    def encode_image(self, images):
        same = (images[:, None, None] == self.emoji.images[None]).flatten(3).all(dim=3).any(dim=2)
        return self.places[same.int().argmax(dim=1)]

    def encode_text(self, captions):
        names = [c.name for c in self.emoji.concepts]
        groups = sorted({c.group for c in self.emoji.concepts})
        rows = []
        for caption in captions:
            group = next((g for g in groups if caption.endswith(g)), None)
            name = next((n for n in names if caption.startswith(n)), None)
            if name in self.mistaken:
                raise ValueError("no word is known")
            if name:
                rows.append(self.places[names.index(name)])
            else:
                rows.append(torch.tensor([float(c.group == group) for c in self.emoji.concepts]))
        return torch.stack(rows)


def test_whoever_knows_all_finds_all(emoji, split):
    table = evaluate([Oracle(emoji)], emoji, split)
    assert (table.value == 1).all() and (table.low < 1).all()
    assert set(table.of) == {*STRATA, "all"} and set(table.k) == {1, 5}
    assert set(table.task) == {
        f"{task}, {held_out}"
        for task in (
            "caption to image",
            "image to caption",
            "group by one prompt",
            "group by ensemble",
        )
        for held_out in ("across artists", "never seen")
    }


def test_each_gallery_has_its_chance(emoji, split):
    table = evaluate([Oracle(emoji)], emoji, split).set_index(["task", "of", "k"])
    row = table.loc[("caption to image, across artists", "things", 1)]
    assert row.n == 4 and row.chance == 1 / 4
    assert table.loc[("caption to image, across artists", "all", 5)].chance == 5 / 6
    assert table.loc[("caption to image, never seen", "flags", 5)].chance == 1
    assert table.loc[("group by one prompt, never seen", "all", 1)].chance == 1 / 4


def test_the_most_frequent_group_stands_beside_chance(emoji, split):
    table = evaluate([Oracle(emoji)], emoji, split).set_index(["task", "of", "k"])
    groups = [emoji.concepts[i].group for i in split.across.tolist()]
    most = max(map(groups.count, groups)) / len(groups)
    assert table.loc[("group by ensemble, across artists", "all", 1)].majority == most
    assert table.loc["caption to image, across artists"].majority.isna().all()


def test_a_caption_of_which_no_word_is_known_finds_nothing(emoji, split):
    lost = emoji.concepts[3].name
    features = caption_features(Oracle(emoji, [lost]), emoji.concepts[:5], "name")
    assert not features[3].any() and features[[0, 1, 2, 4]].norm(dim=1).min() > 0
    table = evaluate([Oracle(emoji, [lost])], emoji, split).set_index(["task", "of", "k"])
    assert table.loc[("caption to image, across artists", "things", 1)].value == 3 / 4


def test_seeds_are_averaged_and_kept_apart(emoji, split):
    clips = [Oracle(emoji), Oracle(emoji, [emoji.concepts[3].name])]
    table = evaluate(clips, emoji, split).set_index(["task", "of", "k"])
    row = table.loc[("caption to image, across artists", "things", 1)]
    assert row.seeds == [1, 0.75] and row.value == 0.875 and row.n == 4
    kind = kinds(emoji)[[0, 3, 6, 9]]
    assert row.kinds == len(kind.unique())
    expected = share(torch.tensor([[1.0, 1, 1, 1], [1, 0, 1, 1]]), 0.25, group=kind)
    assert (row.low, row.high) == pytest.approx((expected.low, expected.high))


def test_only_images_that_were_not_seen_are_shown(emoji, split):
    shown = gallery(emoji, split, split.across)
    hidden = [0, 1, 0, 1, 0, 1]
    assert torch.equal(shown, emoji.images[split.across, hidden])
    in_turn = gallery(emoji, split, split.unseen)
    assert torch.equal(in_turn, emoji.images[split.unseen, [0, 1, 0, 1]])
    with pytest.raises(ValueError, match="of some of these concepts both images were seen"):
        gallery(emoji, split, torch.tensor([0, 2]))


def test_captions_and_unseen_drawings_are_encoded_in_the_order_of_the_concepts(emoji, split):
    captions, images = held_out_features(Oracle(emoji), emoji, split, split.across, "name")
    assert torch.equal(captions, torch.eye(len(emoji.concepts))[split.across])
    assert torch.equal(images, captions)


def test_a_trained_model_can_be_evaluated_by_name_or_description(emoji, split):
    for captions in ("name", "description"):
        table = evaluate([few_clip()], emoji, split, captions)
        assert table.value.between(0, 1).all() and (table.low <= table.value).all()
    with pytest.raises(ValueError, match="captions must be 'description' or 'name', got 'all'"):
        evaluate([few_clip()], emoji, split, "all")
    with pytest.raises(ValueError, match="expected at least one model, got none"):
        evaluate([], emoji, split)


def test_the_single_prompt_is_the_first_of_the_ensemble():
    assert len(a3.clip.evaluation.GROUP_TEMPLATES) > 3
    assert all("{}" in template for template in a3.clip.evaluation.GROUP_TEMPLATES)
