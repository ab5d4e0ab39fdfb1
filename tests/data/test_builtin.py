"""The built-in headlines are what their datasheet says."""

from collections import Counter

import numpy as np

from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.data.quality.duplicates import clusters
from fintune.data.readers.read import read
from fintune.evaluation.baselines import baseline_input
from fintune.tasks.baselines.counts import tfidf


def test_balanced_distinct_and_in_two_languages() -> None:
    rows = list(read("builtin:headlines"))
    chinese = sum(any("\u4e00" <= character <= "\u9fff" for character in row.text) for row in rows)
    assert len(rows) - chinese >= 600
    assert chinese >= 300
    assert min(Counter(row.target for row in rows).values()) > 0.3 * len(rows)
    assert np.bincount(clusters([row.text for row in rows])).max() == 1, "no two headlines are near-duplicates"


def test_counting_words_does_not_solve_it() -> None:
    prepared = prepare(load({}))
    found, gold = tfidf(baseline_input(prepared, "test")).answers, [e.target for e in prepared.splits["test"]]
    assert sum(a == b for a, b in zip(found, gold, strict=True)) / len(gold) < 0.85


def test_the_set_has_no_finding() -> None:
    assert prepare(load({})).report.findings == []
