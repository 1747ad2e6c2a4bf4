"""What serves every experiment and knows none of them: keys, kept results, figures, intervals."""
