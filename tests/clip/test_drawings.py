import torch

from a3.clip.drawings import Augmentation, _blurred, augment

NONE = Augmentation(
    rotation=0,
    scale=(1, 1),
    shear=0,
    shift=0,
    strength=0,
    saturation=0,
    hue=0,
    grey=0,
    mirrored=0,
    outline=0,
)


def images(n=6, size=16):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def only(**one):
    return Augmentation(**{**vars(NONE), **one})


def test_no_augmentation_changes_nothing():
    torch.testing.assert_close(augment(images(), generator(), NONE), images(), atol=1e-5, rtol=0)


def test_values_stay_between_0_and_1_and_each_copy_differs():
    one = images(1).expand(8, -1, -1, -1)
    copies = augment(one, generator())
    assert copies.shape == one.shape and 0 <= copies.min() and copies.max() <= 1
    assert (copies[1:] - copies[:1]).abs().amax(dim=(1, 2, 3)).min() > 0.05


def test_the_generator_decides():
    assert torch.equal(augment(images(), generator()), augment(images(), generator()))
    assert not torch.equal(augment(images(), generator()), augment(images(), generator(1)))


def test_what_comes_in_is_white():
    moved = augment(torch.zeros(4, 3, 16, 16), generator(), only(shift=0.5))
    corners = moved[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners.amax(dim=(1, 2)) > 0.99).all() and (moved[:, :, 8, 8] == 0).any()


def test_a_scale_of_one_half_makes_things_half_as_large():
    square = torch.ones(1, 3, 32, 32)
    square[..., 8:24, 8:24] = 0
    small = augment(square, generator(), only(scale=(0.5, 0.5)))
    assert abs((1 - small).sum() / (1 - square).sum() - 0.25) < 0.02


def test_the_share_asked_for_is_mirrored():
    copies = augment(images(1).expand(200, -1, -1, -1), generator(), only(mirrored=0.25))
    same, flipped = ((copies - of).abs().amax(dim=(1, 2, 3)) < 1e-5 for of in (
        images(1), images(1).flip(3)))  # fmt: skip
    assert (same ^ flipped).all() and 0.15 < flipped.float().mean() < 0.35


def test_turning_the_hue_keeps_greys_and_brightness():
    grey = torch.full((4, 3, 8, 8), 0.4)
    torch.testing.assert_close(augment(grey, generator(), only(hue=90.0)), grey, atol=1e-4, rtol=0)
    red = torch.tensor([0.6, 0.3, 0.3]).view(1, 3, 1, 1).expand(4, -1, 8, 8)
    turned = augment(red, generator(), only(hue=60.0))
    torch.testing.assert_close(turned.mean(dim=1), red.mean(dim=1), atol=1e-4, rtol=0)
    assert (turned - red).abs().max() > 0.05


def test_saturation_stretches_colours_from_grey():
    pale = augment(images(64), generator(), only(saturation=1.0))
    ratio = pale.std(dim=1).mean(dim=(1, 2)) / images(64).std(dim=1).mean(dim=(1, 2))
    assert ratio.min() < 0.2 and ratio.max() > 1.2


def test_the_share_asked_for_is_grey_and_as_bright_as_before():
    copies = augment(images(200), generator(), only(grey=0.25))
    grey = copies.std(dim=1).amax(dim=(1, 2)) < 1e-5
    assert 0.15 < grey.float().mean() < 0.35
    torch.testing.assert_close(copies.mean(dim=1), images(200).mean(dim=1), atol=1e-4, rtol=0)
    torch.testing.assert_close(copies[~grey], images(200)[~grey], atol=1e-4, rtol=0)


def test_strength_is_a_factor_on_the_ink():
    grey = torch.full((16, 3, 8, 8), 0.8)
    ink = 1 - augment(grey, generator(), only(strength=0.5))[:, 0, 4, 4]
    assert 0.1 < ink.min() < 0.15 and 0.25 < ink.max() < 0.3


def test_outlines_darken_edges_of_half_of_the_copies_and_nothing_else():
    square = torch.ones(64, 3, 32, 32)
    square[..., 8:24, 8:24] = 0.5
    drawn = augment(square, generator(), only(outline=6.0))
    edge = drawn[:, 0, 16, 8]
    assert 0.3 < (edge < 0.45).float().mean() < 0.6 and (edge <= 0.5 + 1e-5).all()
    torch.testing.assert_close(drawn[..., 12:20, 12:20], square[..., 12:20, 12:20])
    assert (drawn[..., :6, :] == 1).all()


def test_blurring_is_average_pooling():
    expected = torch.nn.functional.avg_pool2d(images(), 3, stride=1, padding=1)
    torch.testing.assert_close(_blurred(images()), expected)


def test_white_stays_white():
    white = torch.ones(4, 3, 8, 8)
    torch.testing.assert_close(augment(white, generator()), white)


def test_the_size_can_be_another():
    assert augment(images(), generator(), size=12).shape == (6, 3, 12, 12)
    halved = augment(images(), generator(), NONE, size=8)
    expected = torch.nn.functional.avg_pool2d(images(), 2)
    torch.testing.assert_close(halved, expected, atol=1e-5, rtol=0)
