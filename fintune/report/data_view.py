"""What the page shows of a run's data and of the machine that made it: counts, findings, files, versions."""

from collections.abc import Mapping

from markupsafe import Markup

from fintune.data.quality.licenses import License
from fintune.report.run_files import RunFiles
from fintune.report.words import both, count, has_words, in_both, part_name, percent, size
from fintune.runs.schema import FindingRecord, ReportRecord, SourceRecord

_COUNTED = (
    "rows", "unusable", "exact_duplicates", "conflicting_texts", "near_duplicate_rows", "near_duplicate_clusters",
    "median_words", "longest_words", "median_characters", "longest_characters",
)  # fmt: skip


def counts(report: ReportRecord | None) -> list[tuple[Markup, str]]:
    """Return the counts of a DataReport, each with its name."""
    if report is None:
        return []
    content: Mapping[str, object] = report
    shown = {name: number for name in _COUNTED if isinstance(number := content.get(name), int | float)}
    rows = [(both(f"count.{name}"), count(number)) for name, number in shown.items()]
    if tokens := report.get("tokens"):
        rows += [(both(f"count.tokens_{name}"), count(tokens.get(name))) for name in ("median", "longest")]
        rows.append((both("count.tokens_over"), percent(tokens.get("over_limit"), 2)))
    rows += [(both("count.dropped", reason=reason), count(n)) for reason, n in report.get("dropped", {}).items()]
    rows += [(_of_part("count.twins", part), count(n)) for part, n in report.get("twins_in_train", {}).items()]
    rows += [(_of_part("count.dates", part), " – ".join(dates)) for part, dates in report.get("dates", {}).items()]
    return rows


def _of_part(key: str, part: str) -> Markup:
    return in_both(lambda t: t(key, part=part_name(part, t)))


def finding_view(finding: FindingRecord, texts: bool) -> dict[str, object]:
    """Return what is shown of a finding; its message can quote a value of the data, so it goes where texts go."""
    key, level = f"finding.{finding['kind']}", finding["level"]
    return {
        "title": both(key) if has_words(key) else Markup("{}").format(finding["kind"]),
        "level": level if has_words(f"level.{level}") else "note",
        "count": finding.get("count", 0),
        "rows": finding.get("rows", []),
        "message": finding.get("message", "") if texts else "",
    }


def source_view(source: SourceRecord) -> dict[str, str]:
    """Return what is shown of a file of data."""
    shown = {name: source.get(name) for name in ("name", "part", "format", "encoding", "sha256")}
    license_ = License.parse(source.get("license"))
    texts = {name: str(value or "") for name, value in shown.items()}
    return texts | {"rows": count(source.get("rows")), "license": license_.text or "", "commerce": license_.commerce}


def environment(run: RunFiles) -> list[tuple[Markup, str]]:
    """Return where and with what a run was made, each fact with its name."""
    facts: Mapping[str, object] = run.environment
    packages = (f"{name} {version}" for name, version in (run.environment.get("packages") or {}).items() if version)
    memory, git = run.environment.get("memory_bytes"), run.environment.get("git") or {}
    pairs = {
        "env.base": run.base,
        "env.base_sha256": facts.get("base_sha256"),
        "fingerprint": run.fingerprint,
        "env.seed": facts.get("seed"),
        "env.batch_size": facts.get("batch_size"),
        "env.objective": facts.get("objective"),
        "env.packages": ", ".join(packages),
        "env.python": facts.get("python"),
        "env.platform": facts.get("platform"),
        "env.cpu": " / ".join(str(facts[name]) for name in ("cpu_count", "torch_threads") if facts.get(name)),
        "env.accelerator": facts.get("accelerator"),
        "env.memory": size(memory) if memory else None,
        "env.commit": git.get("commit"),
        "env.resumed": len(run.environment.get("resumed", [])) or None,
    }
    return [(both(name), str(value)) for name, value in pairs.items() if value not in (None, "")]
