"""From a config's files to examples: given parts, clean-up, faults and licenses."""

import json
from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.config.load import load
from fintune.config.prepare import prepare
from fintune.data.load import gather
from fintune.data.splits import fingerprint
from fintune.errors import ConfigError, DataError
from tests.tiny import tiny_rows


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def files(tmp_path: Path, tiny_causal: Path) -> dict[str, Any]:
    rows = tiny_rows(90)
    return {
        "model": {"base": str(tiny_causal), "device": "cpu"},
        "data": {
            "path": write(tmp_path / "train.jsonl", rows[:60]),
            "validation": write(tmp_path / "dev.jsonl", rows[60:75]),
            "test": write(tmp_path / "test.jsonl", rows[75:]),
        },
    }


def ids(parts: Any, part: str) -> list[str]:
    return [e.id for e in parts[part]]


def test_given_parts_stand_as_they_are(files: dict[str, Any]) -> None:
    splits = prepare(load(files)).splits
    assert {part: len(members) for part, members in splits.parts.items()} == {"train": 60, "validation": 15, "test": 15}
    assert ids(splits, "test") == [f"test.jsonl:{i}" for i in range(1, 16)]


def test_a_part_that_is_not_given_is_split_off(files: dict[str, Any]) -> None:
    del files["data"]["validation"]
    splits = prepare(load(files)).splits
    assert len(splits["test"]) == 15
    assert len(splits["train"]) + len(splits["validation"]) == 60
    assert abs(len(splits["validation"]) - 60 * 0.1 / 0.8) < 3


def test_leaks_into_given_parts_are_told_and_dropped_when_asked(files: dict[str, Any], tmp_path: Path) -> None:
    rows = tiny_rows(90)
    copied = rows[75]["text"].replace(" of ", ", of ")
    files["data"]["path"] = write(tmp_path / "leaky.jsonl", [*rows[:60], rows[75] | {"text": copied}])
    report = prepare(load(files)).report
    assert report.twins_in_train == {"validation": 0, "test": 1}
    assert {f.kind: f.level for f in report.findings}["overlap"] == "severe"
    files["data"]["drop"] = ["leaks"]
    prepared = prepare(load(files))
    assert len(prepared.splits["train"]) == 60
    assert [(d.id, d.text) for d in prepared.dropped] == [("leaky.jsonl:61", copied)]
    assert [f.kind for f in prepared.report.findings] == ["license"]


def test_faults_stop_a_run_unless_they_are_dropped(files: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(path.read_text() + '{"text": "a", "label": "odd"}\n{"text": 3, "label": "neutral"}\n{"text": \n')
    for kind, line in (("unknown-label", 61), ("non-text", 62), ("unreadable", 63)):
        with pytest.raises(DataError, match=rf"train\.jsonl:{line}: "):
            prepare(load(files))
        files["data"].setdefault("drop", []).append(kind)
    prepared = prepare(load(files))
    assert prepared.report.rows == 93
    assert prepared.report.dropped == {"unknown-label": 1, "non-text": 1, "unreadable": 1}
    assert [d.id for d in prepared.dropped] == ["train.jsonl:61", "train.jsonl:62", "train.jsonl:63"]
    tolerant = gather((config := load(files, ["data.drop=[]"])).data, config.build_task(), tolerant=True)
    assert [f.where for f in tolerant.faults] == [d.id for d in prepared.dropped]
    assert [(d.text, d.label) for d in prepared.dropped] == [("a", "odd"), ("3", "neutral"), ("", "")]


def test_what_was_dropped_lies_in_the_run(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    rows = [*tiny_rows(90), tiny_rows(1)[0], {"text": " ", "label": "neutral"}]
    tiny_config["data"]["path"] = write(tmp_path / "twice.jsonl", rows)
    run = fintune.train(tiny_config, ["train.epochs=1", "evaluation.baselines=[majority]"])
    lines = [json.loads(line) for line in (run.folder / "dropped.jsonl").read_text().splitlines()]
    assert [(line["id"], line["reason"]) for line in lines] == [
        ("twice.jsonl:92", "empty: no text"),
        ("twice.jsonl:91", "exact-duplicates: same text and answer as twice.jsonl:1"),
    ]
    assert run.data()["report"]["dropped"] == {"empty": 1, "exact-duplicates": 1}
    again = fintune.train(tiny_config, ["train.epochs=1", "evaluation.baselines=[majority]"], overwrite=True)
    assert again.data()["fingerprint"] == run.data()["fingerprint"]


def test_duplicates_stay_when_nobody_drops_them(files: dict[str, Any], tmp_path: Path) -> None:
    files["data"] = {"path": write(tmp_path / "twice.jsonl", tiny_rows(60) + tiny_rows(60)), "drop": []}
    prepared = prepare(load(files))
    assert sum(map(len, prepared.splits.parts.values())) == 120
    assert (prepared.report.exact_duplicates, prepared.report.twins_in_train) == (60, {"validation": 0, "test": 0})


@pytest.mark.parametrize(
    ("license", "message"),
    [
        (None, "its license is not said"),
        ("CC BY-NC-SA 3.0", "'CC BY-NC-SA 3.0' is not known to allow commercial use"),
        ("for non-commercial research", "'for non-commercial research' is not known to allow"),
        ("Not for commercial use", "not known to allow"),
        ("cc_by_nc_4.0", "not known to allow"),
        ("CCBYNC", "not known to allow"),
        ("Proprietary: ours", "not known to allow"),
        ("CC_BY_NC_SA", "'CC_BY_NC_SA' is not known to allow"),
        ("house rules", "'house rules' is not known to allow"),
        ("unknown", "its license is not said"),
        (" ", "its license is not said"),
        ({"dev.jsonl": "CC0"}, "its license is not said"),
    ],
)
def test_commercial_use_needs_a_license_that_allows_it(files: dict[str, Any], license: Any, message: str) -> None:
    files["data"] |= {"commercial": True, "license": license}
    with pytest.raises(DataError, match=message):
        prepare(load(files))


def test_licenses_are_carried_along(files: dict[str, Any]) -> None:
    files["data"] |= {
        "commercial": True,
        "license": {"train.jsonl": "MIT", "dev.jsonl": "CC0", "test.jsonl": "CC BY 4.0"},
    }
    assert [source["license"] for source in prepare(load(files)).sources] == ["MIT", "CC0", "CC BY 4.0"]


@pytest.mark.parametrize(
    "license", ["MIT", "cc_by_4.0", "CC BY-SA 3.0", "Apache-2.0", "CC0-1.0", "granted: by contract of May 2024"]
)
def test_licenses_that_allow_commercial_use(files: dict[str, Any], license: str) -> None:
    files["data"] |= {"commercial": True, "license": license}
    assert prepare(load(files)).sources[0]["license"] == license


def test_a_license_for_no_source_is_refused(files: dict[str, Any]) -> None:
    files["data"] |= {"license": {"trian.jsonl": "MIT"}}
    with pytest.raises(DataError, match=r"data\.license: no source is called 'trian\.jsonl'") as caught:
        prepare(load(files))
    assert caught.value.hint == "Did you mean 'train.jsonl'?"


def test_a_split_by_time_drops_rows_without_date_when_asked(files: dict[str, Any], tmp_path: Path) -> None:
    rows = [row | {"day": f"2024-01-{1 + i % 28:02d}"} for i, row in enumerate(tiny_rows(60))]
    rows[3]["day"] = "soon"
    files["data"] = {"path": write(tmp_path / "d.jsonl", rows), "date_column": "day", "split": {"by": "time"}}
    with pytest.raises(DataError, match=r"d\.jsonl:4: 'soon' is no date of the form ISO 8601"):
        prepare(load(files))
    files["data"]["drop"] = ["bad-date"]
    prepared = prepare(load(files))
    assert [(d.id, d.text, d.label) for d in prepared.dropped] == [("d.jsonl:4", rows[3]["text"], rows[3]["label"])]


def test_personal_data_are_blotted_out_when_asked(files: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("stdnum")
    rows = [row | {"text": f"{row['text']} ann{i}@example.com"} for i, row in enumerate(tiny_rows(60))]
    files["data"] = {"path": write(tmp_path / "pii.jsonl", rows), "redact": ["email"]}
    texts = [e.text for part in prepare(load(files)).splits.parts.values() for e in part]
    assert all("[EMAIL]" in text and "@" not in text for text in texts)


def test_folds_are_chosen_in_the_config(files: dict[str, Any], tmp_path: Path) -> None:
    files["data"] = {"path": write(tmp_path / "all.jsonl", tiny_rows(90)), "split": {"folds": 4}}
    folds = [prepare(load(files, [f"data.split.fold={i}"])).splits for i in range(4)]
    assert len({fold.fingerprint for fold in folds}) == 4
    assert len({tuple(ids(fold, "test")) for fold in folds}) == 1
    assert len({i for fold in folds for i in ids(fold, "validation")}) == 90 - len(folds[0]["test"])
    assert all(fold.fingerprint == fingerprint(fold.parts) for fold in folds)
    for wrong in (
        ["data.split.fold=4"],
        ["data.split.folds=1"],
        ["data.split.folds=3", f"data.validation={tmp_path}/all.jsonl"],
    ):
        with pytest.raises(ConfigError):
            load(files, wrong)


@pytest.mark.parametrize(("by", "column"), [("time", "date_column"), ("group", "group_column")])
def test_a_split_by_column_needs_the_column(files: dict[str, Any], by: str, column: str) -> None:
    with pytest.raises(ConfigError, match=rf"data: split.by: {by} needs data\.{column}"):
        load(files, [f"data.split.by={by}"])


def test_several_files_and_globs_are_one_set(files: dict[str, Any], tmp_path: Path) -> None:
    files["data"] = {"path": [str(tmp_path / "t*.jsonl"), str(tmp_path / "dev.jsonl")]}
    prepared = prepare(load(files))
    assert [source["name"] for source in prepared.sources] == ["test.jsonl", "train.jsonl", "dev.jsonl"]
    assert sum(map(len, prepared.splits.parts.values())) == 90
    assert prepared.config.data.path == [str(tmp_path / name) for name in ("test.jsonl", "train.jsonl", "dev.jsonl")]


def test_without_a_header_columns_are_named_by_number(files: dict[str, Any], tmp_path: Path) -> None:
    """Those that the prompt reads and the answer's; data.text_column only where the prompt has {text}."""
    table = tmp_path / "bare.csv"
    table.write_text("".join(f"{row['text']},acme {i},{row['label']}\n" for i, row in enumerate(tiny_rows())))
    files["data"] = {"path": str(table), "header": False, "label_column": "3"}
    with pytest.raises(DataError, match=r"false needs columns by number, and data.text_column names 'text'"):
        prepare(load(files))
    files["task"] = {"prompt": "{who}: {1} is {answer}"}
    with pytest.raises(DataError, match=r"and task.prompt names 'who'"):
        prepare(load(files))
    files["task"] = {"prompt": "{2}: {1} is {answer}"}
    example = prepare(load(files)).splits["train"][0]
    number = int(example.fields["2"].removeprefix("acme "))
    assert example.fields["1"] == tiny_rows()[number]["text"]
