import pytest
import torch

from a3.clip.contrastive import cosine_similarity
from a3.clip.hunt import GRAMMAR, Hunt


class Letters:
    """A stand-in for CLIP that sees how often a caption has each of the letters a to e."""

    def tokenize(self, captions):
        for caption in captions:
            if "?" in caption:
                raise ValueError("no word is known")

    def encode_text(self, captions):
        self.tokenize(captions)
        counts = [[caption.count(letter) + 1e-3 for letter in "abcde"] for caption in captions]
        return torch.nn.functional.normalize(torch.tensor(counts), dim=1)


GALLERY = torch.eye(5) + torch.tensor([0.1, 0.2, 0.2, 0.2, 0.2])[:, None]


def hunt(target=0, gallery=GALLERY):
    return Hunt(Letters(), gallery, target)


def test_an_attempt_is_logged_with_the_rank_it_gave():
    one = hunt()
    lost, found = one.attempt(["bb a", "aa b"])
    assert one.log == [lost, found]
    assert (lost.caption, lost.rank, lost.best) == ("bb a", 2, 1) and lost.lead < 0
    assert (found.rank, found.best) == (1, 0) and found.lead > 0
    similarities = cosine_similarity(Letters().encode_text(["aa b"]), GALLERY)[0]
    assert found.lead == pytest.approx((similarities[0] - similarities[1:].max()).item())


def test_a_search_finds_what_the_grammar_can_say():
    one = hunt(target=2)
    best = one.search({"first": ("b", "d", "c"), "second": ("a", "c", "")})
    assert best.rank == 1 and set(best.caption.split()) == {"c"}
    captions = [each.caption for each in one.log]
    assert len(captions) == len(set(captions)), "a caption was tried twice"
    assert best == min(one.log, key=lambda t: (t.rank, -t.lead))


def test_a_search_is_never_worse_than_where_it_starts():
    for target in range(5):
        one = hunt(target)
        best = one.search({"x": ("e", "a"), "y": ("", "b", "cc")}, rounds=3)
        assert best.rank <= one.log[0].rank


def test_words_that_the_model_does_not_know_are_passed_over():
    one = hunt()
    assert one.search({"x": ("b", "??", "a")}).caption == "a"
    assert "??" not in {each.caption for each in one.log}
    with pytest.raises(ValueError, match="the model knows no word of the grammar's captions"):
        hunt().search({"x": ("?", "??")})


def test_the_answer_is_true_of_the_log():
    one = hunt()
    with pytest.raises(ValueError, match="nothing has been tried yet"):
        one.answer()
    one.attempt(["b"])
    assert one.answer("the whale") == (
        "“b” put the whale at rank 5 of 5, and none of 1 captions did better."
    )
    one.attempt(["bb a"])
    assert one.answer() == (
        "“b” put the target at rank 5 of 5, and the best of 2 captions, “bb a”, only brought it to "
        "rank 2."
    )
    one.attempt(["aa b"])
    assert one.answer() == (
        "“b” put the target at rank 5 of 5, and it took 3 captions to find it, with “aa b”."
    )
    easy = hunt()
    easy.attempt(["a", "b"])
    assert easy.answer() == "The first caption, “a”, found the target among 5 images."


def test_the_grammar_of_the_book_makes_captions():
    assert "colour" in GRAMMAR and all(GRAMMAR.values())


def test_hunts_without_sense_are_refused():
    with pytest.raises(ValueError, match="a hunt needs two images or more, got 1"):
        hunt(gallery=GALLERY[:1])
    for target in (-1, 5):
        with pytest.raises(ValueError, match=f"the target must be 0 to 4, got {target}"):
            hunt(target)
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        hunt().search(rounds=0)
    with pytest.raises(ValueError, match="the slot 'kind' of the grammar has no words"):
        hunt().search({"kind": ()})
    with pytest.raises(ValueError, match="the first words of all slots make no caption"):
        hunt().search({"style": ("", "a"), "kind": ("", "b")})
