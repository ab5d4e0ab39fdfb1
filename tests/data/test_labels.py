"""A key of data.label_map always wins, whatever it is called; what was applied is counted and shown."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fintune.config.load import load
from fintune.data.check import Examination
from fintune.data.labels import LabelMap
from fintune.data.readers.columns import Columns
from fintune.data.readers.read import Reading, read
from fintune.data.table import _counts, examination
from fintune.errors import ConfigError
from fintune.records import Fault
from fintune.training.check import examine

SWAPPED = {"negative": "positive", "positive": "negative"}


def labels(path: Path, mapping: dict[str, str]) -> tuple[list[str | None], list[str]]:
    faults: list[Fault] = []
    rows = [row.target for row in read(str(path), Reading(label_map=mapping), faults=faults.append)]
    return rows, [f"{fault.kind}: {fault.problem}. {fault.hint}" for fault in faults]


def file(tmp_path: Path, *given: str) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{label}\n" for i, label in enumerate(given)))
    return path


@pytest.mark.parametrize(
    ("mapping", "given", "expected"),
    [
        (SWAPPED, ["negative", "positive", "negative"], ["positive", "negative", "positive"]),
        ({"0": "1", "1": "2", "2": "0"}, ["0", "1", "2", "2.0"], ["1", "2", "0", "0"]),
        ({"1.0": "up"}, ["1", "1.0", "up"], ["up", "up", "up"]),
        ({"bad": "down", "good": "up"}, ["down", "good"], ["down", "up"]),
        ({"": "neutral", "up": "up"}, ["", "up", "neutral"], ["neutral", "up", "neutral"]),
    ],
)
def test_a_key_wins_and_is_applied_once(
    tmp_path: Path, mapping: dict[str, str], given: list[str], expected: list[str]
) -> None:
    assert labels(file(tmp_path, *given), mapping) == (expected, [])


def test_a_label_the_map_does_not_know_is_refused_with_the_nearest_key(tmp_path: Path) -> None:
    rows, faults = labels(file(tmp_path, "Bad", "good", ""), {"bad": "down", "good": "up"})
    assert rows == ["up", ""], "an empty label is the task's to refuse"
    assert faults == [
        "unknown-label: label 'Bad' is not in data.label_map (bad: down, good: up). "
        "Did you mean 'bad'? Add it to data.label_map, or mend the row."
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{0: negative, 1.0: positive}", {"0": "negative", "1.0": "positive"}),
        ("{true: positive, False: negative}", {"true": "positive", "false": "negative"}),
        ("{yes: positive, no: negative}", {"yes": "positive", "no": "negative"}),
        ("{' bad ': ' negative '}", {"bad": "negative"}),
        ("{null: neutral}", {"": "neutral"}),
    ],
)
def test_keys_are_what_a_file_says(tmp_path: Path, written: str, expected: dict[str, str]) -> None:
    (tmp_path / "run.yaml").write_text(f"data: {{label_map: {written}}}\n")
    assert load(tmp_path / "run.yaml").data.label_map == expected


@pytest.mark.parametrize(("mapping", "key"), [({0: "negative", "0": "positive"}, "0"), ({"a": "x", " a": "y"}, "a")])
def test_two_keys_for_one_label_are_refused(mapping: dict[Any, str], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"data": {"label_map": mapping}})
    assert caught.value.problems[0].startswith(f"data.label_map: the key '{key}' stands there twice")


def checked(tiny_causal: Path, path: Path, mapping: dict[str, str]) -> Examination:
    raw = {"model": {"base": str(tiny_causal)}, "data": {"path": str(path), "label_map": mapping}}
    return examine(load(raw), doubt=False)


def test_check_prints_the_map_as_applied(tiny_causal: Path, tmp_path: Path) -> None:
    path = file(tmp_path, *["negative", "neutral", "positive", "positive"] * 10)
    found = checked(tiny_causal, path, SWAPPED | {"neg": "negative", "neutral": "neutral"})
    assert found.report.labels == {"negative": 20, "positive": 10, "neutral": 10}
    assert found.record()["label_map"] == {
        "negative": {"positive": 10}, "positive": {"negative": 20}, "neg": {"negative": 0}, "neutral": {"neutral": 10},
    }  # fmt: skip
    unmet = next(f for f in found.report.findings if f.kind == "label-map")
    assert (unmet.level, unmet.message) == ("warning", "keys of data.label_map that no row bears: neg")
    screen = io.StringIO()
    Console(file=screen, width=200).print(next(examination(found)))
    shown = "negative -> positive 10 · positive -> negative 20 · neg -> negative never · neutral as it is 10"
    assert f"label map              {shown}" in screen.getvalue()


def test_a_map_whose_keys_all_occur_has_no_finding(tiny_causal: Path, tmp_path: Path) -> None:
    path = file(tmp_path, *["0", "1", "neutral"] * 10)
    found = checked(tiny_causal, path, {"0": "negative", "1": "neutral"})
    assert found.report.label_map == {
        "0": {"negative": 10}, "1": {"neutral": 10}, "neutral": {"neutral": 10},
    }  # fmt: skip
    assert "label-map" not in {f.kind for f in found.report.findings}


def test_a_map_is_false_when_it_is_empty() -> None:
    assert not LabelMap({})
    assert LabelMap({"a": "b"})


def test_a_label_that_nobody_asked_for_is_no_fault(tmp_path: Path) -> None:
    """`predict --file` reads texts; what stands in the label's column may be of another time."""
    (tmp_path / "a.csv").write_text("text,label\nA,1\nB,9\nC,\n")
    reading = Reading(label_map={"1": "up"}, columns=Columns(need_label=False))
    assert [(row.text, row.target) for row in read(str(tmp_path / "a.csv"), reading)] == [
        ("A", "up"),
        ("B", None),
        ("C", ""),
    ]


def test_a_cell_names_forty_labels_at_most() -> None:
    shown = _counts({f"{'z' * 1_000}{i}": 1 for i in range(15_000)})
    assert shown.endswith(" · and 14,960 more")
    assert len(shown) < 15_000
