import pytest
import torch
from torch.nn import functional as F

from a3.clip.tokens import word_vectors

WORDS = "cat dog horse apple banana cherry hammer saw drill".split()


def test_words_of_a_kind_are_near_each_other():
    V = F.normalize(word_vectors(WORDS, 6), dim=1)
    similarity = (V @ V.T).fill_diagonal_(-1)
    assert (similarity.argmax(dim=1) // 3 == torch.arange(9) // 3).double().mean() > 0.6


def test_they_are_centred_and_scaled_and_their_axes_uncorrelated():
    V = word_vectors(WORDS, 4)
    assert V.shape == (9, 4) and not V.requires_grad
    torch.testing.assert_close(V.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    assert V.square().mean().item() == pytest.approx(1)
    covariance = V.T @ V / 9
    variances = covariance.diagonal()
    assert (variances.diff() <= 0).all(), "the largest component first"
    torch.testing.assert_close(covariance, variances.diag(), atol=1e-4, rtol=0)


def test_all_components_keep_all_distances(monkeypatch):
    full, most = word_vectors(WORDS, 8), word_vectors(WORDS, 9)  # of nine, centred: eight
    ratio = torch.pdist(full) / torch.pdist(most)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-3, atol=0)
    monkeypatch.setattr("a3.clip.tokens._WORDS_AT_ONCE", 2)  # padding counts for nothing
    torch.testing.assert_close(word_vectors(WORDS, 8), full, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dimensions", [0, 10, 400])
def test_dimensions_that_there_are_not_are_refused(dimensions):
    with pytest.raises(ValueError, match=f"expected dimensions from 1 to 9.*got {dimensions}"):
        word_vectors(WORDS, dimensions)
