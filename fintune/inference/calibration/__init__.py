"""What a model's probabilities are worth, and what to do about it: pure functions of arrays, no model, no file."""
