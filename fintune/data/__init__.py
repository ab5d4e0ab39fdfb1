"""Text on disk to checked, split examples: a look into a file (guess), readers, quality, splits, the built-in set."""
