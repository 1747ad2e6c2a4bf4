"""a3: the implementations behind the executable course text on attention, scaling and pretraining."""

__version__ = "0.1.0"
