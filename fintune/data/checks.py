"""The checks: each a function from Material to findings.

To add a check: write a function, put it into CHECKS; `fintune check`, its JSON and every run's DataReport follow.
"""

from collections import Counter
from collections.abc import Callable

from fintune.data.duplicates import PREFILTER_FROM, prefiltered
from fintune.data.findings import Finding, finding, share_level
from fintune.data.material import Material
from fintune.data.text_quality import is_dictionary, is_header, is_mojibake, normalised, parses


def _unusable(m: Material) -> list[Finding]:
    found = []
    for kind in dict.fromkeys(fault.kind for fault in m.faults):
        these = [fault for fault in m.faults if fault.kind == kind]
        first = f"; the first: {these[0].problem}"
        found += finding(kind, "severe", "{n} rows " + _FAULTS[kind] + first, [fault.where for fault in these])
    return found


_FAULTS = {
    "unreadable": "cannot be read",
    "unknown-label": "bear a label that is not the task's",
    "non-text": "hold no text in the text column",
}


def _empty(m: Material) -> list[Finding]:
    return finding("empty", "severe", "{n} rows without text", [e.id for e in m.kept if not e.text])


def _headers(m: Material) -> list[Finding]:
    rows = [e.id for e in m.kept if is_header(e.text)]
    return finding("headers", "warning", "{n} rows look like a header line; data.drop: [headers] leaves them out", rows)


def _mojibake(m: Material) -> list[Finding]:
    rows = [e.id for e in m.kept if is_mojibake(e.text)]
    level = share_level(len(rows), len(m.kept), 0.05)
    return finding("mojibake", level, "{n} texts hold wrongly decoded characters; check data.encoding", rows)


def _dictionaries(m: Material) -> list[Finding]:
    labels = [(f.where, f.value) for f in m.faults if is_dictionary(f.value)]
    labels += [(e.id, e.label) for e in m.kept if is_dictionary(e.label)]
    broken = [where for where, label in labels if not parses(label)]
    message = "{n} labels are dictionaries or lists: more than one label a text"
    return finding("label-dictionaries", "warning", message, [where for where, _ in labels]) + finding(
        "label-dictionaries-broken", "severe", "{n} labels are dictionaries or lists that do not parse", broken
    )


def _exact(m: Material) -> list[Finding]:
    first: dict[tuple[str, str], str] = {}
    rows = [e.id for e in m.kept if first.setdefault((e.text, e.label), e.id) != e.id]
    return finding("exact-duplicates", "warning", "{n} rows repeat an earlier one; data.drop: [exact-duplicates]", rows)


def _conflicts(m: Material) -> list[Finding]:
    level = share_level(len(m.conflicts), len(m.kept), 0.01)
    message = "{n} texts bear several labels; data.drop: [conflicts] leaves them out"
    return finding("conflicts", level, message, list(m.conflicts.values()))


def _balance(m: Material) -> list[Finding]:
    counts = Counter(e.label for e in m.kept)
    most = max(counts.values(), default=0)
    rare = [label for label in m.labels if 0 < counts[label] * 20 < most]
    message = "{n} labels are more than 20 times rarer than another; see train.class_weights and train.sampling: "
    return finding("imbalance", "warning", message + ", ".join(rare), rare)


def _missing(m: Material) -> list[Finding]:
    found = []
    for name, part in m.parts.items():
        present = {e.label for e in part}
        lacking = [label for label in m.labels if label not in present]
        found += finding("label-missing", "severe", f"no example in the {name} part of: {', '.join(lacking)}", lacking)
    return found


def _overlaps(m: Material) -> list[Finding]:
    """Texts that stand in two parts: only files that were given, or a split that ignores duplicates, can have them."""
    found: list[Finding] = []
    names = list(m.parts)
    for i, name in enumerate(names):
        for other in names[i + 1 :]:
            texts = {normalised(e.text) for e in m.parts[name]}
            rows = [e.id for e in m.parts[other] if normalised(e.text) in texts]
            found += finding("overlap", "severe", f"{{n}} rows of {other} stand in {name} too, word by word", rows)
    return found


def _leaks(m: Material) -> list[Finding]:
    found = []
    for name, count in m.twins.items():
        if count:
            total = len(m.parts[name])
            message = f"{count:,} of {total:,} rows of {name} ({count / total:.1%}) have a near-duplicate in train"
            found.append(Finding("leaks", share_level(count, total, 0.01), count, message))
    return found


def _prefilter(m: Material) -> list[Finding]:
    if not m.near_duplicates or not prefiltered([e.text for e in m.kept]):
        return []
    message = f"more than {PREFILTER_FROM:,} texts: near-duplicates were found through MinHash, which misses at most 1 pair in 1,000"
    return [Finding("prefilter", "note", len(m.kept), message)]


def _look_ahead(m: Material) -> list[Finding]:
    if not {"train", "test"} <= m.dates.keys():
        return []
    first = m.dates["test"].min()
    rows = [e.id for e, late in zip(m.parts["train"], (m.dates["train"] > first).tolist(), strict=True) if late]
    message = (
        f"{{n}} rows of train are later than the earliest of test ({first}): looking ahead; see data.split.by: time"
    )
    return finding("look-ahead", "warning", message, rows)


CHECKS: dict[str, Callable[[Material], list[Finding]]] = {
    "unusable": _unusable,
    "empty": _empty,
    "headers": _headers,
    "mojibake": _mojibake,
    "label-dictionaries": _dictionaries,
    "exact-duplicates": _exact,
    "conflicts": _conflicts,
    "imbalance": _balance,
    "label-missing": _missing,
    "overlap": _overlaps,
    "leaks": _leaks,
    "prefilter": _prefilter,
    "look-ahead": _look_ahead,
}
