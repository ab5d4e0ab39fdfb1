"""The stages in order: what `fintune.train(config)` and the commands call.

Config and data are read and checked before any weight is loaded; the run folder appears only then.

Example:
    train("examples/quickstart.yaml").scores()["test"]
    # {...: Score(value=0.857, low=0.808, high=0.907, n=182), ...}
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fintune.config.load import ConfigSource, load
from fintune.config.prepare import Prepared, announce, prepare
from fintune.config.run_config import RunConfig
from fintune.config.train import TrainSection
from fintune.data.prepare import data_record
from fintune.errors import UsageError
from fintune.evaluation.baselines import need_room
from fintune.evaluation.evaluate import evaluate
from fintune.evaluation.guessing import guessing_a_token
from fintune.evaluation.score import score_trained
from fintune.inference.load import engine, load_base, shortcuts_of
from fintune.methods import METHODS
from fintune.records import Encoded, Scores
from fintune.runs.lifecycle import being_made, interrupted
from fintune.runs.resume import need_same_base, need_same_config, need_same_data, threads_of, where_it_lies
from fintune.runs.run import Run, run_of
from fintune.runs.version import need_begun_by_this
from fintune.runtime.environment import describe, deterministic
from fintune.runtime.progress import tell
from fintune.runtime.signals import deferred
from fintune.runtime.threads import fastest_threads
from fintune.tasks.lookup import metric_of
from fintune.tasks.metrics import perplexity
from fintune.training.build import attached, judged_of_train, trunk_cache, try_method, warn_of_bfloat16, work_of_steps
from fintune.training.encode import encode, token_lengths

if TYPE_CHECKING:
    from fintune.models import LoadedModel
    from fintune.models.shortcuts.shortcuts import Shortcuts
    from fintune.training.loop.trainer import Hooks, Judgment


_DRAWS = 200
"""Resamples of the validation part when an epoch is judged."""
_ERRORS = 3.92
"""Standard errors in a 95 % interval."""


def train(
    source: ConfigSource,
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
            if not before.is_finished():
                need_begun_by_this(before.folder)
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
        score_trained(prepared, _fit(prepared, run, resume=begun), run)
    return run


def _fit(prepared: Prepared, run: Run, *, resume: bool) -> "LoadedModel":
    """Train, keep the best adapter in the run, and return the base model, clean."""
    from fintune.runtime.memory import forget_peak
    from fintune.training.loop.trainer import train as fit

    forget_peak()
    config, method = prepared.config, METHODS[prepared.config.method.name]
    try_method(config)
    base = load_base(config)
    encoded = encode(prepared, base)
    need_room(prepared, base)
    if resume:
        need_same_base(run, config.model.base, base.sha256)
    else:
        run.write_json("data.json", data_record(prepared, token_lengths(prepared, encoded)))
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
    facts = {
        "seed": config.train.seed,
        "batch_size": settings.batch_size,
        "objective": "tokens" if shortcuts.rows is None else "candidates",
        "trunk_depth": shortcuts.trunk and shortcuts.trunk.trunk.depth,
        "trainable_parameters": trainable,
        "parameters": total,
        "base_sha256": base.sha256,
    }
    run.write_environment(describe() | facts, resumed=resume)
    with deferred() as stop:
        lengths = [len(e.answer_ids) for e in encoded]
        hooks = replace(
            _hooks(prepared, tuned, run, shortcuts),
            guessing=guessing_a_token(_labels_of_train(prepared), lengths, config.train),
            should_stop=stop, interruptible=stop.at_once, **work_of_steps(config, tuned),
        )  # fmt: skip
        best = fit(tuned, encoded, settings, hooks, folder=run.checkpoints, resume=resume)
    tell("train", f"kept epoch {best}, by validation {metric_of(prepared.task.headline[0]).title}")
    can_unload = method.saved_format == "peft" and not config.model.quantized  # IA3's refuses on 4-bit layers
    if can_unload and not config.method.changes_base():
        return replace(base, model=tuned.model.unload())
    return load_base(config)


def _settings(
    run: Run, config: RunConfig, tuned: "LoadedModel", encoded: Sequence[Encoded], *, resume: bool
) -> TrainSection:
    """Return the train section with what was automatic as a number: that of the run so far, or one found now."""
    from fintune.training.loop.auto_batch_size import resolved

    recorded = run.environment().get("batch_size") if resume else None
    size = recorded or resolved(tuned, encoded, config.train, config.method.model_dump(), shortcuts_of(config, tuned))
    return config.with_(train__batch_size=size).train


def _hooks(prepared: Prepared, tuned: "LoadedModel", run: Run, shortcuts: "Shortcuts") -> "Hooks":
    from fintune.training.loop.trainer import Hooks, Judgment

    running = engine(prepared.config, tuned, shortcuts)
    train_part, validation = prepared.splits["train"], prepared.splits["validation"]
    count = judged_of_train(len(train_part), len(validation))
    chosen = np.random.default_rng(prepared.config.train.seed).permutation(len(train_part))[:count]
    sample = [train_part[i] for i in sorted(chosen.tolist())]

    headline = prepared.task.headline

    def judge(epoch: int) -> "Judgment":
        tuned.model.eval()
        figures: dict[str, float] = {}
        for name, examples in (("train", sample), ("validation", validation)):
            draws = _DRAWS if name == "validation" else 0
            scores = evaluate(running, prepared.task, examples, resamples=draws, stage=f"score {name}").scores
            loss = scores["answer_loss"].value
            figures |= {f"{name}_loss": loss, f"{name}_perplexity": perplexity(loss)}
            figures |= {f"{name}_{metric}": scores[metric].value for metric in headline}
            tell(
                f"epoch {epoch}",
                f"{name:<11}loss {loss:.4f} · perplexity {perplexity(loss):.3f} · {_in_words(scores, headline)}",
            )
        first = scores[headline[0]]
        error = (first.high - first.low) / _ERRORS
        return Judgment(metric_of(headline[0]).gain(first.value), figures["validation_loss"], figures, error)

    return Hooks(
        judge=judge,
        keep=lambda: run.save_adapter(tuned.model),
        log=run.append_log,
        rewind=run.keep_log,
        shortcuts=shortcuts,
    )


def _in_words(scores: Scores, headline: Sequence[str]) -> str:
    """Return headline metrics as a line of the screen has them."""
    shown = ((metric_of(name), scores[name].value) for name in headline)
    return " · ".join(f"{metric.title} {metric.written(value)}" for metric, value in shown)


def _labels_of_train(prepared: Prepared) -> list[str | None]:
    """Return the label of each training example; None where it has shares of several, or its task no labels, whatever the strata."""
    labeled = prepared.task.kind == "labels"
    return [e.stratum if labeled and e.shares is None else None for e in prepared.splits["train"]]
