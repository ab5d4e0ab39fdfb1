"""What `fintune compare` does: make every run that is not there yet, and write after each what is known so far.

The folder `<output>/<name>-compare` holds `runs/`, `baselines/` and `comparison.json`. Runs are found again by a hash of their
settings and data, so a comparison goes on where it was, and a method more costs its own runs only.

Example:
    compare("run.yaml", methods=["lora", "ia3"], seeds=3).content["recommendation"]  # "Use ia3: ..."
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fintune.comparison.baselines import ComparedBaselines
from fintune.comparison.content import ComparisonContent
from fintune.comparison.jobs import FAILURES, Jobs
from fintune.comparison.planned_runs import (
    PlannedRun,
    comparison_config,
    planned_runs,
    with_all_baselines,
    with_train_size,
)
from fintune.comparison.results import ScoredPart, comparison_results, learning_curve
from fintune.comparison.rows import ComparisonRow, method_row
from fintune.comparison.same_data import need_same_data
from fintune.config.load import ConfigSource, unchecked
from fintune.config.prepare import Prepared, announce, prepare
from fintune.config.run_config import RunConfig
from fintune.errors import ModelError, RunError
from fintune.models.references import sha256_at_hand
from fintune.runs.run import Run
from fintune.runtime.files import locked, need_place, write_atomically
from fintune.runtime.progress import tell


@dataclass(frozen=True)
class Comparison:
    """A comparison's folder and the content of its comparison.json."""

    folder: Path
    content: ComparisonContent


def compare(  # noqa: PLR0913
    source: ConfigSource,
    overrides: Sequence[str] = (),
    *,
    methods: Sequence[str] | None = None,
    seeds: int | None = None,
    sizes: Sequence[int] | None = None,
    part: str | None = None,
    jobs: int = 1,
) -> Comparison:
    """Train, score and compare; what is not given is as section `compare` of the config says. Raises FintuneError's kinds.

    With `jobs`, so many runs at a time, each in a process of its own. A method that fails is listed with its reason; ModelError
    when all do.
    """
    config = comparison_config(source, overrides, methods=methods, seeds=seeds, sizes=sizes, part=part)
    prepared = prepare(with_all_baselines(config, unchecked(source, overrides)))
    folder = folder_of(prepared.config)
    sized = {size: with_train_size(prepared, size) for size in prepared.config.compare.sizes}
    planned = planned_runs(prepared, sized, folder)
    need_place(folder / "comparison.json")
    announce(prepared)
    if prepared.config.compare.seeds == 1:
        tell("compare", "warning: with one seed, what is luck of the seed looks like a difference of the methods")
    with locked(folder, hint="Wait until it ends, or choose another name: --set name=..."):
        state = _State(prepared, folder)
        state.score_baselines(sized)
        with Jobs(jobs, planned, state.part) as running:
            for number, planned_run in enumerate(planned, 1):
                state.finish(planned_run, running, f"{number} of {len(planned)}")
        return Comparison(folder, state.write())


def folder_of(config: RunConfig) -> Path:
    """Return the folder of a config's comparison."""
    return Path(config.output).expanduser() / f"{config.name}-compare"


@dataclass
class _State:
    """What is finished so far."""

    prepared: Prepared
    folder: Path
    baselines: list[ComparisonRow] = field(default_factory=list)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    sized: dict[int, dict[str, list[Run]]] = field(default_factory=dict)
    learning: dict[int, list[ComparisonRow]] = field(default_factory=dict)
    """Rows of the baselines that learn, by size of the train part."""
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """The part all are scored on."""
        return self.prepared.config.compare.part

    @cached_property
    def _base_sha256(self) -> str | None:
        return sha256_at_hand(self.prepared.config.model.base)

    def score_baselines(self, sized: Mapping[int, Prepared]) -> None:
        """Score the baselines, on each size those that learn."""
        compared = ComparedBaselines(self.prepared, self.folder / "baselines")
        self.baselines = compared.rows(self.part)
        self.learning = {size: compared.learning_rows(smaller, self.part) for size, smaller in sized.items()}

    def finish(self, planned: PlannedRun, jobs: Jobs, number: str) -> None:
        """Train one run, or find it finished, and write what is known then."""
        if planned.label in self.failed or _row_of(planned) in self.failed:
            return
        tell("compare", f"{planned.config.name} ({number})")
        try:
            run = jobs.run_of(planned)
        except FAILURES as error:
            others = self.runs.get(planned.label) if planned.size is None else None
            where = f"with seed {planned.config.train.seed}: " if others else ""
            self.failed[_row_of(planned)] = f"{where}{error.message}"
            tell("compare", f"{_row_of(planned)} is left out: {where}{error.message}")
            return
        finished = self.runs if planned.size is None else self.sized.setdefault(planned.size, {})
        finished.setdefault(planned.label, []).append(run)
        self.write()

    def write(self) -> ComparisonContent:
        """Write comparison.json, and return what it holds. Raises ModelError when every method has failed."""
        if not set(self.runs) - set(self.failed):
            name, reason = next(iter(self.failed.items()))
            (self.folder / "comparison.json").unlink(missing_ok=True)  # it shows rows that have failed since
            raise ModelError(f"no method could be trained; {name}: {reason}", hint="Compare others: fintune methods.")
        content = self.content()
        write_atomically(self.folder / "comparison.json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        return content

    def content(self) -> ComparisonContent:
        """Return what comparison.json holds."""
        config, splits = self.prepared.config, self.prepared.splits
        scored = ScoredPart(
            examples=splits[self.part],
            task=self.prepared.task,
            name=self.part,
            leaked=self.prepared.leaks[self.part].known,
        )
        rows = [*self._rows(self.runs, scored), *self.baselines]
        sized = {size: [*self._rows(runs, scored, size), *self.learning[size]] for size, runs in self.sized.items()}
        learners = {row.name for of_size in sized.values() for row in of_size}
        whole = {len(splits["train"]): [row for row in rows if row.name in learners]} if sized else {}
        return {
            "fingerprint": need_same_data([run for runs in self.runs.values() for run in runs]),
            "part": self.part,
            "labels": list(scored.task.choices() or {}),
            "headline": list(scored.task.headline),
            "n": len(scored.examples),
            "confidence": config.evaluation.confidence,
            "seeds": [(config.train.seed + seed) % 2**32 for seed in range(config.compare.seeds)],
            **comparison_results(scored, rows, config.evaluation),
            "learning_curve": learning_curve(scored, sized | whole, config.evaluation),
            "failed": [{"name": name, "reason": reason} for name, reason in self.failed.items()],
        }

    def _rows(
        self, runs: Mapping[str, Sequence[Run]], scored: ScoredPart, size: int | None = None
    ) -> list[ComparisonRow]:
        """Rows of the methods that have not failed, or not on this size."""
        trained = [run for seeds in runs.values() for run in seeds]
        need_same_data(trained)
        _need_one_base(trained, self._base_sha256)
        return [
            method_row(name, seeds, scored.examples, part=self.part, folder=self.folder)
            for name, seeds in runs.items()
            if name not in self.failed and _row_named(name, size) not in self.failed
        ]


def _row_of(planned: PlannedRun) -> str:
    return _row_named(planned.label, planned.size)


def _row_named(label: str, size: int | None) -> str:
    return label if size is None else f"{label}, {size:,} examples"


def _need_one_base(runs: Sequence[Run], now: str | None) -> None:
    """Refuse runs of other weights than the base model has `now`, or where that is not known, than the first's."""
    digests = {run.folder: run.environment().get("base_sha256") for run in runs}
    for folder, digest in digests.items():
        if digest != (now or digests[runs[0].folder]):
            raise RunError(
                f"{folder}: trained on other weights or another tokenizer than {'the base model has now' if now else runs[0].folder}",
                hint="Restore that model, or remove the run; compare makes it again.",
            )
