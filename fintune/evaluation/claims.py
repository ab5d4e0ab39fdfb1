"""What scores.json says beside its figures: what they are worth, and what is left of them on texts that are new to the model.

>>> found = claims(run, {"test": predictions}, {"tfidf": ["test"]}, prepared.leaks)
>>> found.splits["test"]["accuracy"].n, found.verdicts["test"][0].text
(479, 'Of its 496 texts 17 stand in train too, ...')
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fintune.data.findings import share_level
from fintune.data.leaks import Leaks
from fintune.evaluation.evaluate import score
from fintune.evaluation.verdict import judge
from fintune.records import Claims, Prediction, Scores, Statement
from fintune.run import Run
from fintune.tasks import TASKS


def claims(
    run: Run,
    answers: Mapping[str, Sequence[Prediction]],
    baselines: Mapping[str, Collection[str]],
    leaks: Mapping[str, Leaks],
) -> Claims:
    """What the model's answers to parts are worth, beside those that the run stores of its baselines (name -> parts)."""
    config, found = run.config(), Claims()
    task = TASKS[config.task.name].build(config.task)
    options: dict[str, Any] = {"resamples": config.evaluation.resamples, "confidence": config.evaluation.confidence}
    counts = run.data()["report"]["parts"].get("train", {})
    for part, answered in answers.items():
        if part == "train":
            continue
        known = leaks.get(part, Leaks())
        beside = {name: run.predictions(part, name) for name, of in baselines.items() if part in of}
        new = [p for p in answered if p.id not in known.known]
        if known.known and new:
            found.splits[part] = score(new, task, **options)
            for name, predictions in beside.items():
                clean = [p for p in predictions if p.id not in known.known]
                found.baselines.setdefault(name, {})[part] = score(clean, task, **options)
        said = told_of_leaks(known, answered, found.splits.get(part))
        found.verdicts[part] = [*said, *judge(new, beside, task.labels, counts, **options)]
    return found


def told_of_leaks(known: Leaks, answered: Sequence[Prediction], clean: Scores | None) -> list[Statement]:
    """What rows that are known to the model, or that have two labels, make of a score."""
    n, odd, found = f"{len(answered):,}", f"{len(known.conflicts):,}", []
    if known.known:
        found.append(_leaking(known, answered, clean))
    if known.conflicts:
        text = f"{odd} of its {n} texts bear another label elsewhere in the data: no model is right on all."
        found.append(Statement("conflicts", "note", text, {"n": n, "rows": odd}))
    return found


def _leaking(known: Leaks, answered: Sequence[Prediction], clean: Scores | None) -> Statement:
    n, train, also = len(answered), len(known.train), len(set(known.validation) - set(known.train))
    places = [f"{train:,} stand in train"] if train else []
    places += [f"{also:,} stand in validation, by which the epoch was chosen"] if also else []
    values = {"n": f"{n:,}", "train": f"{train:,}", "validation": f"{also:,}"}
    head = f"Of its {n:,} texts {' and '.join(places)}, word by word or nearly:"
    if clean is None:
        text = f"{head} none is new to the model, and how good it is on new ones is not known."
        return Statement("all-leak", "severe", text, values)
    new, own = f"{clean['accuracy'].n:,}", f"{100 * clean['accuracy'].value:.1f} %"
    whole = f"{100 * sum(p.label == p.gold for p in answered) / n:.1f} %"
    text = f"{head} on the {new} that are new to the model accuracy is {own} (on all {whole})."
    level = share_level(len(known.known), n, 0.01)
    return Statement("leaks", level, text, values | {"new": new, "own": own, "whole": whole})
