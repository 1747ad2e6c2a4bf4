from dataclasses import replace

import pytest
import torch
from few_clip import SETTINGS

from a3.clip.small import SmallClip, build, normalised
from a3.clip.tokens import Vocabulary


def test_the_model_is_open_clips_and_pooling_finds_the_end_of_a_caption():
    from open_clip.model import CLIP

    vocabulary = Vocabulary.of(["a red disc", "a blue ring"], SETTINGS.context)
    model = build(SETTINGS, vocabulary).eval()
    assert type(model) is CLIP and model.vocab_size == len(vocabulary)
    rows = vocabulary(["a red disc", "a red"])
    longer = rows.clone()
    longer[:, -1] = 2  # after the end: no feature may depend on it
    with torch.no_grad():
        torch.testing.assert_close(model.encode_text(longer), model.encode_text(rows))
        assert model.encode_image(torch.rand(2, 3, 32, 32)).shape == (2, 16)


def test_the_seed_decides_the_first_weights_and_leaves_the_global_generator_alone():
    vocabulary = Vocabulary.of(["a red disc"])
    before = torch.random.get_rng_state()
    one, two = (build(replace(SETTINGS, seed=seed), vocabulary).state_dict() for seed in (0, 0))
    other = build(replace(SETTINGS, seed=1), vocabulary).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(w, two[name]) for name, w in one.items())
    assert not torch.equal(one["token_embedding.weight"], other["token_embedding.weight"])


def test_pixels_are_normalised_as_open_clip_does():
    from open_clip import image_transform
    from PIL import Image

    pixels = torch.randint(256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    image = Image.fromarray(pixels[0].permute(1, 2, 0).to(torch.uint8).numpy())
    expected = image_transform(32, is_train=False)(image)
    torch.testing.assert_close(normalised(pixels / 255)[0], expected)


def test_residual_blocks_begin_with_the_gain_asked_for():
    vocabulary = Vocabulary.of(["a red disc"])
    for gain in (0.0, 0.5):
        weights = build(replace(SETTINGS, residual_gain=gain), vocabulary).state_dict()
        assert (weights["visual.layer2.0.bn3.weight"] == gain).all()
        assert (weights["visual.layer2.0.bn2.weight"] == 1).all()


def test_settings_out_of_range_are_refused():
    for name, value in {"image_width": 1, "steps": 0, "batch_size": 1, "word_noise": -1}.items():
        with pytest.raises(ValueError, match=f"{name} must be at least"):
            SmallClip(**{name: value})
    for name in ("learning_rate", "scale"):
        with pytest.raises(ValueError, match=f"{name} must be positive, got 0"):
            SmallClip(**{name: 0})
