import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scaling.planted_runs import COLUMNS, LAW, best_size, planted_runs

from a3.scaling import diagnose, fit_isoflop
from a3.scaling.checks import law_over_parabolas, parabola_bias
from a3.scaling.findings import agreement
from a3.scaling.parabola import find_optimal_params


def look(runs, **options):
    return diagnose(*COLUMNS, data=runs, **{"bootstrap": 200, "unit": "nats"} | options)


def said(diagnosis, check):
    return [each for each in diagnosis.findings if each.check == check]


@pytest.fixture(scope="module")
def good():
    return look(planted_runs(sizes=9, seed=1))


def test_a_table_by_the_law_may_be_forecast_from(good):
    assert good.verdict == "forecast" and good.reasons == (), str(good)
    assert str(good).startswith("verdict: forecast\n")
    assert {"line", "backtest", "agreement", "bias", "units", "estimators", "forecast"} <= {
        each.check for each in good.findings
    }
    assert all(test.held for test in good.backtests) and len(good.backtests) == 2
    assert [test.of for test in good.backtests] == ["loss", "params"]


def test_everything_is_plain_values(good):
    content = good.to_dict()
    json.dumps(content, default=float)
    assert content["verdict"] == "forecast" and content["runs"] == 45
    assert content["fits"]["law"]["a"]["fit"] == good.law.a
    assert content["scatter"]["interval"] == good.line.intervals["a"]
    assert {each["held"] for each in content["backtests"]} == {True}


def test_a_forecast_has_a_row_a_fit_and_budget(good):
    table = good.forecast([1e22, 1e23])
    assert table["fit"].tolist() == [name for name in good.fits() for _ in range(2)]
    truth = best_size(np.array([1e22, 1e23]), **LAW)
    law = table[table["fit"] == "law"]
    assert ((law["params_low"] < truth) & (truth < law["params_high"])).all()
    with pytest.raises(ValueError, match="budget must be positive"):
        good.forecast([-1.0])


def test_the_bias_of_parabolas_is_that_of_the_exact_losses_and_corrected_without_noise():
    uneven = {"alpha": 0.465, "beta": 0.155}
    runs = planted_runs(sizes=9, noise=0, **uneven)
    found = look(runs, at=[1e24])
    truth = best_size(1e24, **LAW | uneven)
    raw, corrected, law = found.forecast([1e24])["params"]
    assert raw / truth > 1.15
    assert corrected == pytest.approx(truth, rel=1e-3) and law == pytest.approx(truth, rel=1e-3)
    assert said(found, "bias")[0].weight == "care"
    for i, C in enumerate(found.isoflop.budgets["flops"]):
        own = runs[np.isclose(runs["flops"], C)]
        lowest = find_optimal_params(own["params"], own["loss"])
        off = lowest / best_size(C, **LAW | uneven) - 1
        assert found.bias["params"][i] == pytest.approx(off, rel=1e-3)
    law = np.array([*np.log([LAW[name] for name in "EAB"]), 0.465, 0.155])
    bias = parabola_bias(found.isoflop, np.stack([law, law]))
    assert bias.shape == (2, 5, 2)
    assert np.expm1(bias[0, :, 0]) == pytest.approx(found.bias["params"].to_numpy(), rel=1e-3)
    assert bias[..., 1] == pytest.approx(-bias[..., 0], rel=1e-6)  # D = C / 6N


def test_a_bias_of_the_slope_is_corrected_on_a_fixed_grid():
    found = look(planted_runs(budgets=6, sizes=12, noise=0.0005, fixed=True))
    truth = LAW["beta"] / (LAW["alpha"] + LAW["beta"])
    assert found.isoflop.a < truth - 0.008
    assert found.corrected.a == pytest.approx(truth, abs=0.003)
    low, high = found.corrected.intervals["a"]
    assert low < truth < high and found.line is found.corrected


def test_copies_are_found_named_and_not_used(good):
    runs = planted_runs(sizes=9, seed=1)
    found = look(pd.concat([runs] * 3, ignore_index=True))
    (copied,) = said(found, "copies")
    assert copied.runs == tuple(range(45, 135)) and "90 of 135" in copied.text
    assert found.verdict == "forecast with care" and found.reasons == ("copies",)
    assert found.isoflop.intervals == good.isoflop.intervals
    assert not said(good, "copies")


def test_near_copies_are_named_and_seeds_are_none():
    runs = planted_runs()
    again = runs.iloc[[3]].assign(loss=runs["loss"][3].round(4))
    found = look(pd.concat([runs, again], ignore_index=True))
    (near,) = said(found, "near copies")
    assert near.weight == "care" and "3 and 35" in near.text
    rounded = pd.concat([runs, runs.round(4)], ignore_index=True)
    assert said(look(rounded), "near copies")[0].weight == "stop"
    seeds = pd.concat([planted_runs(seed=i) for i in range(4)], ignore_index=True)
    assert not said(look(seeds), "near copies") and said(look(seeds), "seeds")


@pytest.mark.parametrize(
    "column, unit, weight, words",
    [
        ("params", 1e-6, "stop", "params or tokens are in units of 1e6"),
        ("tokens", 1e-9, "stop", "params or tokens are in units of 1e9"),
        ("flops", 1e-12, "stop", "flops are in units of 1e12"),
        ("flops", 1 / 3, "care", "other units, or other counts"),
        ("flops", 1.0, "note", "median of 6"),
    ],
)
def test_columns_in_other_units_are_noticed(column, unit, weight, words):
    runs = planted_runs()
    (found,) = said(look(runs.assign(**{column: runs[column] * unit})), "units")
    assert found.weight == weight and words in found.text


def test_one_run_in_other_units_is_named():
    runs = planted_runs()
    runs.loc[[11, 12], "tokens"] *= 4
    (found,) = said(look(runs), "units")
    assert found.weight == "care" and {11, 12} <= set(found.runs)


def test_a_run_that_moves_the_exponent_is_named():
    runs = planted_runs(noise=0.001)
    before = look(runs)
    assert not said(before, "influence")
    runs.loc[34, "loss"] *= 1.05
    found = look(runs)
    table = found.influence["isoflop"]
    assert found.isoflop.a < before.isoflop.a - 0.01
    assert any(each.runs == (34,) for each in said(found, "influence"))
    without = diagnose(*COLUMNS, data=runs.drop(index=34), bootstrap=0)
    assert table["without"][34] == pytest.approx(without.isoflop.a, abs=2e-3)
    assert table["outlying"].abs().idxmax() == 34 and abs(table["outlying"][34]) > 5


def test_influence_on_the_line_is_that_of_leaving_out():
    found = look(planted_runs())
    runs = found.line.runs
    less = found.line.a - fit_isoflop(*COLUMNS, data=runs, bootstrap=0).a  # if it was corrected
    for label in (0, 3, 17, 34):
        alone = fit_isoflop(*COLUMNS, data=runs.drop(index=label), bootstrap=0).a
        moved = found.influence["isoflop"]["without"][label]
        assert moved == pytest.approx(alone + less, abs=1e-6)


def test_influence_on_the_law_is_that_of_leaving_out():
    runs = planted_runs()
    table = look(runs).influence["law"]
    assert any(len(row) == 5 for row in table["runs"])
    for _, row in table.iloc[[0, 5, -1]].iterrows():
        alone = diagnose(*COLUMNS, data=runs.drop(index=list(row["runs"])), bootstrap=0).law
        assert [row["alpha"], row["beta"]] == pytest.approx([alone.alpha, alone.beta], rel=1e-4)


def test_a_run_that_diverged_and_cost_its_budget_is_named():
    runs = planted_runs()
    runs.loc[17, "loss"] = 9.0
    found = look(runs)
    (spoiled,) = said(found, "diverged")
    assert spoiled.runs == (17,) and "loss 9" in spoiled.text
    assert not said(look(planted_runs()), "diverged")


def test_the_scatter_of_the_optima_is_said_and_carried():
    runs = planted_runs(sizes=9, noise=5e-4, seed=3)
    factor = dict(zip(runs["flops"].round(-15).unique(), [1.5, 0.7, 1.4, 0.65, 1.3], strict=True))
    shift = runs["flops"].round(-15).map(factor)
    off = planted_runs(sizes=9, noise=5e-4, seed=3)
    off["params"], off["tokens"] = runs["params"] * shift, runs["tokens"] / shift
    found = look(off)
    (line,) = said(found, "line")
    assert line.weight == "care" and "the larger part is scatter" in line.text
    low, high = found.line.intervals["a"]
    alone_low, alone_high = found.line.scatter.noise_alone
    assert high - low > 2 * (alone_high - alone_low)
    assert found.verdict != "forecast"


def test_a_bend_at_the_top_is_not_forecast():
    runs = planted_runs(sizes=9, noise=5e-4)
    top = runs["flops"] > 5e20
    runs.loc[top, "params"] *= 2
    runs.loc[top, "tokens"] /= 2
    found = look(runs)
    test = found.backtests[-1]
    assert test.of == "params" and not test.held and test.measured > test.interval[1]
    assert "backtest" in found.reasons and found.verdict == "do not forecast"


def test_methods_that_disagree_are_not_forecast_from(good):
    apart = replace(good.law, intervals=good.law.intervals | {"a": (0.7, 0.8)})
    ((_, weight, text, _),) = agreement(good.line, apart)
    assert weight == "stop" and "disjoint" in text
    assert said(good, "agreement")[0].weight == "note"
    told = replace(good, findings=(*good.findings, *agreement(good.line, apart)))
    assert told.verdict == "do not forecast" and told.reasons == ("agreement",)


def test_a_law_that_does_not_hold_corrects_nothing():
    runs = planted_runs(sizes=9, noise=5e-4)
    found = look(runs.assign(loss=runs["loss"] * (runs["flops"] / 3e19) ** 0.03))
    (bias,) = said(found, "bias")
    assert bias.weight == "care" and "does not hold here" in bias.text
    assert found.corrected is None and found.bias is None
    assert law_over_parabolas(found.isoflop, found.law) > 5


def checkpoints(sizes=8, each=30, seed=0):
    """Rows along runs whose errors last."""
    N = np.geomspace(1e7, 1e9, sizes)
    errors = 0.005 * np.random.default_rng(seed).standard_normal(sizes)
    rows = [
        {"params": n, "tokens": d, "flops": 6 * n * d, "run": f"r{i}", "loss":
         (1.69 + 406.4 / n**0.34 + 410.7 / d**0.28) * math.exp(errors[i])}
        for i, n in enumerate(N) for d in np.linspace(5, 100, each) * n / 3
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_checkpoints_of_one_run_are_noticed_and_clustered():
    runs = checkpoints()
    found = look(runs)
    (errors,) = said(found, "errors by size")
    assert errors.weight == "care" and "checkpoints" in errors.text and "--run" in errors.text
    clustered = look(runs, run="run")
    assert clustered.law.spread == {"groups": 8}
    width, wider = (np.diff(each.law.intervals["a"])[0] for each in (found, clustered))
    assert wider > 3 * width
    named = look(runs.rename(columns={"run": "run_id"}).assign(step=1))
    assert "--run 'run_id'" in said(named, "checkpoints")[0].text


def test_too_few_sizes_and_too_few_budgets_are_said():
    runs = planted_runs(sizes=4, noise=1e-3)
    (sizes,) = said(look(runs), "sizes")
    assert sizes.weight == "stop" and "fewer than five" in sizes.text
    two = planted_runs(budgets=2, sizes=9)
    found = look(two)
    assert said(found, "budgets")[0].weight == "stop" and found.verdict == "do not forecast"


def test_losses_that_are_not_positive_are_named_once():
    runs = planted_runs()
    runs.loc[[4, 8], "loss"] = [0.0, -1.0]
    found = look(runs)
    assert found.left_out == (("run 4", "its loss is 0"), ("run 8", "its loss is -1"))
    assert len(found.runs) == 33


def test_the_unit_of_the_loss_is_asked():
    assert said(look(planted_runs(), unit=None), "unit of the loss")
    assert not said(look(planted_runs(), unit="bits"), "unit of the loss")
    with pytest.raises(ValueError, match="unit must be nats or bits, got 'bans'"):
        look(planted_runs(), unit="bans")


def test_one_fit_is_diagnosed_though_the_other_fails():
    runs = planted_runs()
    law = diagnose("params", "tokens", None, "loss", data=runs, bootstrap=50)
    assert law.isoflop is None and law.line is None and law.failed == {}
    along = runs.assign(tokens=20 * runs["params"])
    line = look(along)
    assert line.law is None and "tokens are a power of params" in line.failed["law"]
    assert line.verdict != "forecast"
    with pytest.raises(ValueError, match="isoflop: .*; law: "):
        look(runs.assign(loss=2.0))
    missing = look(runs.drop(columns="flops"))
    assert "missing: flops" in missing.failed["isoflop"] and missing.law is not None


def test_without_resamples_nothing_is_promised():
    found = look(planted_runs(), bootstrap=0)
    assert found.verdict == "forecast with care" and "forecast" in found.reasons


def test_a_far_budget_is_not_forecast():
    found = look(planted_runs(sizes=5, noise=0.01), at=[1e26])
    (reach,) = said(found, "forecast")
    assert reach.weight != "note" and "5.0 orders beyond" in reach.text
