"""A run folder written by hand, so that no test of a report has to train."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fintune.config.load import dump, load
from fintune.models import LoadedModel
from fintune.records import Prediction, Scores
from fintune.runs import manifest
from fintune.runs.run import Run
from fintune.tasks.metrics import classification_scores

LABELS = ["negative", "neutral", "positive"]
NASTY = "</script><img src=x onerror=\"document.title='broken'\"><b>&amp;'\"`${alert(1)}"


def made_run(folder: Path, *, n: int = 60, parts: tuple[str, ...] = ("validation", "test"), text: str = "Text") -> Run:
    """Every third answer is wrong, with a confidence of 0.6; right ones have 0.9."""
    run = Run(folder)
    folder.mkdir(parents=True)
    settings: dict[str, Any] = {"name": folder.name, "output": str(folder.parent), "data": {"path": "rows.csv"}}
    run.write_text("config.yaml", dump(load(settings)))
    found = {part: [_prediction(i, text) for i in range(n)] for part in parts}
    for part, predictions in found.items():
        run.write_predictions(part, predictions)
    scores = {part: _scores(predictions) for part, predictions in found.items()}
    run.write_scores({"name": "sentiment", "version": 1}, scores, {"tfidf": scores, "majority": scores})
    run.write_json("data.json", data_of(n))
    run.write_json("environment.json", environment())
    manifest.write(run, LoadedModel(None, None, "causal", "embedded"))
    for step in range(10, 41, 10):
        run.append_log({"step": step, "epoch": step / 20, "loss": 2 / step, "examples": 40, "examples_per_second": 4.0})
    for epoch in (1, 2):
        judged = {
            f"{part}_{name}": 0.8 for part in ("train", "validation") for name in ("loss", "accuracy", "macro_f1")
        }
        run.append_log({"epoch": epoch, "best": epoch == 2, **judged})
    return run


def _prediction(i: int, text: str) -> Prediction:
    gold = LABELS[i % 3]
    label = LABELS[(i + (i % 9 < 3)) % 3]
    sure = 0.9 if label == gold else 0.6
    rest = {
        name: (1 - sure) * share for name, share in zip([x for x in LABELS if x != label], (0.75, 0.25), strict=True)
    }
    return Prediction(f"rows.csv:{i}", f"{text} {i}", label, label, {x: rest.get(x, sure) for x in LABELS}, gold)


def _scores(predictions: list[Prediction]) -> Scores:
    gold = np.array([LABELS.index(str(p.gold)) for p in predictions])
    given = np.array([LABELS.index(str(p.label)) for p in predictions])
    return classification_scores(gold, given, LABELS, resamples=50)


def attribution(text: str, words: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": text, "text": text, "label": text, "probability": 0.5, "words": words}


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


def made_comparison(folder: Path, runs: dict[str, list[str]]) -> Path:
    """A comparison of two methods and a baseline."""
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        {"name": name, "kind": "method", "seeds": 2, "scores": _around(0.9 - 0.1 * i), "trainable_parameters": 10 ** (4 - i),
         "adapter_mb": 1.5, "train_seconds": 100.0 * (i + 1), "peak_memory_bytes": 10**9, "seconds_per_1000": 4.0,
         "forgetting": {"before": 20.0, "after": 22.0}, "group": i + 1, "runs": paths}
        for i, (name, paths) in enumerate(runs.items())
    ]  # fmt: skip
    rows.append({"name": "tfidf", "kind": "baseline", "scores": _around(0.6), "train_seconds": None, "runs": []})
    pair = {
        "a": "lora",
        "b": "ia3",
        "metric": "macro_f1",
        "difference": {"value": 0.1, "low": 0.02, "high": 0.2, "n": 60},
    }
    found = {
        "part": "test",
        "n": 60,
        "confidence": 0.95,
        "rows": rows,
        "groups": [[name] for name in runs],
        "pareto": ["lora"],
        "pairs": [pair | {"p_bootstrap": 0.01, "p_mcnemar": 0.02, "p_holm": 0.03}],
        "recommendation": "Take lora.",
        "failed": [{"name": "vera", "reason": "no layer fits"}],
        "learning_curve": [{"name": "lora", "size": n, "scores": _around(0.7 + n / 1000)} for n in (50, 200)],
    }
    (folder / "comparison.json").write_text(json.dumps(found))
    return folder


def _around(value: float) -> dict[str, dict[str, float]]:
    return {
        m: {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 60} for m in ("accuracy", "macro_f1", "mcc")
    }


def rewrite(run: Run, part: str, **change: Any) -> None:
    """Change every prediction of a part."""
    path = run.folder / f"predictions.{part}.jsonl"
    lines = [json.loads(line) | change for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
