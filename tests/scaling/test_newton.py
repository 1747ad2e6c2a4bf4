import torch

from a3.scaling.loss_law import minimize


def rosenbrock(x, which, scale):
    """A bent valley, of another steepness in each problem; lowest at (1, 1)."""
    steep = scale[which]
    a, b = x.unbind(-1)
    value = (1 - a) ** 2 + steep * (b - a**2) ** 2
    gradient = torch.stack([2 * (a - 1) - 4 * steep * a * (b - a**2), 2 * steep * (b - a**2)], -1)
    corner = -4 * steep * a
    rows = [2 + 12 * steep * a**2 - 4 * steep * b, corner], [corner, 2 * steep]
    return value, gradient, torch.stack([torch.stack(row, -1) for row in rows], -2)


def test_every_problem_reaches_its_minimum():
    scale = torch.logspace(0, 4, 50).double()
    start = 3 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
    found, values, done = minimize(rosenbrock, start, scale)
    assert done.all()
    assert (found - 1).abs().max() < 1e-6 and values.max() < 1e-12


def test_a_problem_is_solved_alike_alone_and_among_others():
    scale = torch.tensor([1.0, 100.0, 10.0]).double()
    start = torch.tensor([[-1.0, 2.0], [2.0, -2.0], [0.5, 0.5]]).double()
    together, _, _ = minimize(rosenbrock, start, scale)
    for i in range(3):
        alone, _, _ = minimize(rosenbrock, start[i : i + 1], scale[i : i + 1])
        assert torch.allclose(alone[0], together[i], atol=1e-12)


def test_a_saddle_is_left_downhill():
    def saddle(x, which):  # x^4/4 - x^2/2 + y^2/2, lowest at x = +-1
        a, b = x.unbind(-1)
        hessian = torch.diag_embed(torch.stack([3 * a**2 - 1, torch.ones_like(b)], -1))
        return a**4 / 4 - a**2 / 2 + b**2 / 2 + 1, torch.stack([a**3 - a, b], -1), hessian

    found, values, done = minimize(saddle, torch.tensor([[1e-3, 2.0], [-0.2, 0.0]]).double())
    assert done.all()
    assert torch.allclose(found, torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double(), atol=1e-6)
    assert torch.allclose(values, torch.full((2,), 0.75).double())


def test_steps_never_lead_uphill_and_an_unfinished_problem_says_so():
    scale = torch.tensor([1e4]).double()
    start = torch.tensor([[-1.2, 1.0]]).double()
    last = rosenbrock(start, torch.arange(1), scale)[0]
    for iterations in range(1, 12):
        _, value, done = minimize(rosenbrock, start, scale, iterations=iterations)
        assert not done and value <= last
        last = value
