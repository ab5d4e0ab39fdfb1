"""The challengers of a comparison: every baseline of the config, asked once and kept in the comparison's folder.

>>> challengers = Challengers(prepared, folder / "challengers")
>>> [row.name for row in challengers.rows("validation")]
['majority', 'tfidf', 'zero-shot']
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.comparison.planned_runs import digest
from fintune.comparison.rows import Costs, Row, answered
from fintune.config.prepare import Prepared
from fintune.evaluation.challenge import challenge
from fintune.evaluation.verdict import MAJORITY
from fintune.inference.load import load_base
from fintune.models.references import sha256_at_hand
from fintune.records import lines_of, predictions_in
from fintune.runtime.environment import deterministic
from fintune.runtime.files import write_atomically
from fintune.runtime.progress import tell
from fintune.runtime.threads import fastest_threads
from fintune.tasks.baselines import BASELINES, Baseline

if TYPE_CHECKING:
    from fintune.models import LoadedModel

_NOT_THEIRS = ("method", "train")
"""sections of a config that no baseline depends on, but for train.objective and train.seed"""


class Challengers:
    """Runs baselines on any size of the train part; the base model is loaded when the first of them asks for it, and once."""

    def __init__(self, prepared: Prepared, folder: Path) -> None:
        self._prepared, self._folder = prepared, folder

    def rows(self, part: str) -> list[Row]:
        """Return a row for each baseline that knows the labels, always with the majority class, which all are measured against."""
        names = dict.fromkeys([*self._prepared.config.evaluation.baselines, MAJORITY])
        entries = [BASELINES[name] for name in names]
        known = [entry for entry in entries if entry.left_out(self._prepared.task.labels) is None]
        return [self._row(entry, self._prepared, part) for entry in known]

    def learning_rows(self, prepared: Prepared, part: str) -> list[Row]:
        """Those that learn from the train part, on a smaller one."""
        names = [row for row in dict.fromkeys(prepared.config.evaluation.baselines) if BASELINES[row].learns]
        return [self._row(BASELINES[name], prepared, part) for name in names]

    @cached_property
    def _base_sha256(self) -> str | None:
        return sha256_at_hand(self._prepared.config.model.base)

    @cached_property
    def _base(self) -> "LoadedModel":
        return load_base(self._prepared.config)

    def _row(self, entry: Baseline, prepared: Prepared, part: str) -> Row:
        config = prepared.config
        asked = f"{entry.name}, {config.train.objective}, {config.train.seed}, {prepared.splits.fingerprint}"
        folder = self._folder / f"{entry.name}-{digest(config, asked, _NOT_THEIRS)}"
        predictions, costs = folder / f"predictions.{part}.jsonl", folder / f"costs.{part}.json"
        known = json.loads(costs.read_text(encoding="utf-8")) if costs.is_file() else None
        if known is None or self._asked_another(entry, known):
            known = self._ask(entry, prepared, part, predictions, costs)
        examples, labels = prepared.splits[part], prepared.task.labels
        found = answered(predictions_in(predictions.read_text(encoding="utf-8")), examples, labels)
        return Row(entry.name, "challenger", found[None], Costs(**known["costs"]))

    def _asked_another(self, entry: Baseline, known: Mapping[str, Any]) -> bool:
        """Whether other weights stand in the base model's place than those that answered."""
        return entry.needs_model and self._base_sha256 not in (None, known["base_sha256"])

    def _ask(self, entry: Baseline, prepared: Prepared, part: str, predictions: Path, costs: Path) -> dict[str, Any]:
        evaluation = prepared.config.evaluation.model_copy(update={"baselines": [entry.name]})
        alone = replace(prepared, config=prepared.config.model_copy(update={"evaluation": evaluation}))
        tell("compare", f"{entry.name} ({len(prepared.splits['train']):,} examples)")
        with deterministic(prepared.config.train.fixed_threads or fastest_threads(), shared=True):
            base: Any = self._base if entry.needs_model else None
            begun = time.monotonic()
            found = challenge(alone, base, part)[entry.name]
            seconds = time.monotonic() - begun
        write_atomically(predictions, lines_of(found.predictions))
        known = {"costs": asdict(_costs(entry, seconds, len(found.predictions))), "base_sha256": base and base.sha256}
        write_atomically(costs, json.dumps(known))
        return known


def _costs(entry: Baseline, seconds: float, texts: int) -> Costs:
    """One that learns without the model spends its time on fitting; all others on answering."""
    if entry.learns and not entry.needs_model:
        return Costs(train_seconds=seconds)
    return Costs(train_seconds=0.0, seconds_per_1000=1000 * seconds / texts)
