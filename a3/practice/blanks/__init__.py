"""The files that a reader fills in, one a question; ``python -m a3.practice NAME`` writes them."""
