import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from a3.scaling.allocation import compute_optimal
from a3.scaling.isoflop import fit_isoflop
from a3.scaling.parabola import find_optimal_params

BUDGETS = 1e15 * 4.0 ** np.arange(5)


def planted(a=0.46, k=3.0, sizes=7, off=0.1, seeds=1, share=0.0, tilt=0.0, seed=0):
    """Losses that are parabolas in log N at each budget, lowest at N = k C^a; D = C / 6N."""
    random = np.random.default_rng(seed)
    x = np.linspace(-2, 2, sizes) + off
    C, x = (part.ravel() for part in np.meshgrid(BUDGETS, x, indexing="ij"))
    N = k * C**a * np.exp(x)
    L = 2 + 30 * C**-0.1 + 0.08 * x**2
    noise = share * random.standard_normal((seeds, len(N)))
    noise += tilt * random.standard_normal((seeds, 1)) * x
    runs = pd.concat(
        [
            pd.DataFrame(
                {"params": N, "tokens": C / (6 * N), "flops": C, "loss": L * (1 + e), "seed": i}
            )
            for i, e in enumerate(noise)
        ],
        ignore_index=True,
    )
    return runs


def fit(runs, **options):
    return fit_isoflop("params", "tokens", "flops", "loss", data=runs, **options)


@given(st.floats(0.1, 0.9), st.floats(1e-3, 1e3), st.integers(3, 9), st.floats(-1.5, 1.5))
@settings(max_examples=50)
def test_planted_exponents_are_recovered(a, k, sizes, off):
    found = fit(planted(a, k, sizes, off), bootstrap=0)
    assert found.a == pytest.approx(a, rel=1e-6) and found.b == pytest.approx(1 - a, rel=1e-6)
    assert found.k == pytest.approx(k, rel=1e-6)
    assert found.m == pytest.approx(1 / (6 * k), rel=1e-6)
    table = found.budgets
    assert table["flops"].to_numpy() == pytest.approx(BUDGETS)
    assert table["params"].to_numpy() == pytest.approx(k * BUDGETS**a, rel=1e-6)
    assert table["tokens"].to_numpy() == pytest.approx(BUDGETS ** (1 - a) / (6 * k), rel=1e-6)
    assert table["loss"].to_numpy() == pytest.approx(2 + 30 * BUDGETS**-0.1, rel=1e-9)
    assert found.left_out == () and (table["bound"] == "").all()


def test_without_noise_the_intervals_have_no_width():
    found = fit(planted(), bootstrap=30)
    for name, expected in (("a", 0.46), ("b", 0.54), ("k", 3.0), ("m", 1 / 18)):
        assert found.intervals[name] == pytest.approx((expected, expected), rel=1e-6)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_units_do_not_change_the_exponents(x, y, z, w):
    runs = planted(share=0.01)
    old = fit(runs, bootstrap=50)
    scaled = runs * [x, y, z, w, 1]
    new = fit(scaled, bootstrap=50)
    for name in "ab":
        assert getattr(new, name) == pytest.approx(getattr(old, name), rel=1e-6)
        assert new.intervals[name] == pytest.approx(old.intervals[name], rel=1e-6)
    assert new.k == pytest.approx(old.k * x / z**old.a, rel=1e-5)
    assert new.budgets["params_high"].to_numpy() == pytest.approx(
        x * old.budgets["params_high"].to_numpy(), rel=1e-6
    )


def test_the_table_has_a_row_a_number():
    found = fit(planted(share=0.01), bootstrap=30)
    table = found.table()
    assert list(table) == ["fit", "low", "high"] and sorted(table.index) == ["a", "b", "k", "m"]
    for name, row in table.iterrows():
        assert tuple(row) == (getattr(found, name), *found.intervals[name])


def test_each_optimum_is_that_of_the_budget_alone():
    runs = planted(share=0.01, seeds=2)
    found = fit(runs, bootstrap=0)
    for i, C in enumerate(BUDGETS):
        own = runs[runs["flops"] == C]
        expected = find_optimal_params(own["params"], own["loss"])
        assert found.budgets["params"][i] == pytest.approx(expected)
    slope, intercept = np.polyfit(np.log(BUDGETS), np.log(found.budgets["params"]), 1)
    assert (found.a, math.log(found.k)) == pytest.approx((slope, intercept))


def test_every_kind_of_input_gives_the_same_fit():
    runs = planted(share=0.01)
    columns = [runs[name] for name in ("params", "tokens", "flops", "loss")]
    expected = fit(runs, bootstrap=30)
    for kind in (list, np.array, lambda column: torch.tensor(column.to_numpy())):
        found = fit_isoflop(*map(kind, columns), bootstrap=30)
        assert found.intervals == expected.intervals
        assert found.budgets.equals(expected.budgets)
    assert fit(runs, bootstrap=30, seed=1).intervals != expected.intervals


def test_budgets_are_found_whatever_the_order_and_a_little_apart():
    runs = planted().sample(frac=1, random_state=0)
    wobble = 1 + 0.02 * np.cos(np.arange(len(runs)))
    found = fit(runs.assign(flops=runs["flops"] * wobble), bootstrap=0)
    assert found.budgets["runs"].tolist() == [7] * 5
    assert found.budgets["flops"].to_numpy() == pytest.approx(BUDGETS, rel=0.02)
    assert found.a == pytest.approx(0.46, abs=0.01)


def test_given_budgets_take_the_runs_near_them():
    runs = planted()
    found = fit(runs, budgets=[1.05e15, *BUDGETS[1:4]], bootstrap=0)
    assert found.budgets["flops"].tolist() == [1.05e15, *BUDGETS[1:4]]
    assert found.left_out == (("7 runs", "FLOPs within 10% of no budget"),)
    found = fit(runs, budgets=[*BUDGETS, 1e20], bootstrap=0)
    assert found.left_out == (("budget 1e+20", "a parabola needs three sizes, got 0"),)
    one_off = runs.assign(flops=runs["flops"].where(runs.index != 9, 1e19))
    found = fit(one_off, budgets=BUDGETS, tolerance=0.02, bootstrap=0)
    assert found.left_out == (("1 run", "FLOPs within 2% of no budget"),)
    two_off = one_off.assign(flops=one_off["flops"].where(runs.index != 8, 1e19))
    found = fit(two_off, budgets=BUDGETS, tolerance=0.02, bootstrap=0)
    assert found.left_out == (("2 runs", "FLOPs within 2% of no budget"),)
    assert found.budgets["runs"].tolist() == found.budgets["sizes"].tolist() == [7, 5, 7, 7, 7]
    columns = ["flops", "runs", "sizes", "bound"]
    for name in ("params", "tokens", "loss"):
        columns += [name, f"{name}_low", f"{name}_high"]
    assert list(found.budgets) == columns


def test_flops_without_gaps_are_refused():
    runs = planted()
    with pytest.raises(ValueError, match="fall into no groups at a tolerance of 0.1"):
        fit(runs.assign(flops=np.geomspace(1e15, 1e16, len(runs))), tolerance=0.1)


def test_budgets_without_an_optimum_are_named_and_not_used():
    runs = planted()
    of = [runs["flops"] == C for C in BUDGETS]
    expected = fit(runs[of[2] | of[4]], bootstrap=40)
    runs.loc[of[0], "loss"] = 3.0
    runs.loc[of[1], "loss"] = 20 - runs["loss"]
    runs = runs.drop(runs.index[of[3]][2:])
    found = fit(runs, bootstrap=40)
    assert found.left_out == (
        ("budget 1e+15", "all losses are equal (3)"),
        ("budget 4e+15", "its parabola opens downward"),
        ("budget 6.4e+16", "a parabola needs three sizes, got 2"),
    )
    assert found.intervals == expected.intervals
    assert found.budgets["params"].isna().tolist() == [True, True, False, True, False]
    assert found.budgets["params_low"].isna().tolist() == [True, True, False, True, False]
    assert (found.budgets["bound"] == "").all()


def test_an_optimum_outside_the_grid_is_a_bound():
    runs = planted()
    first, last = runs["flops"] == BUDGETS[0], runs["flops"] == BUDGETS[-1]
    best = 3.0 * BUDGETS**0.46
    below = first & (runs["params"] < 1.2 * best[0])
    above = last & (runs["params"] > 0.8 * best[-1])
    runs = runs[~(below | above)]
    found = fit(runs, bootstrap=0)
    smallest = runs["params"][runs["flops"] == BUDGETS[0]].min()
    largest = runs["params"][runs["flops"] == BUDGETS[-1]].max()
    assert found.budgets["bound"].tolist() == [f"< {smallest:.4g}", "", "", "", f"> {largest:.4g}"]
    assert found.budgets["params"].isna().tolist() == [True, False, False, False, True]
    assert [why for _, why in found.left_out] == [
        f"its optimum is outside the sizes tried: < {smallest:.4g}",
        f"its optimum is outside the sizes tried: > {largest:.4g}",
    ]
    assert found.a == pytest.approx(0.46, rel=1e-6)


def test_logarithms_of_losses_may_be_negative():
    runs = planted()
    found = fit(runs.assign(loss=runs["loss"] - 10), bootstrap=0)
    assert found.a == pytest.approx(0.46, rel=1e-6) and found.left_out == ()


def test_runs_with_nan_losses_are_left_out():
    runs = planted()
    runs.loc[[3, 20], "loss"] = [math.nan, math.inf]
    found = fit(runs, bootstrap=0)
    assert found.left_out == (("run 3", "its loss is nan"), ("run 20", "its loss is inf"))
    assert found.a == pytest.approx(0.46, rel=1e-6)
    assert found.budgets["runs"].tolist() == [6, 7, 6, 7, 7]


def test_what_cannot_be_fitted_is_refused():
    runs = planted()
    one = runs[runs["flops"] == BUDGETS[0]]
    with pytest.raises(ValueError, match="needs two budgets with an optimum, got 1 of 1"):
        fit(one)
    with pytest.raises(ValueError, match="got 0 of 5; budget 1e.15: all losses are equal"):
        fit(runs.assign(loss=1.0))
    with pytest.raises(ValueError, match="got 0 of 5; .*needs three sizes, got 2"):
        fit(runs.groupby("flops").head(2))
    with pytest.raises(ValueError, match="got 0 of 5; .*outside the sizes tried: > "):
        fit(planted(off=-2.5))
    with pytest.raises(ValueError, match=r"got 0 of 35(; budget .* got 1){5}; 30 more$"):
        fit(runs.assign(flops=np.geomspace(1e15, 1e20, len(runs))))
    with pytest.raises(ValueError, match="got 0 of 5; .*opens downward"):
        fit(runs.assign(loss=20 - runs["loss"]))
    with pytest.raises(ValueError, match="none of 35 runs can be used: run 0: its flops are -1"):
        fit(runs.assign(flops=-1.0))
    with pytest.raises(ValueError, match="none of 35 runs can be used: run 0: its tokens are 0"):
        fit(runs.assign(tokens=0))
    with pytest.raises(ValueError, match="missing: tokens; they have: params, flops, loss, seed"):
        fit(runs.drop(columns="tokens"))
    with pytest.raises(ValueError, match="one length, got params 35, tokens 35, flops 35, loss 2"):
        fit_isoflop(runs["params"], runs["tokens"], runs["flops"], [1, 2])
    for budgets in ([0.0], [-1e15, 1e16], [math.nan], []):
        with pytest.raises(ValueError, match="budgets must be positive and finite"):
            fit(runs, budgets=budgets)
    for tolerance in (0, -0.1, math.nan):
        with pytest.raises(ValueError, match="tolerance must be positive"):
            fit(runs, tolerance=tolerance)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        fit(runs, level=95)


def test_as_many_coefficients_as_runs_leave_no_intervals():
    with pytest.warns(RuntimeWarning, match="^no intervals: .* seeds are needed$"):
        runs = planted(sizes=3)
        found = fit_isoflop("params", "tokens", "flops", "loss", data=runs, bootstrap=20)
    assert all(math.isnan(end) for ends in found.intervals.values() for end in ends)
    assert found.a == pytest.approx(0.46, rel=1e-6)


def test_resampled_optima_outside_the_grid_are_reported():
    runs = planted(off=-1.8, share=0.02, seed=2)
    message = "^[0-9]+% of the resampled optima lie outside .*: the intervals are too narrow$"
    with pytest.warns(RuntimeWarning, match=message):
        fit_isoflop("params", "tokens", "flops", "loss", data=runs, bootstrap=200)


def test_a_seed_that_ran_few_sizes_is_resampled_with_the_others_only():
    runs = planted(seeds=4, share=0.01)
    few = (runs["seed"] == 0) & (runs["flops"] == BUDGETS[1])
    runs = runs.drop(runs.index[few][2:])
    found = fit(runs, group="seed", bootstrap=300)
    assert np.isfinite(found.samples).all()  # from the other budgets, where that seed is alone
    assert found.intervals["a"][0] < 0.46 < found.intervals["a"][1]
    with pytest.raises(ValueError, match="groups are resampled, .* got only 3"):
        fit(runs[runs["seed"] == 3], group="seed")


def lines_through_optima(resamples):
    """log k, a, log m and b of each: resamples of (log N, loss) at each budget; by polynomials."""
    lines = []
    for resample in resamples:
        log_C, log_N = [], []
        for C, (x, y) in zip(BUDGETS, resample, strict=True):
            if len(np.unique(x)) >= 3:
                middle = x.mean()
                bend, slope, _ = np.polyfit(x - middle, y, 2)
                vertex = middle - slope / (2 * bend)
                if bend > 0 and x.min() <= vertex <= x.max():
                    log_C.append(math.log(C)), log_N.append(vertex)
        if len(log_C) < 2:
            lines.append([math.nan] * 4)
            continue
        a, log_k = np.polyfit(log_C, log_N, 1)
        lines.append([log_k, a, -math.log(6) - log_k, 1 - a])  # since D = C / 6N
    return np.array(lines)


def test_resampled_residuals_have_their_full_variance():
    runs = planted(sizes=5, share=0.003, seed=1)
    found = fit(runs, bootstrap=40, seed=7)
    assert found.scatter.size == 0  # else it would be in the samples
    curves, pool = [], []
    for C in BUDGETS:
        own = runs[runs["flops"] == C]
        x, y = np.log(own["params"].to_numpy()), own["loss"].to_numpy()
        X = np.vander(x - x.mean(), 3)
        hat = X @ np.linalg.pinv(X)
        curves.append((x, hat @ y, y.mean()))
        pool.append((y - hat @ y) / np.sqrt(1 - np.diag(hat)) / y.mean())
    pool = np.concatenate(pool) - np.mean(pool)
    random = np.random.default_rng(7)
    drawn = [scale * random.choice(pool, (40, len(x))) for x, _, scale in curves]
    resamples = [
        [(x, curve + drawn[k][i]) for k, (x, curve, _) in enumerate(curves)] for i in range(40)
    ]
    np.testing.assert_allclose(found.samples, lines_through_optima(resamples), rtol=1e-6)
    assert found.spread == {"freedom": 10}


def test_resampled_seeds_are_refitted_where_they_have_three_sizes():
    """Each seed ran two or three of six sizes, so that alone it may have no parabola."""
    runs = planted(sizes=6, seeds=3, share=0.003)
    size = runs.groupby(["seed", "flops"]).cumcount()
    few = (runs["seed"] + runs["flops"].rank(method="dense")) % 3 == 0
    runs = runs[(size % 2 == runs["seed"] % 2) & ~(few & (size > 3))]
    found = fit(runs, group="seed", bootstrap=60, seed=3)
    counts = np.random.default_rng(3).multinomial(3, [1 / 3] * 3, size=60)
    resamples = []
    for count in counts:
        drawn = runs.loc[np.repeat(runs.index, count[runs["seed"]])]
        of = [drawn[drawn["flops"] == C] for C in BUDGETS]
        resamples.append([(np.log(own["params"]).to_numpy(), own["loss"].to_numpy()) for own in of])
    expected = lines_through_optima(resamples)
    assert found.scatter.size == 0
    assert {2, 3} < {len(np.unique(x)) for resample in resamples for x, _ in resample}
    np.testing.assert_allclose(found.samples, expected, rtol=1e-6)
    assert found.spread == {"groups": 3}


def scattered(tau, seed=0, **options):
    """Parabolas whose optima lie off the line by tau in log N, and runs with little noise."""
    runs = planted(seed=seed, **options)
    off = tau * np.random.default_rng([seed, 5]).standard_normal(len(BUDGETS))
    off = runs["flops"].map(dict(zip(BUDGETS, off, strict=True)))
    x = np.log(runs["params"] / (3 * runs["flops"] ** 0.46))
    return runs.assign(loss=runs["loss"] + 0.08 * ((x - off) ** 2 - x**2))


def test_intervals_carry_the_scatter_of_the_optima():
    runs = scattered(0.3, sizes=9, off=0, share=1e-3)
    found = fit(runs)
    low, high = found.intervals["a"]
    x, y = np.log(BUDGETS), np.log(found.budgets["params"])
    slope, _, _, _, error = stats.linregress(x, y)
    reach = error * stats.t.ppf(0.975, 3)  # the noise of the runs adds next to nothing
    assert (low, high) == pytest.approx((slope - reach, slope + reach), abs=0.15 * reach)
    assert found.scatter.ratio > 20 and found.scatter.p < 0.01 and found.scatter.larger == "scatter"
    alone = found.scatter.noise_alone
    assert low < alone[0] < slope < alone[1] < high and alone[1] - alone[0] < (high - low) / 5
    best = compute_optimal(found, 1e19)
    N_low, N_high = best.intervals["params"]
    D_low, D_high = best.intervals["tokens"]
    assert N_high / N_low == pytest.approx(D_high / D_low, rel=0.05)  # D = C / 6N


def test_two_budgets_have_no_scatter_and_noise_alone_says_so():
    runs = planted(share=0.01)
    found = fit(runs[runs["flops"] < 5e15], bootstrap=50)
    assert math.isnan(found.scatter.ratio) and found.scatter.noise_alone == found.intervals["a"]


def test_one_degree_of_freedom_is_enough_for_intervals():
    runs = planted(sizes=4, share=1e-4)
    thinned = runs.groupby("flops").head(3)
    found = fit(pd.concat([thinned, runs[3:4]]), bootstrap=20)
    assert found.spread == {"freedom": 1} and np.isfinite(found.intervals["a"]).all()


def covered(trials, **options):
    truth = {"a": 0.46, "b": 0.54, "k": 3.0, "m": 1 / 18}
    hits = []
    for trial in range(trials):
        runs = planted(**options, seed=trial)
        found = fit(runs, group="seed" if options.get("seeds", 1) > 1 else None, bootstrap=500)
        hits.append([low <= truth[k] <= high for k, (low, high) in found.intervals.items()])
        for column, values in (("params", 3 * BUDGETS**0.46), ("loss", 2 + 30 * BUDGETS**-0.1)):
            low, high = found.budgets[f"{column}_low"], found.budgets[f"{column}_high"]
            hits[-1].append(((low <= values) & (values <= high)).mean())
    return dict(zip((*found.intervals, "params", "loss"), np.mean(hits, axis=0), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.03, 0.3])
def test_intervals_cover_the_truth_though_the_optima_scatter(tau):
    hits = []
    for trial in range(200):
        runs = scattered(tau, seed=trial, sizes=9, off=0, share=3e-3)
        ends = fit(runs, bootstrap=500).intervals
        truth = {"a": 0.46, "b": 0.54, "k": 3.0, "m": 1 / 18}
        hits.append([low <= truth[name] <= high for name, (low, high) in ends.items()])
    shares = np.mean(hits, axis=0)
    assert all(0.9 <= share <= 0.99 for share in shares), shares


@pytest.mark.slow
@pytest.mark.parametrize("sizes, trials", [(6, 600), (9, 200)])
def test_intervals_cover_the_truth(sizes, trials):
    shares = covered(trials, sizes=sizes, share=0.01)
    assert all(0.9 <= share <= 0.99 for share in shares.values()), shares


@pytest.mark.slow
@pytest.mark.parametrize("seeds, tilt", [(3, 0.0), (5, 0.0), (5, 0.01)])
def test_intervals_over_seeds_cover_the_truth_though_the_runs_of_a_seed_err_together(seeds, tilt):
    shares = covered(200, sizes=6, seeds=seeds, share=0.01, tilt=tilt)
    assert all(0.9 <= share <= 0.99 for share in shares.values()), shares
