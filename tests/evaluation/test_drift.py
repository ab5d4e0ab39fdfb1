"""Alarms as often as their level says where nothing has changed, and nearly always where something has."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fintune
from fintune.evaluation.drift import Drift, Traits, drift, energy_test, words_of
from fintune.records import Prediction
from tests.tiny import tiny_rows

_WORDS = [
    f"{a}{b}" for a in ("prof", "loss", "deal", "plan", "cash", "rate", "bond", "fund") for b in "abcdefghijklmnop"
]
_LABELS = ("negative", "neutral", "positive")


def _texts(
    random: np.random.Generator,
    n: int,
    *,
    words: int = 12,
    shares: tuple[float, ...] = (0.2, 0.5, 0.3),
    new: float = 0.0,
) -> list[Prediction]:
    """Return answers to texts of words at random; a share `new` of the words has never been seen."""
    answers = random.choice(_LABELS, size=n, p=shares)
    rows = random.integers(0, len(_WORDS), size=(n, words))
    unseen = random.random((n, words)) < new
    lengths = random.integers(words // 2, words + 1, size=n)
    texts = [
        " ".join(f"x{w}" if odd else _WORDS[w] for w, odd in zip(row[:k], strange[:k], strict=True))
        for row, strange, k in zip(rows, unseen, lengths, strict=True)
    ]
    return [
        Prediction(str(i), {"text": text}, str(answer), "", {})
        for i, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]


_VOCABULARY = words_of(_WORDS)


def _drift(before: list[Prediction], after: list[Prediction], **options: Any) -> Drift:
    return drift(Traits.of(before, _VOCABULARY), Traits.of(after, _VOCABULARY), **options)


def test_alarms_where_nothing_has_changed_are_as_rare_as_the_level_says() -> None:
    random, times = np.random.default_rng(0), 200
    alarms = sum(_drift(_texts(random, 60), _texts(random, 60), level=0.1, seed=i).alarm for i in range(times))
    assert alarms / times <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / times)
    assert alarms > 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("labels", {"shares": (0.5, 0.2, 0.3)}),
        ("length", {"words": 24}),
        ("vocabulary", {"new": 0.3}),
        ("distance", {"new": 0.3}),
    ],
)
def test_what_has_changed_is_named(name: str, change: dict[str, object]) -> None:
    random = np.random.default_rng(1)
    found = _drift(_texts(random, 300), _texts(random, 200, **change))  # type: ignore[arg-type]
    tests = {test.name: test for test in found.tests}
    assert found.alarm
    assert tests[name].p < 0.01
    assert tests[name].effect > 0


def test_the_energy_distance_is_that_of_the_definition() -> None:
    random = np.random.default_rng(2)
    left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in random.normal(size=(2, 7, 5)))

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.linalg.norm(a[:, None] - b[None], axis=-1).mean())

    expected = 2 * mean(left, right) - mean(left, left) - mean(right, right)
    assert energy_test(left, right)[0] == pytest.approx(expected)


def test_monitor_ends_with_3_where_texts_have_changed_and_keeps_a_history(
    trained: fintune.Run, fin: Any, tmp_path: Path
) -> None:
    run = fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "tiny"))
    rows = tiny_rows(300)
    known = [row["text"] for row in rows[:90]]
    answered = fintune.load(trained.folder)(known)
    run.write_predictions("oof", [replace(one, id=str(i), gold=one.answer) for i, one in enumerate(answered)])
    alike, changed = tmp_path / "alike.csv", tmp_path / "changed.csv"
    alike.write_text("text\n" + "\n".join(row["text"] for row in rows[90:150]) + "\n")
    changed.write_text("text\n" + "\n".join(f"Nothing like that was ever said: number {i} -" for i in range(40)) + "\n")
    quiet, alarm = fin("monitor", run.folder, alike), fin("monitor", run.folder, changed)
    assert (quiet.code, alarm.code) == (0, 3)
    assert "not like those it was made of" in alarm.out
    history = [json.loads(line) for line in (run.folder / "drift.jsonl").read_text().splitlines()]
    assert [line["alarm"] for line in history] == [False, True]
    assert history[1]["tests"][0]["name"] == "labels"


@pytest.mark.parametrize("content", ["text\n", "text\nOne row only +\n"])
def test_too_few_texts_are_refused_and_leave_no_history(
    content: str, trained: fintune.Run, fin: Any, tmp_path: Path
) -> None:
    run = fintune.Run.open(shutil.copytree(trained.folder, tmp_path / "tiny"))
    run.write_predictions("oof", [replace(one, id=str(i)) for i in range(4) for one in run.predictions("validation")])
    file = tmp_path / "few.csv"
    file.write_text(content)
    refused = fin("monitor", run.folder, file)
    assert refused.code == 2
    assert not (run.folder / "drift.jsonl").exists()
