"""What is said of answers: nothing learned, no better than a baseline, ahead of it, or too few texts to tell."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fintune.evaluation import verdict
from fintune.evaluation.guessing import guessing
from fintune.evaluation.significance import mcnemar, texts_to_tell
from fintune.records import Prediction, Statement
from fintune.report.words import Translator, worth
from fintune.tasks.regression import Regression, RegressionOptions
from tests.label_scores import task_of
from tests.made_records import prediction

LABELS = ["down", "same", "up"]
EVEN = dict.fromkeys(LABELS, 50)


def judge(*asked: Any) -> list[Statement]:
    """What is said, once it was said in the page's other language too."""
    predicted, beside, labels, counts = asked
    found = verdict.judge(task_of(labels), predicted, beside, verdict.TrainAnswers(counts))
    for statement in found:
        other = worth(statement, Translator("zh"))
        assert other != statement.text, statement.kind
        figures = {value for name, value in statement.values.items() if name in ("n", "own", "other", "loss", "label")}
        assert all(value in other for value in figures), (other, figures)
    return found


def answers(
    right: Sequence[bool], *, sure: float = 0.9, doubt: float = 0.4, gold: Sequence[str] | None = None
) -> list[Prediction]:
    """A prediction a text: the gold label where right, with the probability `sure`, else the next one with that of `doubt`."""
    gold = gold or [LABELS[i % 3] for i in range(len(right))]
    found = []
    for i, (label, hit) in enumerate(zip(gold, right, strict=True)):
        said = label if hit else LABELS[(LABELS.index(label) + 1) % 3]
        top = sure if hit else doubt
        shares = {name: top if name == said else (1 - top) / 2 for name in LABELS}
        found.append(prediction(str(i), f"text {i}", said, said, shares, label))
    return found


def right(n: int, share: float, shift: int = 0) -> list[bool]:
    return [(i + shift) % 100 < 100 * share for i in range(n)]


def constant(label: str, n: int, sure: float = 0.5) -> list[Prediction]:
    shares = {name: sure if name == label else (1 - sure) / 2 for name in LABELS}
    return [prediction(str(i), f"text {i}", label, label, shares, LABELS[i % 3]) for i in range(n)]


def test_one_label_for_all_texts_is_nothing_learned() -> None:
    (found,) = judge(constant("same", 90), {}, LABELS, EVEN)
    assert (found.kind, found.level) == ("one-label", "severe")
    assert found.text == "Learned nothing: all 90 texts get the label 'same'. Try another train.learning_rate."


def test_one_label_for_a_few_texts_proves_nothing() -> None:
    """Three new texts of a leaking file: a model that is right elsewhere may well miss the one that differs."""
    (first, *_) = judge(constant("same", 3), {}, LABELS, EVEN)
    assert (first.kind, first.level) == ("one-label-few", "warning")
    assert first.text.startswith("All 3 texts get the label 'same', and 2 bear another: too few to tell")


def test_what_is_better_is_said_before_what_cannot_be_told_apart() -> None:
    """Eighteen texts do not tell the model from the majority class, and do show that counting words is better."""
    labels = ["same"] * 10 + ["up"] * 8
    own = [prediction(str(i), f"text {i}", "same", "same", {}, gold) for i, gold in enumerate(labels)]
    own[-1] = replace(own[-1], answer="up")
    words = [replace(p, answer=p.gold or "") for p in own]
    found = judge(own, {"tfidf": words}, LABELS, {"same": 30, "up": 30})
    assert [(one.kind, one.level) for one in found] == [("behind", "severe")]


def test_whoever_did_not_train_is_not_told_how_to() -> None:
    (found,) = judge(constant("same", 90), {}, LABELS, {})
    assert found.text == "Learned nothing: all 90 texts get the label 'same'."


def test_a_loss_above_guessing_is_nothing_learned() -> None:
    """Labels at random with confidence: the loss is far above ln 3."""
    (found,) = judge(answers(right(300, 0.33), sure=0.98, doubt=0.98), {}, LABELS, EVEN)
    assert (found.kind, found.level) == ("loss", "severe")
    assert found.values["chance"] == f"{math.log(3):.3f}" == "1.099"
    assert float(found.values["loss"]) == pytest.approx(-0.33 * math.log(0.98) - 0.67 * math.log(0.01), abs=1e-3)
    assert found.text.startswith("Learned nothing: its loss of 3.092 nats a text is above 1.099, that of guessing")


def test_good_labels_with_a_loss_above_guessing_are_not_called_useless() -> None:
    found = judge(answers(right(300, 0.7), doubt=0.9999), {}, LABELS, EVEN)
    assert [(s.kind, s.level) for s in found] == [("confidence", "warning"), ("ahead", "note")]
    assert found[0].text.startswith("Do not rely on its confidence: the loss of ")


def test_guessing_is_the_entropy_of_the_labels_and_at_most_even() -> None:
    assert guessing({"a": 90, "b": 10}) == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1))
    assert guessing({"a": 90, "b": 10}, {"a": 1, "b": 1}) == pytest.approx(math.log(2)), (
        "labels came otherwise than in train"
    )
    assert guessing({"a": 0, "b": 10}, {"a": 1}) == pytest.approx(math.log(2))


def test_no_better_than_the_majority_is_severe_and_than_counting_words_a_warning() -> None:
    majority = judge(answers(right(300, 0.33)), {}, LABELS, EVEN)
    assert [(s.kind, s.level, s.values["name"]) for s in majority] == [("no-better", "severe", "majority")]
    tfidf = judge(answers(right(400, 0.7)), {"tfidf": answers(right(400, 0.72, shift=30))}, LABELS, EVEN)
    assert [(s.kind, s.level) for s in tfidf] == [("no-better", "warning")]
    assert tfidf[0].text.startswith(
        "No better than counting words (tfidf): accuracy 70.0 % to 72.0 % on 400 texts (diff"
    )


def test_worse_than_a_baseline_is_severe() -> None:
    found = judge(answers(right(400, 0.6)), {"tfidf": answers(right(400, 0.9))}, LABELS, EVEN)
    assert [(s.kind, s.level) for s in found] == [("behind", "severe")]
    assert found[0].text.startswith("Worse than counting words (tfidf): accuracy 60.0 % to 90.0 % on 400 texts")


def test_ahead_of_all_names_the_strongest() -> None:
    beside = {"zero-shot": answers(right(400, 0.5)), "tfidf": answers(right(400, 0.7))}
    (found,) = judge(answers(right(400, 0.9)), beside, LABELS, EVEN)
    assert (found.kind, found.values["name"]) == ("ahead", "tfidf")
    assert found.text.startswith(
        "Better than counting words (tfidf): accuracy 90.0 % to 70.0 % on 400 texts (difference +"
    )


def test_the_strongest_unbeaten_one_is_named() -> None:
    beside = {
        "zero-shot": answers(right(400, 0.5)),
        "encoder": answers(right(400, 0.91, 7)),
        "tfidf": answers(right(400, 0.9, 9)),
    }
    (found,) = judge(answers(right(400, 0.9)), beside, LABELS, EVEN)
    assert (found.kind, found.values["name"]) == ("no-better", "encoder")


def test_too_few_texts_is_said_instead() -> None:
    """Counting words errs on 3 of 30: even no mistake at all could not be told from that."""
    (found,) = judge(answers(right(30, 1.0)), {"tfidf": answers([i > 2 for i in range(30)])}, LABELS, EVEN)
    assert (found.kind, found.level) == ("too-few", "note")
    assert found.text == (
        "Too few texts to tell it from counting words (tfidf), which is wrong on 3 of 30: 100.0 % to 90.0 %."
    )


def test_undecided_says_how_many_texts_would_tell() -> None:
    model, counted = answers([i < 42 for i in range(60)]), answers([i >= 20 for i in range(60)])
    (found,) = judge(model, {"tfidf": counted}, LABELS, EVEN)
    assert (found.kind, found.level) == ("undecided", "warning")
    own, other = (np.array([p.right for p in some]) for some in (model, counted))
    needed = texts_to_tell(own.mean() - other.mean(), (own != other).mean())
    assert f"about {needed:,} texts would tell such a difference" in found.text


def test_better_in_mcc_alone_is_better() -> None:
    """Nine in ten texts are of one label: the model finds the rare ones and pays with accuracy."""
    gold = ["same" if i % 10 else ("up" if i % 20 else "down") for i in range(600)]
    model = answers([not (name == "same" and i % 7 == 0) for i, name in enumerate(gold)], gold=gold)
    (found,) = judge(model, {}, LABELS, {"same": 900, "up": 50, "down": 50})
    assert (found.kind, found.values["metric"]) == ("ahead", "mcc")
    assert sum(p.right for p in model) / 600 < 0.9
    assert "MCC 0." in found.text
    assert " to 0.00 on 600 texts" in found.text


def test_how_many_texts_tell_is_what_mcnemar_needs_on_drawn_data() -> None:
    """With so many texts four of five draws are told apart, and with a quarter of them few are."""
    assert texts_to_tell(0.1, 0.3) == 234  # (1.96 sqrt(.3) + .8416 sqrt(.29))^2 / .01
    assert texts_to_tell(-0.1, 0.3) == 234
    assert texts_to_tell(0.0, 0.3) is None
    random = np.random.default_rng(0)

    def told(n: int) -> float:
        kinds = random.choice(3, size=(400, 1, n), p=[0.2, 0.1, 0.7])
        return float(np.mean([mcnemar(k == 0, k == 1) < 0.05 for k in kinds]))

    assert 0.72 <= told(234) <= 0.85, "the exact test is a little more careful than the formula's"
    assert told(58) < 0.35


def numbers(gold: Sequence[float], said: Sequence[float]) -> list[Prediction]:
    return [
        replace(prediction(str(i), f"text {i}", "", "", {}, ""), answer=a, gold=g)
        for i, (g, a) in enumerate(zip(gold, said, strict=True))
    ]


def test_the_metric_that_tells_is_the_one_that_is_shown() -> None:
    """As near to the numbers, in the wrong order: behind in Spearman, and that is the figure, not MAE."""
    random = np.random.default_rng(0)
    gold = random.uniform(-0.1, 0.1, 200)
    task = Regression(RegressionOptions())
    model = numbers(gold, (-0.5 * gold).tolist())
    other = numbers(gold, (gold + random.uniform(-0.15, 0.15, 200)).tolist())
    (found,) = verdict.judge(task, model, {"tfidf": other}, verdict.TrainAnswers(mean=5.0))
    assert (found.kind, found.values["metric"]) == ("behind", "spearman")
    assert found.text.startswith("Worse than counting words (tfidf): Spearman -1.000 to ")


@pytest.mark.parametrize("n", [1, 2, 9])
def test_few_texts_show_nothing_in_numbers(n: int) -> None:
    gold = np.linspace(-1, 1, n)
    (found,) = verdict.judge(Regression(RegressionOptions()), numbers(gold, gold), {}, verdict.TrainAnswers(mean=0.5))
    assert found.kind == "undecided"
    assert found.text.startswith("Too few texts to tell it from always giving the mean")
    many = np.linspace(-1, 1, 10)
    (found,) = verdict.judge(Regression(RegressionOptions()), numbers(many, many), {}, verdict.TrainAnswers(mean=0.5))
    assert found.kind == "ahead"
