"""Answers of a model whose calibration is known."""

import numpy as np

from fintune.tasks.arrays import Floats, Ints


def draws(n: int, *, temperature: float = 1.0, seed: int = 0, spread: float = 3.0) -> tuple[Floats, Ints]:
    """Return probabilities `(n, 3)` and right choices: a model that is calibrated, with its logits multiplied by `temperature`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n, 3)) * spread
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = (true.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    told = np.exp(logits * temperature)
    return told / told.sum(axis=1, keepdims=True), gold
