"""Records of a task that reads one text, in the fewest words."""

from collections.abc import Mapping
from typing import Any

from fintune.records import Answer, Example, Prediction, Row


def row(name: str, text: str, target: str | None, **more: Any) -> Row:
    return Row(name, {"text": text}, target, **more)


def example(name: str, text: str, label: str, **more: Any) -> Example:
    """An example of a task of labels, as it comes out of reading: its stratum is its label."""
    return Example(name, {"text": text}, label, stratum=label, **more)


def asked(text: str) -> Example:
    """An example that is to be answered."""
    return Example("", {"text": text}, None)


def prediction(
    name: str, text: str, written: str, answer: Answer | None, shares: Mapping[str, float], gold: Answer | None = None
) -> Prediction:
    return Prediction(name, {"text": text}, answer, written, shares, gold)
