"""Two files side by side: what they share, and whether they call it the same."""

from fintune.data.quality.overlap import compare, swaps, without_template
from fintune.records import Row
from tests.made_records import row


def rows(*pairs: tuple[str, str | None]) -> list[Row]:
    return [row(f"f:{i}", text, label) for i, (text, label) in enumerate(pairs, start=1)]


def test_shared_texts_and_near_twins_are_counted() -> None:
    here = rows(
        ("Sales rose 5 %.", "up"), ("sales rose 5 %", "up"), ("Sales rose 7 %", "up"), ("The board met", "flat")
    )
    there = rows(("SALES ROSE 5%", "up"), ("Nothing like it", "flat"))
    found = compare(here, there, "other.csv")
    assert (found.shared, found.distinct, found.twins, found.inside) == (1, 3, 2, False)
    assert found.labels == {"up": {"up": 2}}
    assert [(f.kind, f.level, f.count) for f in found.findings] == [("overlap", "severe", 1)]


def test_files_with_nothing_in_common() -> None:
    found = compare(rows(("a b", "up")), rows(("c d", "up")), "o")
    assert (found.shared, found.twins, found.labels, found.findings, found.inside) == (0, 0, {}, [], False)


def test_a_file_wholly_inside_another() -> None:
    assert compare(rows(("a b", "up")), rows(("a b", None), ("c", None)), "o").inside
    assert compare(rows(("a b", "up"), ("c", "up")), rows(("a b", None)), "o").inside


def test_a_prompt_around_every_text_is_taken_off() -> None:
    wrapped = [
        f"Instruction: how does it feel?\nInput: {text}\nAnswer: " for text in ("alpha", "beta", "alto", "gamma")
    ]
    assert without_template(wrapped) == ["alpha", "beta", "alto", "gamma"]
    assert without_template(["The a", "The b", "The c"]) == ["The a", "The b", "The c"], "too short to be a prompt"
    assert without_template(wrapped[:1] * 3) == wrapped[:1] * 3
    here = rows(*((text, "up") for text in wrapped))
    assert compare(here, rows(("Beta", "up"), ("delta", "up"), ("eta", "up")), "o").shared == 1


def test_a_swapped_map_is_exposed_and_other_names_are_not() -> None:
    table = {"neutral": {"positive": 40}, "positive": {"neutral": 90, "positive": 2}, "negative": {"negative": 30}}
    assert [(f.kind, f.level, f.count) for f in swaps(table, "o")] == [
        ("labels-differ", "severe", 40),
        ("labels-differ", "severe", 90),
    ]
    assert swaps({"negative": {"0": 30}, "positive": {"1": 30}}, "o") == []
    assert swaps({"up": {"up": 30, "down": 12}, "down": {"down": 30, "up": 5}}, "o") == [], "noise is no swap"
