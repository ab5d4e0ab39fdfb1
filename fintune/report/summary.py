"""What a report says first: a sentence for who decides, and the key figures.

>>> lead(run, Words("en"))
'On 452 texts it has never seen, the model labels 96.7 % correctly (95 % interval 94.9 to 98.2). For comparison: ...'
"""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from fintune.inference import confidence
from fintune.records import Score
from fintune.report import comparing
from fintune.report.reading import RunFiles
from fintune.report.words import Words, baseline_name, both, count, duration, part_name, percent, size

SURE = 0.95
"""confidence from which an answer would be taken without a second look"""
_NAMED = 6
"""methods of a group that a sentence names"""

Fact = tuple[Markup, str, str | Markup]
"""name, value, what stands below"""


def lead(run: RunFiles, t: Words) -> str:
    """How good the model is, and beside what."""
    if (score := run.headline.get("accuracy")) is None:
        return t("lead.none")
    level = percent(run.level, 0)
    key = f"lead.{run.part}"
    if known := _known(run, score.n):
        key = "lead.known" if known < score.n else "lead.all_known"
    shown = {"value": percent(score.value), "level": level, **_points(score)}
    said = [t(key, n=count(score.n), known=count(known), **shown)]
    if (new := run.clean.get("accuracy")) is not None:
        said.append(t("lead.new", n=count(new.n), value=percent(new.value), **_points(new)))
    beside = [
        t("lead.beside_row", name=baseline_name(name, t), value=percent(parts[run.part]["accuracy"].value))
        for name, parts in sorted(run.baselines.items(), reverse=True)
        if "accuracy" in parts.get(run.part, {})
    ]
    return t("gap").join([*said, t("lead.beside", rows=t("comma").join(beside))] if beside else said)


def _known(run: RunFiles, n: int) -> int:
    """How many of the texts of the reported part are known to the model."""
    if (new := run.clean.get("accuracy")) is not None:
        return n - new.n
    return n if any(one.kind == "all-leak" for one in run.claims.of(run.part)) else 0


def details(run: RunFiles, t: Words) -> str:
    """Return the weakest label, and what confidence is worth."""
    recalls = {label: run.headline[f"recall/{label}"] for label in run.labels if f"recall/{label}" in run.headline}
    said = []
    if recalls:
        label, score = min(recalls.items(), key=lambda item: item[1].value)
        said.append(t("lead.weakest", label=label, value=percent(score.value), **_points(score)))
    if run.judged:
        sure = [p.label == p.gold for p in run.judged if p.confidence >= SURE]
        if sure:
            share, right = len(sure) / len(run.judged), sum(sure) / len(sure)
            said.append(t("lead.sure", share=percent(share), right=percent(right)))
        said.append(t("lead.ece", points=f"{100 * ece(run):.1f}"))
    return t("gap").join(said)


def compared(found: Mapping[str, Any], t: Words) -> str:
    """Who is ahead, as far as that can be told."""
    part = part_name(str(found.get("part", "")), t)
    if groups := found.get("groups"):
        names = [baseline_name(str(name), t) for name in groups[0]]
        key = "lead.groups" if len(names) > 1 else "lead.first"
        shown = names if len(names) <= _NAMED else [*names[: _NAMED - 1], f"+{len(names) - _NAMED + 1}"]
        return t(key, names=listed(shown, t), n=count(found.get("n")), part=part)
    scored = [row for row in found["rows"] if row.get("kind") != "baseline" and comparing.METRIC in row["scores"]]
    if not scored:
        return t("lead.none")
    best = max(scored, key=lambda row: row["scores"][comparing.METRIC]["value"])
    score = Score(**{name: best["scores"][comparing.METRIC][name] for name in ("value", "low", "high", "n")})
    return t("lead.runs", n=len(scored), part=part, value=percent(score.value), name=best["name"], **_points(score))


def facts(run: RunFiles) -> list[Fact]:
    """Return the key figures of a run."""
    found: list[Fact] = []
    for metric in ("accuracy", "macro_f1"):
        if (score := run.headline.get(metric)) is not None:
            found.append((both(metric), percent(score.value), _below(run, metric, score)))
    if (score := run.headline.get("mcc")) is not None:
        found.append((both("mcc"), f"{score.value:.3f}", f"{score.low:.3f} – {score.high:.3f}"))
    if run.judged:
        found.append((both("ece"), f"{ece(run):.3f}", ""))
    trained, everything = (run.environment.get(name) for name in ("trainable_parameters", "parameters"))
    if trained:
        share = both("of_all", share=percent(trained / everything, 2), all=count(everything)) if everything else ""
        found.append((both("trainable"), count(trained), share))
    if (seconds := comparing.training_seconds(run)) is not None:
        memory = comparing.peak_memory(run)
        below = Markup("{} {}").format(both("peak_memory"), size(memory)) if memory else ""
        found.append((both("training_time"), duration(seconds), below))
    return found


def _below(run: RunFiles, metric: str, score: Score) -> Markup:
    """Return a share's interval, and where rows are known to the model, what it is on the others."""
    interval = Markup("{} – {}").format(percent(score.low), percent(score.high))
    new = run.clean.get(metric)
    return interval if new is None else interval + Markup("<br>") + both("on_new", value=percent(new.value))


def ece(run: RunFiles) -> float:
    """Return expected calibration error of the reported part."""
    return confidence.expected_calibration_error(confidence.reliability(run.judged))


def listed(names: list[str], t: Words) -> str:
    """a, b and c."""
    return t("comma").join(names[:-1]) + t("and") + names[-1] if len(names) > 1 else "".join(names)


def _points(score: Score) -> dict[str, str]:
    return {"low": f"{100 * score.low:.1f}", "high": f"{100 * score.high:.1f}"}
