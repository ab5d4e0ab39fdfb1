"""What the page shows of one run beside its charts: tables, notes, the commands that make it again.

>>> view = run_view(run, key="run1", texts=True, most=40)
>>> view["mistakes"][0]["gold"], view["mistakes"][0]["answer"]
('positive', 'neutral')
"""

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from fintune.data.quality.licenses import License
from fintune.inference import confidence
from fintune.records import Prediction, Scores, Statement
from fintune.report import summary
from fintune.report.reading import RunFiles
from fintune.report.words import baseline_name, both, count, in_both, known, part_name, percent, size, worth
from fintune.runtime.shell import typed

LONGEST = 600
"""characters of a text that are shown"""
_MOST_ATTRIBUTED = 12
_TINT = 0.45
"""share of color behind the strongest word: ink stays readable on it"""
_COUNTED = (
    "rows", "unusable", "exact_duplicates", "conflicting_texts", "near_duplicate_rows", "near_duplicate_clusters",
    "median_words", "longest_words", "median_characters", "longest_characters",
)  # fmt: skip


def run_view(run: RunFiles, *, key: str, texts: bool, most: int) -> dict[str, Any]:
    """Everything the template of a run asks for."""
    wrong = sum(p.label != p.gold for p in run.judged)
    return {
        "key": key,
        "run": run,
        "lead": in_both(partial(summary.lead, run)),
        "details": in_both(partial(summary.details, run)),
        "facts": summary.facts(run),
        "ece": f"{summary.ece(run):.3f}" if run.judged else "",
        "notes": notes(run),
        "scores": _scores(run),
        "confusion": _confusion(run),
        "wrong": wrong,
        "mistakes": [_shown(p, texts) for p in confidence.surest_mistakes(run.judged, most)],
        "unsure": [_shown(p, texts) for p in confidence.least_sure(run.judged, most)],
        "attributions": [_attribution(a) for a in run.attributions[:_MOST_ATTRIBUTED]] if texts else [],
        "counts": _counts(run.report),
        "findings": [_finding(f, texts) for f in run.report.get("findings", [])],
        "sources": [_source(source) for source in run.data.get("sources") or []],
        "environment": _environment(run),
        "commands": _commands(run),
    }


def notes(run: RunFiles) -> list[Markup]:
    """Return what the reader must know before the figures."""
    found = []
    if run.unfinished:
        found.append(both("note.unfinished", mark=run.unfinished))
    if run.missing:
        found.append(both("note.missing", names=", ".join(run.missing)))
    if not run.part:
        found.append(both("note.nothing"))
    if run.part == "validation":
        found.append(both("note.validation"))
    return found + [_worth(part, statement) for part, statement in run.claims.shown()]


def _worth(part: str, statement: Statement) -> Markup:
    level = Markup('<span class="level {}">{}</span> ').format(statement.level, both(f"level.{statement.level}"))
    return level + in_both(lambda t: f"{part_name(part, t)}{t('colon')}{worth(statement, t)}")


def _scores(run: RunFiles) -> list[dict[str, Any]]:
    """Rows of the table; those on texts that are new to the model stand under those on all."""
    named = [(Markup("{}").format(run.name), run.scores, run.claims.splits)]
    named += [
        (in_both(partial(baseline_name, name)), parts, run.claims.baselines.get(name, {}))
        for name, parts in run.baselines.items()
    ]
    return [
        {"name": name, "part": in_both(partial(part_name, part)) + also, "scores": scores}
        for name, parts, clean in named
        for part, whole in parts.items()
        for scores, also in _both_ways(whole, clean.get(part, {}))
    ]


def _both_ways(whole: Scores, clean: Scores) -> list[tuple[Scores, Markup]]:
    if not clean:
        return [(whole, Markup(""))]
    counts = (count(next(iter(scores.values())).n) for scores in (whole, clean))
    names = (
        Markup("<br><small>{}</small>").format(both(key, n=n))
        for key, n in zip(("texts.all", "texts.new"), counts, strict=True)
    )
    return list(zip((whole, clean), names, strict=True))


def _confusion(run: RunFiles) -> list[dict[str, Any]]:
    """Return a row for each label: counts and shares; the column of unreadable answers only where there are any."""
    if not run.judged:
        return []
    counts = confidence.confusion(run.judged, run.labels)
    width = len(run.labels) + any(row[-1] for row in counts)
    return [
        {"label": label, "n": sum(row), "cells": [(n, n / max(sum(row), 1), i == j) for j, n in enumerate(row[:width])]}
        for i, (label, row) in enumerate(zip(run.labels, counts, strict=True))
    ]


def _shown(p: Prediction, texts: bool) -> dict[str, Any]:
    ranked = sorted(p.probabilities.items(), key=lambda item: -item[1])
    others = [(label, share) for label, share in ranked if label != p.label]
    return {
        "id": p.id,
        "text": cut(p.text) if texts else "",
        "gold": p.gold,
        "answer": p.label,
        "confidence": p.confidence,
        "next": others[0] if others else ("", 0.0),
        "right": p.label == p.gold,
    }


def cut(text: str) -> str:
    """Return a text short enough for a table."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _attribution(found: Mapping[str, Any]) -> dict[str, Any]:
    words = [(str(w.get("text", "")), float(w.get("effect") or 0)) for w in found["words"]]
    strongest = sorted(words, key=lambda word: -abs(word[1]))[:3]
    return {
        "id": found.get("id", ""),
        "label": found.get("label") or both("unreadable"),
        "probability": found.get("probability"),
        "pieces": _pieces(str(found.get("text", "")), words),
        "strongest": [(text, f"{effect:+.2f}") for text, effect in strongest],
    }


def _pieces(text: str, words: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Return the text in order: its words with their effects, and what stands between them without one."""
    top = max((abs(effect) for _, effect in words), default=0) or 1.0
    pieces: list[dict[str, Any]] = []
    done = 0
    for word, effect in words:
        if (start := text.find(word, done)) >= 0:
            pieces.append({"text": text[done:start], "effect": None})
            pieces.append({"text": word, "effect": effect, "tint": round(100 * _TINT * abs(effect) / top)})
            done = start + len(word)
    return [*pieces, {"text": text[done:], "effect": None}]


def _counts(report: Mapping[str, Any]) -> list[tuple[Markup, str]]:
    found = [(both(f"count.{name}"), count(report[name])) for name in _COUNTED if report.get(name) is not None]
    if tokens := report.get("tokens"):
        found += [(both(f"count.tokens_{name}"), count(tokens.get(name))) for name in ("median", "longest")]
        found.append((both("count.tokens_over"), percent(tokens.get("over_limit"), 2)))
    found += [(both("count.dropped", reason=reason), count(n)) for reason, n in (report.get("dropped") or {}).items()]
    for part, n in (report.get("twins_in_train") or {}).items():
        found.append((_of_part("count.twins", part), count(n)))
    for part, dates in (report.get("dates") or {}).items():
        found.append((_of_part("count.dates", part), " – ".join(dates)))
    return found


def _of_part(key: str, part: str) -> Markup:
    return in_both(lambda t: t(key, part=part_name(part, t)))


def _finding(found: Mapping[str, Any], texts: bool) -> dict[str, Any]:
    """Its message can quote a value of the data, so it goes where texts go."""
    key = f"finding.{found.get('kind')}"
    title = both(key) if known(key) else Markup("{}").format(found.get("kind", ""))
    level = found.get("level") if known(f"level.{found.get('level')}") else "note"
    return {"title": title, "level": level, "count": found.get("count", 0), "rows": found.get("rows", []),
            "message": found.get("message", "") if texts else ""}  # fmt: skip


def _source(found: Mapping[str, Any]) -> dict[str, str]:
    names = ("name", "part", "format", "encoding", "sha256")
    said = License.parse(found.get("license"))
    told = {"rows": count(found.get("rows")), "license": said.text or "", "commerce": said.commerce}
    return {name: str(found.get(name) or "") for name in names} | told


def _environment(run: RunFiles) -> list[tuple[Markup, str]]:
    known_of = run.environment
    git = known_of.get("git") or {}
    cores = " / ".join(str(known_of[name]) for name in ("cpu_count", "torch_threads") if known_of.get(name))
    packages = (f"{name} {version}" for name, version in (known_of.get("packages") or {}).items() if version)
    pairs = [
        ("env.base", run.section("model").get("base")),
        ("env.base_sha256", known_of.get("base_sha256")),
        ("fingerprint", run.data.get("fingerprint")),
        ("env.seed", known_of.get("seed")),
        ("env.batch_size", known_of.get("batch_size")),
        ("env.objective", known_of.get("objective")),
        ("env.packages", ", ".join(packages)),
        ("env.python", known_of.get("python")),
        ("env.platform", known_of.get("platform")),
        ("env.cpu", cores),
        ("env.accelerator", known_of.get("accelerator")),
        ("env.memory", size(known_of["memory_bytes"]) if known_of.get("memory_bytes") else None),
        ("env.commit", git.get("commit")),
        ("env.resumed", len(known_of.get("resumed", [])) or None),
    ]
    return [(both(name), str(value)) for name, value in pairs if value not in (None, "")]


def _commands(run: RunFiles) -> dict[str, str]:
    """To make the run again, as it was made, and the versions to install for it."""
    again = f"fintune train {typed(run.folder / 'config.yaml')} --set name={shlex.quote(run.name + '-again')}"
    made = [str(word) for word in run.environment.get("command") or []]
    return {
        "again": "\n".join(filter(None, [_pins(run.environment.get("packages") or {}), again])),
        "made": shlex.join(["fintune", *made[1:]]) if made else "",
    }


def _pins(packages: Mapping[str, str | None]) -> str:
    """Return a line for pip; a local version (2.13.0+cpu) is found on no index."""
    pins = [
        f"{name}=={version.partition('+')[0]}" for name, version in packages.items() if version and name != "fintune"
    ]
    return f"pip install {' '.join(pins)}" if pins else ""
