import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from a3.clip.drawings import on_white, trimmed, trimmed_to


def drawing(box, size=(60, 60)):
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle(box, fill=(200, 30, 30))
    return image


def test_what_is_transparent_is_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert np.array(on_white(clear)).min() == 255
    palette = Image.new("P", (4, 4))
    palette.info["transparency"] = 0
    assert np.array(on_white(palette)).min() == 255


@pytest.mark.parametrize("size", [(60, 60), (200, 60)])
def test_a_drawing_is_put_in_the_middle_of_a_square_it_nearly_fills(size):
    image = np.array(trimmed(drawing((20, 10, 39, 49), size)))  # 20 wide, 40 high
    assert image.shape == (42, 42, 3)
    red = (image == (200, 30, 30)).all(axis=2)
    assert red[1:-1, 11:-11].all() and red.sum() == 20 * 40
    assert (image[~red] == 255).all()


def test_where_it_was_and_how_large_does_not_matter():
    one, other = drawing((5, 5, 24, 44)), drawing((30, 3, 49, 42))
    assert np.array_equal(trimmed(one), trimmed(other))
    small, large = (torch.from_numpy(np.array(drawing(box))) for box in (
        (5, 5, 14, 24), (5, 5, 24, 44)))  # fmt: skip
    pixels = trimmed_to(30, torch.stack([small, large]).permute(0, 3, 1, 2))
    assert pixels.shape == (2, 3, 30, 30) and pixels.dtype == torch.uint8
    assert (pixels[0].float() - pixels[1].float()).abs().mean() < 10


@pytest.mark.parametrize("box", [(0, 10, 40, 40), (10, 0, 40, 40), (10, 10, 59, 40), (1, 1, 9, 59)])
def test_what_reaches_an_edge_is_left_alone(box):
    image = drawing(box)
    assert trimmed(image) is image


def test_white_and_a_single_point_are_no_trouble():
    white = Image.new("RGB", (9, 9), "white")
    assert trimmed(white) is white
    assert trimmed(drawing((30, 30, 30, 30))).size == (3, 3)
