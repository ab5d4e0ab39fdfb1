"""Scores by slices of the texts: what is cut, what is worse, and that chance alone is rarely called worse."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fintune.data.guess.language import language_of_text
from fintune.errors import UsageError
from fintune.evaluation.slice_tests import slice_statements, sliced
from fintune.evaluation.slices import OTHERS, SLICINGS, cuts, kinds_of
from fintune.records import Answer, Example, Prediction, Slice
from fintune.report.words import Translator, worth
from fintune.tasks import Task
from fintune.tasks.metrics import rows_of
from fintune.tasks.regression import Regression, RegressionOptions
from tests.label_scores import task_of

LABELS = ["down", "same", "up"]
LABELING = task_of(LABELS)
NUMBERS = Regression(RegressionOptions())


def example(i: int, *, text: str = "Profit rose", file: str = "a.csv", gold: Answer = "up", **more: str) -> Example:
    return Example(f"{file}:{i}", {"text": text}, gold, **more)  # type: ignore[arg-type]


def answered(examples: Sequence[Example], answers: Sequence[Answer | None]) -> list[Prediction]:
    return [
        Prediction(e.id, e.fields, answer, "", {}, e.target, e.row) for e, answer in zip(examples, answers, strict=True)
    ]


def sizes(examples: Sequence[Example], by: str) -> dict[str, int]:
    made = cuts(examples, rows_of(answered(examples, [None] * len(examples))))
    return {cut.name: int(cut.members.sum()) for cut in made if cut.by == by}


def drawn(n: int, seed: int, task: Task, *, worse: str = "") -> tuple[list[Example], list[Prediction]]:
    """Texts of four groups, three years, two files, any length; the answers are as good in all of them but in the group `worse`."""
    random = np.random.default_rng(seed)
    examples, answers = [], []
    for i in range(n):
        group, date = f"g{random.integers(4)}", f"{2022 + random.integers(3)}-{random.integers(1, 13):02}-10"
        gold: Answer = float(random.uniform(-1, 1)) if task is NUMBERS else LABELS[random.integers(3)]
        text, file = "word " * int(random.integers(1, 30)), f"{'ab'[random.integers(2)]}.csv"
        noise = 4 if group == worse else 1
        if isinstance(gold, float):
            answers.append(float(np.clip(gold + 0.2 * noise * random.normal(), -1, 1)))
        else:
            answers.append(gold if random.random() < 1 - 0.15 * noise else LABELS[random.integers(3)])
        examples.append(example(i, text=text, file=file, gold=gold, group=group, date=date))
    return examples, answered(examples, answers)


def test_each_sort_of_slice() -> None:
    words = ["Profit", "Profit rose by far", "Profit rose by far more than the board had said"]
    examples = [
        example(
            i, text=words[i % 3], file=f"{'ab'[i % 2]}.csv", gold=LABELS[i % 3], group=f"g{min(i // 25, 2)}",
            date=f"202{3 + i // 30}-0{1 + 3 * (i % 2)}-10",
        )
        for i in range(60)
    ]  # fmt: skip
    assert sizes(examples, "group") == {"g0": 25, "g1": 25, "g2": 10}
    assert sizes(examples, "year") == {"2023": 30, "2024": 30}
    assert list(sizes(examples, "quarter")) == ["2023-Q1", "2023-Q2", "2024-Q1", "2024-Q2"]
    assert sizes(examples, "length") == {"≤ 1 words": 20, "2–4 words": 20, "> 4 words": 20}
    assert sizes(examples, "source") == {"a.csv": 30, "b.csv": 30}
    assert sizes(examples, "language") == {}


def test_what_is_too_small_for_a_slice_is_among_the_others_and_untested_when_these_are_few() -> None:
    groups = ["large"] * 40 + ["small"] * 12 + ["tiny"] * 5 + [None] * 2
    examples = [replace(example(i, gold=LABELS[i % 3]), group=group) for i, group in enumerate(groups)]
    assert sizes(examples, "group") == {"large": 40, "small": 12, OTHERS: 7}
    made = {one.name: one for one in sliced(LABELING, answered(examples, ["up"] * 59), examples, resamples=20)}
    assert made[OTHERS].p is None
    assert made["small"].p is not None
    assert sum(one.scores["accuracy"].n for one in made.values()) == 59


def test_one_slice_is_none_and_files_that_tell_the_label_are_no_sources() -> None:
    assert sizes([example(i, group="one", date="2024-01-01") for i in range(50)], "group") == {}
    assert sizes([example(i, file=f"{LABELS[i % 2]}.csv", gold=LABELS[i % 2]) for i in range(50)], "source") == {}


def test_lengths_of_scripts_without_blanks_are_characters() -> None:
    examples = [example(i, text="利" * (5 + i % 2 * 20)) for i in range(40)]
    assert sizes(examples, "length") == {"≤ 5 characters": 20, "> 5 characters": 20}


def test_no_slice_parts_a_row() -> None:
    examples = [
        replace(example(i, text="a" if i % 2 else "a b c d", group=f"g{i % 2}"), row=f"r{i // 2}") for i in range(80)
    ]
    assert sizes(examples, "group") == {}  # the first of every row is of g0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The profit of the bank has risen", "English"),
        ("Der Gewinn der Bank ist gestiegen", "German"),
        ("Les ventes de la société et des filiales", "French"),
        ("利润大幅上升", "Chinese"),
        ("株価が上がった", "Japanese"),
        ("주가가 올랐다", "Korean"),
        ("Прибыль выросла", "Cyrillic script"),
        ("EBIT 12.5 mn", None),
        ("123", None),
    ],
)
def test_languages(text: str, language: str | None) -> None:
    assert language_of_text(text) == language


@pytest.mark.parametrize("task", [LABELING, NUMBERS], ids=lambda task: task.name)
def test_a_group_that_is_worse_is_flagged_and_said(task: Task) -> None:
    examples, predictions = drawn(300, 0, task, worse="g1")
    made = sliced(task, predictions, examples, resamples=50)
    assert [one.name for one in made if one.worse] == ["g1"]
    (worse,) = [one for one in made if one.worse]
    inside = [p for p, e in zip(predictions, examples, strict=True) if e.group == "g1"]
    rest = [p for p, e in zip(predictions, examples, strict=True) if e.group != "g1"]
    metric = task.tested[0]
    assert worse.scores[metric].value == pytest.approx(task.score(inside, np.ones((1, len(inside))))[metric][0])
    assert worse.rest == pytest.approx(task.score(rest, np.ones((1, len(rest))))[metric][0])
    assert set(worse.scores) == set(task.headline)
    (said,) = slice_statements(made, len(predictions))
    assert said.text.startswith("Worse on some texts (group, see fintune scores RUN --by group): ")
    assert f"({len(inside)} of 300 texts)" in said.text
    assert "g1" not in said.text  # a group may be a person
    assert "分组" in worth(said, Translator("zh"))


def test_three_at_most_are_said_the_surest_first() -> None:
    examples, predictions = drawn(300, 0, LABELING, worse="g1")
    worse = next(one for one in sliced(LABELING, predictions, examples, resamples=50) if one.worse)
    made: list[Slice] = [replace(worse, by="year", name=str(2020 + i), p=0.01 * (5 - i)) for i in range(5)]
    assert [one.values["slice"] for one in slice_statements(made, 300)] == ["2024", "2023", "2022"]


@pytest.mark.parametrize("task", [LABELING, NUMBERS], ids=lambda task: task.name)
def test_chance_alone_is_rarely_called_worse(task: Task) -> None:
    """Of eight draws, each with a chance of 5 % at most, two or more: 6 %; of these seeds none."""
    made = [
        sliced(task, predictions, examples, resamples=20)
        for examples, predictions in (drawn(150, s, task) for s in range(8))
    ]
    assert not any(one.worse for of in made for one in of)
    assert all(one.p is not None for of in made for one in of if one.name != OTHERS)
    assert Counter(one.by for one in made[0]).keys() == {"group", "year", "quarter", "length", "source"}


def test_rows_of_several_examples_are_drawn_together() -> None:
    """Ten rows of six texts each, all alike within a row: one row that is wrong is no proof, six texts would be."""
    rows = [i // 6 for i in range(180)]
    examples = [replace(example(i, group=f"g{row % 2}"), row=f"r{row}") for i, row in enumerate(rows)]
    wrong = ["down" if row in (0, 2, 4) else "up" for row in rows]
    alone = [replace(e, row="") for e in examples]
    together = sliced(LABELING, answered(examples, wrong), examples, resamples=50)
    single = sliced(LABELING, answered(alone, wrong), alone, resamples=50)
    assert [one.worse for one in together if one.by == "group"] == [False, False]
    assert [one.worse for one in single if one.by == "group"] == [True, False]


def test_answers_to_other_examples_have_no_slices() -> None:
    examples, predictions = drawn(100, 0, LABELING)
    assert sliced(LABELING, predictions, examples[1:]) == []


def test_sorts_by_name() -> None:
    assert kinds_of(["date", "group", "year"]) == ["year", "quarter", "group"]
    assert kinds_of(["all"]) == list(SLICINGS)
    for names in (["colour"], []):
        with pytest.raises(UsageError, match="no sort of slices"):
            kinds_of(names)
