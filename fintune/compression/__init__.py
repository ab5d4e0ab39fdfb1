"""A smaller base model with the same answers: the vocabulary that a task needs, fewer blocks."""
