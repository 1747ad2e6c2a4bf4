import logging
import warnings

import numpy as np
import open_clip
import pytest
import torch
from few_clip import few_clip
from few_emoji import few_emoji
from PIL import Image

import a3.clip.model
from a3.clip.model import Clip
from a3.runs.clip import load_model


@pytest.fixture
def cut(monkeypatch, tmp_path):
    """No network, nothing in the hub's cache, and no small CLIP to train."""

    def refuse(*_, **__):
        raise OSError("the network is cut")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("a3.clip.model.hub_reachable", lambda: False)
    monkeypatch.setattr("a3.clip.model._cached", lambda entry: False)
    monkeypatch.setattr("a3.runs.clip.small_clip", lambda seed=0: few_clip())


def images():
    return few_emoji().images[:5, 0]


def as_pil(pixels):
    return [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in pixels]


def test_features_have_length_1_and_the_model_is_open_clips():
    clip = few_clip()
    X, Y = clip.encode_image(images()), clip.encode_text(["a red disc", "a blue ring"])
    assert X.shape == (5, 16) and Y.shape == (2, 16)
    for Z in (X, Y):
        torch.testing.assert_close(Z.norm(dim=1), torch.ones(len(Z)))
    assert isinstance(clip.model, open_clip.CLIP) and not clip.model.training
    assert clip.logit_scale == pytest.approx(clip.model.logit_scale.exp().item())


def test_pil_images_and_tensors_give_the_same_features_in_any_batches():
    clip = few_clip()
    expected = clip.encode_image(images())
    torch.testing.assert_close(clip.encode_image(as_pil(images())), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(clip.encode_image(images(), batch_size=2), expected)


def test_images_of_other_sizes_are_fitted():
    clip = few_clip()
    large = [image.resize((96, 64)) for image in as_pil(images())]
    assert clip.encode_image(large).shape == (5, 16)
    pixels = torch.stack([torch.from_numpy(np.array(i)).permute(2, 0, 1) for i in large])
    torch.testing.assert_close(clip.encode_image(pixels), clip.encode_image(large))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_images_of_any_mode_are_taken(mode):
    image = as_pil(images())[0].convert("L" if mode == "I;16" else mode if mode != "LA" else "L")
    image = image.convert(mode) if mode in ("LA", "I;16") else image
    assert few_clip().encode_image([image]).isfinite().all()


def test_images_that_are_none_are_refused():
    with pytest.raises(ValueError, match="expected at least one image, got none"):
        few_clip().encode_image([])
    for bad in (images().float(), images()[:, :1], images()[0]):
        with pytest.raises(ValueError, match=r"expected uint8 images of shape \(n, 3, h, w\), got"):
            few_clip().encode_image(bad)


def test_a_caption_is_refused_if_empty_and_cut_if_too_long():
    with pytest.raises(ValueError, match="a caption is empty"):
        few_clip().encode_text(["a red disc", " "])
    with pytest.warns(UserWarning, match="cut after 22 tokens"):
        few_clip().encode_text(["red disc " * 20])


def test_a_name_that_open_clip_does_not_know_is_refused_and_near_ones_named(cut):
    with pytest.raises(ValueError, match="no pretrained model 'ViT-B32'; near it are .*'ViT-B-32'"):
        load_model("ViT-B32")
    with pytest.raises(ValueError, match="ViT-B-32 has no weights 'openia'; there are .*'openai'"):
        load_model("ViT-B-32", "openia")


def test_without_network_the_small_clip_takes_over_in_one_line(cut, caplog, capfd):
    with pytest.warns(UserWarning) as caught:
        clip = load_model()
    (message,) = [str(warning.message) for warning in caught]
    assert "ViT-B-32 (openai) is not available: the hub cannot be reached" in message
    assert "The small CLIP, trained on emoji, is used instead" in message
    assert "\n" not in message and not caplog.records and capfd.readouterr() == ("", "")
    assert clip.encode_text(["a red disc"]).shape == (1, 16)


def test_a_download_that_fails_half_way_is_no_other_case(cut, monkeypatch, caplog):
    monkeypatch.setattr("a3.clip.model.hub_reachable", lambda: True)

    def fails(*_, **__):
        logging.error("as open_clip does")
        raise RuntimeError("Failed to download weights for tag 'openai': cut\nmore lines")

    monkeypatch.setattr("open_clip.create_model_from_pretrained", fails)
    with pytest.warns(UserWarning, match="Failed to download weights .*: cut. The small CLIP"):
        load_model()
    assert not caplog.records
    logging.error("logging works again")
    assert caplog.records


def test_weights_that_are_damaged_are_no_other_case(cut, monkeypatch):
    monkeypatch.setattr("a3.clip.model._cached", lambda entry: True)

    def fails(*_, **__):
        raise EOFError

    monkeypatch.setattr("open_clip.create_model_from_pretrained", fails)
    with pytest.warns(UserWarning, match="is not available: EOFError. The small CLIP"):
        load_model()


def test_the_small_clip_can_be_asked_for(cut):
    with warnings.catch_warnings(action="error"):
        assert load_model("small") is few_clip()


def test_a_pretrained_model_is_used_the_same_way(monkeypatch):
    """With weights drawn at random in place of those that the hub would send."""
    monkeypatch.setattr("a3.clip.model._cached", lambda entry: True)
    create, given = open_clip.create_model_from_pretrained, {}

    def random(name, pretrained, **options):
        given.update(options, name=name, pretrained=pretrained)
        model = open_clip.create_model(name, **options)
        transform = open_clip.image_transform(model.visual.image_size, is_train=False)
        return model, transform

    monkeypatch.setattr("open_clip.create_model_from_pretrained", random)
    clip = load_model("RN50", "openai")
    assert given == {"name": "RN50", "pretrained": "openai", "force_quick_gelu": True} and create
    assert isinstance(clip, Clip) and clip.name == "RN50 (openai)"
    assert clip.image_size == 224 and clip.context == 77
    assert clip.encode_image(as_pil(images()[:1])).shape == (1, 1024)
    assert clip.encode_text(["a red disc"]).shape == (1, 1024)
    with pytest.warns(UserWarning, match="cut after 75 tokens"):
        clip.encode_text(["fish " * 90])
    with pytest.raises(ValueError, match="a caption is empty"):
        clip.encode_text([""])


def test_weights_in_the_cache_are_used_without_asking_the_hub(monkeypatch):
    monkeypatch.setattr("a3.clip.model._cached", lambda entry: True)
    monkeypatch.setattr("a3.clip.model.hub_reachable", lambda: pytest.fail("the hub was asked"))
    monkeypatch.setattr("a3.clip.model._pretrained", lambda *given: given)
    assert load_model() == ("ViT-B-32", "openai", True)


def test_the_cache_is_looked_into(monkeypatch):
    looked = []

    def look(repository, file):
        looked.append((repository, file))
        return "/a/path" if file.endswith(".bin") else None

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", look)
    assert a3.clip.model._cached(a3.clip.model._known("ViT-B-32", "openai"))
    assert looked[0] == ("timm/vit_base_patch32_clip_224.openai", "open_clip_model.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    assert not a3.clip.model._cached(a3.clip.model._known("ViT-B-32", "openai"))
    assert not a3.clip.model._cached({})
