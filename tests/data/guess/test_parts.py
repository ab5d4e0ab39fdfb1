"""The parts of a look into a file: names, scales, headers, meanings of codes."""

from collections import Counter

import pytest

from fintune.data.guess.answers import answers_of, several_in
from fintune.data.guess.header import has_header
from fintune.data.guess.meanings import meanings_in, options_in
from fintune.data.guess.names import answer_strength, words_of
from fintune.data.guess.profile import is_date, is_link, is_number
from fintune.data.guess.scales import are_sentiments, in_order, range_of


def test_words_of_names() -> None:
    assert words_of("SentimentScore_1") == ["sentiment", "score", "1"]
    assert words_of("投诉类型") == ["投诉类型"]


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("label", 3),
        ("Price Sentiment", 2),
        ("sentiment_final", 5),
        ("label_source", -1),
        ("annotator_id", -1),
        ("predictions.0.result.0.value.choices.0", -1),
        ("annotations.0.completed_by", -1),
        ("annotations.0.result.0.value.choices.0", 2),
        ("score", 1),
        ("colour", 0),
        ("类别", 2),
        ("来源", -1),
    ],
)
def test_what_a_name_says(name: str, strength: int) -> None:
    assert answer_strength(name) == strength


def test_labels_stand_in_the_order_of_their_scale() -> None:
    assert in_order(["positive", "neutral", "negative"]) == ["negative", "neutral", "positive"]
    assert in_order(["HIGH", "low", "Medium"]) == ["low", "Medium", "HIGH"]
    assert in_order(["利好", "利空", "中性"]) == ["利空", "中性", "利好"]
    assert in_order(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert in_order(["loan", "card"]) == ["loan", "card"]
    assert are_sentiments(["Bullish", "Bearish"])
    assert not are_sentiments(["high", "low"])


@pytest.mark.parametrize(
    ("numbers", "ends"),
    [
        ([-0.5, 0.4], (-1, 1)),
        ([0.2, 0.9], (0, 1)),
        ([1.5, 4.5], (1, 5)),
        ([3, 88], (0, 100)),
        ([-250, 130], (-300, 200)),
    ],
)
def test_the_smallest_usual_scale(numbers: list[float], ends: tuple[float, float]) -> None:
    assert range_of(numbers) == ends


def test_a_row_of_names_differs_from_rows() -> None:
    assert has_header([["text", "label"], ["Profit rose", "a"], ["Profit fell", "b"]])
    assert has_header([["foo", "bar"], ["Profit rose", "a"], ["Profit fell", "b"]])
    assert not has_header([["Profit rose in the first three months", "a"], ["Profit fell", "b"]])
    assert not has_header([["a", "Profit rose"], ["b", "Profit fell"], ["a", "Sales grew"]]), "a is a label"
    assert not has_header([["1", "x"], ["2", "y"]])


def test_meanings_must_be_whole() -> None:
    note = "0 = negative; 1: neutral, 2 -> positive"
    assert meanings_in([note], ["0", "1", "2"]) == {"0": "negative", "1": "neutral", "2": "positive"}
    assert meanings_in([note], ["0", "1", "2", "3"]) == {}
    assert meanings_in(["label (0=neg, 1=pos)"], ["0", "1"]) == {"0": "neg", "1": "pos"}
    assert meanings_in(["0=负面，1=正面"], ["0", "1"]) == {"0": "负面", "1": "正面"}
    options = [{"options": [{"id": "a", "text": "market"}, {"id": "b", "text": "credit"}]}]
    assert options_in(options, ["a", "b"]) == {"a": "market", "b": "credit"}


def test_codes_of_a_sentiment() -> None:
    assert answers_of("sentiment", Counter({"-1": 4, "0": 5, "1": 6})).mapping == {
        "-1": "negative",
        "0": "neutral",
        "1": "positive",
    }
    found = answers_of("label", Counter({"0": 4, "1": 5, "2": 6}))
    assert (found.labels, found.mapping, found.unexplained) == (["0", "1", "2"], {}, True)
    assert answers_of("label", Counter({"0.0": 4, "1.0": 5})).mapping == {"0.0": "0", "1.0": "1"}


def test_totals_and_rare_spellings() -> None:
    found = answers_of("label", Counter({"positive": 9, "postive": 1, "negative": 8, "Total": 1}))
    assert found.mapping == {"positive": "positive", "negative": "negative", "postive": "positive"}
    assert found.unknown == {"Total": 1}


def test_cells_with_several_labels() -> None:
    assert several_in(Counter({"fees;delay": 3, "fees": 4, "delay": 2}))
    assert several_in(Counter({"negative;urgent": 2, "negative": 4, "neutral": 2}))
    names = {"Credit reporting": 4, "Credit reporting, repair or other": 3, "Debt collection": 5}
    assert not several_in(Counter(names)), "a comma within a name"
    assert answers_of("label", Counter({"a;b": 3, "a": 4, "b": 2}), one_a_cell=True).labels == ["a;b", "a", "b"]
    assert not several_in(Counter({"M&A / deals": 3, "results": 4, "legal": 2}))
    assert not several_in(
        Counter({"Escalate, source unclear": 3, "escalate, source unclear.": 1, "Approve": 2, "Return": 2})
    )


def test_sorts_of_values() -> None:
    assert all(map(is_number, ["-1", "0.5", ".5", "0,41", "1e-3"]))
    assert not any(map(is_number, ["1,234.5", "a", "", "1-2"]))
    assert all(
        map(is_date, ["2024-01-31", "31.12.2024", "20240131", "2024年1月3日", "Jan 5, 2024", "2024-01-31T10:00:00Z"])
    )
    assert not any(map(is_date, ["12345678", "3.5", "Q3 2024"]))
    assert is_link("https://a.example/b")


def test_signs_are_labels_where_there_are_no_others() -> None:
    assert set(answers_of("label", Counter({"+": 4, "-": 5})).labels) == {"+", "-"}
    found = answers_of("label", Counter({"up": 4, "down": 5, "-": 2}))
    assert (found.labels, found.unknown) == (["down", "up"], {"-": 2})


def test_a_scale_of_no_numbers_is_left_to_the_task() -> None:
    assert answers_of("label", Counter({"good": 4, "bad": 5}), scores=True).ends == (-1.0, 1.0)
