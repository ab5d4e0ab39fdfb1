"""A quote closed far below costs its own row and no other; texts of several lines are read as they were written."""

import csv
from pathlib import Path

import pytest

from fintune.config.load import load
from fintune.data.readers.columns import Columns
from fintune.data.readers.read import Reading, read
from fintune.records import Fault
from fintune.training.check import examine

LABELS = ("negative", "neutral", "positive")


def both(path: Path, reading: Reading | None = None) -> tuple[list[tuple[str, str | None]], list[tuple[str, str]]]:
    faults: list[Fault] = []
    rows = [(row.text, row.target) for row in read(str(path), reading, faults=faults.append)]
    return rows, [(f.where.partition(":")[2], f.problem) for f in faults]


def lines(count: int, delimiter: str, *, label_first: bool = False) -> list[str]:
    """A header and so many rows; row i stands on line i + 2."""
    pairs = [("text", "label"), *((f"made up {i}", LABELS[i % 3]) for i in range(count))]
    return [delimiter.join(pair[::-1] if label_first else pair) for pair in pairs]


def write(path: Path, content: list[str]) -> Path:
    path.write_text("\n".join(content) + "\n")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize("end", [12, 13, 70])
@pytest.mark.parametrize("label_first", [False, True])
def test_a_quote_closed_far_below_costs_its_own_row(
    tmp_path: Path, delimiter: str, end: int, label_first: bool
) -> None:
    content = lines(90, delimiter, label_first=label_first)
    content[11] = content[11].replace("made", '"made')
    content[end] = content[end].replace(f"up {end - 1}", f'up {end - 1}"')
    rows, faults = both(write(tmp_path / "a.csv", content))
    assert [text for text, _ in rows] == [f"made up {i}{chr(34) * (i == end - 1)}" for i in range(90) if i != 10]
    assert [label for _, label in rows] == [LABELS[i % 3] for i in range(90) if i != 10]
    told = (
        f"not readable as csv: a quote opened here ends on line {end + 1}, over lines that look like rows of their own"
    )
    assert faults == [("12", told)]


def test_columns_by_number_and_no_header(tmp_path: Path) -> None:
    content = lines(60, ",")[1:]
    content[20] = '"' + content[20]
    content[30] = content[30].replace(",", '",')
    rows, faults = both(write(tmp_path / "a.csv", content), Reading(columns=Columns("1", "-1")))
    assert len(rows) == 59
    assert [where for where, _ in faults] == ["21"]


def test_such_a_record_of_another_width_gives_its_rows_back_too(tmp_path: Path) -> None:
    content = lines(60, ";")
    content[20] = '"' + content[20]
    content[30] = content[30].replace(";", '";') + ";more"
    rows, faults = both(write(tmp_path / "a.csv", content))
    assert len(rows) == 58
    assert [where for where, _ in faults] == ["21", "31"]


def test_unlabeled_rows_are_told_by_their_width(tmp_path: Path) -> None:
    content = ["id;day;text", *(f"{i};2024-01-01;made up {i}" for i in range(40))]
    content[10] = content[10].replace("made", '"made')
    content[20] += '"'
    rows, faults = both(write(tmp_path / "a.csv", content), Reading(columns=Columns(need_label=False)))
    assert (len(rows), [where for where, _ in faults]) == (39, ["11"])


def test_check_calls_it_severe_and_keeps_the_others(tiny_causal: Path, tmp_path: Path) -> None:
    content = lines(90, ",")
    content[11] = '"' + content[11]
    content[15] = content[15].replace(",", '",')
    path = write(tmp_path / "a.csv", content)
    found = examine(load({"model": {"base": str(tiny_causal)}, "data": {"path": str(path)}}), doubt=False)
    told = next(f for f in found.report.findings if f.kind == "unreadable")
    assert (told.level, told.count, told.rows) == ("severe", 1, ["a.csv:12"])
    assert sum(found.report.labels.values()) == 89


TEXTS = [
    "Net sales rose,\nand the outlook too",
    "First line, more\nsecond line, more\nthird line, and the end",
    "a\n\nb, c\n",
    "Dear all,\nRegards, Anna",
    'He said "up, positive"\nand "down, negative"\nthen left',
    "one\ttab\nand\tanother\nand\ta third",
    "one; two\nthree; four\nfive; six",
    "positive,\nneutral,\nnegative,\n",
]


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("order", [("text", "label"), ("label", "text"), ("label", "text", "id")])
def test_texts_of_several_lines_are_read_as_csv_writes_them(
    tmp_path: Path, delimiter: str, quoting: int, order: tuple[str, ...]
) -> None:
    expected = [(text.replace("{n}", str(i)), LABELS[i % 3]) for i in range(12) for text in [*TEXTS, "plain {n}"]]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, order, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
        writer.writeheader()
        writer.writerows(
            {name: {"text": text, "label": label, "id": "7"}[name] for name in order} for text, label in expected
        )
    rows, faults = both(tmp_path / "a.csv")
    assert faults == []
    assert rows == [(text.strip(), label) for text, label in expected]


def test_between_tabs_quotes_that_do_not_enclose_fields_are_characters(tmp_path: Path) -> None:
    content = lines(90, "\t")
    content[11] = '"' + content[11]
    content[15] = content[15].replace("\t", '"\t')
    content[40] = '"made" up 39\tnegative'
    content[50] = '"all of it"\tneutral'
    rows, faults = both(write(tmp_path / "a.tsv", content))
    assert faults == []
    assert len(rows) == 90
    assert [rows[i][0] for i in (10, 14, 39, 49)] == ['"made up 10', 'made up 14"', '"made" up 39', '"all of it"']


def test_between_tabs_quotes_that_enclose_fields_throughout_are_no_part_of_them(tmp_path: Path) -> None:
    content = ["text\tlabel", *(f'"made up, {i}"\tneutral' for i in range(30))]
    content[7] = '"made up, 6\tneutral'
    rows, faults = both(write(tmp_path / "a.csv", content))
    assert [text for text, _ in rows] == [f"made up, {i}" for i in range(30) if i != 6]
    assert [where for where, _ in faults] == ["8"]


@pytest.mark.parametrize("beside", ["{i}", "{i},2024-11-{day:02}", "N-{i}"])
def test_without_labels_the_other_fields_tell(tmp_path: Path, beside: str) -> None:
    """What `predict --file` reads: a comma stands in any sentence, an id or a date in none."""
    content = [",".join([*["id", "date"][: beside.count(",") + 1], "text"])]
    content += [f"{beside.format(i=i, day=i % 28 + 1)},Firm {i} of Oslo" for i in range(90)]
    content[3] = content[3].replace("Firm", '"Firm')
    content[83] += '"'
    rows, faults = both(write(tmp_path / "a.csv", content), Reading(columns=Columns(need_label=False)))
    assert (len(rows), [where for where, _ in faults]) == (89, ["4"])


def test_without_labels_a_text_of_many_lines_is_one_text(tmp_path: Path) -> None:
    """Lines with a comma, even behind a number, are no rows unless all that stands beside the text looks like other rows."""
    letter = '"Dear Sir,\nin 2023, sales rose\nin 2024, they fell\nYours, B"'
    content = ["id,text", *(f"{i},Firm {i} of Oslo" for i in range(40)), f"40,{letter}"]
    rows, faults = both(write(tmp_path / "a.csv", content), Reading(columns=Columns(need_label=False)))
    assert (len(rows), faults) == (41, [])
    assert rows[-1][0] == letter.strip('"')
