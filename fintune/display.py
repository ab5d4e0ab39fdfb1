"""How results look on a terminal: rich tables and progress bars. Builds, never prints; the CLI prints."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fintune.data.against import Against
from fintune.data.findings import Finding
from fintune.data.report import DataReport
from fintune.data.suspicion import Suspicion
from fintune.durations import duration
from fintune.examination import Examination
from fintune.export.model_card import HEADLINE, interval
from fintune.layout import Table, Text
from fintune.printable import one_line
from fintune.progress import Progress as Event
from fintune.progress import listening
from fintune.records import Claims, Prediction, Scores

if TYPE_CHECKING:
    from fintune.evaluation.attribution import Attribution
    from fintune.planning import Estimate
    from fintune.trimming import Trimmed

_LEVELS = {"severe": "bold red", "warning": "yellow", "note": ""}
_STRONGEST = 6
"""words whose effect is written out"""


@contextmanager
def progress_bars(console: Console) -> Iterator[None]:
    """Draw what the library reports inside the block: a bar a stage, a line a message."""
    bars = Progress(
        TextColumn("{task.description:<17}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    shown: dict[str, TaskID] = {}

    def listen(event: Event) -> None:
        if event.note and event.total == 0:
            console.print(Text(f"{event.stage:<11}{one_line(event.note)}"), soft_wrap=True)
            return
        if event.stage not in shown:
            shown[event.stage] = bars.add_task(event.stage, total=event.total or None, note="")
        bars.update(shown[event.stage], completed=event.done, total=event.total or None, note=one_line(event.note))
        if event.done >= event.total > 0:
            bars.remove_task(shown.pop(event.stage))

    with bars, listening(listen):
        yield


def trimmed(found: "Trimmed") -> Table:
    """Tokens, parameters and megabytes of a trimmed model, and how nearly it equals the whole one."""
    table = Table(found.folder)
    table.add_column("", no_wrap=True)
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    table.add_row("tokens", *(f"{n:,}" for n in found.tokens))
    table.add_row("parameters", *(f"{n:,}" for n in found.parameters))
    table.add_row("weights", "", f"{found.bytes / 1e6:,.0f} MB")
    for what in ("logits", "probabilities") if found.verified else ():
        table.add_row(f"largest difference of {what}", "", f"{found.verified[what]:.0e}")
    return table


def scores_table(rows: Mapping[str, Scores], *, confidence: float) -> Table:
    """One row a model, one column a headline metric, each with its interval."""
    table = Table(f"{100 * confidence:g}% bootstrap intervals; accuracy and F1 in per cent")
    table.add_column("model, part", no_wrap=True)
    for metric in HEADLINE:
        table.add_column(metric.replace("_", " "), justify="right", no_wrap=True)
    for name, scores in rows.items():
        table.add_row(Text(name), *(interval(metric, scores[metric]) for metric in HEADLINE))
    return table


def worth(claims: Claims) -> Iterator[Text]:
    """What scores are worth, a line a statement."""
    for part, statement in claims.shown():
        yield Text(f"{part}: {statement.text}", _LEVELS[statement.level])


def losses(scores: Scores) -> Text:
    """Answer loss and perplexity in one line."""
    shown = (
        f"{metric.replace('_', ' ')} {interval(metric, scores[metric])}" for metric in ("answer_loss", "perplexity")
    )
    return Text(" · ".join(shown))


def classes_table(scores: Scores, labels: Sequence[str]) -> Table:
    """Precision, recall and F1 of each label."""
    table = Table("per label, in per cent")
    table.add_column("label", no_wrap=True)
    for metric in ("precision", "recall", "f1"):
        table.add_column(metric, justify="right", no_wrap=True)
    for label in labels:
        shares = (interval(metric, scores[f"{metric}/{label}"]) for metric in ("precision", "recall", "f1"))
        table.add_row(Text(label), *shares)
    return table


def confusion_table(scores: Scores, labels: Sequence[str]) -> Table:
    """How often each label was answered as each."""
    table = Table("gold label (row), answered as (column)", zeros="0")
    table.add_column("gold", no_wrap=True)
    for label in labels:
        table.add_column(Text(label), justify="right")
    for gold in labels:
        table.add_row(Text(gold), *(f"{scores[f'confusion/{gold}/{answered}'].value:.0f}" for answered in labels))
    return table


def examination(found: Examination) -> Iterator[Table]:
    """What was found in the data, as tables: facts, findings, and what was asked for besides."""
    yield _facts(found)
    if found.report.label_samples:
        yield _label_samples(found.report.label_samples)
    if found.suspicious:
        yield _suspicious(found.suspicious)
    if found.against is not None and found.against.labels:
        yield _cross(found.against)
    if found.report.findings:
        yield _findings(found.report.findings)


def _facts(found: Examination) -> Table:
    report, table = found.report, Table("data", show_header=False)
    facts: dict[str, Any] = {
        "sources": ", ".join(f"{s['name']} ({s['format']}, {s['rows']:,})" for s in found.sources[:5]),
        "rows": f"{report.rows:,}" + (f", {report.unusable:,} unusable" if report.unusable else ""),
        "labels": _counts(report.labels),
        **({"label map": _label_map(report.label_map)} if report.label_map else {}),
        "dropped": _counts(report.dropped) or "none",
        "exact duplicates": report.exact_duplicates,
        "texts with two labels": report.conflicting_texts,
        "near-duplicates": f"{report.near_duplicate_rows:,} rows in {report.near_duplicate_clusters:,} clusters",
        **_lengths(report),
        "tokens": _tokens(report.tokens) if report.tokens else "not counted: the tokenizer is not at hand",
        **{part: f"{sum(labels.values()):,} ({_counts(labels)})" for part, labels in report.parts.items()},
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
    share = f", {tokens['over_limit']:.1%} over model.max_length" if tokens["over_limit"] else ""
    unknown = f", {tokens['unknown']:.1%} unknown to the tokenizer" if tokens.get("unknown") else ""
    return f"median {tokens['median']:g}, longest {tokens['longest']:g} of {tokens['looked_at']:,.0f} texts{share}{unknown}"


def _beside(against: Against) -> str:
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


def _cross(against: Against) -> Table:
    columns = sorted({label for counts in against.labels.values() for label in counts})
    table = Table(f"label here (row), in {against.other} (column), on shared texts", zeros="0")
    table.add_column("here", no_wrap=True)
    for column in columns:
        table.add_column(Text(column), justify="right")
    for label, counts in against.labels.items():
        table.add_row(Text(label), *(f"{counts.get(column, 0):,}" for column in columns))
    return table


def predictions_table(predictions: Sequence[Prediction]) -> Table:
    """Label, probability of each label, text."""
    table = Table()
    table.add_column("label", no_wrap=True)
    for label in predictions[0].probabilities if predictions else ():
        table.add_column(Text(label), justify="right")
    table.add_column("text")
    for p in predictions:
        table.add_row(
            Text(p.label or f"? {p.answer}"), *(f"{value:.3f}" for value in p.probabilities.values()), Text(p.text)
        )
    return table


def attributions(found: Sequence["Attribution"]) -> Iterator[Text]:
    """Answer and text of each, words that spoke for it green and those against it red; below, the strongest with their effects."""
    for one in found:
        line, place = Text(f"{one.label or '?':<10}{one.probability:.3f}  "), 0
        for word in one.words:
            start = one.text.index(word.text, place)
            line.append(one.text[place:start])
            line.append(word.text, _shade(word.effect))
            place = start + len(word.text)
        yield line.append(one.text[place:])
        strongest = sorted(one.words, key=lambda word: -abs(word.effect))[:_STRONGEST]
        yield Text(" " * 17).append("  ".join(f"{word.text} {word.effect:+.3f}" for word in strongest), "dim")


def _shade(effect: float) -> str:
    strength = "bold " if abs(effect) >= 0.2 else ""
    return "" if abs(effect) < 0.02 else f"{strength}{'green' if effect > 0 else 'red'}"


def estimate(found: "Estimate") -> Table:
    """What a run would take."""
    table = Table(f"from {found.measured} steps of {found.steps:,}, {found.step_seconds:.1f} s each", show_header=False)
    for part, size in found.memory.items():
        table.add_row(part, Text(f"{size / 1e9:.2f} GB", justify="right"))
    fits = "" if found.fits else ": too much"
    table.add_row(
        "memory at most", Text(f"{found.peak / 1e9:.2f} GB of {found.machine / 1e9:.1f}{fits}", justify="right")
    )
    table.add_section()
    for stage, seconds in found.times.items():
        table.add_row(stage, Text(duration(seconds), justify="right"))
    table.add_row("time in all", Text(duration(found.seconds), justify="right"))
    return table


def listing(rows: Sequence[Mapping[str, str]]) -> Table:
    """A plain table; the keys of the first row are the columns."""
    table = Table()
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    return table


def _counts(labels: Mapping[str, int]) -> str:
    return " · ".join(f"{label} {count:,}" for label, count in labels.items())
