import matplotlib.pyplot as plt
import numpy as np
import pytest

from a3.scaling import figures as scaling_figures
from a3.scaling.isoflop import fit_isoflop
from a3.scaling.parametric import fit_parametric

C = np.repeat(np.geomspace(1e15, 1e18, 4), 6)
X = np.tile(np.linspace(-2, 2, 6), 4)
X[:6] += 2.5  # the optimum of the first budget is below its sizes
N = 3 * C**0.46 * np.exp(X)
L = 2 + 30 * C**-0.1 + 0.08 * X**2 + 0.002 * np.cos(np.arange(24))


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module", params=[0, 50])
def isoflop(request):
    return fit_isoflop(N, C / (6 * N), C, L, bootstrap=request.param)


@pytest.fixture(scope="module", params=[0, 50])
def parametric(request):
    law = 1.8 + 480 / N**0.35 + 2000 / (C / (6 * N)) ** 0.37
    return fit_parametric(N, C / (6 * N), law, bootstrap=request.param)


def test_profiles_show_every_run_and_the_optima_within_the_sizes(isoflop):
    figure = scaling_figures.isoflop_profiles(isoflop)
    (ax,) = figure.axes
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in points) == 24
    assert [line.get_markerfacecolor() == "none" for line in points] == [True] + [False] * 3
    (stars,) = [line for line in ax.lines if line.get_marker() == "*"]
    assert np.isfinite(stars.get_xdata()).tolist() == [False, True, True, True]
    curves = [line for line in ax.lines if line.get_marker() == "None"]
    for curve, points_of in zip(curves, points, strict=True):
        x, y = points_of.get_data()
        ends = curve.get_xdata()[[0, -1]]
        assert ends == pytest.approx([x.min(), x.max()])  # never beyond the runs
        assert np.interp(x, *curve.get_data()) == pytest.approx(y, abs=0.01)
    assert "4 compute budgets" in figure.get_label() and "3 lowest points" in figure.get_label()


def test_lines_run_over_the_compute_of_the_data(isoflop, parametric):
    for fit in (isoflop, parametric):
        figure = scaling_figures.optimal_lines(fit)
        for ax, power in zip(figure.axes, (fit.a, fit.b), strict=True):
            x, y = ax.lines[0].get_data()
            assert [x[0], x[-1]] == pytest.approx([1e15, 1e18])
            assert np.polyfit(np.log(x), np.log(y), 1)[0] == pytest.approx(power, rel=1e-3)
        assert f"to the power {fit.a:.2f}" in figure.get_label()
        figure.canvas.draw()


def test_losses_of_a_perfect_law_lie_on_the_diagonal(parametric):
    figure = scaling_figures.predicted_losses(parametric)
    left, right = figure.axes
    x, y = left.lines[1].get_data()
    assert len(x) == 24 and y == pytest.approx(x, rel=1e-6)
    assert np.abs(right.lines[1].get_ydata()).max() < 1e-6


def test_figures_are_written_closed_and_overwritten(isoflop, parametric, tmp_path):
    folder = tmp_path / "new" / "folder"
    names = ["isoflop_profiles", "isoflop_lines", "parametric_fit", "parametric_lines"]
    for _ in range(2):
        paths = scaling_figures.write([isoflop, parametric], folder)
        assert paths == [folder / f"{name}.png" for name in names]
        assert not plt.get_fignums()
    assert sorted(folder.iterdir()) == sorted(paths)
    assert scaling_figures.write([], tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
