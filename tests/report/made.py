"""Run folders written by hand, so that no test of a report has to train."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fintune.config.load import dump, load
from fintune.models import LoadedModel
from fintune.records import Answer, Prediction, Score, Scores
from fintune.runs import manifest
from fintune.runs.run import Run
from fintune.runs.schema import TaskRecord
from fintune.tasks.metrics import bootstrap_weights, scores_of
from tests.label_scores import HEADLINE, task_of

LABELS = ["negative", "neutral", "positive"]
NASTY = "</script><img src=x onerror=\"document.title='broken'\"><b>&amp;'\"`${alert(1)}"
UNKNOWN = "made_up"
"""A metric that no task has."""


def made_run(folder: Path, *, n: int = 60, parts: tuple[str, ...] = ("validation", "test"), text: str = "Text") -> Run:
    """Every third answer is wrong, with a confidence of 0.6; right ones have 0.9."""
    predictions = [_prediction(i, text) for i in range(n)]
    task: TaskRecord = {"name": "sentiment", "version": 2, "kind": "labels", "headline": list(HEADLINE)}
    run = _written(folder, dict.fromkeys(parts, predictions), task, _scores(predictions), ("tfidf", "majority"))
    run.write_json("data.json", data_of(n))
    return run


def made_numbers(folder: Path, *, n: int = 20, text: str = "Text") -> Run:
    """The answer to text i is off by i / 10; the last cannot be read. The loss, which is better the less it is, comes first."""
    answers: list[Answer | None] = [1 + i / 10 for i in range(n - 1)]
    shares = {"1.0": 0.75, "2.0": 0.25}
    predictions = [_answered(i, text, answer, "?", shares, 1.0) for i, answer in enumerate([*answers, None])]
    task: TaskRecord = {"name": "made", "version": 1, "kind": "numbers", "headline": ["answer_loss", UNKNOWN]}
    scores = {"answer_loss": Score(1.25, 1.125, 1.5, n), UNKNOWN: Score(0.5, 0.25, 0.75, n)}
    return _without_labels(folder, predictions, task, scores, ("mean",))


def made_texts(folder: Path, *, kind: str = "texts", n: int = 12, text: str = "Text") -> Run:
    """Half of the written answers are not the true one."""
    gold: Answer = ("Acme", "Beta") if kind == "lists" else "Profit rose."
    other: Answer = ("Acme",) if kind == "lists" else "Loss fell."
    predictions = [_answered(i, text, (gold, other)[i % 2], f"written {i}", {}, gold) for i in range(n)]
    task: TaskRecord = {"name": "made", "version": 1, "kind": kind, "headline": [UNKNOWN]}
    return _without_labels(folder, predictions, task, {UNKNOWN: Score(0.5, 0.25, 0.75, n)}, ("zero-shot",))


def _without_labels(
    folder: Path, predictions: list[Prediction], task: TaskRecord, scores: Scores, baselines: tuple[str, ...]
) -> Run:
    run = _written(folder, {"test": predictions}, task, scores, baselines)
    data = data_of(len(predictions))
    data["report"] |= {"labels": {}, "parts": {"train": {}, "test": {}}}
    run.write_json("data.json", data)
    return run


def _written(
    folder: Path,
    predictions: Mapping[str, list[Prediction]],
    task: TaskRecord,
    scores: Scores,
    baselines: tuple[str, ...],
) -> Run:
    """A run whose parts and baselines all have the same scores."""
    run = Run(folder)
    folder.mkdir(parents=True)
    settings: dict[str, Any] = {"name": folder.name, "output": str(folder.parent), "data": {"path": "rows.csv"}}
    run.write_text("config.yaml", dump(load(settings)))
    for part, answered in predictions.items():
        run.write_predictions(part, answered)
    by_part = dict.fromkeys(predictions, scores)
    run.write_scores(task, by_part, dict.fromkeys(baselines, by_part))
    run.write_json("environment.json", environment())
    manifest.write(run, LoadedModel(None, None, "causal", "embedded"))
    for step in range(10, 41, 10):
        run.append_log({"step": step, "epoch": step / 20, "loss": 2 / step, "examples": 40, "examples_per_second": 4.0})
    for epoch in (1, 2):
        judged = {f"{part}_{name}": 0.8 for part in ("train", "validation") for name in ("loss", *task["headline"])}
        run.append_log({"epoch": epoch, "best": epoch == 2, **judged})
    return run


def _prediction(i: int, text: str) -> Prediction:
    gold = LABELS[i % 3]
    label = LABELS[(i + (i % 9 < 3)) % 3]
    sure = 0.9 if label == gold else 0.6
    rest = {
        name: (1 - sure) * share for name, share in zip([x for x in LABELS if x != label], (0.75, 0.25), strict=True)
    }
    return _answered(i, text, label, label, {x: rest.get(x, sure) for x in LABELS}, gold)


def _answered(
    i: int, text: str, answer: Answer | None, written: str, shares: Mapping[str, float], gold: Answer
) -> Prediction:
    return Prediction(f"rows.csv:{i}", {"text": f"{text} {i}"}, answer, written, shares, gold)


def _scores(predictions: list[Prediction]) -> Scores:
    series = task_of(LABELS).score(predictions, bootstrap_weights(len(predictions), 50))
    return scores_of(series, n=len(predictions))


def attribution(text: str, words: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    return {"id": text, "text": text, "answer": text, "probability": 0.5, "words": words, **more}


def data_of(n: int) -> dict[str, Any]:
    return {
        "fingerprint": "0123456789abcdef",
        "ids": {"test": []},
        "sources": [
            {"path": "rows.csv", "name": "rows.csv", "part": "train", "rows": n, "format": "csv", "encoding": "utf-8",
             "license": None, "sha256": "ab" * 32}
        ],
        "report": {
            "rows": n,
            "exact_duplicates": 0,
            "near_duplicate_rows": 0,
            "near_duplicate_clusters": 0,
            "labels": {"negative": 20, "neutral": 20, "positive": 20},
            "parts": {"train": {"negative": 14}, "test": {"negative": 6}},
            "tokens": {"median": 12.0, "longest": 40.0, "over_limit": 0.0},
            "findings": [{"kind": "mojibake", "level": "warning", "count": 2, "message": "quoted: secret", "rows": ["rows.csv:7"]}],
        },
    }  # fmt: skip


def environment() -> dict[str, Any]:
    return {
        "command": ["/somewhere/cli.py", "train", "run.yaml", "--set", "name=a b"],
        "packages": {"fintune": "0.1.0", "torch": "2.13.0+cpu", "peft": None},
        "trainable_parameters": 1000,
        "parameters": 100000,
        "seed": 3,
    }


def made_comparison(
    folder: Path, runs: dict[str, list[str]], headline: tuple[str, ...] = HEADLINE, **more: object
) -> Path:
    """A comparison of two methods and a baseline."""
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        {"name": name, "kind": "method", "seeds": 2, "scores": _around(0.9 - 0.1 * i, headline),
         "trainable_parameters": 10 ** (4 - i), "adapter_mb": 1.5, "train_seconds": 100.0 * (i + 1),
         "peak_memory_bytes": 10**9, "seconds_per_1000": 4.0, "forgetting": {"before": 20.0, "after": 22.0},
         "group": i + 1, "runs": paths}
        for i, (name, paths) in enumerate(runs.items())
    ]  # fmt: skip
    rows.append(
        {"name": "tfidf", "kind": "baseline", "scores": _around(0.6, headline), "train_seconds": None, "runs": []}
    )
    pair = {
        "a": "lora",
        "b": "ia3",
        "metric": headline[0],
        "difference": {"value": 0.2, "low": 0.02, "high": 0.3, "n": 60},
        "right": 0.1,
        "discordant": 0.2,
    }
    content = {
        "part": "test",
        "n": 60,
        "confidence": 0.95,
        "headline": headline,
        "rows": rows,
        "groups": [[name] for name in runs],
        "pareto": ["lora"],
        "pairs": [pair | {"p_bootstrap": 0.01, "p_mcnemar": 0.02, "p_holm": 0.03}],
        "recommendation": "Take lora.",
        "failed": [{"name": "vera", "reason": "no layer fits"}],
        "learning_curve": [{"name": "lora", "size": n, "scores": _around(0.7 + n / 1000, headline)} for n in (50, 200)],
    }
    (folder / "comparison.json").write_text(json.dumps(content | more))
    return folder


def _around(value: float, headline: tuple[str, ...]) -> dict[str, dict[str, float]]:
    return {metric: {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 60} for metric in headline}


def rewrite(run: Run, part: str, **change: Any) -> None:
    """Change every prediction of a part."""
    path = run.folder / f"predictions.{part}.jsonl"
    lines = [json.loads(line) | change for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
