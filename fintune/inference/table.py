"""Answers on a terminal, and which words moved them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fintune.records import Prediction
from fintune.runtime.layout import Table, Text

if TYPE_CHECKING:
    from fintune.inference.attribution import Attribution


_STRONGEST = 6
"""Number of words whose effect is written out."""


def predictions_table(predictions: Sequence[Prediction]) -> Table:
    """Return a table of label, probability of each label, text."""
    table = Table()
    table.add_column("label", no_wrap=True)
    for label in predictions[0].probabilities if predictions else ():
        table.add_column(Text(label), justify="right")
    table.add_column("text")
    for p in predictions:
        table.add_row(
            Text(p.label or f"? {p.answer}"), *(f"{value:.3f}" for value in p.probabilities.values()), Text(p.text)
        )
    return table


def attributions(explained: Sequence["Attribution"]) -> Iterator[Text]:
    """Yield answer and text of each, words that spoke for it green and those against it red; below, the strongest with their effects."""
    for one in explained:
        line, place = Text(f"{one.label or '?':<10}{one.probability:.3f}  "), 0
        for word in one.words:
            start = one.text.index(word.text, place)
            line.append(one.text[place:start])
            line.append(word.text, _shade(word.effect))
            place = start + len(word.text)
        yield line.append(one.text[place:])
        strongest = sorted(one.words, key=lambda word: -abs(word.effect))[:_STRONGEST]
        yield Text(" " * 17).append("  ".join(f"{word.text} {word.effect:+.3f}" for word in strongest), "dim")


def _shade(effect: float) -> str:
    strength = "bold " if abs(effect) >= 0.2 else ""
    return "" if abs(effect) < 0.02 else f"{strength}{'green' if effect > 0 else 'red'}"
