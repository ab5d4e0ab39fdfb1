"""What a report says first: a sentence for who decides, and the key figures.

An example: On 452 texts it has never seen, the model labels 96.7 % correctly (95 % interval 94.9 to 98.2).
"""

from markupsafe import Markup

from fintune.inference import confidence
from fintune.records import Score
from fintune.report import comparing
from fintune.report.run_files import RunFiles
from fintune.report.words import Translator, baseline_name, both, count, duration, part_name, percent, size
from fintune.runs.schema import ComparisonRecord

SURE = 0.95
"""Confidence from which an answer would be taken without a second look."""
_NAMED = 6
"""Methods of a group that a sentence names."""

Fact = tuple[Markup, str, str | Markup]
"""A key figure: its name, its value, and what stands below."""


def lead(run: RunFiles, t: Translator) -> str:
    """Return how good the model is, and beside what."""
    if (score := run.headline.get("accuracy")) is None:
        return t("lead.none")
    level = percent(run.level, 0)
    key = f"lead.{run.part}"
    if leaked := _leaked(run, score.n):
        key = "lead.known" if leaked < score.n else "lead.all_known"
    shown = {"value": percent(score.value), "level": level, **_points(score)}
    sentences = [t(key, n=count(score.n), known=count(leaked), **shown)]
    if (new := run.clean.get("accuracy")) is not None:
        sentences.append(t("lead.new", n=count(new.n), value=percent(new.value), **_points(new)))
    beside = [
        t("lead.beside_row", name=baseline_name(name, t), value=percent(parts[run.part]["accuracy"].value))
        for name, parts in sorted(run.baselines.items(), reverse=True)
        if "accuracy" in parts.get(run.part, {})
    ]
    return t("gap").join([*sentences, t("lead.beside", rows=t("comma").join(beside))] if beside else sentences)


def _leaked(run: RunFiles, n: int) -> int:
    """Return how many of the texts of the reported part are known to the model."""
    if (new := run.clean.get("accuracy")) is not None:
        return n - new.n
    return n if any(statement.kind == "all-leak" for statement in run.claims.of(run.part)) else 0


def details(run: RunFiles, t: Translator) -> str:
    """Return the weakest label, and what confidence is worth."""
    recalls = {label: run.headline[f"recall/{label}"] for label in run.labels if f"recall/{label}" in run.headline}
    sentences = []
    if recalls:
        label, score = min(recalls.items(), key=lambda item: item[1].value)
        sentences.append(t("lead.weakest", label=label, value=percent(score.value), **_points(score)))
    if run.judged:
        sure = [p.label == p.gold for p in run.judged if p.confidence >= SURE]
        if sure:
            share, right = len(sure) / len(run.judged), sum(sure) / len(sure)
            sentences.append(t("lead.sure", share=percent(share), right=percent(right)))
        sentences.append(t("lead.ece", points=f"{100 * ece(run):.1f}"))
    return t("gap").join(sentences)


def compared(record: ComparisonRecord, t: Translator) -> str:
    """Return who is ahead, as far as that can be told."""
    part = part_name(str(record.get("part", "")), t)
    if groups := record.get("groups"):
        names = [baseline_name(str(name), t) for name in groups[0]]
        key = "lead.groups" if len(names) > 1 else "lead.first"
        shown = names if len(names) <= _NAMED else [*names[: _NAMED - 1], f"+{len(names) - _NAMED + 1}"]
        return t(key, names=listed(shown, t), n=count(record.get("n")), part=part)
    scored = [row for row in record["rows"] if row.get("kind") != "baseline" and comparing.RANKED_BY in row["scores"]]
    if not scored:
        return t("lead.none")
    best = max(scored, key=lambda row: row["scores"][comparing.RANKED_BY]["value"])
    score = Score(**best["scores"][comparing.RANKED_BY])
    return t("lead.runs", n=len(scored), part=part, value=percent(score.value), name=best["name"], **_points(score))


def facts(run: RunFiles) -> list[Fact]:
    """Return the key figures of a run."""
    figures: list[Fact] = []
    for metric in ("accuracy", "macro_f1"):
        if (score := run.headline.get(metric)) is not None:
            figures.append((both(metric), percent(score.value), _below(run, metric, score)))
    if (score := run.headline.get("mcc")) is not None:
        figures.append((both("mcc"), f"{score.value:.3f}", f"{score.low:.3f} – {score.high:.3f}"))
    if run.judged:
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
    """Return a share's interval, and where rows are known to the model, what it is on the others."""
    interval = Markup("{} – {}").format(percent(score.low), percent(score.high))
    new = run.clean.get(metric)
    return interval if new is None else interval + Markup("<br>") + both("on_new", value=percent(new.value))


def ece(run: RunFiles) -> float:
    """Return expected calibration error of the reported part."""
    return confidence.expected_calibration_error(confidence.reliability(run.judged))


def listed(names: list[str], t: Translator) -> str:
    """Return names as a list in a sentence: a, b and c."""
    return t("comma").join(names[:-1]) + t("and") + names[-1] if len(names) > 1 else "".join(names)


def _points(score: Score) -> dict[str, str]:
    return {"low": f"{100 * score.low:.1f}", "high": f"{100 * score.high:.1f}"}
