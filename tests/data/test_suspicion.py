"""Wrong labels stand at the top of the list to review; sound labels are not on it."""

import numpy as np

from fintune.data import suspicion
from fintune.data.suspicion import suspicious
from fintune.records import Example

WORDS = {"up": ("rose", "grew", "climbed"), "down": ("fell", "shrank", "slid")}


def examples(n: int, wrong: tuple[int, ...] = ()) -> list[Example]:
    random = np.random.default_rng(0)
    rows = []
    for i in range(n):
        label = ("up", "down")[i % 2]
        text = f"{random.choice(['Sales', 'Profit', 'Margins'])} {random.choice(WORDS[label])} in year {random.integers(99)}"
        given = ("down", "up")[i % 2] if i in wrong else label
        rows.append(Example(f"f:{i}", text, given))
    return rows


def test_wrong_labels_are_found_and_come_first() -> None:
    found = suspicious(examples(200, wrong=(10, 33, 71)))
    assert {s.id for s in found[:3]} == {"f:10", "f:33", "f:71"}
    assert all(s.label != s.rather and s.probability > 0.5 for s in found[:3])
    assert len(found) <= 6


def test_sound_labels_are_left_alone() -> None:
    assert len(suspicious(examples(200))) <= 2


def test_too_few_rows_or_labels_give_no_list() -> None:
    assert suspicious(examples(4)) == []
    assert suspicious([e for e in examples(40) if e.label == "up"]) == []
    assert suspicious([]) == []


def test_of_many_rows_a_seeded_sample_is_looked_at(monkeypatch: object) -> None:
    rows = examples(300, wrong=tuple(range(0, 300, 20)))
    whole = {s.id for s in suspicious(rows)}
    suspicion.LARGEST, before = 150, suspicion.LARGEST
    try:
        some = suspicious(rows)
        assert some == suspicious(rows)
        assert 0 < len(some) < len(whole)
    finally:
        suspicion.LARGEST = before
