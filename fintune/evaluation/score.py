"""A run's parts, and other files, scored by the adapter as it was saved."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from fintune.config.prepare import Prepared, prepare
from fintune.config.run_config import RunConfig
from fintune.data.load import parsed_row
from fintune.data.readers.columns import fault_error
from fintune.data.readers.read import read
from fintune.data.reading import reading_like
from fintune.data.settings import DataSection
from fintune.errors import DataError
from fintune.evaluation.baselines import score_baselines
from fintune.evaluation.claims import claims
from fintune.evaluation.evaluate import Evaluation, evaluate, scoring_options
from fintune.evaluation.overlap import claims_of_file
from fintune.inference.engines import Engine
from fintune.inference.foreign import ForeignAdapter
from fintune.inference.load import engine, load_tuned
from fintune.inference.open import open_engine
from fintune.records import Example, Fault, Row, Scores
from fintune.runs import manifest
from fintune.runs.exported import Export
from fintune.runs.model_card import model_card
from fintune.runs.resume import threads_of
from fintune.runs.run import Run
from fintune.runs.schema import TaskRecord
from fintune.runtime.environment import deterministic
from fintune.runtime.files import need_place
from fintune.runtime.progress import tell
from fintune.runtime.threads import fastest_threads
from fintune.tasks import Task

if TYPE_CHECKING:
    from fintune.evaluation.forgetting import Perplexity
    from fintune.models import LoadedModel


_STORING = Lock()
"""Held while scores are stored: of two parts that are scored side by side, neither loses the other's."""


def score_part(run: Run, part: str, running: Engine | None = None) -> Evaluation:
    """Score one part of a run's own data with its adapter, and store scores and predictions; with another engine, store nothing."""
    manifest.need_unchanged(run)
    prepared = prepared_again(run)
    if running is not None:
        return _judged(run, prepared, part, running)
    return _scored_again(run, prepared, [part], anew=False)[part]


def score_anew(run: Run) -> dict[str, Evaluation]:
    """Score a run's own data with adapter, settings and base model as they are now, and record these as what was scored."""
    run.refresh()
    prepared = prepared_again(run)
    return _scored_again(run, prepared, list(dict.fromkeys(["validation", *run.scores()])), anew=True)


def prepared_again(run: Run) -> Prepared:
    """Return the data of a run. Raises DataError for other data than it was trained on."""
    prepared = prepare(run.config())
    if prepared.splits.fingerprint != run.data()["fingerprint"]:
        raise DataError(
            f"{prepared.sources[0]['path']}: not the data this run was trained on (another fingerprint)",
            hint="Restore the file, or train again.",
        )
    return prepared


def _judged(run: Run, prepared: Prepared, part: str, running: Engine) -> Evaluation:
    """Return the scores of a part, and what can be said of them."""
    evaluation = _evaluate(prepared.config, prepared.task, prepared.splits[part], running, part)
    answers, parts = {part: evaluation.predictions}, prepared.splits.parts
    return replace(evaluation, claims=claims(run, answers, run.baselines(), prepared.leaks, parts))


def _scored_again(run: Run, prepared: Prepared, parts: Sequence[str], *, anew: bool) -> dict[str, Evaluation]:
    """Score parts with the adapter as it was saved, and store that."""
    need_place(run.folder / "scores.json")
    with deterministic(threads_of(run, prepared.config) or fastest_threads(), shared=True):
        tuned = load_tuned(run, anew=anew)
        running = engine(prepared.config, tuned)
        evaluations = {part: _judged(run, prepared, part, running) for part in parts}
    with _STORING:
        run.refresh()
        if anew:
            run.add_to_environment({"base_sha256": tuned.sha256})
            manifest.write(run, tuned)
        for part in parts:
            _store(run, prepared.task, part, evaluations[part])
    return evaluations


def _store(run: Run, task: Task, part: str, evaluation: Evaluation) -> None:
    run.write_predictions(part, evaluation.predictions)
    all_claims = run.claims().with_parts_of(evaluation.claims)
    run.write_scores(_task_record(task), run.scores() | {part: evaluation.scores}, run.baselines(), all_claims)
    run.write_text("README.md", model_card(run))


def score_file(
    source: Run | Export | ForeignAdapter,
    path: str,
    *,
    name: str | None = None,
    encoding: str | None = None,
    running: Engine | None = None,
    told: DataSection | None = None,
) -> Evaluation:
    """Score a run, an export or an adapter on a labeled file of its task, read as in training or as it was told; stores nothing."""
    config = source.config()
    task = config.build_task()
    rows = read(path, reading_like(config.data, task, path, name=name, encoding=encoding, told=told))
    examples = [example for row in rows if row.text for example in _examples(task, row)]
    if not examples:
        raise DataError(f"{path}: no labeled texts", hint="Give it at least one row.")
    if running is None:
        running = open_engine(source)
    evaluation = _evaluate(config, task, examples, running, Path(path).name)
    return replace(evaluation, claims=claims_of_file(source, path, examples, evaluation.predictions))


def _examples(task: Task, row: Row) -> list[Example]:
    parsed = parsed_row(task, row)
    if (fault := next((one for one in parsed if isinstance(one, Fault)), None)) is not None:
        raise fault_error(fault)
    return [one for one in parsed if isinstance(one, Example)]


def score_trained(prepared: Prepared, base: "LoadedModel", run: Run) -> None:
    """Score the adapter as it was saved on the clean base model, and the baselines, of which that model alone is one."""
    from fintune.evaluation.forgetting import base_perplexity, general_texts, perplexity_on
    from fintune.methods.adapter import load_adapter

    config = prepared.config
    parts = ["validation", "test"] if config.evaluation.test else ["validation"]
    baselines: dict[str, dict[str, Scores]] = {}
    for name, answered in score_baselines(prepared, base, parts[-1]).items():
        run.write_predictions(parts[-1], answered.predictions, name)
        baselines[name] = {parts[-1]: answered.scores}
    measured = config.evaluation.forgetting and base.kind == "causal"
    before = base_perplexity(base, general_texts()) if measured else None
    tuned = load_adapter(base, run.adapter)
    _forgetting(run, config, before, perplexity_on(tuned, general_texts()) if measured else None)
    answers, scores, seconds = {}, {}, {}
    for part in parts:
        begun = time.monotonic()
        evaluation = _evaluate(config, prepared.task, prepared.splits[part], engine(config, tuned), part)
        seconds[part] = time.monotonic() - begun
        run.write_predictions(part, evaluation.predictions)
        answers[part], scores[part] = evaluation.predictions, evaluation.scores
    run.write_costs(1000 * seconds[parts[-1]] / len(prepared.splits[parts[-1]]))
    model_claims = claims(run, answers, baselines, prepared.leaks, prepared.splits.parts)
    run.write_scores(_task_record(prepared.task), scores, baselines, model_claims)
    manifest.write(run, tuned)
    run.write_text("README.md", model_card(run))


def _forgetting(run: Run, config: RunConfig, before: "Perplexity | None", after: "Perplexity | None") -> None:
    if before is None or after is None:
        if config.evaluation.forgetting:
            tell("forgetting", "not measured: an encoder-decoder has no perplexity of running text")
    else:
        run.write_json("forgetting.json", {"before": before.value, "after": after.value, "tokens": before.tokens})
        tell("forgetting", f"perplexity on general text {before.value:.2f} before, {after.value:.2f} after")


def _evaluate(config: RunConfig, task: Task, examples: Sequence[Example], running: Engine, part: str) -> Evaluation:
    evaluation = evaluate(running, task, examples, stage=f"score {part}", **scoring_options(config))
    if evaluation.cut:
        tell(
            "data",
            f"{part}: {evaluation.cut} of {len(examples)} texts exceed {config.model.max_length} tokens and lost their middle",
        )
    return evaluation


def _task_record(task: Task) -> TaskRecord:
    return {"name": task.name, "version": task.version, "headline": list(task.headline), "kind": task.kind}
