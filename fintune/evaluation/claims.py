"""What scores.json says beside its figures: what they are worth, and what is left of them on texts that are new to the model.

Example:
    claims(run, {"test": predictions}, {"tfidf": ["test"]}, prepared.leaks, prepared.splits.parts).verdicts["test"][0].text
    # 'Of its 496 texts 17 stand in train too, ...'
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fintune.config.run_config import RunConfig
from fintune.data.quality.findings import share_level
from fintune.data.quality.leaks import Leaks
from fintune.data.quality.report import TRAIN_MEAN
from fintune.errors import DataError
from fintune.evaluation.evaluate import score, scoring_options
from fintune.evaluation.slice_tests import slice_statements, sliced
from fintune.evaluation.verdict import TrainAnswers, judge
from fintune.records import Claims, Example, Prediction, Scores, Statement
from fintune.runs.adapter_store import is_kept
from fintune.runs.run import Run
from fintune.runtime.progress import tell
from fintune.tasks import Task
from fintune.tasks.lookup import metric_of

_OWN = ""
"""The name of the model among those of the baselines."""


def claims(
    run: Run,
    answers: Mapping[str, Sequence[Prediction]],
    baselines: Mapping[str, Collection[str]],
    leaks: Mapping[str, Leaks],
    examples: Mapping[str, Sequence[Example]],
) -> Claims:
    """Return what the model's answers to parts are worth, beside those that the run stores of its baselines (name -> parts)."""
    config, all_parts = run.config(), Claims()
    for part, answered in answers.items():
        if part != "train":
            names = [name for name, of in baselines.items() if part in of]
            if is_kept(run.folder):  # without what its baselines have answered
                names = [name for name in names if run.has_predictions(part, name)]
            beside = {name: run.predictions(part, name) for name in names}
            known = leaks.get(part, Leaks())
            whole = claims_of_part(part, answered, beside, known, config, train_answers(run))
            all_parts = all_parts.with_parts_of(with_slices(whole, part, answered, known, config, examples[part]))
    return all_parts


def train_answers(run: Run) -> TrainAnswers:
    """Return what the run's record of its data says of the train part's answers."""
    report: Mapping[str, Any] = run.data()["report"]
    return TrainAnswers(report.get("parts", {}).get("train", {}), report.get("values", {}).get(TRAIN_MEAN))


def claims_of_part(
    part: str,
    answered: Sequence[Prediction],
    beside: Mapping[str, Sequence[Prediction]],
    leaks: Leaks,
    config: RunConfig,
    train: TrainAnswers,
) -> Claims:
    """Return what answers to one part, or to a file, are worth, judged on the rows that are new to the model.

    Where no row is new, what speaks against the model
    on known rows does so all the more; what speaks for it is left out.
    """
    task = config.build_task()
    options = scoring_options(config)
    new = {name: [p for p in of if p.id not in leaks.known] for name, of in {**beside, _OWN: answered}.items()}
    clean = {name: score(of, task, **options) for name, of in new.items() if leaks.known and of}
    own = new.pop(_OWN)
    judged = judge(task, own or answered, new if own else beside, train, **options)
    worth = [s for s in judged if own or s.kind not in ("ahead", "undecided", "too-few")]
    statements = [*leak_statements(task, leaks, answered, clean.get(_OWN)), *worth]
    splits = {part: clean.pop(_OWN)} if _OWN in clean else {}
    return Claims({part: statements}, splits, {name: {part: scores} for name, scores in clean.items()})


def with_slices(
    whole: Claims,
    part: str,
    answered: Sequence[Prediction],
    leaks: Leaks,
    config: RunConfig,
    examples: Sequence[Example],
) -> Claims:
    """Return claims of a part with its slices, and a warning for each that is worse; `examples` are those that were answered.

    Of the rows that are new to the model, where there are any; where the whole is worth nothing, no slice is warned of.
    """
    judged = [p for p in answered if p.id not in leaks.known] or answered
    how = scoring_options(config)
    try:
        slices = sliced(config.build_task(), judged, examples, date_format=config.data.date_format, **how)
    except (
        DataError
    ) as error:  # a task of one's own may fail on few texts; the scores of all are worth more than slices
        tell("slices", f"left out: {error.message}")
        slices = []
    said = whole.of(part)
    if not any(one.level == "severe" and one.kind != "leaks" for one in said):
        said = [*said, *slice_statements(slices, len(judged))]
    return replace(whole, verdicts=whole.verdicts | {part: said}, slices={part: slices})


def leak_statements(task: Task, leaks: Leaks, answered: Sequence[Prediction], clean: Scores | None) -> list[Statement]:
    """Return what rows that are known to the model, or that have two labels, make of a score."""
    n, odd = f"{len(answered):,}", f"{len(leaks.conflicts):,}"
    statements = [_leaking(task, leaks, answered, clean)] if leaks.known else []
    if leaks.conflicts:
        text = f"{odd} of its {n} texts bear another label elsewhere in the data: no model is right on all."
        statements.append(Statement(kind="conflicts", level="note", text=text, values={"n": n, "rows": odd}))
    return statements


def _leaking(task: Task, leaks: Leaks, answered: Sequence[Prediction], clean: Scores | None) -> Statement:
    n, train, also = len(answered), len(leaks.train), len(set(leaks.validation) - set(leaks.train))
    places = [f"{train:,} stand in train"] if train else []
    places += [f"{also:,} stand in validation, by which the epoch was chosen"] if also else []
    values = {"n": f"{n:,}", "train": f"{train:,}", "validation": f"{also:,}"}
    head = f"Of its {n:,} texts {' and '.join(places)}, word by word or nearly:"
    if clean is None:
        text = f"{head} none is new to the model, and how good it is on new ones is not known."
        return Statement(kind="all-leak", level="severe", text=text, values=values)
    metric = metric_of(task.tested[0])
    new, own = f"{clean[metric.name].n:,}", metric.written(clean[metric.name].value)
    whole = metric.written(score(answered, task, resamples=0)[metric.name].value)
    text = f"{head} on the {new} that are new to the model {metric.title} is {own} (on all {whole})."
    level = share_level(len(leaks.known), n, 0.01)
    return Statement(
        kind="leaks",
        level=level,
        text=text,
        values=values | {"metric": metric.name, "new": new, "own": own, "whole": whole},
    )
