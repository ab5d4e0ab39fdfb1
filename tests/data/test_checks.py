"""Counts a reader can check against the source, and exact duplicates dropped."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from fintune.config import load
from fintune.data.checks import DataReport, drop_duplicates, report
from fintune.preparation import prepare
from fintune.records import Example


def rows(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(f"f:{i}", text, label) for i, (text, label) in enumerate(pairs, start=1)]


def test_the_first_of_each_text_and_label_stays_in_order() -> None:
    examples = rows(("b", "up"), ("a", "up"), ("b", "up"), ("b", "down"), ("a", "up"))
    assert [example.id for example in drop_duplicates(examples)] == ["f:1", "f:2", "f:4"]


def test_only_equal_texts_are_exact_duplicates() -> None:
    examples = rows(("Rose 5 %", "up"), ("rose 5 %", "up"), ("Rose 6 %", "up"), ("Rose  5 %", "up"))
    assert drop_duplicates(examples) == examples
    assert drop_duplicates([]) == []


def test_report_counts_what_was_found() -> None:
    kept = rows(("a b c", "up"), ("a b c", "down"), ("d", "up"), ("e f", "flat"), ("e g h i", "flat"), ("x y", "up"))
    parts = {"train": kept[:4], "validation": kept[4:5], "test": kept[5:]}
    found = report(kept, np.array([0, 0, 1, 2, 2, 3]), parts, empty=2, duplicates=3)
    assert found == DataReport(
        rows=11,
        empty_texts=2,
        exact_duplicates=3,
        conflicting_texts=1,
        near_duplicate_rows=4,
        near_duplicate_clusters=2,
        labels={"up": 3, "flat": 2, "down": 1},
        median_words=2.5,
        longest_words=4,
        parts={"train": {"up": 2, "down": 1, "flat": 1}, "validation": {"flat": 1}, "test": {"up": 1}},
    )


@pytest.mark.parametrize(
    ("groups", "clustered"),
    [([0, 1, 2, 3], (0, 0)), ([0, 0, 0, 0], (4, 1)), ([0, 1, 0, 1], (4, 2)), ([0, 1, 1, 2], (2, 1))],
)
def test_only_clusters_of_two_or_more_count(groups: list[int], clustered: tuple[int, int]) -> None:
    kept = rows(("a", "up"), ("b", "up"), ("c", "up"), ("d", "up"))
    found = report(kept, np.array(groups), {}, empty=0, duplicates=0)
    assert (found.near_duplicate_rows, found.near_duplicate_clusters) == clustered


def test_labels_stand_by_frequency() -> None:
    kept = rows(("a", "rare"), ("b", "often"), ("c", "often"))
    assert list(report(kept, np.arange(3), {}, empty=0, duplicates=0).labels) == ["often", "rare"]


def test_phrasebank_from_file_to_report(phrasebank: Path) -> None:
    found = prepare(load({"data": {"path": str(phrasebank)}})).report
    counts = asdict(found)
    assert counts.pop("parts").keys() == {"train", "validation", "test"}
    words = (counts.pop("median_words"), counts.pop("longest_words"))
    assert counts == {
        "rows": 2264,
        "empty_texts": 0,
        "exact_duplicates": 5,
        "conflicting_texts": 0,
        "near_duplicate_rows": 203,
        "near_duplicate_clusters": 69,
        "labels": {"neutral": 1386, "positive": 570, "negative": 303},
    }
    sentences = {line.rpartition("@")[0] for line in phrasebank.read_text(encoding="latin-1").splitlines()}
    lengths = sorted(len(sentence.split()) for sentence in sentences)
    assert words == (lengths[len(lengths) // 2], lengths[-1])
    assert [sum(labels.values()) for labels in found.parts.values()] == [1581, 226, 452]
