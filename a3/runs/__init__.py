"""The book's own experiments: their settings, and each run as one call that is kept."""
