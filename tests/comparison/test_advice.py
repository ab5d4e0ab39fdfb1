"""The sentence that says what to use."""

from typing import Any

from fintune.comparison.advice import recommend


def row(name: str, group: int, accuracy: float, seconds: float | None) -> dict[str, Any]:
    score = {"accuracy": {"value": accuracy, "low": 0.0, "high": 1.0, "n": 226}}
    return {"name": name, "group": group, "scores": score, "train_seconds": seconds}


def test_the_cheapest_of_the_top_group() -> None:
    rows = [row("lora", 1, 0.968, 300), row("ia3", 1, 0.962, 100), row("tfidf", 2, 0.88, 2)]
    assert recommend(rows, "validation", "accuracy") == (
        "Use ia3: its accuracy of 96.2% (validation, n = 226) cannot be told apart from lora's 96.8%, the best, and of these 2 "
        "it trains fastest (1 min 40 s a run)."
    )


def test_the_best_may_be_the_cheapest() -> None:
    rows = [row("ia3", 1, 0.968, 100), row("lora", 1, 0.962, 300)]
    assert recommend(rows, "test", "accuracy") == (
        "Use ia3: its accuracy of 96.8% (test, n = 226) is the best of 2 that cannot be told apart, and of these 2 it trains "
        "fastest (1 min 40 s a run)."
    )


def test_one_that_stands_alone() -> None:
    rows = [row("lora", 1, 0.968, 300), row("ia3", 2, 0.9, 100)]
    assert recommend(rows, "validation", "accuracy") == (
        "Use lora: its accuracy of 96.8% (validation, n = 226) is better than that of every other row; the next best, ia3, has 90.0%."
    )
    assert recommend(rows[:1], "validation", "accuracy").endswith("is the only one.")


def test_what_needs_no_training_is_cheapest_and_an_unknown_time_is_not() -> None:
    rows = [row("a", 1, 0.9, None), row("b", 1, 0.89, 50), row("zero-shot", 1, 0.88, 0.0)]
    assert "Use zero-shot" in recommend(rows, "validation", "accuracy")
    assert "(nothing to train)" in recommend(rows, "validation", "accuracy")
    assert "Use b" in recommend(rows[:2], "validation", "accuracy")
