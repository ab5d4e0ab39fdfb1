"""What is wrong between sections, or worth a word: a prompt that asks for what no label is."""

from pathlib import Path

import pytest

from fintune.config.across import sentiment_of_none
from fintune.config.load import load
from fintune.training.check import examine


@pytest.mark.parametrize(
    ("task", "remarked"),
    [
        ({"name": "sentiment", "labels": ["card", "loan"]}, True),
        ({"name": "sentiment", "language": "zh", "labels": ["信用卡", "贷款"], "answers": {"信用卡": "卡", "贷款": "贷"}}, True),
        ({"name": "sentiment", "labels": ["positive", "irrelevant"]}, False),
        ({"name": "sentiment", "labels": ["card", "loan"], "prompt": "{text}\nProduct: {answer}"}, False),
        ({"name": "classification", "labels": ["card", "loan"]}, False),
    ],
)  # fmt: skip
def test_a_sentiment_prompt_over_labels_that_are_none_is_remarked_upon(task: dict[str, object], remarked: bool) -> None:
    remark = sentiment_of_none(load({"task": task}).task)
    assert (remark is not None) == remarked
    assert remark is None or "task.name=classification" in remark


def test_check_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"complaint number {i} about a {('card', 'loan')[i % 2]},{('card', 'loan')[i % 2]}" for i in range(20)]
    path.write_text("\n".join(["text,label", *rows]))
    config = load({"task": {"name": "sentiment", "labels": ["card", "loan"]}, "data": {"path": str(path)}})
    assert "prompt" in {f.kind for f in examine(config, doubt=False).report.findings}
