"""Counts a reader can check against the source; every defect is found, and weighed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.data.quality.cleanup import Dropped
from fintune.data.quality.findings import finding
from fintune.data.quality.material import Material
from fintune.data.quality.report import label_samples, report
from fintune.records import Example, Fault, FaultKind
from tests.made_records import example


def rows(*pairs: tuple[str, str]) -> list[Example]:
    return [example(f"f:{i}", text, label) for i, (text, label) in enumerate(pairs, start=1)]


def material(kept: list[Example], **more: Any) -> Material:
    defaults: dict[str, Any] = {
        "rows": len(kept),
        "parts": {},
        "groups": np.arange(len(kept)),
        "labels": ["up", "down"],
    }
    return Material(kept=kept, **(defaults | more))


def found(m: Material) -> dict[str, tuple[str, int]]:
    return {f.kind: (f.level, f.count) for f in report(m).findings}


def test_report_counts_what_was_found() -> None:
    kept = rows(("a b c", "up"), ("a b c", "down"), ("d", "up"), ("e f", "flat"), ("e g h i", "flat"), ("x y", "up"))
    parts = {"train": kept[:4], "validation": kept[4:5], "test": kept[5:]}
    dropped = [Dropped("f:7", "empty: no text", "", "up"), Dropped("f:8", "exact-duplicates: same as f:1", "d", "up")]
    counts = report(material(kept, rows=9, groups=np.array([0, 0, 1, 2, 2, 3]), parts=parts, dropped=dropped))
    assert (counts.rows, counts.empty_texts, counts.exact_duplicates, counts.conflicting_texts) == (9, 1, 1, 1)
    assert (counts.near_duplicate_rows, counts.near_duplicate_clusters) == (4, 2)
    assert counts.labels == {"up": 3, "flat": 2, "down": 1}
    assert list(counts.labels) == ["up", "flat", "down"]
    assert (counts.median_words, counts.longest_words) == (2.5, 4)
    assert counts.parts == {"train": {"up": 2, "down": 1, "flat": 1}, "validation": {"flat": 1}, "test": {"up": 1}}
    assert counts.dropped == {"empty": 1, "exact-duplicates": 1}


@pytest.mark.parametrize(
    ("texts", "words", "characters"),
    [
        (["公司扭亏为盈", "营收 5 亿元。", "董事会"], (None, None), (6, 8)),
        (["กำไรเพิ่มขึ้น", "ขาดทุน"], (None, None), (9.5, 13)),
        (["カード", "口座です"], (None, None), (3.5, 4)),
        (["Sales rose 5 %", "公司 fell a lot in May"], (5.0, 6), (None, None)),
        (["매출이 늘었다", "실적"], (1.5, 2), (None, None)),
    ],
)
def test_lengths_are_characters_where_no_blanks_stand_between_words(
    texts: list[str], words: tuple[float, int], characters: tuple[float, int]
) -> None:
    counts = report(material(rows(*((text, "up") for text in texts))))
    assert (counts.median_words, counts.longest_words) == words
    assert (counts.median_characters, counts.longest_characters) == characters


@pytest.mark.parametrize(
    ("groups", "clustered"),
    [([0, 1, 2, 3], (0, 0)), ([0, 0, 0, 0], (4, 1)), ([0, 1, 0, 1], (4, 2)), ([0, 1, 1, 2], (2, 1))],
)
def test_only_clusters_of_two_or_more_count(groups: list[int], clustered: tuple[int, int]) -> None:
    counts = report(material(rows(("a", "up"), ("b", "up"), ("c", "up"), ("d", "up")), groups=np.array(groups)))
    assert (counts.near_duplicate_rows, counts.near_duplicate_clusters) == clustered


def test_sound_data_have_no_finding() -> None:
    kept = rows(*((f"text {i} of its own kind {i * i}", "up" if i % 2 else "down") for i in range(20)))
    assert found(material(kept, parts={"train": kept[:14], "validation": kept[14:17], "test": kept[17:]})) == {}


DEFECTS: dict[str, tuple[list[tuple[str, str]], tuple[str, int]]] = {
    "empty": ([("", "up"), ("x", "down")], ("severe", 1)),
    "headers": ([("Text", "up"), ("x", "down")], ("warning", 1)),
    "mojibake": ([("gewÃ¤hlt wÃ¼rde", "up"), ("\ufffd", "up"), ("Sepp+ñl+ñ", "up"), ("Käse 涨", "up")], ("severe", 3)),
    "label-dictionaries-broken": ([("x", "{'a': 'up'}"), ("y", "{'L'Oreal': 'up'}")], ("severe", 1)),
    "exact-duplicates": ([("x", "up"), ("x", "up"), ("x", "up")], ("warning", 2)),
    "conflicts": ([("Up 5 %!", "up"), ("up 5%", "down"), ("z", "up")], ("severe", 1)),
    "many-lines": ([("a\n" * 12, "up"), ("b\nc", "down")], ("warning", 1)),
    "imbalance": ([(f"t{i}", "up") for i in range(41)] + [("y", "down"), ("z", "down")], ("warning", 1)),
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_each_defect_is_found_and_weighed(kind: str) -> None:
    pairs, expected = DEFECTS[kind]
    assert found(material(rows(*pairs)))[kind] == expected


def test_few_conflicts_are_a_warning() -> None:
    pairs = [(f"text {i}", "up") for i in range(300)] + [("text 0", "down")]
    assert found(material(rows(*pairs)))["conflicts"] == ("warning", 1)


def test_faults_are_findings_by_kind() -> None:
    faults = [
        Fault(where="f:1", problem="not JSON"),
        Fault(where="f:2", problem="label '{}' is not", kind="unknown-label", value="{"),
        Fault(where="f:3", problem="", kind="non-text"),
    ]
    kinds = found(material(rows(("x", "up")), faults=faults))
    assert {kind: kinds[kind] for kind in ("unreadable", "unknown-label", "non-text")} == dict.fromkeys(
        ("unreadable", "unknown-label", "non-text"), ("severe", 1)
    )


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_every_kind_of_fault_is_a_finding(kind: FaultKind) -> None:
    faults = [Fault(where="f:1", problem="something", kind=kind)]
    assert found(material(rows(("x", "up")), faults=faults))[kind] == ("severe", 1)


def test_dictionaries_are_found_among_unknown_labels_too() -> None:
    faults = [
        Fault(where="f:1", problem="", kind="unknown-label", value=label)
        for label in ("{'a': 'up'}", '{"a": 1}', "{'L'Oreal': 'up'}")
    ]
    kinds = found(material([], faults=faults))
    assert (kinds["label-dictionaries"], kinds["label-dictionaries-broken"]) == (("warning", 3), ("severe", 1))


def test_given_parts_that_share_texts_are_severe() -> None:
    train, test = (
        rows(("Sales rose 5 % in May", "up"), ("b", "down")),
        rows(("sales rose 5% in may.", "up"), ("c", "down")),
    )
    m = material([*train, *test], parts={"train": train, "test": test}, given=["test"])
    assert found(m)["overlap"] == ("severe", 1)
    assert (m.twins, found(m)["leaks"]) == ({"test": 1}, ("severe", 1))


def test_leaks_name_the_rows_and_what_they_repeat() -> None:
    train = [
        example("train.csv:2", "The board met in Oslo", "up"),
        example("train.csv:3", "Sales rose 5 % in May", "up"),
        example("train.csv:4", "sales rose 6 % in May, again", "up"),
    ]
    test = [example("test.csv:2", "Nothing of the sort", "up"), example("test.csv:3", "sales rose 9 % in may", "up")]
    m = material([*train, *test], parts={"train": train, "test": test}, given=["test"])
    (leak,) = [finding for finding in report(m).findings if finding.kind == "leaks"]
    assert leak.rows == ["test.csv:3 ~ train.csv:3"]


def test_a_split_that_ignores_duplicates_says_how_many_leak() -> None:
    train, test = rows(("Sales rose 5 % in May", "up")), rows(("Sales rose 7 % in May", "up"))
    parts = {"train": train, "test": test}
    assert material([*train, *test], parts=parts, by="random").twins == {"test": 1}
    assert material([*train, *test], parts=parts, by="near-duplicates").twins == {"test": 0}, "clusters never part"


def test_a_label_missing_from_a_part_is_severe() -> None:
    kept = rows(("a", "up"), ("b", "down"))
    assert found(material(kept, parts={"train": kept, "test": kept[:1]}))["label-missing"] == ("severe", 1)


def test_looking_ahead_is_told() -> None:
    def dated(*days: int) -> list[Example]:
        return [example(f"f:{d}", f"t{d}", "up", date=f"2024-01-{d:02d}") for d in days]

    parts = {"train": dated(1, 2, 9), "test": dated(5, 8)}
    m = material([*parts["train"], *parts["test"]], parts=parts, by="random", labels=["up"])
    assert found(m)["look-ahead"] == ("warning", 1)
    undated = [*parts["train"], example("f:0", "t", "up", date="soon")]
    kinds = found(material([*undated, *parts["test"]], parts=parts | {"train": undated}, by="random", labels=["up"]))
    assert (kinds["look-ahead"], kinds["undated"]) == (("warning", 1), ("warning", 1))
    assert report(m).dates == {
        "train": ["2024-01-01T00:00:00", "2024-01-09T00:00:00"],
        "test": ["2024-01-05T00:00:00", "2024-01-08T00:00:00"],
    }


def test_numbers_that_stand_for_labels_come_with_texts() -> None:
    kept = rows(*((f"t{i}", "up" if i % 2 else "down") for i in range(12)))
    assert label_samples(kept, {"0": "down", "1": "up", "x": "up"}, ["down", "up"]) == {
        "0 = down": ["t0", "t4", "t8"],
        "1 = up": ["t1", "t5", "t9"],
    }
    assert label_samples(kept, {}, ["down", "up"]) == {}
    assert list(label_samples(rows(("a", "1")), {}, ["1", "-1", "x"])) == [
        "1 (no name: see data.label_map)",
        "-1 (no name: see data.label_map)",
    ]


def test_phrasebank_from_file_to_report(phrasebank: Path) -> None:
    found = prepare(load({"data": {"path": str(phrasebank)}})).report
    counts = asdict(found)
    assert [f.kind for f in found.findings] == ["mojibake", "license"]
    assert (counts.pop("findings")[0]["level"], counts.pop("unusable"), counts.pop("dropped")) == (
        "warning",
        0,
        {"exact-duplicates": 5},
    )
    assert counts.pop("twins_in_train") == {"validation": 0, "test": 0}
    assert [counts.pop(name) for name in ("dates", "label_samples", "label_map", "tokens")] == [{}] * 4
    assert counts.pop("parts").keys() == {"train", "validation", "test"}
    assert (counts.pop("sizes"), counts.pop("values")) == ({"train": 1581, "validation": 226, "test": 452}, {})
    words = (counts.pop("median_words"), counts.pop("longest_words"))
    assert (counts.pop("median_characters"), counts.pop("longest_characters")) == (None, None)
    assert counts == {
        "rows": 2264,
        "empty_texts": 0,
        "exact_duplicates": 5,
        "conflicting_texts": 0,
        "near_duplicate_rows": 203,
        "near_duplicate_clusters": 69,
        "labels": {"neutral": 1386, "positive": 570, "negative": 303},
    }
    sentences = {line.rpartition("@")[0] for line in phrasebank.read_text(encoding="latin-1").splitlines()}
    lengths = sorted(len(sentence.split()) for sentence in sentences)
    assert words == (lengths[len(lengths) // 2], lengths[-1])
    assert [sum(labels.values()) for labels in found.parts.values()] == [1581, 226, 452]


def test_what_a_finding_quotes_is_bounded() -> None:
    (made,) = finding("unknown-label", "severe", f"label '{'z' * 100_000}': {{n}}", ["a.csv:2"])
    assert len(made.message) < 2_000
    assert made.message.endswith("': 1")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["公司净利润增长", "Sales rose"], ("warning", 1)),
        (["Sales rose", "公司净利润增长", "营收 5 亿元"], ("warning", 2)),
        (["Sales rose", "Sales fell"], None),
        (["公司净利润增长", "营收 5 亿元"], None),
        (["Sales rose"], None),
    ],
)
def test_files_of_several_languages_are_told(files: list[str], told: tuple[str, int] | None) -> None:
    kept = [example(f"f{i}.csv:{row}", text, "up") for i, text in enumerate(files) for row in (2, 3)]
    sources = [{"name": f"f{i}.csv", "license": "MIT"} for i in range(len(files))]
    assert found(material(kept, sources=sources)).get("scripts") == told
