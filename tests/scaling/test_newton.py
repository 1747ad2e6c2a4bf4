import numpy as np

from a3.scaling.loss_law import minimize


def rosenbrock(x, which, scale):
    """A bent valley, of another steepness in each problem; lowest at (1, 1)."""
    steep = scale[which]
    a, b = x.T
    value = (1 - a) ** 2 + steep * (b - a**2) ** 2
    gradient = np.stack([2 * (a - 1) - 4 * steep * a * (b - a**2), 2 * steep * (b - a**2)], -1)
    corner = -4 * steep * a
    rows = [2 + 12 * steep * a**2 - 4 * steep * b, corner], [corner, 2 * steep]
    return value, gradient, np.stack([np.stack(row, -1) for row in rows], -2)


def test_every_problem_reaches_its_minimum():
    scale = np.logspace(0, 4, 50)
    start = 3 * np.random.default_rng(0).standard_normal((50, 2))
    found, values, done = minimize(rosenbrock, start, scale)
    assert done.all()
    assert np.abs(found - 1).max() < 1e-6 and values.max() < 1e-12


def test_a_problem_is_solved_alike_alone_and_among_others():
    scale = np.array([1.0, 100.0, 10.0])
    start = np.array([[-1.0, 2.0], [2.0, -2.0], [0.5, 0.5]])
    together, _, _ = minimize(rosenbrock, start, scale)
    for i in range(3):
        alone, _, _ = minimize(rosenbrock, start[i : i + 1], scale[i : i + 1])
        assert np.allclose(alone[0], together[i], atol=1e-12)


def test_a_saddle_is_left_downhill():
    def saddle(x, which):  # x^4/4 - x^2/2 + y^2/2, lowest at x = +-1
        a, b = x.T
        hessian = np.stack([3 * a**2 - 1, np.ones_like(b)], -1)[..., None] * np.eye(2)
        return a**4 / 4 - a**2 / 2 + b**2 / 2 + 1, np.stack([a**3 - a, b], -1), hessian

    found, values, done = minimize(saddle, np.array([[1e-3, 2.0], [-0.2, 0.0]]))
    assert done.all()
    assert np.allclose(found, [[1.0, 0.0], [-1.0, 0.0]], atol=1e-6)
    assert np.allclose(values, 0.75)


def test_steps_never_lead_uphill_and_an_unfinished_problem_says_so():
    scale = np.array([1e4])
    start = np.array([[-1.2, 1.0]])
    last = rosenbrock(start, np.arange(1), scale)[0]
    for iterations in range(1, 12):
        _, value, done = minimize(rosenbrock, start, scale, iterations=iterations)
        assert not done and value <= last
        last = value


def test_the_start_stays_as_it_was():
    start = np.array([[-1.2, 1.0]])
    minimize(rosenbrock, start, np.array([100.0]))
    assert start.tolist() == [[-1.2, 1.0]]
