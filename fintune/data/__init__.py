"""Text on disk to checked, split examples: readers, quality, splits, the built-in set."""
