"""What `fintune check` found, on a terminal."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fintune.data.check import Examination
from fintune.data.quality.findings import Finding
from fintune.data.quality.label_errors import Suspicion
from fintune.data.quality.overlap import Overlap
from fintune.data.quality.report import DataReport
from fintune.errors import shortened
from fintune.runtime.layout import Table, Text

_LEVELS = {"severe": "bold red", "warning": "yellow", "note": ""}

_UNCOUNTED = "not counted: the tokenizer is not at hand"
_LABELS = 40
"""How many labels one cell names at most."""


def examination(found: Examination) -> Iterator[Table | Text]:
    """Yield what was found in the data: tables of facts, findings, what was asked for besides; a line for what there is too little of."""
    yield _facts(found)
    if found.report.label_samples:
        yield _label_samples(found.report.label_samples)
    if found.suspicious:
        yield _suspicious(found.suspicious)
    if found.against is not None and found.against.labels:
        yield _cross(found.against)
    if found.report.findings:
        yield _findings(found.report.findings)
    for statement in found.scant:
        yield Text(statement.text)


def _facts(found: Examination) -> Table:
    report, table = found.report, Table("data", show_header=False)
    facts: dict[str, Any] = {
        "sources": ", ".join(f"{s['name']} ({s['format']}, {s['rows']:,})" for s in found.sources[:5]),
        "rows": f"{report.rows:,}" + (f", {report.unusable:,} unusable" if report.unusable else ""),
        **({"labels": _counts(report.labels)} if report.labels else {}),
        **(
            {"values": ", ".join(f"{name} {value:g}" for name, value in report.values.items())} if report.values else {}
        ),
        **({"label map": _label_map(report.label_map)} if report.label_map else {}),
        "dropped": _counts(report.dropped) or "none",
        "exact duplicates": report.exact_duplicates,
        **({"texts with two labels": report.conflicting_texts} if report.labels else {}),
        "near-duplicates": f"{report.near_duplicate_rows:,} rows in {report.near_duplicate_clusters:,} clusters",
        **_lengths(report),
        "tokens": _tokens(report.tokens) or (_UNCOUNTED if report.rows > report.unusable else "none"),
        **{part: _part(size, report.parts.get(part, {})) for part, size in report.sizes.items()},
        "twins in train": _counts(report.twins_in_train) or "not looked for",
        **{f"dates, {part}": " to ".join(ends) for part, ends in report.dates.items()},
        "fingerprint": found.fingerprint or "none: not split",
    }
    if found.against is not None:
        facts["against"] = _beside(found.against)
    if found.pii is not None:
        facts["personal data"] = _counts(found.pii)
    for name, value in facts.items():
        table.add_row(name, Text(str(value)))
    return table


def _part(size: int, labels: Mapping[str, int]) -> str:
    return f"{size:,} ({_counts(labels)})" if labels else f"{size:,}"


def _lengths(report: DataReport) -> dict[str, str]:
    """Words a text, or characters where nothing stands between words."""
    if report.median_characters is not None:
        return {"characters a text": f"median {report.median_characters:g}, longest {report.longest_characters:,}"}
    return {"words a text": f"median {report.median_words:g}, longest {report.longest_words:,}"}


def _label_map(applied: Mapping[str, Mapping[str, int]]) -> str:
    """As it was applied: `0 -> negative 30`, `positive as it is 2`, `9 -> neutral never`."""
    return " · ".join(
        f"{old} {'as it is' if old == new else f'-> {new}'} {f'{rows:,}' if rows else 'never'}"
        for old, counts in applied.items()
        for new, rows in counts.items()
    )


def _tokens(tokens: Mapping[str, float]) -> str:
    if not tokens:
        return ""
    share = f", {tokens['over_limit']:.1%} over model.max_length" if tokens["over_limit"] else ""
    unknown = f", {tokens['unknown']:.1%} unknown to the tokenizer" if tokens.get("unknown") else ""
    return f"median {tokens['median']:g}, longest {tokens['longest']:g} of {tokens['looked_at']:,.0f} texts{share}{unknown}"


def _beside(against: Overlap) -> str:
    inside = "; one lies wholly inside the other" if against.inside else ""
    read = f"{against.rows:,} rows read" + (f", {against.unread:,} not" if against.unread else "")
    shared = f"{against.shared:,} of {against.distinct:,} texts stand there too, {against.twins:,} nearly{inside}"
    return f"{against.other} ({read}): {shared}"


def _findings(findings: Sequence[Finding]) -> Table:
    table = Table("findings, the worst first")
    for column in ("level", "kind"):
        table.add_column(column, no_wrap=True)
    table.add_column("what")
    table.add_column("rows")
    for f in findings:
        table.add_row(Text(f.level, _LEVELS[f.level]), f.kind, Text(f.message), Text("\n".join(f.rows[:3])))
    return table


def _label_samples(samples: Mapping[str, Sequence[str]]) -> Table:
    table = Table("labels that are numbers: do the texts bear out the names?")
    table.add_column("label", no_wrap=True)
    table.add_column("texts")
    for label, texts in samples.items():
        table.add_row(Text(label), Text("\n".join(texts)))
    return table


def _suspicious(found: Sequence[Suspicion]) -> Table:
    table = Table(f"labels to review, the most doubtful of {len(found)}")
    for column in ("row", "label", "rather"):
        table.add_column(column, no_wrap=True)
    table.add_column("text")
    for s in found[:5]:
        table.add_row(Text(s.id), Text(s.label), Text(f"{s.rather} {s.probability:.2f}"), Text(s.text[:100]))
    return table


def _cross(against: Overlap) -> Table:
    columns = sorted({label for counts in against.labels.values() for label in counts})
    table = Table(f"label here (row), in {against.other} (column), on shared texts", zeros="0")
    table.add_column("here", no_wrap=True)
    for column in columns:
        table.add_column(Text(column), justify="right")
    for label, counts in against.labels.items():
        table.add_row(Text(label), *(f"{counts.get(column, 0):,}" for column in columns))
    return table


def _counts(labels: Mapping[str, int]) -> str:
    shown = [f"{shortened(label)} {count:,}" for label, count in itertools.islice(labels.items(), _LABELS)]
    return " · ".join([*shown, *([f"and {len(labels) - _LABELS:,} more"] if len(labels) > _LABELS else [])])
