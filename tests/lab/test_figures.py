import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from a3.lab import figures
from a3.translation.figures import attention_maps, loss_curves
from a3.translation.training import History


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def history(start, epochs=3):
    losses = [start - 0.1 * i for i in range(2 * epochs)]
    return History(
        train_loss=losses,
        valid_loss=losses[1::2],
        iterations=[2 * e for e in range(1, epochs + 1)],
    )


@pytest.fixture
def curves():
    lines = {"H = 32": [history(3), history(2.5)], "H = 64": [history(2), history(1.9)]}
    return loss_curves(
        {"small": lines, "large": lines}, alt="Losses  fall\n with training."
    )


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_a_description_is_refused(alt):
    with pytest.raises(ValueError, match="alt must say what the figure shows"):
        figures.subplots(alt=alt)
    with pytest.raises(TypeError, match="alt"):
        figures.subplots()


def test_the_description_is_kept_on_one_line(curves):
    assert curves.get_label() == "Losses fall with training."


def colors(figure):
    """Every colour in the figure, in order."""
    return [
        np.array(getattr(artist, f"get_{name}")(), dtype=object).tolist()
        for artist in figure.findobj()
        for name in ("color", "edgecolor", "facecolor")
        if hasattr(artist, f"get_{name}")
    ]


def ink(path):
    """Brightness of the darkest and of the lightest grey pixel that is not transparent."""
    image = plt.imread(path)
    assert image.shape[2] == 4 and (image[..., 3] == 0).mean() > 0.3  # transparent
    solid = image[image[..., 3] > 0.95][:, :3]
    grey = solid[np.ptp(solid, axis=1) < 0.01]
    return grey.min(), grey.max()


def test_text_and_axes_are_dark_on_light_pages_and_light_on_dark_ones(tmp_path, curves):
    curves.canvas.draw()
    before = colors(curves)
    figures.save(curves, tmp_path / "light.png")
    figures.save(curves, tmp_path / "dark.png", dark=True)
    assert colors(curves) == before
    figures.save(curves, tmp_path / "again.png")
    assert (tmp_path / "light.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert ink(tmp_path / "light.png")[0] < 0.25
    darkest, lightest = ink(tmp_path / "dark.png")
    assert darkest > 0.3 and lightest > 0.75


def test_pictures_are_dimmed_on_dark_pages_and_maps_of_numbers_are_not(tmp_path):
    figure, axes = figures.subplots(1, 2, figsize=(3, 2), alt="A picture beside numbers.")
    shown = [axes[0].imshow(np.full((4, 4, 3), 255, dtype=np.uint8)), axes[1].imshow(np.eye(4))]
    opacity = {}
    for name, dark in (("light", False), ("dark", True)):
        figures.save(figure, tmp_path / f"{name}.png", dark=dark)
        assert [image.get_alpha() for image in shown] == [None, None]
        saved = plt.imread(tmp_path / f"{name}.png")
        opacity[name] = [saved[saved.shape[0] // 2, x, 3] for x in (150, 450)]
    assert opacity["light"] == [1, 1]
    assert 0.5 < opacity["dark"][0] < 0.8 and opacity["dark"][1] == 1


def test_the_colours_come_back_when_saving_fails(tmp_path, curves):
    curves.canvas.draw()
    before = colors(curves)
    with pytest.raises(FileNotFoundError):
        figures.save(curves, tmp_path / "missing" / "dark.png", dark=True)
    assert colors(curves) == before


def test_figures_are_saved_at_twice_the_resolution_of_the_page(tmp_path):
    figure, _ = figures.subplots(figsize=(3, 2), alt="Nothing yet.")
    figures.save(figure, tmp_path / "figure.png")
    assert plt.imread(tmp_path / "figure.png").shape[:2] == (400, 600)


def test_of_the_colours_of_a_figure_256_are_kept_hardly_changed(tmp_path):
    figure, axes = figures.subplots(figsize=(3, 2), alt="Colours.")
    axes.imshow(np.random.default_rng(0).random((40, 40)))
    figures.save(figure, tmp_path / "few.png")
    figure.savefig(tmp_path / "all.png", dpi=200, transparent=True)
    few, many = (plt.imread(tmp_path / f"{name}.png") for name in ("few", "all"))
    assert len(np.unique(few.reshape(-1, 4), axis=0)) <= 256
    assert np.abs(few - many).mean() < 0.01
    assert (tmp_path / "few.png").stat().st_size < (tmp_path / "all.png").stat().st_size / 2


def test_what_is_added_to_a_figure_later_is_inked_too(tmp_path):
    plt.rcdefaults()
    figure, axes = figures.subplots(figsize=(3, 2), alt="A figure.")
    axes.plot([0, 1], label="line")
    axes.legend(title="legend")
    axes.text(0.5, 0.2, "text")
    axes.set_title("title", loc="left")
    figure.colorbar(axes.imshow(np.eye(2)), label="bar").outline.set_visible(True)
    figures.save(figure, tmp_path / "dark.png", dark=True)
    darkest, lightest = ink(tmp_path / "dark.png")
    assert darkest > 0.3 and lightest > 0.75


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", figures.COLORS)
@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_lines_stand_out_on_light_and_on_dark_pages(color, page):
    low, high = sorted([luminance(color), luminance(page)])
    assert (high + 0.05) / (low + 0.05) >= 3  # the contrast that WCAG asks of graphics


def test_a_band_is_the_median_and_the_range_of_runs_to_the_length_of_the_shortest():
    _, axes = figures.subplots(alt="A band.")
    line = figures.band(axes, [1, 2, 3, 4], [[1, 2, 3], [5, 4, 3, 2], [2, 2, 9, 9]], "runs")
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata().tolist() == [2, 2, 3]
    (area,) = axes.collections
    corners = area.get_paths()[0].vertices
    for x, low, high in ((1, 1, 5), (2, 2, 4), (3, 3, 9)):
        at = corners[corners[:, 0] == x][:, 1]
        assert (at.min(), at.max()) == (low, high)
    assert to_hex(area.get_facecolor()[0]) == to_hex(line.get_color())


def test_loss_curves_name_their_axes_units_and_lines(curves):
    rows = np.reshape(curves.axes, (2, 2))
    for (left, right), title in zip(rows, ("small", "large"), strict=True):
        assert left.get_ylabel() == "loss (nats per token)"
        assert (left.get_xlabel(), right.get_xlabel()) == ("iteration", "epoch")
        assert left.get_title() == f"{title}: training"
        assert right.get_title() == f"{title}: validation"
        assert [text.get_text() for text in right.get_legend().get_texts()] == ["H = 32", "H = 64"]


def test_loss_curves_draw_the_mean_training_loss_of_each_epoch_and_the_validation_loss(curves):
    left, right = curves.axes[:2]
    line = left.get_lines()[1]  # H = 64: medians of runs from 2 and from 1.9
    assert line.get_xdata().tolist() == [2, 4, 6]
    np.testing.assert_allclose(line.get_ydata(), [1.9, 1.7, 1.5])
    line = right.get_lines()[1]
    assert line.get_xdata().tolist() == [1, 2, 3]
    np.testing.assert_allclose(line.get_ydata(), [1.85, 1.65, 1.45])


def test_every_line_is_drawn_however_many():
    lines = {f"H = {hidden}": [history(3)] for hidden in range(6)}
    figure = loss_curves({"small": lines}, alt="Six lines.")
    assert [len(axes.get_lines()) for axes in figure.axes] == [6, 6]


def test_attention_maps_have_letters_on_both_axes_and_a_bar_with_its_meaning():
    maps = [torch.full((3, 4), 0.25).requires_grad_(), torch.eye(3, 4)]
    figure = attention_maps(
        maps, "abc", ["t", "e", "a", "⏎"], ["layer 1", "layer 2"], alt="Two maps."
    )
    first, second, bar = figure.axes
    for axes, weights, title in zip((first, second), maps, ("layer 1", "layer 2"), strict=True):
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["t", "e", "a", "⏎"]
        assert axes.get_title() == title
        (image,) = axes.get_images()
        np.testing.assert_allclose(image.get_array(), weights.detach())
        assert image.get_clim() == (0, 1)
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["a", "b", "c"]
    assert bar.get_ylabel() == "attention weight"


@pytest.mark.parametrize(("rows", "columns"), [("ab", "team"), ("abc", "tea")])
def test_attention_maps_with_letters_too_few_are_refused(rows, columns):
    with pytest.raises(ValueError, match=r"weights .*\(3, 4\)"):
        attention_maps([torch.eye(3, 4)], rows, columns, ["layer 1"], alt="A map.")
