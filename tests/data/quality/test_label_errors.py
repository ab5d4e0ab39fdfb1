"""Wrong labels stand at the top of the list to review; sound labels are not on it."""

import numpy as np

from fintune.data.quality import label_errors
from fintune.data.quality.label_errors import review
from fintune.records import Example
from tests.made_records import example

WORDS = {"up": ("rose", "grew", "climbed"), "down": ("fell", "shrank", "slid")}


def examples(n: int, wrong: tuple[int, ...] = ()) -> list[Example]:
    random = np.random.default_rng(0)
    rows = []
    for i in range(n):
        label = ("up", "down")[i % 2]
        text = f"{random.choice(['Sales', 'Profit', 'Margins'])} {random.choice(WORDS[label])} in year {random.integers(99)}"
        given = ("down", "up")[i % 2] if i in wrong else label
        rows.append(example(f"f:{i}", text, given))
    return rows


def test_wrong_labels_are_found_and_come_first() -> None:
    found = review(examples(200, wrong=(10, 33, 71))).rows
    assert {s.id for s in found[:3]} == {"f:10", "f:33", "f:71"}
    assert all(s.label != s.rather and s.probability > 0.5 for s in found[:3])
    assert len(found) <= 6


def test_one_letter_of_a_script_without_blanks_tells() -> None:
    random = np.random.default_rng(0)
    beside = ["".join(chr(0x4E00 + c) for c in random.integers(2_000, 20_000, 8)) for _ in range(200)]
    sound = [example(f"f:{i}", f"{b[:4]}{'涨跌'[i % 2]}{b[4:]}", ("up", "down")[i % 2]) for i, b in enumerate(beside)]
    assert review(sound).recall > 0.95


def test_sound_labels_are_left_alone() -> None:
    assert len(review(examples(200)).rows) <= 2


def test_where_counting_words_tells_nothing_nothing_is_listed() -> None:
    random = np.random.default_rng(1)
    rows = [example(e.id, e.text, str(random.choice(["up", "down"]))) for e in examples(300)]
    found = review(rows)
    assert (found.rows, found.tells, found.looked_at, found.chance) == ([], False, 300, 0.5)
    assert 0.4 < found.recall < 0.6
    told = review(examples(300))
    assert told.tells
    assert told.recall > 0.95


def test_a_rare_label_that_words_tell_counts_as_told() -> None:
    """Accuracy would not say so: always answering the common label is right more often."""
    rows = [e for i, e in enumerate(examples(400)) if e.target == "up" or i % 20 == 1]
    assert review(rows).tells


def test_too_few_rows_or_labels_give_no_list() -> None:
    assert review(examples(4)).rows == []
    assert review([e for e in examples(40) if e.target == "up"]).rows == []
    assert review([]).rows == []


def test_of_many_rows_a_seeded_sample_is_looked_at(monkeypatch: object) -> None:
    rows = examples(300, wrong=tuple(range(0, 300, 20)))
    whole = {s.id for s in review(rows).rows}
    label_errors.MOST_REVIEWED, before = 150, label_errors.MOST_REVIEWED
    try:
        some = review(rows).rows
        assert some == review(rows).rows
        assert 0 < len(some) < len(whole)
    finally:
        label_errors.MOST_REVIEWED = before
