"""What is said where no column is surely the answer: one label in all rows, or the column that comes nearest.

Example:
    need_answer("news.csv", profiles, texts=["headline"])
    # DataError: news.csv: label is 'good' in all 50 rows, and there is nothing to tell apart
"""

import shlex
from collections.abc import Collection, Sequence

from fintune.data.guess.names import PREDICTED, answer_strength, is_of
from fintune.data.guess.profile import Profile
from fintune.errors import DataError

_LABEL, _SENTIMENT = 3, 2
"""What answer_strength says of a name that is plainly a label's, and of a sentiment's."""


def need_answer(path: str, profiles: Sequence[Profile], texts: Collection[str]) -> None:
    """Raise DataError for the first column whose name says that it is the answer, by what is wrong with its values."""
    candidates = [p for p in profiles if p.counts and p.name not in texts]
    for p in candidates:
        if p.distinct == 1 and answer_strength(p.name) == _LABEL:
            raise DataError(
                f"{path}: {p.name} is '{next(iter(p.counts))}' in all {p.counts.total():,} rows, and there is nothing to tell apart",
                hint="Add rows of another label, or name the column of labels: --set data.label_column=NAME.",
            )
    for p in candidates:
        if answer_strength(p.name) >= _SENTIMENT or is_of(p.name, PREDICTED):
            raise DataError(
                f"{path}: no column is surely the answer; {p.name} has {_form(p)}",
                hint=f"If it is: --set {shlex.quote(f'data.label_column={p.name}')}. To label the texts: fintune predict RUN --file.",
            )


def _form(p: Profile) -> str:
    rows, labeled = len(p.values), p.counts.total()
    empty = f", and {rows - labeled:,} rows without one" if labeled < rows else ""
    return f"{p.distinct:,} values over {labeled:,} rows{empty}"
