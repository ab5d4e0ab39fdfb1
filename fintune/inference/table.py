"""Answers on a terminal, and which words moved them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fintune.records import Answer, Prediction
from fintune.runtime.layout import Table, Text

if TYPE_CHECKING:
    from fintune.inference.attribution import Attribution
    from fintune.inference.files import AnswerColumns


_STRONGEST = 6
"""Number of words whose effect is written out."""


def predictions_table(predictions: Sequence[Prediction], columns: "AnswerColumns") -> Table:
    """Return a table of answer, what may be done with it, probability of each choice, text."""
    table = Table()
    table.add_column(columns.noun, no_wrap=bool(columns.choices))
    if columns.abstain:
        table.add_column("abstain", no_wrap=True)
    if columns.sets:
        table.add_column("set", no_wrap=True)
    for choice in columns.choices:
        table.add_column(Text(choice), justify="right")
    table.add_column("text")
    for p in predictions:
        shares = (f"{p.probabilities[choice]:.3f}" for choice in columns.choices)
        sure = [Text("yes" if p.abstain else "")] if columns.abstain else []
        held = [Text(_shown(p.labels))] if columns.sets else []
        table.add_row(Text(_shown(p.answer) or f"? {p.written}"), *sure, *held, *shares, Text(p.text))
    return table


def _shown(answer: Answer | None) -> str:
    if isinstance(answer, float):
        return f"{answer:.3f}"
    return "; ".join(answer) if isinstance(answer, tuple) else answer or ""


def attributions(explained: Sequence["Attribution"]) -> Iterator[Text]:
    """Yield answer and text of each, words that spoke for it green and those against it red; below, the strongest with their effects."""
    for one in explained:
        line, place = Text(_head(one)), 0
        for word in one.words:
            start = one.text.index(word.text, place)
            line.append(one.text[place:start])
            line.append(word.text, _shade(word.effect))
            place = start + len(word.text)
        yield line.append(one.text[place:])
        strongest = sorted(one.words, key=lambda word: -abs(word.effect))[:_STRONGEST]
        yield Text(" " * 17).append("  ".join(f"{word.text} {word.effect:+.3f}" for word in strongest), "dim")


def _head(one: "Attribution") -> str:
    probability = "" if one.probability is None else f"{one.probability:.3f}  "
    return f"{_shown(one.answer) or '?':<10}{probability}"


def _shade(effect: float) -> str:
    strength = "bold " if abs(effect) >= 0.2 else ""
    return "" if abs(effect) < 0.02 else f"{strength}{'green' if effect > 0 else 'red'}"
