"""Section `data` that a look into files comes to, and the reasons for its settings."""

from collections.abc import Iterator, Sequence

from fintune.data.guess.answers import AnswerSet
from fintune.data.guess.reasons import Reason
from fintune.data.guess.roles import Roles
from fintune.data.guess.sample import Sample
from fintune.data.guess.tasks import through_text

_DROPPED = ["empty", "exact-duplicates"]
"""What is left out anyhow, as DataSection has it."""
_STRAY = 3
"""Records that cannot be read and may be left out."""
_FEWEST_GROUPS = 10
"""Groups from which on a split by them can keep the labels' shares."""


def settings_for(sample: Sample, roles: Roles, answers: AnswerSet) -> dict[str, object]:
    """Return the settings beside `path` that are not what they are when left out."""
    found: dict[str, object] = {"format": sample.format} if sample.format_found else {}
    if sample.delimiter is not None and sample.format == "csv" and (sample.header is False or sample.delimiter != ","):
        found["delimiter"] = "\\t" if sample.delimiter == "\t" else sample.delimiter
    found |= {"header": False} if sample.header is False else {}
    own = through_text(roles.text.columns)
    found |= {} if own is None else {"text_column": own}
    if len(roles.answer.columns) == 1:  # several are votes, which data.label_columns names
        found["label_column"] = roles.answer.columns[0]
    found |= {"label_map": dict(answers.mapping)} if answers.mapping else {}
    found |= {"decimal": ","} if answers.decimal_comma else {}
    if roles.date.columns:
        found["date_column"] = roles.date.columns[0]
        found |= {"date_format": roles.date_forms[0]} if len(roles.date_forms) == 1 else {}
    if roles.group.columns:
        found["group_column"] = roles.group.columns[0]
        found |= {"split": {"by": "group"}} if roles.group.count >= _FEWEST_GROUPS else {}
    left_out = [kind for kind, some in (("unreadable", _stray(sample)), ("unknown-label", answers.unknown)) if some]
    return found | ({"drop": [*_DROPPED, *left_out]} if left_out else {})


def reasons_for(sample: Sample, roles: Roles, answers: AnswerSet) -> Iterator[Reason]:
    """Yield the reason for each setting that was guessed."""
    yield Reason(setting="data.format", why=", ".join(_form(sample)))
    text = "data.text_column" if len(roles.text.columns) == 1 else "task.prompt"
    choices = {text: roles.text, "data.label_column": roles.answer}
    choices |= {"data.date_column": roles.date, "data.group_column": roles.group}
    for setting, choice in choices.items():
        if choice.columns and choice.why:
            doubt = f"; could be {', '.join(choice.doubts)}" if choice.doubts else ""
            yield Reason(
                setting=setting, why=f"{', '.join(choice.columns)}: {choice.why}{doubt}", sure=choice.sure and not doubt
            )
    if forms := roles.date_forms:
        unclear = f"; could be {', '.join(forms[1:])}: set it" if len(forms) > 1 else ""
        yield Reason(setting="data.date_format", why=f"{forms[0]}{unclear}", sure=not unclear)
    setting = "task.labels" if answers.kind == "labels" else "task.low"
    yield Reason(setting=setting, why=answers.why, sure=not answers.unexplained)
    shown = [f"line {line}: {problem}" for line, problem in _stray(sample)]
    shown += [f"answer '{value}': {count} rows" for value, count in answers.unknown.items()]
    if shown:
        yield Reason(setting="data.drop", why=f"left out: {'; '.join(shown[:4])}")


def _form(sample: Sample) -> Iterator[str]:
    yield sample.format
    if sample.delimiter is not None:
        yield "fields parted by " + ("tabs" if sample.delimiter == "\t" else repr(sample.delimiter))
    if sample.header is not None:
        yield "a line of names" if sample.header else "no line of names"
    yield sample.encoding


def _stray(sample: Sample) -> Sequence[tuple[int | str, str]]:
    """Return the records that cannot be read, where they are so few that they are notes, rules or lines of totals."""
    return sample.broken if len(sample.broken) <= max(_STRAY, len(sample.records) // 100) else ()
