"""What goes is what was asked for, each row with its reason, and nothing else."""

import pytest

from fintune.data.quality.cleanup import DROPS, clean
from fintune.records import Example
from tests.made_records import example


def rows(*pairs: tuple[str, str]) -> list[Example]:
    return [example(f"f:{i}", text, label) for i, (text, label) in enumerate(pairs, start=1)]


CASES: dict[str, tuple[list[tuple[str, str]], list[str], str]] = {
    "empty": ([("", "up"), ("a", "up")], ["f:1"], "empty: no text"),
    "headers": ([("Headline", "up"), ("a", "up")], ["f:1"], "headers: a header line"),
    "mojibake": ([("KÃ¤se", "up"), ("Käse", "up")], ["f:1"], "mojibake: wrongly decoded characters"),
    "exact-duplicates": (
        [("a", "up"), ("a", "down"), ("a", "up"), ("A", "up"), ("a", "up")],
        ["f:3", "f:5"],
        "exact-duplicates: same text and answer as f:1",
    ),
    "conflicts": (
        [("a b", "up"), ("c", "up"), ("A  b!", "down")],
        ["f:1", "f:3"],
        "conflicts: its text has the labels down, up",
    ),
    "near-duplicates": (
        [("Sales rose 5 % in May", "up"), ("c", "up"), ("Sales rose 7 % in May", "down")],
        ["f:3"],
        "near-duplicates: near-duplicate of f:1, which is up",
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_kind_of_row_goes_with_its_reason(kind: str) -> None:
    pairs, gone, reason = CASES[kind]
    examples = rows(*pairs)
    kept, dropped = clean(examples, [kind])
    assert [d.id for d in dropped] == gone
    assert {d.reason for d in dropped} == {reason}
    assert kept == [e for e in examples if e.id not in gone]
    assert dropped[0].record()["text"] == next(e.text for e in examples if e.id == gone[0])
    assert clean(examples, []) == (examples, [])


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(DROPS)


def test_kinds_go_one_after_the_other() -> None:
    kept, dropped = clean(
        rows(("a", "up"), ("a", "up"), ("", "up"), ("", "up"), ("b", "up")), ["exact-duplicates", "empty"]
    )
    assert [e.text for e in kept] == ["a", "b"]
    assert [(d.id, d.reason.partition(":")[0]) for d in dropped] == [
        ("f:3", "empty"),
        ("f:4", "empty"),
        ("f:2", "exact-duplicates"),
    ]
