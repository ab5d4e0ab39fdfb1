"""Labels of a file to labels of the task, as `data.label_map` says.

A key of the map always wins. A label that is no key, but a name the map leads to, stands as it is; any other is refused.

>>> LabelMap({"negative": "positive", "positive": "negative", "0": "neutral"}).apply("positive")
'negative'
"""

from collections import Counter
from collections.abc import Mapping

from fintune.errors import did_you_mean

Applied = dict[str, dict[str, int]]
"""Rows by the label in the file, then by the label of the task."""


class LabelMap:
    """The map as people write it: `0` also meets `0.0`, as pandas writes a column of whole numbers that has gaps."""

    def __init__(self, mapping: Mapping[str, str], *, closed: bool = True) -> None:
        """With `closed` a label that the map does not know is none of the task's; numbers and texts stand as they are."""
        self._closed = closed
        self._map = dict(mapping)
        self._whole = {_whole(key): key for key in mapping}
        self._names = frozenset(mapping.values())

    def __bool__(self) -> bool:
        return bool(self._map)

    def __str__(self) -> str:
        return ", ".join(f"{key}: {new}" for key, new in self._map.items())

    def key(self, label: str) -> str | None:
        """Return the key that a label of the file meets."""
        return label if label in self._map else self._whole.get(_whole(label))

    def apply(self, label: str) -> str | None:
        """Return the task's label; None when the map does not know this one."""
        if (key := self.key(label)) is not None:
            return self._map[key]
        return label if label in self._names or not self._closed else None

    def hint(self, label: str) -> str:
        """Return what to do about a label the map does not know."""
        return f"{did_you_mean(label, self._map)} Add it to data.label_map, or mend the row."

    def applied(self, rows: Counter[tuple[str, str]]) -> Applied:
        """Rows of each key, 0 where it never occurs, then of the labels that stood as they are; from rows by (old, new)."""
        counts: Applied = {key: {new: 0} for key, new in self._map.items()}
        for (old, new), count in rows.items():
            into = counts.setdefault(self.key(old) or old, {new: 0})
            into[new] += count
        return counts


def _whole(label: str) -> str:
    return label.removesuffix(".0")
