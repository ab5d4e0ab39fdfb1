"""What a report says first: a sentence for who decides, and the key figures.

An example: On 452 texts it has never seen, its mean error is 0.41 (95 % interval 0.36 to 0.47).
"""

from functools import partial

from markupsafe import Markup

from fintune.inference import confidence
from fintune.records import Score
from fintune.report import comparing
from fintune.report.run_files import RunFiles
from fintune.report.words import (
    Translator,
    baseline_name,
    both,
    count,
    duration,
    figure,
    in_both,
    metric_heading,
    metric_title,
    part_name,
    percent,
    size,
    written,
)
from fintune.runs.schema import ComparisonRecord
from fintune.tasks.lookup import of_labels

SURE = 0.95
"""Confidence from which an answer would be taken without a second look."""
_NAMED = 6
"""Methods of a group that a sentence names."""

Fact = tuple[Markup, str, str | Markup]
"""A key figure: its name, its value, and what stands below."""


def lead(run: RunFiles, t: Translator) -> str:
    """Return how good the model is, and beside what."""
    metric = run.metric
    if (score := run.figures.get(metric)) is None:
        return t("lead.none")
    key = f"lead.{run.part}"
    if leaked := _leaked(run, score.n):
        key = "lead.known" if leaked < score.n else "lead.all_known"
    shown = {"metric": metric_title(metric, t), "level": percent(run.level, 0), **_points(metric, score)}
    sentences = [t(key, n=count(score.n), known=count(leaked), **shown)]
    if (new := run.clean.get(metric)) is not None:
        sentences.append(t("lead.new", n=count(new.n), **_points(metric, new)))
    if beside := _beside(run, t):
        sentences.append(t("lead.beside", rows=t("comma").join(beside)))
    return t("gap").join(sentences)


def _beside(run: RunFiles, t: Translator) -> list[str]:
    """Return each baseline with its score."""
    return [
        t("lead.beside_row", name=baseline_name(name, t), value=written(run.metric, parts[run.part][run.metric].value))
        for name, parts in sorted(run.baselines.items(), reverse=True)
        if run.metric in parts.get(run.part, {})
    ]


def _leaked(run: RunFiles, n: int) -> int:
    """Return how many of the texts of the reported part are known to the model."""
    if (new := run.clean.get(run.metric)) is not None:
        return n - new.n
    return n if any(statement.kind == "all-leak" for statement in run.claims.of(run.part)) else 0


def details(run: RunFiles, t: Translator) -> str:
    """Return the weakest label, and what confidence is worth."""
    return t("gap").join([*_weakest(run, t), *_sureness(run, t)])


def _weakest(run: RunFiles, t: Translator) -> list[str]:
    if by_label := of_labels(run.figures):
        *_, metric = next(iter(by_label.values()))  # the last sums up those before it
        label, scores = min(by_label.items(), key=lambda item: item[1][metric].value)
        shown = {"metric": metric_title(metric, t), **_points(metric, scores[metric])}
        return [t("lead.weakest", label=label, **shown)]
    return []


def _sureness(run: RunFiles, t: Translator) -> list[str]:
    if not (weighed := run.weighed):
        return []
    off = t("lead.ece", points=f"{100 * ece(run):.1f}")
    if not (sure := [p.right for p in weighed if p.confidence >= SURE]):
        return [off]
    share, right = len(sure) / len(weighed), sum(sure) / len(sure)
    return [t("lead.sure", share=percent(share), right=percent(right)), off]


def compared(record: ComparisonRecord, t: Translator) -> str:
    """Return who is ahead, as far as that can be told."""
    part = part_name(str(record.get("part", "")), t)
    if groups := record.get("groups"):
        names = [baseline_name(str(name), t) for name in groups[0]]
        key = "lead.groups" if len(names) > 1 else "lead.first"
        shown = names if len(names) <= _NAMED else [*names[: _NAMED - 1], f"+{len(names) - _NAMED + 1}"]
        return t(key, names=listed(shown, t), n=count(record.get("n")), part=part)
    metric = comparing.ranked_by(record)
    scored = [row for row in record["rows"] if row.get("kind") != "baseline" and metric in row["scores"]]
    if not scored:
        return t("lead.none")
    best = max(scored, key=lambda row: comparing.gain(row, metric))
    points, title = _points(metric, Score(**best["scores"][metric])), metric_title(metric, t)
    return t("lead.runs", n=len(scored), part=part, name=best["name"], metric=title, **points)


def facts(run: RunFiles) -> list[Fact]:
    """Return the key figures of a run."""
    scores = {metric: run.figures[metric] for metric in run.headline if metric in run.figures}
    figures: list[Fact] = [
        (in_both(partial(metric_heading, metric)), written(metric, score.value), _below(run, metric, score))
        for metric, score in scores.items()
    ]
    if run.weighed:
        figures.append((both("ece"), f"{ece(run):.3f}", ""))
    trained, everything = run.environment.get("trainable_parameters"), run.environment.get("parameters")
    if trained:
        share = both("of_all", share=percent(trained / everything, 2), all=count(everything)) if everything else ""
        figures.append((both("trainable"), count(trained), share))
    if (seconds := comparing.training_seconds(run)) is not None:
        memory = comparing.largest_memory(run)
        below = Markup("{} {}").format(both("peak_memory"), size(memory)) if memory else ""
        figures.append((both("training_time"), duration(seconds), below))
    return figures


def _below(run: RunFiles, metric: str, score: Score) -> Markup:
    """Return the interval, and where rows are known to the model, what the metric is on the others."""
    interval = Markup("{} – {}").format(written(metric, score.low), written(metric, score.high))
    new = run.clean.get(metric)
    return interval if new is None else interval + Markup("<br>") + both("on_new", value=written(metric, new.value))


def ece(run: RunFiles) -> float:
    """Return expected calibration error of the reported part."""
    return confidence.expected_calibration_error(confidence.reliability(run.weighed))


def listed(names: list[str], t: Translator) -> str:
    """Return names as a list in a sentence: a, b and c."""
    return t("comma").join(names[:-1]) + t("and") + names[-1] if len(names) > 1 else "".join(names)


def _points(metric: str, score: Score) -> dict[str, str]:
    low, high = (figure(side, metric) for side in (score.low, score.high))
    return {"value": written(metric, score.value), "low": low, "high": high}
