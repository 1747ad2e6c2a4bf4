from dataclasses import replace

import pytest
import torch
from few_clip import SETTINGS
from few_emoji import few_emoji

import a3.clip.training
from a3.clip.contrastive import contrastive_loss, supervised_contrastive_loss
from a3.clip.drawings import Augmentation
from a3.clip.emoji_split import Split
from a3.clip.small import build, encode_image, encode_text, normalised
from a3.clip.tokens import Vocabulary
from a3.clip.training import parameter_groups, train_small_clip
from a3.lab.saved_runs import CheckpointError, load

TINY = replace(
    SETTINGS,
    steps=6,
    batch_size=8,
    learning_rate=3e-3,
    augmentation=Augmentation(),
    word_noise=0.0,
)


def few_split(emoji):
    """Every fourth thing in one hand only, one thing not at all."""
    seen = torch.ones(len(emoji.concepts), 2, dtype=torch.bool)
    across, unseen = torch.arange(1, 24, 4), torch.tensor([0])
    seen[across, torch.arange(len(across)) % 2] = False
    seen[unseen] = False
    return Split(seen, across, unseen)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    emoji = few_emoji()
    monkeypatch.setattr("a3.clip.training.load_emoji", lambda progress: emoji)
    monkeypatch.setattr("a3.clip.training.split", few_split)
    monkeypatch.setattr("a3.clip.training.validation_split", few_split)
    return emoji


def same(run, other):
    """Bit for bit the same, but for the time it took."""
    assert run["loss"] == other["loss"] and run["scale"] == other["scale"]
    assert all(torch.equal(w, other["weights"][name]) for name, w in run["weights"].items())


def test_biases_norms_embeddings_and_the_scale_do_not_decay():
    model = build(TINY, Vocabulary.of(["a red disc"]))
    decayed, rest = parameter_groups(model, 0.1)
    assert decayed["weight_decay"] == 0.1 and rest["weight_decay"] == 0
    names = {id(p): name for name, p in model.named_parameters()}
    kept = {names[id(p)] for p in rest["params"]}
    assert {"logit_scale", "token_embedding.weight", "positional_embedding"} <= kept
    assert "visual.bn1.weight" in kept and "visual.conv1.weight" not in kept
    assert len(decayed["params"]) + len(rest["params"]) == len(names)


def test_a_few_emoji_are_learnt_by_heart(few):
    settings = replace(TINY, steps=120, augmentation=None, rich_captions=False, batch_size=24)
    run = train_small_clip(settings)
    assert sum(run["loss"][-5:]) / 5 < 0.5 * run["loss"][0]
    vocabulary = Vocabulary(run["tokens"], settings.context)
    model = build(settings, vocabulary).eval()
    model.load_state_dict(run["weights"])
    rows = few_split(few).seen.all(dim=1).nonzero().flatten()
    with torch.no_grad():
        images = model.encode_image(normalised(few.images[rows, 0] / 255), normalize=True)
        names = [few.concepts[i].name for i in rows.tolist()]
        captions = model.encode_text(vocabulary(names), normalize=True)
    found = (captions @ images.T).argmax(dim=1) == torch.arange(len(rows))
    assert found.float().mean() > 0.6


def test_word_vectors_stay_and_words_of_what_is_held_out_have_one(few, monkeypatch):
    def vectors(words, dimensions):
        assert dimensions == TINY.text_width and "cook" in words
        return torch.arange(len(words), dtype=torch.float)[:, None].expand(-1, dimensions)

    monkeypatch.setattr("a3.clip.small.word_vectors", vectors)
    few = replace(few, concepts=(replace(few.concepts[0], name="cook"), *few.concepts[1:]))
    seen = few_split(few).seen  # not the first
    run = a3.clip.training._Run(replace(TINY, word_vectors=True), few, seen)
    before = run.model.token_embedding.weight.clone()
    number = run.vocabulary(["cook"])[0, 1]
    assert (before[number] == 0.02 * (number - 2)).all(), "numbers of words begin at 2"
    run.step(), run.step()
    assert torch.equal(run.model.token_embedding.weight, before)


def test_the_second_captions_have_noise_each_of_its_own_strength(few):
    run = a3.clip.training._Run(replace(TINY, word_noise=3.0), few, few_split(few).seen)
    captions = run.batch()[1]  # (2n, context)
    with torch.no_grad():
        noise = run.model.token_embedding(captions) - run.model.token_embedding.weight[captions]
    first, second = noise.flatten(1).std(dim=1).chunk(2)
    assert (first == 0).all() and 0 < second.min() < second.max() / 2
    assert second.max() < 1.2 * 3.0 * 0.02


def test_without_them_only_words_of_what_is_seen_are_known_and_learnt(few):
    run = a3.clip.training._Run(TINY, few, few_split(few).seen)
    before = run.model.token_embedding.weight.clone()
    run.step(), run.step()
    assert not torch.equal(run.model.token_embedding.weight, before)
    with pytest.raises(ValueError, match="no word of the caption"):
        run.vocabulary(["hovercraft"])


def test_images_are_shown_at_the_size_of_the_model(few):
    for augmentation in (None, TINY.augmentation):
        settings = replace(TINY, image_size=40, augmentation=augmentation)
        run = a3.clip.training._Run(settings, few, few_split(few).seen)
        assert run.batch()[0].shape[1:] == (3, 40, 40)
        run.step()


def test_what_is_held_out_is_never_drawn(few):
    run = a3.clip.training._Run(replace(TINY, augmentation=None), few, few_split(few).seen)
    drawn = torch.cat([run.batch()[0] for _ in range(20)])
    split = few_split(few)
    for concept, artist in (~split.seen).nonzero().tolist():
        hidden = normalised(few.images[concept, artist][None] / 255)
        twin = (few.images[concept, artist] == few.images[concept, 1 - artist]).all()
        assert twin or not (drawn == hidden).flatten(1).all(dim=1).any()


def test_a_concept_comes_with_two_images_and_two_captions_of_its_own(few):
    settings = replace(TINY, augmentation=None, batch_size=30, rich_captions=False)
    run = a3.clip.training._Run(settings, few, few_split(few).seen)
    images, captions = run.batch()
    assert len(images) == len(captions) == 60
    first, second = captions.chunk(2)
    assert torch.equal(first, second), "bare names are the same both times"
    one, other = images.chunk(2)
    pixels = normalised(run.images.flatten(0, 1) / 255).unflatten(0, (-1, 3))
    by_name = {tuple(run.vocabulary([c.name])[0].tolist()): i for i, c in enumerate(run.concepts)}
    for name, *pair in zip(first.tolist(), one, other, strict=True):
        own = pixels[by_name[tuple(name)]]
        assert all((own == image).flatten(1).all(dim=1).any() for image in pair)
    differ = (one != other).flatten(1).any(dim=1).float().mean()
    assert 0.6 < differ < 1, "two hands where both may be seen, else one image twice"


def test_the_share_asked_for_of_the_first_artists_images_has_outlines(few):
    marked = replace(few, outlined=torch.full_like(few.outlined, 77))
    for share in (0.0, 0.5, 1.0):
        settings = replace(TINY, augmentation=None, outlined=share)
        run = a3.clip.training._Run(settings, marked, few_split(few).seen)
        images = torch.cat([run.batch()[0] for _ in range(20)])
        lined = (images == normalised(torch.full((1, 3, 32, 32), 77 / 255))).flatten(1).all(dim=1)
        first = 0.5 + 0.5 * 6 / 31 / 2  # about half; a little more where the other's is held out
        assert abs(lined.float().mean() - share * first) < 0.12


def test_the_loss_is_that_of_what_belongs_together(few):
    run = a3.clip.training._Run(TINY, few, few_split(few).seen)
    run.model.eval()
    with torch.no_grad():
        images, captions = run.batch()
        scale, (S, T) = run.model.logit_scale.exp(), run.model.encode_text(captions).chunk(2)
        A, B = run.model.encode_image(images).chunk(2)
        each = torch.arange(len(T)).repeat(4)
        expected = supervised_contrastive_loss(torch.cat([A, B, S, T]), each, scale)
        torch.testing.assert_close(run.loss(images, captions), expected)
        run.settings = replace(TINY, all_pairs=False)
        expected = (contrastive_loss(A, S, scale) + contrastive_loss(B, T, scale)) / 2
        torch.testing.assert_close(run.loss(images, captions), expected)


def test_the_same_seed_gives_the_same_losses_and_another_does_not():
    same(train_small_clip(TINY), train_small_clip(TINY))
    assert train_small_clip(TINY)["loss"] != train_small_clip(replace(TINY, seed=1))["loss"]


@pytest.mark.parametrize("stop", [1, 4])
def test_a_run_interrupted_goes_on_to_the_same_result(tmp_path, monkeypatch, stop):
    whole = train_small_clip(TINY)
    path = tmp_path / "run.pt"
    monkeypatch.setattr("a3.lab.saved_runs._SECONDS", 0)
    step = a3.clip.training._Run.step

    def unplugged(run):
        if len(run.losses) == stop:
            raise KeyboardInterrupt
        step(run)

    with monkeypatch.context() as patched:
        patched.setattr("a3.clip.training._Run.step", unplugged)
        with pytest.raises(KeyboardInterrupt):
            train_small_clip(TINY, checkpoint=path)
    assert len(load(path)["losses"]) == stop
    same(train_small_clip(TINY, checkpoint=path), whole)


def test_a_checkpoint_of_another_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("a3.lab.saved_runs._SECONDS", 0)
    train_small_clip(TINY, checkpoint=tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="belongs to another run"):
        train_small_clip(replace(TINY, seed=1), checkpoint=tmp_path / "run.pt")


def test_the_scale_is_learnt_and_kept_in_bounds():
    scales = train_small_clip(TINY)["scale"]
    assert scales[-1] != TINY.scale
    fixed = train_small_clip(replace(TINY, learn_scale=False))["scale"]
    assert fixed == pytest.approx([TINY.scale] * TINY.steps)
    clamped = train_small_clip(replace(TINY, scale=30.0, highest_scale=30.0, learning_rate=0.1))
    assert max(clamped["scale"]) <= 30 * (1 + 1e-6)


def test_a_loss_that_is_not_finite_stops_the_run(monkeypatch):
    monkeypatch.setattr(
        "a3.clip.training.supervised_contrastive_loss", lambda X, groups, s: X.sum() * s / 0
    )
    with pytest.raises(
        FloatingPointError, match="the loss is .* lower the learning rate, now 0.003"
    ):
        train_small_clip(TINY)


def test_a_split_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="held_out must be 'test' or 'validation', got 'all'"):
        train_small_clip(TINY, held_out="all")


@pytest.mark.parametrize("layers", [1, 2])
def test_features_are_those_that_open_clip_works_out(few, layers):
    settings = replace(TINY, text_layers=layers)
    run = a3.clip.training._Run(settings, few, few_split(few).seen)
    images, captions = run.batch()
    model = run.model.eval()
    torch.testing.assert_close(encode_image(model, images), model.encode_image(images))
    torch.testing.assert_close(encode_text(model, captions), model.encode_text(captions))
