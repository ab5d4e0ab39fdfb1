"""Answers of a model whose calibration is known."""

import numpy as np

from fintune.records import Prediction
from fintune.tasks.arrays import Floats, Ints
from tests.tiny import LABELS


def draws(n: int, *, temperature: float = 1.0, seed: int = 0, spread: float = 3.0) -> tuple[Floats, Ints]:
    """Return probabilities `(n, 3)` and right choices: a model that is calibrated, with its logits multiplied by `temperature`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n, 3)) * spread
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = (true.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    told = np.exp(logits * temperature)
    return told / told.sum(axis=1, keepdims=True), gold


def distinct(i: int) -> str:
    """Return a text that shares no word with another number's."""
    return " ".join(f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676 % 26)}{end}" for end in "xyzw")


def answers_drawn(n: int, *, temperature: float = 2.5, seed: int = 0, spread: float = 3.0) -> list[Prediction]:
    """Return answers of a model that is surer than it should be, each of another text."""
    told, gold = draws(n, temperature=temperature, seed=seed, spread=spread)
    return [
        Prediction(
            id=f"a:{i}", fields={"text": distinct(1000 * seed + i)}, written="",
            answer=LABELS[int(row.argmax())], probabilities=dict(zip(LABELS, map(float, row), strict=True)),
            gold=LABELS[right],
        )
        for i, (row, right) in enumerate(zip(told, gold.tolist(), strict=True))
    ]  # fmt: skip
