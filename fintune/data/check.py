"""Data read, however broken, and all that is wrong with them.

Example:
    check(config.data, config.build_task()).severe
    # False
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fintune.data.load import Gathered, gather
from fintune.data.prepare import divided, material
from fintune.data.quality.findings import Finding, by_weight, finding
from fintune.data.quality.label_errors import MOST_REVIEWED, Review, Suspicion, review
from fintune.data.quality.overlap import Overlap, compare
from fintune.data.quality.report import DataReport, TokenCounts, report
from fintune.data.readers.columns import Columns, fault_error
from fintune.data.readers.read import Reading, read
from fintune.data.reading import reading, reading_like
from fintune.data.settings import DataSection
from fintune.data.splits import Parts, fingerprint
from fintune.errors import DataError, FintuneError, ModelError
from fintune.records import Example, Fault, Row, Statement
from fintune.runtime.progress import tell
from fintune.tasks import Task
from fintune.tasks.contract import need_contract


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The report of the data, and what only a check looks at."""

    report: DataReport
    sources: list[dict[str, Any]]
    fingerprint: str | None
    """The digest of the split; None when the data could not be split."""
    suspicious: list[Suspicion] = field(default_factory=list)
    against: Overlap | None = None
    pii: dict[str, int] | None = None
    """How many texts hold each kind of personal data; None when they were not looked for."""
    scant: list[Statement] = field(default_factory=list)
    """What there is too little of."""

    @property
    def severe(self) -> bool:
        """Whether anything found makes a score untrue or training fail."""
        return any(f.level == "severe" for f in self.report.findings)

    def record(self) -> dict[str, object]:
        """As JSON: the report's fields at the top."""
        own = {name: getattr(self, name) for name in ("sources", "fingerprint", "pii")}
        return (
            asdict(self.report)
            | own
            | {
                "severe": self.severe,
                "suspicious": [asdict(s) for s in self.suspicious],
                "scant": [asdict(s) for s in self.scant],
                "against": None if self.against is None else asdict(self.against),
            }
        )


def check(  # noqa: PLR0913
    settings: DataSection,
    task: Task,
    *,
    count: "Callable[[Sequence[Example]], TokenCounts] | None" = None,
    against: str | None = None,
    against_settings: DataSection | None = None,
    pii: bool = False,
    near_duplicates: bool = True,
    doubt: bool = True,
) -> Examination:
    """Read and check all data; raises only when there is nothing to read.

    `count` says what a tokenizer makes of the examples. `against` names other data, read as `against_settings` say, else as ours.
    """
    extra: list[Finding] = []
    gathered = gather(settings, task, tolerant=True)
    everything = [e for part in gathered.parts.values() for e in part]
    need_contract(task, everything)
    tell("check", f"{gathered.rows:,} rows read, {len(everything):,} kept")
    parts, groups = _divided(settings, gathered, extra, near_duplicates)
    quality = report(material(settings, gathered, parts, groups, near_duplicates=near_duplicates))
    tokens = _tokens(count, everything, extra)
    reviewed = review(everything) if doubt else Review()
    beside = _against(settings, task, everything, against, against_settings, extra)
    personal = _pii(everything, extra) if pii else None
    extra += _doubts(reviewed, len(everything))
    return Examination(
        report=replace(quality, tokens=tokens, findings=by_weight([*quality.findings, *extra])),
        sources=gathered.sources,
        fingerprint=fingerprint(parts) if parts else None,
        suspicious=reviewed.rows,
        against=beside,
        pii=personal,
    )


def _divided(
    settings: DataSection, gathered: Gathered, extra: list[Finding], near: bool
) -> tuple[Parts, NDArray[np.int64]]:
    everything = sum(map(len, gathered.parts.values()))
    parts: Parts = {}
    groups = np.arange(everything)
    if everything == 0:
        extra.append(Finding("nothing", "severe", 0, "no usable row"))
        return parts, groups
    try:
        return divided(settings, gathered, near_duplicates=near)
    except FintuneError as error:
        extra.append(Finding("split", "severe", 1, f"cannot be split: {error.message}. {error.hint}"))
        return parts, groups


def _tokens(
    count: "Callable[[Sequence[Example]], TokenCounts] | None", examples: Sequence[Example], extra: list[Finding]
) -> dict[str, float]:
    if count is None or not examples:
        return {}
    counts = TokenCounts()
    try:
        counts = count(examples)
    except ModelError as error:
        extra.append(Finding("model", "severe", 1, f"{error.message}. {error.hint}"))
    extra += counts.findings
    return counts.tokens


def _against(
    settings: DataSection,
    task: Task,
    examples: Sequence[Example],
    other: str | None,
    how: DataSection | None,
    extra: list[Finding],
) -> Overlap | None:
    if other is None:
        return None
    own_rows = [Row(e.id, e.fields, e.stratum) for e in examples]
    rows, unread = _other_rows(settings, task, other, how)
    if all(row.target is None for row in own_rows):  # no labels here to set beside others
        rows = [replace(row, target=None) for row in rows]
    overlap = replace(compare(own_rows, rows, other), unread=unread)
    extra += overlap.findings
    return overlap


def _other_rows(settings: DataSection, task: Task, other: str, own: DataSection | None) -> tuple[list[Row], int]:
    """Rows of the other file and how many records could not be read: as our own, under the usual names, or as its config says."""
    if own is not None:
        return _tolerantly([path for paths in own.paths.values() for path in paths], reading(own, task))
    how = reading_like(settings, task, other)
    columns_here = replace(how.columns, date=None, group=None)
    refused: DataError | None = None
    for columns in (columns_here, replace(columns_here, need_label=False), Columns(), Columns(need_label=False)):
        try:
            return _tolerantly([other], replace(how, columns=columns))
        except DataError as error:
            if error.kind != "column":
                raise
            refused = refused or error
    raise DataError(
        str(refused), hint="Other columns than here? Give --against a config (.yaml) with a data section for that file."
    )


def _tolerantly(paths: list[str], how: Reading) -> tuple[list[Row], int]:
    faults: list[Fault] = []
    rows = list(read(paths, how, faults=faults.append))
    if not rows and faults:
        raise fault_error(faults[0])
    return rows, len(faults)


def _pii(examples: Sequence[Example], extra: list[Finding]) -> dict[str, int]:
    from fintune.data.quality.pii import KINDS, find

    counts: Counter[str] = Counter()
    rows: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for e in examples:
        for kind in {hit.kind for hit in find(e.text)}:
            counts[kind] += 1
            rows[kind].append(e.id)
    for kind in KINDS:
        extra += finding(
            "pii", "warning", f"texts with personal data ({kind}): {{n}}; data.redact: [{kind}]", rows[kind]
        )
    return {kind: counts[kind] for kind in KINDS}


def _doubts(reviewed: Review, total: int) -> list[Finding]:
    limit = f" (of {MOST_REVIEWED:,} rows looked at)" if total > MOST_REVIEWED else ""
    if reviewed.looked_at and not reviewed.tells:
        shares = f"it gets {reviewed.recall:.1%} of a label's rows right, averaged over labels, guessing {reviewed.chance:.1%}"
        message = f"labels were not reviewed: counting words tells nothing of them{limit} ({shares})"
        return [Finding("suspicious-labels", "note", 0, message)]
    message = f"labels that the other rows contradict{limit}: {{n}}; a list to review, not to drop"
    return finding("suspicious-labels", "note", message, [s.id for s in reviewed.rows])
