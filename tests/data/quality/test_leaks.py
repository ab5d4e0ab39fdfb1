"""Which rows of a part stand in train or validation, and which texts bear two labels."""

from fintune.data.quality.leaks import Leaks, leaks, stands_in
from fintune.records import Example
from tests.made_records import example

TEXTS = ["Profit rose to EUR 5 mn.", "The board met in Oslo on Monday.", "Sales of timber fell in Norway."]


def rows(part: str, *texts: str) -> list[Example]:
    return [example(f"{part}:{i}", text, "same") for i, text in enumerate(texts, 1)]


def test_rows_are_found_word_by_word_and_nearly() -> None:
    train = rows("train", *TEXTS)
    scored = rows("test", "PROFIT ROSE TO EUR 5 MN", "Profit rose to EUR 7 mn.", "Nothing of the kind.")
    assert stands_in(scored, train) == ["test:1", "test:2"]
    assert stands_in(scored, train, searched=False) == ["test:1"]


def test_a_text_without_words_is_no_leak_of_another() -> None:
    assert stands_in(rows("test", "..."), rows("train", "!!!"), searched=False) == []


def test_each_part_is_compared_with_those_before_it() -> None:
    parts = {
        "train": rows("train", TEXTS[0], "One thing alone."),
        "validation": rows("validation", TEXTS[1], TEXTS[0]),
        "test": rows("test", TEXTS[1], TEXTS[2], TEXTS[0]),
    }
    found = leaks(parts, {"sales of timber fell in norway"}, searched=True)
    assert found == {
        "validation": Leaks(["validation:2"], [], []),
        "test": Leaks(["test:3"], ["test:1", "test:3"], ["test:2"]),
    }
    assert found["test"].known == {"test:1", "test:3"}
    assert found["validation"].record() == {"train": ["validation:2"]}
