import matplotlib.pyplot as plt
import pytest
import torch
from few_clip import few_clip
from few_emoji import few_emoji
from matplotlib.patches import Rectangle
from PIL import Image

from a3.clip.contrastive import zero_shot_weights
from a3.clip.figures import preprocessed, similarity_matrix, top_five


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def pictures():
    return few_emoji().images[:8, 0]


def test_each_caption_frames_its_best_image():
    similarity = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.1, 0.8], [0.0, 0.5, 0.6]])
    shown = pictures()[:3].permute(0, 2, 3, 1).numpy()
    figure = similarity_matrix(similarity, shown, ["a", "b", "c"])
    ax = figure.axes[0]
    frames = [p for p in ax.patches if isinstance(p, Rectangle)]
    assert [round(p.get_x() + 0.47) for p in frames] == [0, 2, 2]
    assert [text.get_text() for text in ax.texts][:3] == ["0.90", "0.10", "0.20"]
    assert len(ax.child_axes) == 3, "an image over each column"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


def test_what_the_tower_gets_is_drawn_from_0_to_1_beside_the_image():
    image = Image.fromarray(pictures()[0].permute(1, 2, 0).numpy()).resize((90, 60))
    pixels = few_clip().preprocess(image)
    left, right = preprocessed(image, pixels, "a thing").axes
    assert left.get_title() == "90 × 60 pixels" and str((*pixels.shape,)) in right.get_title()
    drawn = right.images[0].get_array()
    assert drawn.min() == 0 and drawn.max() == 1
    order = pixels.permute(1, 2, 0).flatten().argsort(stable=True)
    assert (torch.as_tensor(drawn).flatten()[order].diff() >= 0).all()


def test_the_best_five_names_and_where_the_right_one_is():
    clip, names = few_clip(), [concept.name for concept in few_emoji().concepts]
    weights = zero_shot_weights(clip.encode_text, names, ["{}"])
    truth = names[:8]
    shown = pictures().permute(0, 2, 3, 1).numpy()
    figure, places = top_five(clip, pictures(), shown, weights, names, truth)
    order = (clip.encode_image(pictures()) @ weights.T).argsort(dim=1, descending=True)
    expected = [min(5, order[i].tolist().index(i)) for i in range(8)]
    assert places.tolist() == expected
    bars = [ax for ax in figure.axes if ax.texts]
    assert len(bars) == 8 and all(len(ax.texts) == 5 for ax in bars)
    ticked = [any("✓" in text.get_text() for text in ax.texts) for ax in bars]
    assert ticked == [place < 5 for place in expected]
