import joblib
import matplotlib
import pytest
import torch
from hypothesis import Phase, settings

matplotlib.use("Agg")
settings.register_profile("a3", database=None, deadline=None)
settings.register_profile(  # where most tests are to fail: see benchmarks/mutants.py
    "mutants", settings.get_profile("a3"), max_examples=20, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("a3")

torch.set_num_threads(1)  # the models here are too small to share


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """As many as this process may use, which in a container can be fewer than there are."""
    return joblib.cpu_count()
