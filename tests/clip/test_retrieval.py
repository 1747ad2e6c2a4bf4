import pytest
import torch
from scipy import stats

from a3.clip.retrieval import ranks, top_k
from a3.lab.intervals import share


def features(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_top_k_gives_the_best_first_and_no_more_than_there_are():
    values, columns = top_k(torch.tensor([[0.1, 0.9, 0.5]]), 5)
    assert columns.tolist() == [[1, 2, 0]] and values[0, 0] == 0.9
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        top_k(torch.ones(1, 3), 0)


@pytest.mark.parametrize("shape", [(7,), (2, 7), (3, 2, 7)])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_top_k_begins_as_the_sorted_rows_do(shape, k):
    similarities = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    values, columns = similarities.sort(dim=-1, descending=True)
    found = top_k(similarities, k)
    assert torch.equal(found[0], values[..., :k]) and torch.equal(found[1], columns[..., :k])
    assert top_k(similarities)[0].shape == (*shape[:-1], 5)


def test_ranks_count_from_one_and_ties_are_lost():
    similarities = torch.tensor([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.2, 0.2, 0.2]])
    assert ranks(similarities, torch.tensor([0, 1, 1])).tolist() == [1, 3, 3]


def test_targets_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="expected a target for each of 2 rows"):
        ranks(torch.ones(2, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="targets must be columns, 0 to 2, got"):
        ranks(torch.ones(2, 3), torch.tensor([0, 3]))


@pytest.mark.parametrize(("count", "n"), [(0, 10), (7, 20), (299, 299)])
def test_the_interval_is_wilsons(count, n):
    hits = torch.arange(n) < count
    expected = stats.binomtest(count, n).proportion_ci(method="wilson")
    got = share(hits, 0.1)
    assert got.value == pytest.approx(count / n) and got.n == n and got.chance == 0.1
    assert got.low == pytest.approx(expected.low, abs=1e-7)
    assert got.high == pytest.approx(expected.high, abs=1e-7)


def test_seeds_are_not_further_trials():
    hits = torch.rand(50, generator=torch.Generator().manual_seed(0)) < 0.4
    assert share(hits.expand(3, 50), 0.0) == pytest.approx(share(hits, 0.0))


def test_shares_of_nothing_are_refused():
    with pytest.raises(ValueError, match="^expected at least one trial, got none$"):
        share(torch.zeros(0), 0.5)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 1"):
        share(torch.ones(3), 0.5, level=1)
