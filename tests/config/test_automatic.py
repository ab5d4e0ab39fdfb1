"""What is automatic is settled by the data, and written so into the run's config."""

from pathlib import Path
from typing import Any

from fintune.config.load import load
from fintune.config.prepare import prepare


def decided(folder: Path, rows: int, train: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    path = folder / "rows.csv"
    lines = [f"sentence {i} of these,{(i * 7) % 2}" for i in range(rows)]
    path.write_text("\n".join(["text,label", *lines]))
    data = {"path": str(path), "split": {"by": "random"}}
    return prepare(load({"data": data, "task": task, "train": train})).config.train.model_dump()


LABELS = {"name": "classification", "labels": ["0", "1"]}


def test_few_rows_are_passed_over_more_often(tmp_path: Path) -> None:
    few, many = (decided(tmp_path, rows, {}, LABELS)["epochs"] for rows in (40, 3000))
    assert few > many >= 2
    assert decided(tmp_path, 40, {"batch_size": 1}, LABELS)["epochs"] < few
    assert decided(tmp_path, 40, {"epochs": 1}, LABELS)["epochs"] == 1
