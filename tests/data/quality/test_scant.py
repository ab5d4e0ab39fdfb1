"""What there is too little of, in sentences."""

import pytest

from fintune.data.quality.scant import scant
from fintune.report.words import Translator, worth
from fintune.runtime.units import spelled


def texts(train: dict[str, int], validation: int = 100, epochs: int = 3) -> list[str]:
    made = scant(train, validation=validation, choosing=epochs > 1)
    for statement in made:
        assert worth(statement, Translator("zh")) != statement.text
    return [statement.text for statement in made]


def test_rare_labels_are_named_up_to_three_the_rarest_first() -> None:
    assert texts({"up": 20, "down": 500}) == []
    assert texts({"up": 19, "down": 500}) == ["One label has fewer than 20 examples to learn from: 'up' (19)."]
    assert texts({"a": 4, "b": 30, "c": 2, "d": 9}) == [
        "Three labels have fewer than 20 examples to learn from: 'c' (2), 'a' (4), 'd' (9)."
    ]
    many = texts({f"l{i:02}": i + 1 for i in range(16)})
    assert many == ["16 labels have fewer than 20 examples to learn from: 'l00' (1), 'l01' (2), 'l02' (3) and 13 more."]


@pytest.mark.parametrize(
    ("validation", "begins"), [(1, "One validation text "), (9, "Nine validation texts "), (29, "29 ")]
)
def test_few_validation_texts_choose_no_epoch(validation: int, begins: str) -> None:
    (said,) = texts({}, validation)
    assert said.startswith(begins)
    assert "cannot choose an epoch" in said


def test_thirty_do_and_one_epoch_needs_no_choice() -> None:
    assert texts({}, 30) == texts({}, 9, epochs=1) == texts({}, 0) == []


def test_numbers_in_words_up_to_twelve() -> None:
    assert [spelled(n) for n in (0, 1, 12, 13, 1234)] == ["no", "one", "twelve", "13", "1,234"]
