"""The stages in order: what `fintune.train(config)` and the commands call.

Config and data are read and checked before any weight is loaded; the run folder appears only then.

>>> run = train("examples/quickstart.yaml")
>>> run.scores()["test"]["accuracy"].value
0.84
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from fintune import manifest
from fintune.assembly import (
    attached,
    engine,
    judged_of_train,
    load_base,
    load_tuned,
    shortcuts_of,
    trunk_cache,
    try_on,
    warn_of_bfloat16,
    work_of_steps,
)
from fintune.atomic import need_place
from fintune.challenge import challenge, need_room
from fintune.config import load
from fintune.cores import fastest_threads
from fintune.data.readers import read
from fintune.engines import Engine
from fintune.environment import describe, deterministic
from fintune.errors import DataError, UsageError
from fintune.evaluation import Evaluation, evaluate
from fintune.evaluation.claims import claims
from fintune.evaluation.overlap import claims_of_file
from fintune.evaluation.verdict import guessing_a_token
from fintune.export.model_card import model_card
from fintune.exports import Export
from fintune.foreign import ForeignAdapter
from fintune.gathering import reading_like
from fintune.making import being_made, interrupted
from fintune.methods import METHODS
from fintune.metrics import perplexity
from fintune.opening import open_engine
from fintune.preparation import Prepared, announce, data_record, encode, prepare
from fintune.progress import tell
from fintune.records import Encoded, Example, Fault, Row, Scores
from fintune.resume import need_same_base, need_same_config, need_same_data, threads_of, where_it_lies
from fintune.run import Run, run_of
from fintune.sections import RunConfig, TrainSection
from fintune.signals import deferred
from fintune.tasks import TASKS, Task

if TYPE_CHECKING:
    from fintune.evaluation.forgetting import Perplexity
    from fintune.models import LoadedModel
    from fintune.training.trainer import Hooks, Judgement
    from fintune.trunk.shortcuts import Shortcuts

_STORING = Lock()
"""of two parts that are scored side by side, neither loses the other's scores"""


def train(
    source: str | Path | Mapping[str, Any] | RunConfig,
    overrides: Sequence[str] = (),
    *,
    overwrite: bool = False,
    resume: bool = False,
) -> Run:
    """Fine-tune, score and save: a config in, a complete run folder out. Raises FintuneError's kinds.

    `overwrite` replaces a run of that name. `resume` goes on with an interrupted one (finished: nothing is left to do;
    none: it begins), and ends in the same adapter as if it had never been interrupted.
    """
    if resume and overwrite:
        raise UsageError("--resume goes on with a run, --overwrite begins anew", hint="Give one of the two.")
    prepared = prepare(where_it_lies(source, overrides, load(source, overrides), resume=resume))
    if resume:
        before = interrupted(prepared.config) or run_of(prepared.config)
        if before.exists():
            need_same_config(before, prepared.config)
            need_same_data(before, prepared)
        if before.is_finished():
            tell("train", "finished already")
            return before
    announce(prepared)
    with (
        being_made(prepared.config, overwrite=overwrite, resume=resume) as run,
        deterministic(threads_of(run, prepared.config) or fastest_threads()),
    ):
        begun = run.has_begun_training()
        if not begun:
            run.write_json("data.json", data_record(prepared))
            run.write_dropped(prepared.dropped)
        _score(prepared, _fit(prepared, run, resume=begun), run)
    return run


def score_part(run: Run, part: str, running: Engine | None = None) -> Evaluation:
    """Score one part of a run's own data with its adapter, and store scores and predictions; with another engine, store nothing."""
    manifest.need_unchanged(run)
    prepared = _prepared_again(run)
    if running is not None:
        return _judged(run, prepared, part, running)
    return _scored_again(run, prepared, [part], anew=False)[part]


def score_anew(run: Run) -> dict[str, Evaluation]:
    """Score a run's own data with adapter, settings and base model as they are now, and record these as what was scored."""
    prepared = _prepared_again(run)
    return _scored_again(run, prepared, list(dict.fromkeys(["validation", *run.scores()])), anew=True)


def _prepared_again(run: Run) -> Prepared:
    """The data of a run. Raises DataError for other data than it was trained on."""
    prepared = prepare(run.config())
    if prepared.splits.fingerprint != run.data()["fingerprint"]:
        raise DataError(
            f"{prepared.sources[0]['path']}: not the data this run was trained on (another fingerprint)",
            hint="Restore the file, or train again.",
        )
    return prepared


def _judged(run: Run, prepared: Prepared, part: str, running: Engine) -> Evaluation:
    """The scores of a part, and what can be said of them."""
    found = _evaluate(prepared.config, prepared.task, prepared.splits[part], running, part)
    return replace(found, claims=claims(run, {part: found.predictions}, run.baselines(), prepared.leaks))


def _scored_again(run: Run, prepared: Prepared, parts: Sequence[str], *, anew: bool) -> dict[str, Evaluation]:
    """Score parts with the adapter as it was saved, and store that."""
    need_place(run.folder / "scores.json")
    with deterministic(threads_of(run, prepared.config) or fastest_threads(), shared=True):
        tuned = load_tuned(run, anew=anew)
        running = engine(prepared.config, tuned)
        found = {part: _judged(run, prepared, part, running) for part in parts}
    with _STORING:
        if anew:
            run.write_json("environment.json", run.environment() | {"base_sha256": tuned.sha256})
            manifest.write(run, tuned)
        for part in parts:
            _store(run, prepared.task, part, found[part])
    return found


def _store(run: Run, task: Task, part: str, found: Evaluation) -> None:
    run.write_predictions(part, found.predictions)
    said = run.claims().with_parts_of(found.claims)
    run.write_scores(_task_record(task), run.scores() | {part: found.scores}, run.baselines(), said)
    run.write_text("README.md", model_card(run))


def score_file(
    source: Run | Export | ForeignAdapter,
    path: str,
    *,
    name: str | None = None,
    encoding: str | None = None,
    running: Engine | None = None,
) -> Evaluation:
    """Score a run, an export or an adapter on a labelled file of its task, read as in training unless told; stores nothing."""
    config = source.config()
    task = TASKS[config.task.name].build(config.task)
    rows = read(path, reading_like(config.data, path, name=name, encoding=encoding))
    examples = [_example(task, row) for row in rows if row.text]
    if not examples:
        raise DataError(f"{path}: no labelled texts", hint="Give it at least one row.")
    if running is None:
        running = open_engine(source)
    found = _evaluate(config, task, examples, running, Path(path).name)
    return replace(found, claims=claims_of_file(source, path, examples, found.predictions))


def _example(task: Task, row: Row) -> Example:
    parsed = task.parse(row)
    if isinstance(parsed, Fault):
        raise DataError(f"{parsed.where}: {parsed.problem}", hint=parsed.hint)
    return parsed


def _fit(prepared: Prepared, run: Run, *, resume: bool) -> "LoadedModel":
    """Train, keep the best adapter in the run, and return the base model, clean."""
    from fintune.training.memory import forget_peak
    from fintune.training.trainer import train as fit

    forget_peak()
    config, method = prepared.config, METHODS[prepared.config.method.name]
    try_on(config)
    base = load_base(config)
    encoded = encode(prepared, base)
    need_room(prepared, base)
    if resume:
        need_same_base(run, config.model.base, base.sha256)
    else:
        run.write_json("data.json", data_record(prepared, encoded))
    tuned = attached(config, base, encoded)
    trainable, total = tuned.parameters()
    tell(
        "model",
        f"{config.model.base} ({base.kind}, {base.device}) · {method.name} · "
        f"{trainable:,} of {total:,} parameters train ({trainable / total:.2%})",
    )
    warn_of_bfloat16(config, base)
    settings = _settings(run, config, tuned, encoded, resume=resume)
    shortcuts = shortcuts_of(config, tuned, trunk_cache(prepared, tuned, encoded))
    found = {
        "seed": config.train.seed,
        "batch_size": settings.batch_size,
        "objective": "tokens" if shortcuts.rows is None else "candidates",
        "trunk_depth": shortcuts.trunk and shortcuts.trunk.trunk.depth,
        "trainable_parameters": trainable,
        "parameters": total,
        "base_sha256": base.sha256,
    }
    run.write_environment(describe() | found, resumed=resume)
    with deferred() as stop:
        lengths = [len(e.labels) for e in encoded]
        hooks = replace(
            _hooks(prepared, tuned, run, shortcuts),
            guessing=guessing_a_token([e.label for e in prepared.splits["train"]], lengths, config.train),
            should_stop=stop, interruptible=stop.at_once, **work_of_steps(config, tuned),
        )  # fmt: skip
        best = fit(tuned, encoded, settings, hooks, folder=run.checkpoints, resume=resume)
    tell("train", f"best epoch by validation macro-F1: {best}")
    can_unload = method.saved_format == "peft" and not config.model.quantized  # IA3's refuses on 4-bit layers
    if can_unload and not config.method.changes_base():
        return replace(base, model=tuned.model.unload())
    return load_base(config)


def _settings(
    run: Run, config: RunConfig, tuned: "LoadedModel", encoded: Sequence[Encoded], *, resume: bool
) -> TrainSection:
    """The train section with what was automatic as a number: that of the run so far, or one found now."""
    from fintune.training.batch_size import resolved

    known = run.environment().get("batch_size") if resume else None
    size = known or resolved(tuned, encoded, config.train, config.method.model_dump(), shortcuts_of(config, tuned))
    return config.train.model_copy(update={"batch_size": size})


def _hooks(prepared: Prepared, tuned: "LoadedModel", run: Run, shortcuts: "Shortcuts") -> "Hooks":
    from fintune.training.trainer import Hooks, Judgement

    running = engine(prepared.config, tuned, shortcuts)
    train_part, validation = prepared.splits["train"], prepared.splits["validation"]
    count = judged_of_train(len(train_part), len(validation))
    chosen = np.random.default_rng(prepared.config.train.seed).permutation(len(train_part))[:count]
    sample = [train_part[i] for i in sorted(chosen.tolist())]

    def judge(epoch: int) -> "Judgement":
        tuned.model.eval()
        figures: dict[str, float] = {}
        for name, examples in (("train", sample), ("validation", validation)):
            scores = evaluate(running, prepared.task, examples, resamples=0, stage=f"score {name}").scores
            loss, accuracy, f1 = (scores[metric].value for metric in ("answer_loss", "accuracy", "macro_f1"))
            figures |= {f"{name}_loss": loss, f"{name}_perplexity": perplexity(loss)}
            figures |= {f"{name}_accuracy": accuracy, f"{name}_macro_f1": f1}
            tell(
                f"epoch {epoch}",
                f"{name:<11}loss {loss:.4f} · perplexity {perplexity(loss):.3f} · accuracy {accuracy:.1%} · macro-F1 {f1:.1%}",
            )
        return Judgement(figures["validation_macro_f1"], figures["validation_loss"], figures)

    return Hooks(
        judge=judge,
        keep=lambda: run.save_adapter(tuned.model),
        log=run.append_log,
        rewind=run.keep_log,
        shortcuts=shortcuts,
    )


def _score(prepared: Prepared, base: "LoadedModel", run: Run) -> None:
    """Score the adapter as it was saved on the clean base model, and the baselines, of which that model alone is one."""
    from fintune.evaluation.forgetting import base_perplexity, general_texts, perplexity_on
    from fintune.models import load_adapter

    config = prepared.config
    parts = ["validation", "test"] if config.evaluation.test else ["validation"]
    baselines: dict[str, dict[str, Scores]] = {}
    for name, answered in challenge(prepared, base, parts[-1]).items():
        run.write_predictions(parts[-1], answered.predictions, name)
        baselines[name] = {parts[-1]: answered.scores}
    measured = config.evaluation.forgetting and base.kind == "causal"
    before = base_perplexity(base, general_texts()) if measured else None
    tuned = load_adapter(base, run.adapter)
    _forgetting(run, config, before, perplexity_on(tuned, general_texts()) if measured else None)
    answers, scores = {}, {}
    for part in parts:
        begun = time.monotonic()
        found = _evaluate(config, prepared.task, prepared.splits[part], engine(config, tuned), part)
        seconds = time.monotonic() - begun
        run.write_predictions(part, found.predictions)
        answers[part], scores[part] = found.predictions, found.scores
    run.write_costs(1000 * seconds / len(prepared.splits[parts[-1]]))
    said = claims(run, answers, baselines, prepared.leaks)
    run.write_scores(_task_record(prepared.task), scores, baselines, said)
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
    resamples, confidence = config.evaluation.resamples, config.evaluation.confidence
    found = evaluate(running, task, examples, stage=f"score {part}", resamples=resamples, confidence=confidence)
    if found.cut:
        tell(
            "data",
            f"{part}: {found.cut} of {len(examples)} texts exceed {config.model.max_length} tokens and lost their middle",
        )
    return found


def _task_record(task: Task) -> dict[str, Any]:
    return {"name": task.name, "version": task.version}
