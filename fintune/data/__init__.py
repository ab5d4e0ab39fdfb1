"""Text on disk to checked, split examples: formats and readers, duplicates, splits, checks, the built-in set."""
