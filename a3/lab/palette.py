"""The colours of the book's figures and drawings."""

COLORS = ("#3b82c4", "#d55e00", "#009e73", "#b565a7")
"""Told apart by colour-blind readers, and clear on white and on near-black."""
