"""The checks: each a function from Material to findings.

To add a check: write a function, put it into CHECKS; `fintune check`, its JSON and every run's DataReport follow.
"""

from collections.abc import Callable

import numpy as np

from fintune.data.quality.duplicates import PREFILTER_FROM, nearest, prefiltered
from fintune.data.quality.findings import SHOWN, Finding, finding, share_level
from fintune.data.quality.material import Material
from fintune.data.quality.reaching import FEWEST_EXAMPLES, cause, lacking
from fintune.data.quality.text import is_dictionary, is_header, is_mojibake, normalized, parses
from fintune.records import Answer, FaultKind, strata
from fintune.runtime.printable import BESIDE
from fintune.runtime.scripts import lacks_blanks

MANY_LINES = 10
"""Line breaks in a text from which a stray quote is likelier than a long text."""
_FAULTS: dict[FaultKind, str] = {
    "unreadable": "records that cannot be read",
    "unread": "files of which the rest could not be read",
    "unknown-label": "rows whose answer is none of the task's",
    "tied-votes": "rows in which two labels have as many votes",
    "non-text": "rows without text in the text column",
    "column": "records without a wanted column",
    "bad-date": "rows without a date that can be read",
}


def _unusable(m: Material) -> list[Finding]:
    findings = []
    for kind in dict.fromkeys(fault.kind for fault in m.faults):
        these = [fault for fault in m.faults if fault.kind == kind]
        message = f"{_FAULTS[kind]}: {{n}}; the first: {these[0].problem}"
        findings += finding(kind, "severe", message, [fault.where for fault in these])
    return findings


def _empty(m: Material) -> list[Finding]:
    return finding("empty", "severe", "rows without text: {n}", [e.id for e in m.kept if not e.text])


def _headers(m: Material) -> list[Finding]:
    rows = [e.id for e in m.kept if is_header(e.text)]
    return finding("headers", "warning", "rows that look like a header line: {n}; data.drop: [headers]", rows)


def _many_lines(m: Material) -> list[Finding]:
    rows = [e.id for e in m.kept if e.text.count("\n") >= MANY_LINES]
    message = (
        f"texts of more than {MANY_LINES} lines: {{n}}; a quote that is closed too late makes one text of many rows"
    )
    return finding("many-lines", "warning", message, rows)


def _mojibake(m: Material) -> list[Finding]:
    rows = [e.id for e in m.kept if is_mojibake(e.text)]
    level = share_level(len(rows), len(m.kept), 0.05)
    return finding("mojibake", level, "texts with wrongly decoded characters: {n}; check data.encoding", rows)


def _encoding(m: Material) -> list[Finding]:
    guessed = [source for source in m.sources if source.get("guessed")]
    shown = "; ".join(f"{s['name']} as {s['encoding']}: {s['guessed']}" for s in guessed[:3])
    message = f"files that are not UTF-8 and whose encoding was guessed: {{n}} ({shown}); set data.encoding to be sure"
    return finding("encoding", "warning", message, [str(source["name"]) for source in guessed])


def _scripts(m: Material) -> list[Finding]:
    """Say that one prompt asks about texts of several languages, as far as the scripts of whole files tell."""
    names = [str(source["name"]) for source in m.sources]
    if len(names) < 2:
        return []
    texts: dict[str, list[str]] = {name: [] for name in names}
    for e in m.kept:
        texts.setdefault(e.id.rpartition(":")[0], []).append(e.text)
    unspaced = [name for name in names if texts[name] and lacks_blanks(texts[name])]
    others = [name for name in names if texts[name] and name not in unspaced]
    message = f"files without blanks between words (such as Chinese): {{n}}, unlike {others[0] if others else ''}"
    asked = "prompt and answers are the same for all (task.language, task.prompt)"
    return finding("scripts", "warning", f"{message}; {asked}", unspaced) if others else []


def _license(m: Material) -> list[Finding]:
    unsaid = [str(source["name"]) for source in m.sources if source["license"] is None]
    return finding("license", "note", "sources without a license: {n}; set data.license", unsaid)


def _label_map(m: Material) -> list[Finding]:
    """Find keys that no row bears: one may be a slip of the pen, and the label that was meant stand as it is."""
    unmet = [old for old, counts in m.label_map.items() if not any(counts.values())]
    message = f"keys of data.label_map that no row bears: {', '.join(unmet)}"
    return finding("label-map", "warning", message, unmet)


def _dictionaries(m: Material) -> list[Finding]:
    labels = [(f.where, f.value) for f in m.faults if is_dictionary(f.value)]
    labels += [(e.id, e.stratum) for e in m.kept if e.stratum is not None and is_dictionary(e.stratum)]
    broken = [where for where, label in labels if not parses(label)]
    message = "labels that are dictionaries or lists: {n}; write one row for each of their labels"
    return finding("label-dictionaries", "warning", message, [where for where, _ in labels]) + finding(
        "label-dictionaries-broken", "severe", "labels that are dictionaries or lists and do not parse: {n}", broken
    )


def _exact(m: Material) -> list[Finding]:
    first: dict[tuple[str, Answer | None], str] = {}
    rows = [e.id for e in m.kept if first.setdefault((e.text, e.target), e.id) != e.id]
    return finding(
        "exact-duplicates", "warning", "rows that repeat an earlier one: {n}; data.drop: [exact-duplicates]", rows
    )


def _conflicts(m: Material) -> list[Finding]:
    level = share_level(len(m.conflicts), len(m.kept), 0.01)
    message = "texts with several labels: {n}; data.drop: [conflicts] leaves them out"
    return finding("conflicts", level, message, list(m.conflicts.values()))


def _balance(m: Material) -> list[Finding]:
    counts = strata(m.kept)
    most = max(counts.values(), default=0)
    rare = [label for label in m.labels if 0 < counts[label] * 20 < most]
    message = (
        f"labels more than 20 times rarer than another: {', '.join(rare)}; see train.class_weights and train.sampling"
    )
    return finding("imbalance", "warning", message, rare)


def _missing(m: Material) -> list[Finding]:
    findings = []
    for name, part in m.parts.items():
        missed = lacking(m.labels, part)
        why = (
            cause(missed[0], m.split_off, m.by, m.shares.get(name, 1.0)) if missed and name in m.split_off else ("", "")
        )
        of = f" of: {', '.join(missed)}" if m.labels else ""
        message = f"no example in the {name} part{of}" + (f"; {': '.join(why)}" if why[0] else "")
        findings += finding("label-missing", "severe", message, missed)
    return findings


def _few(m: Material) -> list[Finding]:
    n = len(m.kept)
    few = Finding("few", "severe", n, f"{n} distinct examples are too few to split: {FEWEST_EXAMPLES} are the least")
    return [few] if 0 < n < FEWEST_EXAMPLES else []


def _one_answer(m: Material) -> list[Finding]:
    answers = {e.target for e in m.kept}
    said = next(iter(answers), None)
    message = f"all examples have the answer '{said}': nothing to learn"
    return [Finding("one-answer", "severe", len(m.kept), message)] if len(answers) == 1 else []


def _overlaps(m: Material) -> list[Finding]:
    """Texts that stand in two parts: only files that were given, or a split that ignores duplicates, can have them."""
    findings: list[Finding] = []
    names = list(m.parts)
    for i, name in enumerate(names):
        texts = {normalized(e.text) for e in m.parts[name]} - {""}
        for other in names[i + 1 :]:
            rows = [e.id for e in m.parts[other] if normalized(e.text) in texts]
            message = f"rows of {other} that stand in {name} too, word by word: {{n}}{_REMEDY if m.given else ''}"
            findings += finding("overlap", "severe", message, rows)
    return findings


_REMEDY = "; data.drop: [leaks] takes them out of what data.path names"


def _leaks(m: Material) -> list[Finding]:
    findings: list[Finding] = []
    if m.parted and not m.given:  # told by _numbers
        return findings
    for name, count in m.twins.items():
        if count:
            total = len(m.parts[name])
            message = f"rows of {name} with a near-duplicate in train: {count:,} of {total:,} ({count / total:.1%})"
            level = share_level(count, total, 0.01)
            findings.append(Finding("leaks", level, count, message + (_REMEDY if m.given else ""), _pairs(m, name)))
    return findings


def _pairs(m: Material, name: str) -> list[str]:
    """Return the first rows of a part that stand in train, each with the row of train it is most like."""
    leaking = set(m.leaks[name].train[:SHOWN])
    rows, train = [e for e in m.parts[name] if e.id in leaking], m.parts["train"]
    places = nearest([e.text for e in rows], [e.text for e in train])
    return [f"{e.id}{BESIDE}{train[place].id}" for e, place in zip(rows, places, strict=True)]


def _numbers(m: Material) -> list[Finding]:
    """Clusters that had to be parted for every part to have every label."""
    message = (
        "rows outside train that differ from others of it in their numbers alone: {n}; kept together they would leave a part "
        "without a label, so numbers count as words there, and scores hold for texts of these forms only; "
        "data.split.by: group keeps apart what a column says"
    )
    return finding("numbers-told-apart", "warning", message, m.parted)


def _prefilter(m: Material) -> list[Finding]:
    if not m.near_duplicates or not prefiltered([e.text for e in m.kept]):
        return []
    message = f"more than {PREFILTER_FROM:,} texts: near-duplicates were found through MinHash, which misses at most 1 pair in 1,000"
    return [Finding("prefilter", "note", len(m.kept), message)]


def _undated(m: Material) -> list[Finding]:
    message = (
        "rows whose date is missing or of another form, left out of what is said of dates: {n}; see data.date_format"
    )
    return finding("undated", "warning", message, m.undated)


def _look_ahead(m: Material) -> list[Finding]:
    if not {"train", "test"} <= m.dates.keys() or bool(np.isnat(m.dates["test"]).all()):
        return []
    first = np.nanmin(m.dates["test"])
    rows = [e.id for e, late in zip(m.parts["train"], (m.dates["train"] > first).tolist(), strict=True) if late]
    message = f"rows of train that are later than the earliest of test ({first}): {{n}}; looking ahead, see data.split.by: time"
    return finding("look-ahead", "warning", message, rows)


CHECKS: dict[str, Callable[[Material], list[Finding]]] = {
    "unusable": _unusable,
    "few": _few,
    "one-answer": _one_answer,
    "empty": _empty,
    "headers": _headers,
    "many-lines": _many_lines,
    "mojibake": _mojibake,
    "encoding": _encoding,
    "scripts": _scripts,
    "license": _license,
    "label-map": _label_map,
    "label-dictionaries": _dictionaries,
    "exact-duplicates": _exact,
    "conflicts": _conflicts,
    "imbalance": _balance,
    "label-missing": _missing,
    "overlap": _overlaps,
    "leaks": _leaks,
    "numbers-told-apart": _numbers,
    "prefilter": _prefilter,
    "undated": _undated,
    "look-ahead": _look_ahead,
}
