import html
import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from a3.lab import figures
from a3.scaling import __main__ as scaling
from a3.scaling import fit_isoflop, fit_parametric

FIGURES = {
    "isoflop": ["isoflop_lines.png", "isoflop_profiles.png"],
    "parametric": ["parametric_fit.png", "parametric_lines.png"],
}


def table():
    best = np.sqrt(np.geomspace(1e17, 1e20, 4) / 120)
    rows = [
        {"params": n, "tokens": 20 * N**2 / n, "flops": 120 * N**2, "seed": seed}
        for N in best
        for n in N * np.geomspace(1 / 6, 6, 6)
        for seed in range(3)
    ]
    runs = pd.DataFrame(rows)
    noise = 1 + 0.002 * np.random.default_rng(0).standard_normal(len(runs))
    law = 1.8 + 480 / runs["params"] ** 0.35 + 2000 / runs["tokens"] ** 0.37
    return runs.assign(loss=law * noise)


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "runs.csv"
    table().to_csv(path, index=False)
    return path


def written(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("method", ["isoflop", "parametric", "both"])
def test_the_fits_are_printed_and_their_figures_written(csv, tmp_path, capsys, method):
    out = tmp_path / "new" / "folder"
    options = ["--method", method, "--bootstrap", "50", "--at", "1e20,1e22"]
    scaling.main([str(csv), "--out", str(out), *options])
    printed = capsys.readouterr().out
    methods = ["isoflop", "parametric"] if method == "both" else [method]
    drawn = [name for name in written(out) if not name.startswith("corrected")]
    assert drawn == sorted(name for m in methods for name in FIGURES[m])
    assert printed.startswith("verdict: ")
    for path in out.iterdir():
        assert plt.imread(path).std() > 0 and str(path) in printed
    assert ("isoflop: N*" in printed) == ("isoflop" in methods)
    assert ("law: L = E" in printed) == ("parametric" in methods)
    assert printed.count("orders_beyond_data") == 1
    assert not plt.get_fignums()


def test_what_is_printed_is_what_the_functions_give(csv, tmp_path, capsys):
    scaling.main([str(csv), "--out", str(tmp_path), "--group", "seed", "--bootstrap", "100"])
    printed = capsys.readouterr().out
    columns = {"data": pd.read_csv(csv), "group": "seed", "bootstrap": 100}
    isoflop = fit_isoflop("params", "tokens", "flops", "loss", **columns)
    parametric = fit_parametric("params", "tokens", "loss", **columns)
    for fit in (isoflop, parametric):
        for name, row in fit.table().iterrows():
            assert [name, *(f"{x:.4g}" for x in row)] in [
                line.split() for line in printed.split("\n")
            ]
    assert "72 runs, 95% intervals" in printed


def test_what_was_left_out_is_said(tmp_path, capsys):
    runs = table()
    runs.loc[4, "loss"] = np.nan
    path = tmp_path / "runs.csv"
    runs.to_csv(path, index=False)
    scaling.main([str(path), "--out", str(tmp_path), "--bootstrap", "0"])
    assert capsys.readouterr().out.count("left out: row 6: its loss is ''") == 1


NO_FLOPS = "columns params, tokens, flops, loss; missing: flops; they have: params, tokens, seed"
ISOFLOP, PARAMETRIC = ["--method", "isoflop"], ["--method", "parametric"]


@pytest.mark.parametrize(
    "change, options, message",
    [
        (lambda runs: runs.drop(columns=["flops"]), ISOFLOP, NO_FLOPS),
        (lambda runs: runs.drop(columns=["loss"]), PARAMETRIC, "missing: loss"),
        (
            lambda runs: runs.drop(columns=["loss"]),
            [],
            "missing: loss",
        ),
        (lambda runs: runs, ["--group", "person"], "missing: person; they have"),
        (lambda runs: runs.assign(loss=1.0), [], "all losses are equal"),
        (lambda runs: runs.assign(loss="low"), [], "loss must hold numbers, got 'low'"),
        (lambda runs: runs.iloc[:0], [], "none of 0 runs can be used"),
        (
            lambda runs: runs.assign(tokens=0),
            [],
            "none of 72 runs can be used: row 2: its tokens are '0'",
        ),
        (lambda runs: runs, ["--at", "0"], "the budget must be positive"),
        (lambda runs: runs, [*ISOFLOP, "--tolerance", "0"], "tolerance must be positive"),
        (lambda runs: runs, ["--bootstrap", "-1"], "bootstrap must be at least 0"),
    ],
)
def test_a_table_that_cannot_be_fitted_ends_with_a_reason(
    tmp_path, capsys, change, options, message
):
    path, out = tmp_path / "runs.csv", tmp_path / "out"
    change(table()).to_csv(path, index=False)
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        scaling.main([str(path), "--out", str(out), *options])
    assert not out.exists()
    assert not plt.get_fignums()


def test_one_fit_is_given_though_the_other_fails(tmp_path, capsys):
    path, out = tmp_path / "runs.csv", tmp_path / "out"
    table().drop(columns="flops").to_csv(path, index=False)
    with pytest.raises(SystemExit, match=f"^error: isoflop: .*{NO_FLOPS}"):
        scaling.main([str(path), "--out", str(out), "--bootstrap", "0"])
    assert "law: L = E" in capsys.readouterr().out
    assert written(out) == FIGURES["parametric"]


def test_what_is_no_table_ends_with_a_reason(tmp_path):
    empty = tmp_path / "empty.csv"
    empty.touch()
    binary = tmp_path / "image.csv"
    binary.write_bytes(bytes(range(128, 256)))
    for path, message in ((empty, "is not a table"), (binary, "is not a table"), (tmp_path, "")):
        with pytest.raises(SystemExit, match=f"^error: .*{message}"):
            scaling.main([str(path)])
    with pytest.raises(SystemExit, match="error: .*No such file"):
        scaling.main([str(tmp_path / "none.csv")])


def test_a_figure_that_fails_leaves_the_old_one_whole(csv, tmp_path, monkeypatch):
    options = [
        str(csv),
        "--method",
        "parametric",
        "--bootstrap",
        "0",
        "--out",
        str(tmp_path / "out"),
    ]
    scaling.main(options)
    before = (tmp_path / "out" / "parametric_fit.png").read_bytes()

    def save(figure, path, **options):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(figures, "save", save)
    with pytest.raises(SystemExit, match="error: no space left"):
        scaling.main(options)
    assert written(tmp_path / "out") == FIGURES["parametric"]
    assert (tmp_path / "out" / "parametric_fit.png").read_bytes() == before
    assert not plt.get_fignums()


def test_the_module_runs_from_a_shell(csv, tmp_path):
    command = [
        sys.executable,
        "-m",
        "a3.scaling",
        str(csv),
        "--bootstrap",
        "10",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert "isoflop: N* = k C^a" in done.stdout
    done = subprocess.run([*command[:3], "none.csv"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_columns_are_mapped_and_likely_ones_offered(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    names = {"params": "N", "tokens": "D", "flops": "C", "loss": "val_loss"}
    table().rename(columns=names).to_csv(path, index=False)
    mapped = [part for role, name in names.items() for part in (f"--{role}", name)]
    scaling.main([str(path), *mapped, "--bootstrap", "0", "--out", str(tmp_path)])
    assert "(72 runs, " in capsys.readouterr().out
    with pytest.raises(SystemExit, match="error: .*flops may be 'C'; loss may be 'val_loss'$"):
        scaling.main([str(path)])


def test_the_budgets_of_the_runs_may_be_given(csv, tmp_path, capsys):
    options = [str(csv), "--bootstrap", "0", "--out", str(tmp_path)]
    scaling.main([*options, "--budgets", "1e18,1e19,1e20", "--unit", "nats"])
    printed = capsys.readouterr().out
    assert "left out: 18 runs: FLOPs within 10% of no budget" in printed
    assert "unit of the loss" not in printed
    with pytest.raises(SystemExit):
        scaling.main([*options, "--budget", "1e18"])
    with pytest.raises(SystemExit):
        scaling.main([*options, "--budgets", "many"])
    assert "expected numbers between commas, such as 6e18,1e19" in capsys.readouterr().err


def test_everything_as_json(csv, tmp_path, capsys):
    options = ["--bootstrap", "0", "--at", "1e21,1e22", "--json"]
    scaling.main([str(csv), *options, "--out", str(tmp_path / "out")])
    content = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert content["verdict"] == "forecast with care" and content["reasons"]
    assert [row["flops"] for row in content["forecast"] if row["fit"] == "law"] == [1e21, 1e22]
    assert content["forecast"][0]["params_low"] is None  # no resamples
    assert not (tmp_path / "out").exists()


def test_a_report_is_one_file_whose_lines_repeat_it(csv, tmp_path, capsys, monkeypatch):
    path = tmp_path / "new" / "report.html"
    options = ["--group", "seed", "--bootstrap", "20", "--at", "1e21", "--report", str(path)]
    scaling.main([str(csv), *options, "--out", str(tmp_path / "out")])
    printed, text = capsys.readouterr().out, path.read_text()
    verdict = printed.split("\n")[0].removeprefix("verdict: ").split(" (")[0]
    assert f"runs.csv: {verdict}</h1>" in text and f"wrote {path}" in printed
    assert text.count('src="data:image/png;base64,') == text.count("<img") >= 4
    assert text.count('alt="') == text.count("<img") and 'alt=""' not in text
    assert "http" not in text and written(path.parent) == ["report.html"]
    code = html.unescape(text.split("<pre>")[1].split("</pre>")[0])
    exec(compile(code, "report", "exec"), {})
    repeated = capsys.readouterr().out
    assert repeated.split("\n")[0] == printed.split("\n")[0] and "1e+21" in repeated
    assert not plt.get_fignums()


def test_a_report_that_fails_leaves_the_old_one_whole(csv, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def save(figure, path, **options):
        raise OSError("no space left")

    monkeypatch.setattr(figures, "save", save)
    options = ["--bootstrap", "0", "--json", "--report", str(path)]
    with pytest.raises(SystemExit, match="error: no space left"):
        scaling.main([str(csv), *options])
    assert path.read_text() == "old" and not plt.get_fignums()
