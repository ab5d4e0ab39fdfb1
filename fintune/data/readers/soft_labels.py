"""What annotators disagree on, as the share of each label: votes in a column per label, or how many agreed on the label.

>>> voted({"positive": "3", "neutral": "1", "negative": "0"})
{'positive': 0.75, 'neutral': 0.25, 'negative': 0.0}
>>> agreed("positive", "0.5", ["negative", "neutral", "positive"])
{'negative': 0.25, 'neutral': 0.25, 'positive': 0.5}
"""

import math
from collections.abc import Mapping, Sequence

from fintune.data.readers.columns import Broken
from fintune.errors import shortened

Shares = dict[str, float]
"""The share of each label; they add up to 1."""


def voted(votes: Mapping[str, str]) -> Shares | Broken:
    """Return the shares that counts or shares by label come to; one of the labels has more than any other."""
    counts = {label: _number(written) for label, written in votes.items()}
    for label, count in counts.items():
        if not count >= 0:  # NaN is not either
            problem = f"votes for {label}: '{shortened(votes[label])}' is no number from 0"
            return Broken(problem, "Mend the row, or data.label_columns.")
    if not (total := sum(counts.values())):
        return Broken("no label has a vote", "Mend the row, or data.label_columns.")
    first, second = sorted(counts, key=lambda label: -counts[label])[:2]
    if counts[first] == counts[second]:
        problem = f"{first} and {second} have as many votes ({votes[first]})"
        return Broken(problem, "Mend the row, or leave such rows out: data.drop: [tied-votes].", "tied-votes")
    return {label: count / total for label, count in counts.items()}


def agreed(label: str, written: str, labels: Sequence[str]) -> Shares | Broken:
    """Return the label's share as written, what is left of it spread evenly over the other labels."""
    share, least = _number(written), 1 / len(labels)
    if not least < share <= 1:
        problem = f"agreement '{shortened(written)}' is no share above {least:.2g} ({len(labels)} labels) and up to 1"
        return Broken(problem, "Mend the row, or data.agreement_column.")
    rest = (1 - share) / (len(labels) - 1)
    return {name: share if name == label else rest for name in labels}


def _number(written: str) -> float:
    """Return a finite number; NaN for what is none."""
    try:
        number = float(written)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
