"""What `fintune check` does: reads everything, however broken, and says all that is wrong with it.

>>> found = examine(load("run.yaml"), against="other.csv")  # or the config of the other data
>>> found.severe
False
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from fintune.config import load
from fintune.data.against import Against, compare
from fintune.data.findings import Finding, by_weight, finding
from fintune.data.opening import Columns
from fintune.data.readers import read
from fintune.data.report import DataReport, report, token_lengths
from fintune.data.splits import Parts, fingerprint
from fintune.data.suspicion import LARGEST, Suspicion, suspicious
from fintune.errors import DataError, FintuneError
from fintune.gathering import Gathered, gather, reading, reading_like
from fintune.models import check_reference
from fintune.models.load import load_tokenizer
from fintune.preparation import divided, material
from fintune.progress import tell
from fintune.records import Example, Row
from fintune.sections import RunConfig

_SAMPLE = 10_000
"""texts whose tokens are counted"""
_CHARACTERS = 20_000
"""of each of them"""


@dataclass(frozen=True)
class Examination:
    """The report of the data, and what only a check looks at."""

    report: DataReport
    sources: list[dict[str, Any]]
    fingerprint: str | None
    """None when the data could not be split"""
    suspicious: list[Suspicion] = field(default_factory=list)
    against: Against | None = None
    pii: dict[str, int] | None = None
    """texts with each kind of personal data"""

    @property
    def severe(self) -> bool:
        """Whether anything found makes a score untrue or training fail."""
        return any(f.level == "severe" for f in self.report.findings)

    def record(self) -> dict[str, Any]:
        """As JSON: the report's fields at the top."""
        own = {name: getattr(self, name) for name in ("sources", "fingerprint", "pii")}
        return (
            asdict(self.report)
            | own
            | {
                "severe": self.severe,
                "suspicious": [asdict(s) for s in self.suspicious],
                "against": None if self.against is None else asdict(self.against),
            }
        )


def examine(
    config: RunConfig,
    *,
    against: str | None = None,
    pii: bool = False,
    near_duplicates: bool = True,
    doubt: bool = True,
) -> Examination:
    """Read and check all data of a config; raises only when there is nothing to read."""
    extra: list[Finding] = []
    extra += _refused(lambda: check_reference(config.model.base, config.model.device), "model")
    gathered = gather(config, tolerant=True)
    everything = [e for part in gathered.parts.values() for e in part]
    tell("check", f"{gathered.rows:,} rows read, {len(everything):,} kept")
    parts, groups = _divided(config, gathered, extra, near_duplicates)
    found = report(material(config, gathered, parts, groups, near_duplicates=near_duplicates))
    tokens = _tokens(config, everything, gathered, extra)
    doubtful = suspicious(everything) if doubt else []
    beside = _against(config, everything, against, extra)
    personal = _pii(everything, extra) if pii else None
    extra += _notes(config, gathered, doubtful, len(everything))
    return Examination(
        replace(found, tokens=tokens, findings=by_weight([*found.findings, *extra])),
        gathered.sources,
        fingerprint(parts) if parts else None,
        doubtful,
        beside,
        personal,
    )


def _refused(attempt: Any, kind: str) -> list[Finding]:
    try:
        attempt()
    except FintuneError as error:
        return [Finding(kind, "severe", 1, f"{error.message}. {error.hint}")]
    return []


def _divided(config: RunConfig, gathered: Gathered, extra: list[Finding], near: bool) -> tuple[Parts, Any]:
    everything = sum(map(len, gathered.parts.values()))
    parts: Parts = {}
    groups = np.arange(everything)
    if everything == 0:
        extra.append(Finding("nothing", "severe", 0, "no usable row"))
        return parts, groups
    try:
        return divided(config, gathered, near_duplicates=near)
    except FintuneError as error:
        extra.append(Finding("split", "severe", 1, f"cannot be split: {error.message}. {error.hint}"))
        return parts, groups


def _tokens(
    config: RunConfig, examples: Sequence[Example], gathered: Gathered, extra: list[Finding]
) -> dict[str, float]:
    tokenizer = load_tokenizer(config.model.base)
    if tokenizer is None or not examples:
        return {}
    chosen = examples[:: max(1, len(examples) // _SAMPLE)]
    longest = max(len(tokenizer(gathered.task.answer(label))["input_ids"]) for label in gathered.task.labels)
    prompts = [str(gathered.task.prompt(e.text[:_CHARACTERS])) for e in chosen]
    lengths = np.array([len(ids) + longest for ids in tokenizer(prompts)["input_ids"]])
    limit = config.model.max_length
    over = [e.id for e, length in zip(chosen, lengths.tolist(), strict=True) if length > limit]
    share = len(over) / len(chosen)
    message = f"{{n}} of {len(chosen):,} texts looked at exceed model.max_length ({limit} tokens) and lose their middle"
    extra += finding("too-long", "warning" if share > 0.01 else "note", message, over)
    return token_lengths(lengths.tolist(), limit)


def _against(config: RunConfig, examples: Sequence[Example], other: str | None, extra: list[Finding]) -> Against | None:
    if other is None:
        return None
    here = [Row(e.id, e.text, e.label) for e in examples]
    found = compare(here, _other_rows(config, other), other)
    extra += found.findings
    return found


def _other_rows(config: RunConfig, other: str) -> list[Row]:
    """Rows of the other file, read as our own, or under the usual names of columns; or as its own config says."""
    if other.endswith((".yaml", ".yml")):
        data = load(other).data
        return [row for paths in data.paths.values() for row in read(paths, reading(data), faults=_ignore)]
    how = reading_like(config.data, other)
    own = replace(how.columns, date=None, group=None)
    tries = [own, replace(own, need_label=False), Columns(), Columns(need_label=False)]
    for columns in tries[:-1]:
        try:
            return list(read(other, replace(how, columns=columns), faults=_ignore))
        except DataError:
            continue
    try:
        return list(read(other, replace(how, columns=tries[-1]), faults=_ignore))
    except DataError as error:
        raise DataError(
            error.message,
            hint="Other columns or labels than here? Give --against a config (.yaml) with its data section.",
        ) from None


def _ignore(fault: object) -> None:
    """Faults of the other file are its own check's affair."""


def _pii(examples: Sequence[Example], extra: list[Finding]) -> dict[str, int]:
    from fintune.data.pii import KINDS, find

    counts: Counter[str] = Counter()
    rows: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for e in examples:
        for kind in {hit.kind for hit in find(e.text)}:
            counts[kind] += 1
            rows[kind].append(e.id)
    for kind in KINDS:
        extra += finding("pii", "warning", f"{{n}} texts hold personal data: {kind}; data.redact: [{kind}]", rows[kind])
    return {kind: counts[kind] for kind in KINDS}


def _notes(config: RunConfig, gathered: Gathered, doubtful: Sequence[Suspicion], total: int) -> list[Finding]:
    unsaid = [str(source["name"]) for source in gathered.sources if source["licence"] is None]
    found = finding(
        "licence", "note", "no licence is said for: " + ", ".join(unsaid[:5]) + "; set data.licence", unsaid
    )
    guessed = [
        str(s["name"])
        for s in gathered.sources
        if config.data.encoding == "auto" and s["encoding"] not in (None, "utf-8-sig", "latin-1")
    ]
    names = ", ".join(sorted({str(s["encoding"]) for s in gathered.sources if s["name"] in guessed}))
    found += finding("encoding", "warning", f"no UTF-8; read as {names}: set data.encoding to be sure", guessed)
    limit = f" of {LARGEST:,} looked at" if total > LARGEST else ""
    message = f"{{n}} labels{limit} are contradicted by the other rows: a list to review, not to drop"
    return found + finding("suspicious-labels", "note", message, [s.id for s in doubtful])
