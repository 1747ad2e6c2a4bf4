"""Scaling laws for anybody's runs: diagnose and fit them, and split a budget by them.

``python -m a3.scaling runs.csv`` does it from a shell.
"""

from a3.scaling.allocation import compute_optimal
from a3.scaling.diagnosis import diagnose
from a3.scaling.isoflop import fit_isoflop
from a3.scaling.parabola import find_optimal_params
from a3.scaling.parametric import fit_parametric

__all__ = ["compute_optimal", "diagnose", "find_optimal_params", "fit_isoflop", "fit_parametric"]
