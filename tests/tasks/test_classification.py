"""Prompts, answers and how they are read back."""

from typing import Any

import pytest
from pydantic import ValidationError

from fintune.records import Example, Fault, Prompt, Row
from fintune.tasks import TASKS
from fintune.tasks.classification import Classification, ClassificationOptions, SentimentOptions


def task(**options: Any) -> Classification:
    return Classification(ClassificationOptions(**({"labels": ["up", "down"]} | options)))


def test_the_blank_belongs_to_the_answer() -> None:
    assert task().prompt("Profit rose.") == Prompt("", "Profit rose.", "\nLabel:")
    assert task().candidates() == [" up", " down"]
    assert task(prompt="Q: {text}\n\nA:{answer}").answer("up") == "up"
    assert task(prompt="Q {text}\n{answer}").prompt("x") == Prompt("Q ", "x", "")
    assert task(prompt="Q {text}\n{answer}").answer("up") == "\nup"


def test_braces_in_a_text_are_harmless() -> None:
    assert str(task().prompt("{text} {answer} {0}")) == "{text} {answer} {0}\nLabel:"


def test_doubled_braces_in_a_template_are_braces() -> None:
    chosen = task(prompt='{{"text": "{text}", {{{{x}}}} "label": "{answer}')
    assert chosen.prompt("{up}") == Prompt('{"text": "', "{up}", '", {{x}} "label": "')
    assert chosen.candidates() == ["up", "down"]
    assert str(task(prompt="{{{text}}} {answer}").prompt("x")) == "{x}"


def test_answers_may_differ_from_labels() -> None:
    chosen = task(answers={"up": "gute Nachricht"})
    assert chosen.candidates() == [" gute Nachricht", " down"]
    assert chosen.parse_answer("gute Nachricht ") == "up"
    assert chosen.parse_answer("up") is None


@pytest.mark.parametrize("answer", ["not up", "upward", "u", "", "UP"])
def test_an_answer_is_read_whole_or_not_at_all(answer: str) -> None:
    assert task().parse_answer(answer) is None


@pytest.mark.parametrize(
    "options",
    [
        {"labels": ["up"]},
        {"labels": ["up", "up "]},
        {"labels": ["up", ""]},
        {"prompt": "{answer} {text}"},
        {"prompt": "{text}"},
        {"prompt": "{text} {text} {answer}"},
        {"answers": {"upp": "x"}},
        {"answers": {"up": "same", "down": "same"}},
        {"answers": {"up": "down"}},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        task(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["up", "up "]}, "labels must differ and not be empty"),
        (
            {"labels": ["up", "y" * 100_000]},
            "a label has 100,000 characters, and 200 are allowed: '" + "y" * 40 + "...'",
        ),
        ({"prompt": "{text}"}, "the template needs {text} once and must end with {answer}"),
        ({"prompt": "{text} {answer}."}, "the template needs {text} once and must end with {answer}"),
        (
            {"prompt": "{text} A. {A}\nLabel: {answer}"},
            "no placeholder is called {A}. Allowed: text, answer. A brace itself is written {{ or }}",
        ),
        (
            {"prompt": "{txt}\nLabel: {answer}"},
            "no placeholder is called {txt}. Did you mean 'text'? A brace itself is written {{ or }}",
        ),
        (
            {"prompt": "{Company Name}: {text} {answer}"},
            "no placeholder is called {Company Name}. Allowed: text, answer. A brace itself is written {{ or }}",
        ),
        (
            {"prompt": "{} {text} {answer}"},
            "no placeholder is called {}. Allowed: text, answer. A brace itself is written {{ or }}",
        ),
        ({"prompt": '{"text": "{text}", "label": "{answer}'}, "a lone brace: a brace itself is written {{ or }}"),
        ({"prompt": "{text}} {answer}"}, "a lone brace: a brace itself is written {{ or }}"),
        ({"prompt": "{text} {{answer}}"}, "the template needs {text} once and must end with {answer}"),
        ({"answers": {"upp": "x"}}, "answers names the label 'upp'. Did you mean 'up'?"),
        ({"answers": {"sideways": "x"}}, "answers names the label 'sideways'. Allowed: up, down."),
        ({"answers": {"up": " down "}}, "the answers of two labels must differ and not be empty"),
        ({"answers": {"up": " "}}, "the answers of two labels must differ and not be empty"),
    ],
)
def test_a_refusal_says_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        task(**options)
    assert [problem["msg"] for problem in caught.value.errors()] == [f"Value error, {message}"]


def test_answers_may_be_exchanged() -> None:
    swapped = task(answers={"up": "down", "down": "up"})
    assert [swapped.parse_answer(answer) for answer in swapped.candidates()] == ["up", "down"]


def test_labels_are_trimmed_and_numbers_are_text() -> None:
    chosen = task(labels=[" 1 ", -1, 0], answers={-1: "falls"})
    assert chosen.labels == ("1", "-1", "0")
    assert chosen.candidates() == [" 1", " falls", " 0"]


@pytest.mark.parametrize("gap", ["", " ", "\n", "\t ", "\u3000"])
def test_every_answer_is_read_back_as_its_label(gap: str) -> None:
    chosen = task(labels=["up", "not up", "涨"], prompt=f"Q {{text}} A:{gap}{{answer}}")
    assert not str(chosen.prompt("x")).endswith(gap or " ")
    assert [chosen.parse_answer(answer) for answer in chosen.candidates()] == ["up", "not up", "涨"]
    assert all(chosen.answer(label).removeprefix(gap) == label for label in chosen.labels)


def test_an_unknown_label_is_a_fault_that_names_the_row() -> None:
    assert task().parse(Row("f.csv:3", "x", "up", date="2024-01-01", group="g")) == Example(
        "f.csv:3", "x", "up", date="2024-01-01", group="g"
    )
    hints = {
        "dwn": "Did you mean 'down'?",
        "sideways": "Allowed: up, down.",
        "Up": "Did you mean 'up'?",
        "": "Allowed:",
    }
    for label, hint in hints.items():
        fault = task().parse(Row("f.csv:3", "x", label or None))
        assert isinstance(fault, Fault)
        assert (fault.where, fault.kind, fault.value) == ("f.csv:3", "unknown-label", label)
        assert fault.problem == f"label '{label}' is not one of up, down"
        assert fault.hint.startswith(hint)


def test_the_sentiment_preset_speaks_two_languages() -> None:
    english, chinese = (Classification(SentimentOptions(language=language)) for language in ("en", "zh"))  # type: ignore[arg-type]
    assert english.labels == chinese.labels == ("negative", "neutral", "positive")
    assert english.candidates() == [" negative", " neutral", " positive"]
    assert chinese.candidates() == ["负面", "中性", "正面"]
    assert str(chinese.prompt("上涨")) == "上涨\n情绪："
    own = Classification(SentimentOptions(labels=["bear", "bull"], language="zh"))
    assert own.candidates() == ["bear", "bull"], "labels of one's own answer for themselves"


def chinese(**options: Any) -> Classification:
    return Classification(SentimentOptions(**({"language": "zh"} | options)))


def test_a_language_answers_for_every_label_it_knows() -> None:
    assert chinese(labels=["negative", "positive"]).candidates() == ["负面", "正面"]
    assert chinese(labels=["positive", "neutral", "negative"]).candidates() == ["正面", "中性", "负面"]
    assert chinese(labels=[" negative ", "mixed"], answers={"mixed": "好坏参半"}).candidates() == ["负面", "好坏参半"]
    assert chinese(answers={"positive": "利好"}).candidates() == ["负面", "中性", "利好"]
    assert Classification(SentimentOptions(labels=["negative", "mixed"])).candidates() == [" negative", " mixed"]


def test_answers_of_two_languages_are_not_mixed() -> None:
    with pytest.raises(
        ValidationError, match="language zh says '负面' for negative and nothing for 'mixed': give that an"
    ):
        chinese(labels=["negative", "mixed"])


def test_answers_one_chose_stay_and_those_a_config_has_written_out_give_way() -> None:
    own = {"negative": "负面", "neutral": "中性", "positive": "正面"}
    assert Classification(SentimentOptions(answers=own)).candidates() == [" 负面", " 中性", " 正面"], "chosen"
    written = SentimentOptions(language="zh", labels=["negative", "positive"]).model_dump()
    again = SentimentOptions(**written)
    assert again.model_dump() == written
    english = Classification(SentimentOptions(**written | {"language": "en"}))
    assert english.candidates() == [" negative", " positive"]
    back = Classification(SentimentOptions(**SentimentOptions().model_dump() | {"language": "zh"}))
    assert back.candidates() == ["负面", "中性", "正面"]


def test_every_entry_builds() -> None:
    for name, entry in TASKS.items():
        options = entry.options(**({"labels": ["a", "b"]} if name == "classification" else {}))
        assert entry.build(options).version >= 1
