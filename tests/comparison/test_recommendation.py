"""The sentence that says what to use, or that nothing shows it yet, and the frontier at costs as they are shown."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pytest

from fintune.comparison.content import ResultsContent
from fintune.comparison.recommendation import recommend
from fintune.comparison.results import ScoredPart, comparison_results
from fintune.comparison.rows import ComparisonRow, Costs
from fintune.config.evaluation import EvaluationSection
from fintune.evaluation.significance import texts_to_tell
from fintune.tasks.lookup import metric_of
from tests.label_scores import predictions, task_of
from tests.made_records import example

LABELS = ["down", "up"]
USUAL = "always giving the most frequent label (majority)"


def row(name: str, group: int, accuracy: float, seconds: float | None) -> dict[str, Any]:
    score = {"accuracy": {"value": accuracy, "low": 0.0, "high": 1.0, "n": 226}}
    return {"name": name, "group": group, "scores": score, "clean": None, "train_seconds": seconds, "ahead": True}


def advice(*rows: Mapping[str, Any], unproven: str = "", part: str = "validation") -> str:
    """With majority as the last row; every row is told apart from it but the one that is `unproven`."""
    usual = row("majority", 1 + max(one["group"] for one in rows), 0.5, 0.0)
    pairs = [{"a": one["name"], "b": "majority", "p_holm": 0.4 if one["name"] == unproven else 0.001} for one in rows]
    told = [dict(one) | {"ahead": one["name"] != unproven} for one in rows]
    return recommend([*told, usual], pairs, part, metric_of("accuracy"), confidence=0.95)


def answered(
    name: str,
    right: list[range],
    *,
    n: int,
    kind: Literal["method", "baseline"] = "method",
    seconds: float | None = 9.0,
) -> ComparisonRow:
    """A row that has right what stands in these ranges, one a seed: label 1 is the true one in the first half."""
    gold = (np.arange(n) < n // 2).astype(np.int64)
    hits = np.array([np.isin(np.arange(n), list(of)) for of in right])
    answers = [predictions(gold, run, LABELS) for run in np.where(hits, gold, 1 - gold)]
    return ComparisonRow(name=name, kind=kind, answers=answers, costs=Costs(train_seconds=seconds))


def compared(*rows: ComparisonRow, known: range = range(0)) -> ResultsContent:
    n = len(rows[0].answers[0])
    examples = [example(str(i), f"text {i}", "up" if i < n // 2 else "down") for i in range(n)]
    leaked = {str(i) for i in known}
    part = ScoredPart(examples=examples, task=task_of(LABELS), name="validation", leaked=leaked)
    return comparison_results(part, rows, EvaluationSection(resamples=200))


def majority(n: int, right: int) -> ComparisonRow:
    return answered("majority", [range(right)], n=n, kind="baseline", seconds=0.0)


def test_the_cheapest_of_the_top_group() -> None:
    assert advice(row("lora", 1, 0.968, 300), row("ia3", 1, 0.962, 100), row("tfidf", 2, 0.88, 2)) == (
        "Use ia3: its accuracy of 96.2 % (validation, n = 226) cannot be told apart from lora with 96.8 %, the best, and of these 2 "
        "none trains faster (1 min 40 s a run)."
    )


def test_the_best_may_be_the_cheapest() -> None:
    assert advice(row("ia3", 1, 0.968, 100), row("lora", 1, 0.962, 300), part="test") == (
        "Use ia3: its accuracy of 96.8 % (test, n = 226) is the best of 2 that cannot be told apart, and of these 2 none trains "
        "faster (1 min 40 s a run)."
    )


def test_one_that_stands_alone() -> None:
    assert advice(row("lora", 1, 0.968, 300), row("ia3", 2, 0.9, 100)) == (
        "Use lora: its accuracy of 96.8 % (validation, n = 226) is better than that of every other row; the next best, ia3 with 90.0 %."
    )


def test_what_needs_no_training_is_cheapest_and_an_unknown_time_is_not() -> None:
    rows = [row("a", 1, 0.9, None), row("b", 1, 0.89, 50), row("zero-shot", 1, 0.88, 0.0)]
    assert "Use zero-shot" in advice(*rows)
    assert "(nothing to train)" in advice(*rows)
    assert "Use b" in advice(*rows[:2])


def test_times_that_read_alike_are_a_tie() -> None:
    assert "Use b" in advice(row("a", 1, 0.9, 500), row("b", 1, 0.89, 50.4), row("c", 1, 0.88, 49.6))


def test_a_cheap_row_that_is_not_proven_better_than_one_label_for_all_is_passed_over() -> None:
    rows = [row("lora", 1, 0.9, 300), row("ia3", 1, 0.89, 100), row("lexicon", 1, 0.8, 0.0)]
    assert advice(*rows, unproven="lexicon").endswith(
        f"cannot be told apart from lora with 90.0 %, the best, and of the 2 proven better than {USUAL} none trains faster "
        "(1 min 40 s a run)."
    )
    assert advice(rows[0], rows[2], unproven="lexicon").endswith(
        f"is the best of 2 that cannot be told apart, and of these 2 it alone is proven better than {USUAL}."
    )


def test_no_row_is_recommended_because_too_few_texts_tell_it_from_the_majority_class() -> None:
    """26 texts: the word list is far below the majority class, trains in no time, and nothing is told apart."""
    usual, lora = majority(26, 18), answered("lora", [range(4, 24)], n=26)
    lexicon = answered("lexicon", [range(14, 26)], n=26, kind="baseline", seconds=0.0)
    content = compared(lora, lexicon, usual)
    assert content["groups"] == [["lora", "majority", "lexicon"]]
    needed = texts_to_tell(2 / 26, 10 / 26, 1 - 0.05 / 3)
    assert content["recommendation"] == (
        f"No recommendation: on 26 texts (validation) no row of group 1 is proven better than {USUAL}, 66.0 %. "
        f"Best so far: lora with 76.8 %; about {needed:,} texts would tell such a difference."
    )


def test_that_many_texts_do_tell() -> None:
    """The same shares on as many texts as were asked for, and on the few."""
    few = compared(answered("lora", [range(4, 24)], n=26), majority(26, 18))
    match = re.search(r"about ([\d,]+) texts", few["recommendation"])
    assert match
    times = -(-int(match[1].replace(",", "")) // 26)
    n = 26 * times
    many = compared(answered("lora", [range(4 * times, 24 * times)], n=n), majority(n, 18 * times))
    assert many["recommendation"].startswith(f"Use lora: its macro-F1 of 76.8 % (validation, n = {n:,}) is better")


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (range(6, 20), r"53\.8 %; about [\d,]+ texts would tell such a difference\."),
        (range(8, 26), r"66\.0 %; the two do not differ, and no number of texts tells such rows apart\."),
        (range(24, 26), r"7\.1 %; it is proven worse\."),
    ],
)
def test_nothing_is_recommended_where_the_majority_class_has_most(right: range, said: str) -> None:
    found = compared(answered("lora", [right], n=26), majority(26, 18))["recommendation"]
    head = f"No recommendation: on 26 texts (validation) no row is better than {USUAL}, 66.0 %. Best of the others so far: lora with "
    assert found.startswith(head)
    assert re.fullmatch(said, found.removeprefix(head))


def test_a_guess_is_not_proven_better_than_one_label_for_all() -> None:
    """Its macro-F1 is above that of always giving the label that nine of ten texts bear, and fewer of its answers are right."""
    n = 400
    gold = (np.arange(n) >= n // 10).astype(np.int64)
    guess, usual = np.random.default_rng(0).integers(0, 2, n), np.ones(n, dtype=np.int64)
    informed = np.where(np.arange(n) % 10 < 5, gold, guess)
    examples = [example(str(i), f"text {i}", LABELS[g]) for i, g in enumerate(gold)]
    part = ScoredPart(examples=examples, task=task_of(LABELS), name="validation")
    for said, ahead in ((guess, False), (informed, True)):
        rows = [
            ComparisonRow(
                name=name, kind="method", answers=[predictions(gold, one, LABELS)], costs=Costs(train_seconds=1.0)
            )
            for name, one in (("lora", said), ("majority", usual))
        ]
        content = comparison_results(part, rows, EvaluationSection(resamples=200))
        by_name = {row["name"]: row for row in content["rows"]}
        assert (by_name["lora"]["ahead"], by_name["majority"]["ahead"]) == (ahead, None), "by MCC"
        (pair,) = content["pairs"]
        assert pair["right"] * (1 if pair["a"] == "lora" else -1) < 0
        assert ("No recommendation" in content["recommendation"]) != ahead


def test_a_row_that_stands_alone_is_told_to() -> None:
    content = compared(answered("lora", [range(20)], n=26))
    assert content["recommendation"].endswith("stands alone: nothing was compared with it.")


def test_where_seeds_differ_more_texts_alone_are_not_promised() -> None:
    lora = answered("lora", [range(400), range(150, 250), range(400)], n=400)
    found = compared(lora, majority(400, 200))
    assert found["groups"] == [["lora", "majority"]]
    assert found["recommendation"].endswith(
        "its runs differ too much to tell: more seeds (--seeds) or more texts would."
    )


@pytest.mark.parametrize(("seconds", "front"), [(0.4, ["tfidf"]), (0.6, ["tfidf", "majority"])])
def test_a_row_that_another_beats_at_the_same_shown_cost_is_not_on_the_frontier(
    seconds: float, front: list[str]
) -> None:
    """0.4 s reads "0 s", as what needs no training does; 0.6 s reads "1 s"."""
    tfidf = answered("tfidf", [range(24)], n=26, kind="baseline", seconds=seconds)
    lora = answered("lora", [range(23)], n=26, seconds=3_630.0)
    assert compared(tfidf, lora, majority(26, 18))["pareto"] == front


def test_minutes_that_read_alike_are_the_same_cost_from_an_hour_on() -> None:
    better, worse = (
        answered(name, [range(right)], n=26, seconds=seconds)
        for name, right, seconds in (("a", 25, 3_650.0), ("b", 24, 3_610.0))
    )
    assert compared(better, worse, majority(26, 18))["pareto"] == ["a", "majority"]


def test_scores_on_the_texts_that_are_new_stand_beside_those_on_all() -> None:
    """Of 40 texts the first 10 stand in train; lora has all of them right, and 20 of the 30 others."""
    content = compared(
        answered("lora", [range(30)], n=40), answered("majority", [range(30, 40)], n=40), known=range(10)
    )
    assert content["leaks"] == 10
    lora = content["rows"][0]
    assert (lora["scores"]["accuracy"]["value"], lora["scores"]["accuracy"]["n"]) == (0.75, 40)
    assert (lora["clean"]["accuracy"]["value"], lora["clean"]["accuracy"]["n"]) == (pytest.approx(2 / 3), 30)
    assert "macro-F1 of 73.3 % (validation, n = 40; 66.7 % on the 30 new ones)" in content["recommendation"]


@pytest.mark.parametrize("known", [range(0), range(26)])
def test_no_score_on_new_texts_where_all_or_none_are_new(known: range) -> None:
    content = compared(answered("lora", [range(24)], n=26), majority(26, 18), known=known)
    assert content["leaks"] == len(known)
    assert [row["clean"] for row in content["rows"]] == [None, None]
