"""Rows whose label one word gives away, and what baselines see of them."""

from collections.abc import Sequence

from fintune.records import Example
from fintune.tasks.baselines import BaselineInput
from fintune.tasks.classification import Classification, ClassificationOptions
from tests.made_records import example

LABELS = ["up", "down", "flat"]
WORDS = {"up": "gain", "down": "fall", "flat": "hold"}


def rows(prefix: str, n: int) -> list[Example]:
    return [example(f"{prefix}{i}", f"{prefix} {WORDS[label]} {i}", label) for i in range(n) for label in WORDS]


def baseline_input(
    train: Sequence[Example], validation: Sequence[Example], scored: Sequence[Example], *, seed: int = 0, shots: int = 2
) -> BaselineInput:
    task = Classification(ClassificationOptions(labels=LABELS, prompt="{text} ->{answer}"))
    return BaselineInput(task, train, validation, [e.text for e in scored], seed=seed, shots=shots)
