"""What the page shows of one run beside its charts: tables, notes, the commands that make it again.

Example:
    run_view(run, key="run1", texts=True, most=40)["sections"]
    # ['result', 'errors', 'confidence', 'texts', 'training', 'data', 'again']
"""

import shlex
from collections.abc import Mapping, Sequence
from functools import partial

from markupsafe import Markup

from fintune.inference import confidence
from fintune.records import Scores, Statement
from fintune.report import summary
from fintune.report.calibration_view import calibration_view
from fintune.report.data_view import counts, environment, finding_view, source_view
from fintune.report.run_files import RunFiles
from fintune.report.texts_view import shown, tables
from fintune.report.words import baseline_name, both, count, in_both, metric_heading, part_name, worth
from fintune.runs.schema import AttributionRecord
from fintune.runtime.shell import typed
from fintune.tasks.lookup import labels_in

_MOST_ATTRIBUTED = 12
"""Texts whose words are shown with their effects."""
_TINT = 0.45
"""Share of color behind the strongest word: ink stays readable on it."""
_SECTIONS = ("result", "errors", "confidence", "texts", "words", "training", "data", "again")
"""Sections of the page, in their order."""


def run_view(run: RunFiles, *, key: str, texts: bool, most: int) -> dict[str, object]:
    """Return everything that the template of a run shows."""
    attributions = [_attribution(a) for a in run.attributions[:_MOST_ATTRIBUTED]] if texts else []
    return {
        "key": key,
        "run": run,
        "sections": _sections(run, bool(attributions)),
        "metric": lambda t: metric_heading(run.metric, t) if run.metric else t("quality"),
        "lead": in_both(partial(summary.lead, run)),
        "details": in_both(partial(summary.details, run)),
        "facts": summary.facts(run),
        "ece": f"{summary.ece(run):.3f}" if run.weighed else "",
        "calibration": calibration_view(run),
        "notes": notes(run),
        "scores": _scores(run),
        "slices": _slices(run, texts),
        "confusion": _confusion(run),
        "tables": tables(run, texts=texts, most=most),
        "attributions": attributions,
        "counts": counts(run.report),
        "findings": [finding_view(f, texts) for f in (run.report.get("findings", []) if run.report else [])],
        "sources": [source_view(source) for source in (run.data.get("sources", []) if run.data else [])],
        "environment": environment(run),
        "commands": _commands(run),
    }


def _sections(run: RunFiles, explained: bool) -> list[str]:
    """Return the sections that the page has of a run: not all go with every sort of answer."""
    missing = {
        "errors": not labels_in(run.figures),
        "confidence": not run.weighed,
        "texts": not run.judged,
        "words": not explained,
    }
    return [name for name in _SECTIONS if not missing.get(name)]


def notes(run: RunFiles) -> list[Markup]:
    """Return what the reader must know before the figures."""
    remarks = []
    if run.unfinished:
        remarks.append(both("note.unfinished", mark=run.unfinished))
    if run.missing:
        remarks.append(both("note.missing", names=", ".join(run.missing)))
    if not run.part:
        remarks.append(both("note.nothing"))
    if run.part == "validation":
        remarks.append(both("note.validation"))
    remarks += [_worth(part, statement) for part, statement in run.claims.shown()]
    return remarks + [_worth("", statement) for statement in run.scant]


def _worth(part: str, statement: Statement) -> Markup:
    level = Markup('<span class="level {}">{}</span> ').format(statement.level, both(f"level.{statement.level}"))
    return level + in_both(lambda t: f"{part_name(part, t)}{t('colon')}" * bool(part) + worth(statement, t))


def _scores(run: RunFiles) -> list[dict[str, object]]:
    """Return rows of the table; those on texts that are new to the model stand under those on all."""
    models = [(Markup("{}").format(run.name), run.scores, run.claims.splits)]
    models += [
        (in_both(partial(baseline_name, name)), parts, run.claims.baselines.get(name, {}))
        for name, parts in run.baselines.items()
    ]
    return [
        {"name": name, "part": in_both(partial(part_name, part)) + also, "scores": scores}
        for name, parts, clean in models
        for part, whole in parts.items()
        for scores, also in _both_ways(whole, clean.get(part, {}))
    ]


def _slices(run: RunFiles, texts: bool) -> list[dict[str, object]]:
    """Return a row a slice; the name of a group is a value of the data, so it goes where texts go."""
    rows: list[dict[str, object]] = []
    for i, one in enumerate(run.slices, start=1):
        name = f"{i}" if one.by == "group" and not texts else one.name
        rows.append({"slice": one, "by": both(f"by.{one.by}"), "name": name, "n": next(iter(one.scores.values())).n})
    return rows


def _both_ways(whole: Scores, clean: Scores) -> list[tuple[Scores, Markup]]:
    if not clean:
        return [(whole, Markup(""))]
    counts = (count(next(iter(scores.values())).n) for scores in (whole, clean))
    names = (
        Markup("<br><small>{}</small>").format(both(key, n=n))
        for key, n in zip(("texts.all", "texts.new"), counts, strict=True)
    )
    return list(zip((whole, clean), names, strict=True))


def _confusion(run: RunFiles) -> list[dict[str, object]]:
    """Return a row for each label: counts and shares; the column of unreadable answers only where there are any."""
    labels = run.labels
    if not (labeled := [p for p in run.judged if p.gold in labels]):
        return []
    counts = confidence.confusion(labeled, labels)
    width = len(labels) + any(row[-1] for row in counts)
    return [
        {"label": label, "n": sum(row), "cells": [(n, n / max(sum(row), 1), i == j) for j, n in enumerate(row[:width])]}
        for i, (label, row) in enumerate(zip(labels, counts, strict=True))
    ]


def _attribution(record: AttributionRecord) -> dict[str, object]:
    words = [(word["text"], word["effect"]) for word in record["words"]]
    strongest = sorted(words, key=lambda word: -abs(word[1]))[:3]
    return {
        "id": record.get("id", ""),
        "answer": shown(record.get("answer")) or both("unreadable"),
        "probability": record.get("probability"),
        "pieces": _pieces(record.get("text", ""), words),
        "strongest": [(text, f"{effect:+.2f}") for text, effect in strongest],
    }


def _pieces(text: str, words: Sequence[tuple[str, float]]) -> list[dict[str, object]]:
    """Return the text in order: its words with their effects, and what stands between them without one."""
    top = max((abs(effect) for _, effect in words), default=0) or 1.0
    pieces: list[dict[str, object]] = []
    done = 0
    for word, effect in words:
        if (start := text.find(word, done)) >= 0:
            pieces.append({"text": text[done:start], "effect": None})
            pieces.append({"text": word, "effect": effect, "tint": round(100 * _TINT * abs(effect) / top)})
            done = start + len(word)
    return [*pieces, {"text": text[done:], "effect": None}]


def _commands(run: RunFiles) -> dict[str, str]:
    """Return what makes the run again, as it was made, and the versions to install for it."""
    again = f"fintune train {typed(run.folder / 'config.yaml')} --set name={shlex.quote(run.name + '-again')}"
    command = run.environment.get("command", [])
    return {
        "again": "\n".join(filter(None, [_pins(run.environment.get("packages") or {}), again])),
        "made": shlex.join(["fintune", *command[1:]]) if command else "",
    }


def _pins(packages: Mapping[str, str | None]) -> str:
    """Return a line for pip; a local version (2.13.0+cpu) is found on no index."""
    pins = [
        f"{name}=={version.partition('+')[0]}" for name, version in packages.items() if version and name != "fintune"
    ]
    return f"pip install {' '.join(pins)}" if pins else ""
