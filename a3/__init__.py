"""The implementations behind the executable course text on attention, scaling, pretraining."""

__version__ = "0.1.0"
