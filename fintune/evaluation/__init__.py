"""How good a model is, and against what: scores with intervals, baselines, what may be said of them."""
