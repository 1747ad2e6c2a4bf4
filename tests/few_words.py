"""Words to try Pig Latin on: some, and hypothesis's."""

from hypothesis import strategies as st

parts = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
vowelless = st.text("bcdfgqtuy", min_size=1, max_size=8)  # clusters and 'qu', often
words = st.lists(parts | vowelless, min_size=1, max_size=3).map("-".join)
WORDS = ["a", "team", "quick", "string", "well-known", "you", "squid", "i", "my", "apple", "oak"]
