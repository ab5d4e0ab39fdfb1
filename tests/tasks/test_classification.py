"""Prompts, answers and how they are read back."""

from typing import Any

import pytest
from pydantic import ValidationError

from fintune.records import Example, Fault, Prompt
from fintune.tasks import TASKS
from fintune.tasks.classification import Classification, ClassificationOptions, SentimentOptions
from tests.made_records import row


def asked(text: str) -> Example:
    return Example("", {"text": text}, None)


def task(**options: Any) -> Classification:
    return Classification(ClassificationOptions(**({"labels": ["up", "down"]} | options)))


def test_the_blank_belongs_to_the_answer() -> None:
    assert task().prompt(asked("Profit rose.")) == Prompt.around("", "Profit rose.", "\nLabel:")
    assert list(task().choices().values()) == [" up", " down"]
    assert task(prompt="Q: {text}\n\nA:{answer}").choices()["up"] == "up"
    assert task(prompt="Q {text}\n{answer}").prompt(asked("x")) == Prompt.around("Q ", "x", "")
    assert task(prompt="Q {text}\n{answer}").choices()["up"] == "\nup"


def test_braces_in_a_text_are_harmless() -> None:
    assert str(task().prompt(asked("{text} {answer} {0}"))) == "{text} {answer} {0}\nLabel:"


def test_doubled_braces_in_a_template_are_braces() -> None:
    chosen = task(prompt='{{"text": "{text}", {{{{x}}}} "label": "{answer}')
    assert chosen.prompt(asked("{up}")) == Prompt.around('{"text": "', "{up}", '", {{x}} "label": "')
    assert list(chosen.choices().values()) == ["up", "down"]
    assert str(task(prompt="{{{text}}} {answer}").prompt(asked("x"))) == "{x}"


def test_answers_may_differ_from_labels() -> None:
    chosen = task(answers={"up": "gute Nachricht"})
    assert list(chosen.choices().values()) == [" gute Nachricht", " down"]
    assert chosen.parse_answer("gute Nachricht ", asked("")) == "up"
    assert chosen.parse_answer("up", asked("")) is None


@pytest.mark.parametrize("answer", ["not up", "upward", "u", "", "UP"])
def test_an_answer_is_read_whole_or_not_at_all(answer: str) -> None:
    assert task().parse_answer(answer, asked("")) is None


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
        ({"prompt": "{text}"}, "the template needs a column, such as {text}, and must end with {answer}"),
        ({"prompt": "{text} {answer}."}, "the template needs a column, such as {text}, and must end with {answer}"),
        ({"prompt": "{text} {text}\n{answer}"}, "{text} stands there twice"),
        ({"prompt": "{answer} {answer}"}, "{answer} is no column. Allowed: text. A brace itself is written {{ or }}"),
        (
            {"prompt": "{ text } {answer}"},
            "{ text } is no column. Did you mean 'text'? A brace itself is written {{ or }}",
        ),
        ({"prompt": "{} {text} {answer}"}, "{} is no column. Allowed: text. A brace itself is written {{ or }}"),
        (
            {"prompt": "{title} {text} {answer}", "shortened": ["txt"]},
            "shortened names 'txt', and the template has title, text",
        ),
        ({"prompt": '{"text": "{text}", "label": "{answer}'}, "a lone brace: a brace itself is written {{ or }}"),
        ({"prompt": "{text}} {answer}"}, "a lone brace: a brace itself is written {{ or }}"),
        ({"prompt": "{text} {{answer}}"}, "the template needs a column, such as {text}, and must end with {answer}"),
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
    assert [swapped.parse_answer(answer, asked("")) for answer in list(swapped.choices().values())] == ["up", "down"]


def test_labels_are_trimmed_and_numbers_are_text() -> None:
    chosen = task(labels=[" 1 ", -1, 0], answers={-1: "falls"})
    assert chosen.choices() == {"1": " 1", "-1": " falls", "0": " 0"}


@pytest.mark.parametrize("gap", ["", " ", "\n", "\t ", "\u3000"])
def test_every_answer_is_read_back_as_its_label(gap: str) -> None:
    chosen = task(labels=["up", "not up", "涨"], prompt=f"Q {{text}} A:{gap}{{answer}}")
    assert not str(chosen.prompt(asked("x"))).endswith(gap or " ")
    assert [chosen.parse_answer(answer, asked("")) for answer in list(chosen.choices().values())] == [
        "up",
        "not up",
        "涨",
    ]
    assert all(answer.removeprefix(gap) == label for label, answer in chosen.choices().items())


def test_an_unknown_label_is_a_fault_that_names_the_row() -> None:
    assert task().parse(row("f.csv:3", "x", "up", date="2024-01-01", group="g")) == [
        Example("f.csv:3", {"text": "x"}, "up", date="2024-01-01", group="g")
    ]
    hints = {
        "dwn": "Did you mean 'down'?",
        "sideways": "Allowed: up, down.",
        "Up": "Did you mean 'up'?",
        "": "Allowed:",
    }
    for label, hint in hints.items():
        (fault,) = task().parse(row("f.csv:3", "x", label or None))
        assert isinstance(fault, Fault)
        assert (fault.where, fault.kind, fault.value) == ("f.csv:3", "unknown-label", label)
        assert fault.problem == f"label '{label}' is not one of up, down"
        assert fault.hint.startswith(hint)


def test_the_sentiment_preset_speaks_two_languages() -> None:
    english, chinese = (Classification(SentimentOptions(language=language)) for language in ("en", "zh"))  # type: ignore[arg-type]
    assert tuple(english.choices()) == tuple(chinese.choices()) == ("negative", "neutral", "positive")
    assert list(english.choices().values()) == [" negative", " neutral", " positive"]
    assert list(chinese.choices().values()) == ["负面", "中性", "正面"]
    assert str(chinese.prompt(asked("上涨"))) == "上涨\n情绪："
    own = Classification(SentimentOptions(labels=["bear", "bull"], language="zh"))
    assert list(own.choices().values()) == ["bear", "bull"], "labels of one's own answer for themselves"


def chinese(**options: Any) -> Classification:
    return Classification(SentimentOptions(**({"language": "zh"} | options)))


def test_a_language_answers_for_every_label_it_knows() -> None:
    assert list(chinese(labels=["negative", "positive"]).choices().values()) == ["负面", "正面"]
    assert list(chinese(labels=["positive", "neutral", "negative"]).choices().values()) == ["正面", "中性", "负面"]
    assert list(chinese(labels=[" negative ", "mixed"], answers={"mixed": "好坏参半"}).choices().values()) == [
        "负面",
        "好坏参半",
    ]
    assert list(chinese(answers={"positive": "利好"}).choices().values()) == ["负面", "中性", "利好"]
    assert list(Classification(SentimentOptions(labels=["negative", "mixed"])).choices().values()) == [
        " negative",
        " mixed",
    ]


def test_answers_of_two_languages_are_not_mixed() -> None:
    with pytest.raises(
        ValidationError, match="language zh says '负面' for negative and nothing for 'mixed': give that an"
    ):
        chinese(labels=["negative", "mixed"])


def test_answers_one_chose_stay_and_those_a_config_has_written_out_give_way() -> None:
    own = {"negative": "负面", "neutral": "中性", "positive": "正面"}
    assert list(Classification(SentimentOptions(answers=own)).choices().values()) == [" 负面", " 中性", " 正面"], (
        "chosen"
    )
    written = SentimentOptions(language="zh", labels=["negative", "positive"]).model_dump()
    again = SentimentOptions(**written)
    assert again.model_dump() == written
    english = Classification(SentimentOptions(**written | {"language": "en"}))
    assert list(english.choices().values()) == [" negative", " positive"]
    back = Classification(SentimentOptions(**SentimentOptions().model_dump() | {"language": "zh"}))
    assert list(back.choices().values()) == ["负面", "中性", "正面"]


def test_every_entry_builds() -> None:
    for name, entry in TASKS.items():
        options = entry.options(**({"labels": ["a", "b"]} if name == "classification" else {}))
        assert entry.build(options).version >= 1


def test_a_template_reads_any_column_and_shortens_those_that_are_marked() -> None:
    record = Example("", {"title": "Q3", "text": "Profit rose."}, None)
    chosen = task(prompt="{title}: {text} ({{}}) {answer}")
    assert chosen.fields == ("title", "text")
    assert chosen.prompt(record).pieces == (
        ("", "template"), ("Q3", "field"), (": ", "template"), ("Profit rose.", "shortened"), (" ({})", "template"),
    )  # fmt: skip
    assert task(prompt="{title} {body}{answer}").prompt(Example("", {"title": "a", "body": "b"}, None)).pieces == (
        ("", "template"), ("a", "shortened"), (" ", "template"), ("b", "shortened"), ("", "template"),
    )  # fmt: skip
    assert [kind for _, kind in task(prompt="{title} {text} {answer}", shortened=["title"]).prompt(record).pieces] == [
        "template", "shortened", "template", "field", "template",
    ]  # fmt: skip
