"""The baselines of a comparison, each scored once and kept in the comparison's folder.

Their rows are those of evaluation.baselines, and the floor: the majority class, or the mean, which every comparison has.

Example:
    [row.name for row in ComparedBaselines(prepared, folder / "baselines").rows("validation")]
    # ['majority', 'tfidf', 'zero-shot']
"""

import json
import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from fintune.comparison.planned_runs import digest
from fintune.comparison.rows import ComparisonRow, Costs, in_order
from fintune.config.prepare import Prepared
from fintune.evaluation.baselines import score_baseline
from fintune.inference.load import load_base
from fintune.models.references import sha256_at_hand
from fintune.records import PREDICTION_VERSION, lines_of, predictions_in
from fintune.runtime.environment import deterministic
from fintune.runtime.files import write_atomically
from fintune.runtime.progress import tell
from fintune.runtime.threads import fastest_threads
from fintune.tasks.baselines import BASELINES, Baseline

if TYPE_CHECKING:
    from fintune.models import LoadedModel

_IRRELEVANT = ("method", "train")
"""Sections of a config that no baseline depends on, but for train.objective and train.seed."""


class _CostRecord(TypedDict):
    """What a file of costs holds."""

    costs: dict[str, Any]
    base_sha256: str | None


class ComparedBaselines:
    """Scores baselines on any size of the train part; the base model is loaded for the first that needs it, and once."""

    def __init__(self, prepared: Prepared, folder: Path) -> None:
        self._prepared, self._folder = prepared, folder

    def rows(self, part: str) -> list[ComparisonRow]:
        """Return a row for each baseline that goes with the task, always with the floor, which all are measured against."""
        floors = [name for name, entry in BASELINES.items() if entry.floor]
        entries = [BASELINES[name] for name in dict.fromkeys([*self._prepared.config.evaluation.baselines, *floors])]
        task = self._prepared.task
        return [self._row(entry, self._prepared, part) for entry in entries if entry.left_out(task) is None]

    def learning_rows(self, prepared: Prepared, part: str) -> list[ComparisonRow]:
        """Return those that learn from the train part, on a smaller one."""
        entries = [BASELINES[name] for name in dict.fromkeys(prepared.config.evaluation.baselines)]
        applicable = [entry for entry in entries if entry.left_out(prepared.task) is None]
        return [self._row(entry, prepared, part) for entry in applicable if entry.learns]

    @cached_property
    def _base_sha256(self) -> str | None:
        return sha256_at_hand(self._prepared.config.model.base)

    @cached_property
    def _base(self) -> "LoadedModel":
        return load_base(self._prepared.config)

    def _row(self, entry: Baseline, prepared: Prepared, part: str) -> ComparisonRow:
        config = prepared.config
        facts = f"{PREDICTION_VERSION}, {entry.name}, {config.train.objective}, {config.train.seed}, {prepared.splits.fingerprint}"
        folder = self._folder / f"{entry.name}-{digest(config, facts, _IRRELEVANT)}"
        predictions, costs = folder / f"predictions.{part}.jsonl", folder / f"costs.{part}.json"
        record: _CostRecord | None = json.loads(costs.read_text(encoding="utf-8")) if costs.is_file() else None
        if record is None or self._has_another_base(entry, record):
            record = self._score(entry, prepared, part, predictions, costs)
        answers = predictions_in(predictions.read_text(encoding="utf-8"))
        ordered = in_order(answers, prepared.splits[part])
        return ComparisonRow(name=entry.name, kind="baseline", answers=[ordered], costs=Costs(**record["costs"]))

    def _has_another_base(self, entry: Baseline, record: _CostRecord) -> bool:
        """Whether other weights stand in the base model's place than those that answered."""
        return entry.needs_model and self._base_sha256 not in (None, record["base_sha256"])

    def _score(self, entry: Baseline, prepared: Prepared, part: str, predictions: Path, costs: Path) -> _CostRecord:
        tell("compare", f"{entry.name} ({len(prepared.splits['train']):,} examples)")
        with deterministic(prepared.config.train.fixed_threads or fastest_threads(), shared=True):
            base = self._base if entry.needs_model else None
            begun = time.monotonic()
            answered = score_baseline(entry, prepared, base, part).predictions
            seconds = time.monotonic() - begun
        write_atomically(predictions, lines_of(answered))
        record: _CostRecord = {
            "costs": asdict(_costs(entry, seconds, len(answered))),
            "base_sha256": base.sha256 if base else None,
        }
        write_atomically(costs, json.dumps(record))
        return record


def _costs(entry: Baseline, seconds: float, texts: int) -> Costs:
    """Return the time of fitting for one that learns without the model, of answering for all others."""
    if entry.learns and not entry.needs_model:
        return Costs(train_seconds=seconds)
    return Costs(train_seconds=0.0, seconds_per_1000=1000 * seconds / texts)
