"""A file of any size is labeled in order; a killed job goes on without loss or doubles, to the same bytes."""

import contextlib
import csv
import gzip
import json
import signal
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import fintune
from fintune.data.readers.columns import Columns
from fintune.data.readers.read import Reading, read
from fintune.errors import DataError, RunError
from fintune.export.export import export
from fintune.inference import predict_file as bulk
from fintune.inference.predict_file import predict_file
from fintune.inference.predictor import Predictor
from fintune.records import Prediction
from fintune.runs.exported import Export
from fintune.runtime.progress import Progress, listening
from tests.processes import Process, run

ROWS = 40


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("text,label\n" + "".join(f'"Alvex, of Oslo {i} {"+-="[i % 3]}",x\n' for i in range(ROWS)))
    return path


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 8)


class Interrupted(Predictor):
    """A predictor that is interrupted after a number of chunks, and counts the texts it was given."""

    def __init__(self, inner: Predictor, chunks: int) -> None:
        super().__init__(inner.engine, inner.task)
        self.left, self.texts = chunks, 0

    def __call__(self, texts: Iterable[Any], ids: Iterable[str] | None = None) -> list[Prediction]:
        texts = list(texts)
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.texts += len(texts)
        return super().__call__(texts, ids)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_into_a_file(trained: fintune.Run, table: Path, suffix: str) -> None:
    output = table.with_name(f"out.{suffix}")
    assert predict_file(trained, str(table), output) == bulk.Bulk(
        labeled=ROWS, unreadable=0, output=output, errors=None
    )
    read = {"csv": "read_csv", "parquet": "read_parquet", "jsonl": "read_json"}[suffix]
    pandas = pytest.importorskip("pandas")
    found = getattr(pandas, read)(output, **({"lines": True} if suffix == "jsonl" else {}))
    texts = [f"Alvex, of Oslo {i} {'+-='[i % 3]}" for i in range(ROWS)]
    expected = fintune.load(trained)(texts)
    assert found["text"].tolist() == texts
    assert found["id"].tolist() == [f"in.csv:{i}" for i in range(2, ROWS + 2)]
    assert found["label"].tolist() == [p.answer for p in expected]
    assert found["confidence"].tolist() == pytest.approx([p.confidence for p in expected], abs=1e-4)
    assert sorted(path.name for path in table.parent.iterdir()) == ["in.csv", f"out.{suffix}"]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("torn", [b"", b'{"id": "in.csv:18", "te'])
def test_an_interrupted_job_goes_on_to_the_same_bytes(
    trained: fintune.Run, table: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, torn: bytes
) -> None:
    output, whole, partial = (table.with_name(f"{name}.{suffix}") for name in ("out", "whole", ".out"))
    partial = table.with_name(f".out.{suffix}.partial")
    predict_file(trained, str(table), whole)
    model = fintune.load(trained)
    interrupted = Interrupted(model, chunks=2)
    monkeypatch.setattr(bulk, "predictor_of", lambda *_: interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict_file(trained, str(table), output)
    assert not output.exists()
    with partial.open("ab") as file:
        file.write(torn)
    rest = Interrupted(model, chunks=100)
    monkeypatch.setattr(bulk, "predictor_of", lambda *_: rest)
    assert predict_file(trained, str(table), output).labeled == ROWS
    assert (interrupted.texts, rest.texts) == (16, ROWS - 16)
    assert output.read_bytes() == whole.read_bytes()
    assert not partial.exists()


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("change", ["input", "column", "adapter", "engine", "export", "folder"])
def test_another_job_begins_anew(
    trained: fintune.Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    import shutil

    output = table.with_name("out.jsonl")
    monkeypatch.setattr(bulk, "predictor_of", lambda *_: Interrupted(fintune.load(trained), chunks=2))
    with pytest.raises(KeyboardInterrupt):
        predict_file(trained, str(table), output)
    every = Interrupted(fintune.load(trained), chunks=100)
    monkeypatch.setattr(bulk, "predictor_of", lambda *_: every)
    run, options = trained, {}
    if change == "engine":
        options = {"engine_name": "int8"}
    elif change == "export":
        run = fintune.Run(Path(shutil.copytree(trained.folder, tmp_path / "same")))
        options = {"engine_name": export(run, "merged").folder.name}
    elif change == "folder":
        run = Export(export(trained, "merged", output=tmp_path / "merged").folder)
    elif change == "input":
        table.write_text(table.read_text().replace("Oslo 0", "Oslo zero"))
    elif change == "column":
        options = {"text_column": "label"}
    else:
        run = fintune.Run(Path(shutil.copytree(trained.folder, tmp_path / "other")))
        weights = run.adapter / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    predict_file(run, str(table), output, **options)
    assert every.texts == ROWS
    assert len(lines(output)) == ROWS


def test_records_that_cannot_be_read_go_to_a_file_of_their_own(trained: fintune.Run, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a +"}\n{"text": 3}\nnot json\n{"text": " "}\n{"text": "b -"}\n')
    output = tmp_path / "out.jsonl"
    done = predict_file(trained, str(path), output)
    assert (done.labeled, done.unreadable) == (2, 3)
    assert [line["id"] for line in lines(output)] == ["in.jsonl:1", "in.jsonl:5"]
    assert done.errors == tmp_path / "out.jsonl.errors.jsonl"
    assert [(line["id"], line["error"][:20]) for line in lines(done.errors)] == [
        ("in.jsonl:2", "'text' is int, not t"),
        ("in.jsonl:3", "not JSON: Expecting "),
        ("in.jsonl:4", "no text"),
    ]
    path.write_text('{"text": "a +"}\n')
    assert predict_file(trained, str(path), output).errors is None
    assert not done.errors.exists(), "no errors of an older job stay behind"


TABLE = """id,text,label,note,note,p_up
7,Alvex of Oslo +,positive,=1+1,"a, b",0.5
8,Borvex of Lima -,,+49 170,,
"""
OWN = ["id", "label", "confidence", "p_negative", "p_neutral", "p_positive", "text"]


def test_other_columns_are_kept_under_names_of_their_own(trained: fintune.Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(TABLE)
    told: list[Progress] = []
    with listening(told.append):
        predict_file(trained, str(tmp_path / "in.csv"), tmp_path / "out.csv")
    header, *rows = csv.reader((tmp_path / "out.csv").read_text().splitlines())
    assert header == [*OWN, "id_input", "label_input", "note", "note_2", "p_up"]
    assert [row[6:] for row in rows] == [
        ["Alvex of Oslo +", "7", "positive", "'=1+1", "a, b", "0.5"],
        ["Borvex of Lima -", "8", "", "'+49 170", "", ""],
    ]
    assert "called as columns of answers: id is id_input, label is label_input" in [*map(str, told)][-1]
    again = predict_file(trained, str(tmp_path / "out.csv"), tmp_path / "again.jsonl")
    first = lines(again.output)[0]
    assert (first["note"], first["note_2"], first["id_input"], first["id_input_input"]) == (
        "=1+1",
        "a, b",
        "7",
        "in.csv:2",
    )
    assert list(first)[:5] == ["id", "text", "label", "confidence", "probabilities"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "xlsx", "parquet"])
def test_values_of_every_kind_are_kept(trained: fintune.Run, tmp_path: Path, suffix: str) -> None:
    records = [
        {"text": "a +", "n": 3, "x": 1234567.125, "yes": True, "none": None, "tags": ["涨", {"b": 1}]},
        {"text": "b -", "later": "\udce9 \x00", "n": 10**17},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    output = tmp_path / f"out.{suffix}"
    predict_file(trained, str(tmp_path / "in.jsonl"), output)
    names, big = ["n", "x", "yes", "none", "tags", "later"], "100000000000000000"
    tags = '["涨", {"b": 1}]'
    if suffix == "jsonl":
        first, second = ({k: row[k] for k in names if k in row} for row in lines(output))
        assert first == {k: v for k, v in records[0].items() if k != "text"}
        assert second == {"later": "? \x00", "n": 10**17}
        return
    if suffix == "csv":
        header, *cells = csv.reader(output.read_text(encoding="utf-8-sig").splitlines())
        expected = [["3", "1234567.125", "true", "", tags, ""], [big, "", "", "", "", "? \x00"]]
    elif suffix == "xlsx":
        book = pytest.importorskip("openpyxl").load_workbook(output)
        header, *cells = ([cell.value for cell in row] for row in book.active.rows)
        expected = [[3, 1234567.125, True, None, tags, None], [big, None, None, None, None, "? "]]
    else:
        table = pytest.importorskip("pyarrow.parquet").read_table(output)
        header, cells = table.column_names, [[*row.values()] for row in table.to_pylist()]
        expected = [["3", "1234567.125", "true", None, tags, None], [big, None, None, None, None, "? \x00"]]
    assert header == [*OWN, *names]
    assert [row[7:] for row in cells] == expected


def test_fields_that_a_prompt_joins_are_kept_apart_and_personal_data_stay_out(tmp_path: Path) -> None:
    pytest.importorskip("phonenumbers")
    (tmp_path / "in.jsonl").write_text(
        '{"title": "Q3", "text": "Rose", "by": "ann@example.com", "card": 4111111111111111, "n": 7}\n'
    )
    columns = Columns("text", more={"title": "title"}, need_label=False, keep=True)
    (row,) = read(str(tmp_path / "in.jsonl"), Reading(columns=columns, format="jsonl", redact=["email", "card"]))
    assert dict(row.kept) == {"title": "Q3", "text": "Rose", "by": "[EMAIL]", "card": "[CARD]", "n": 7}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_when_no_record_can_be_labeled_the_columns_still_stand(
    trained: fintune.Run, tmp_path: Path, suffix: str
) -> None:
    path, output = tmp_path / "in.jsonl", tmp_path / f"out.{suffix}"
    path.write_text('{"text": 3}\n')
    assert predict_file(trained, str(path), output).labeled == 0
    if suffix == "csv":
        assert output.read_text() == "id,label,confidence,p_negative,p_neutral,p_positive,text\n"
    elif suffix == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_table(output).num_columns == 7


def test_a_file_of_which_the_rest_is_unread_says_so(trained: fintune.Run, tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('[{"text": "a +"}, {"text": "b" - "c"}, {"text": "d +"}]')
    done = predict_file(trained, str(path), tmp_path / "out.csv")
    assert (done.labeled, done.unreadable, done.rest_unread) == (1, 1, True)


def test_nobody_elses_file_is_taken_for_a_list_of_errors(trained: fintune.Run, tmp_path: Path) -> None:
    path = tmp_path / "out.csv.errors.jsonl"
    path.write_text('{"text": "a +"}\n')
    for source in (path, tmp_path / "in.jsonl"):
        (tmp_path / "in.jsonl").write_text('{"text": "a +"}\n')
        with pytest.raises(RunError, match=r"is the file that is read|is no list of errors"):
            predict_file(trained, str(source), tmp_path / "out.csv")
    assert path.read_text() == '{"text": "a +"}\n'


def test_mistakes_are_found_before_the_model_loads(
    trained: fintune.Run, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(run: object, **_: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(bulk, "predictor_of", never)
    with pytest.raises(RunError, match="unknown kind of file"):
        predict_file(trained, str(table), table.with_name("out.docx"))
    with pytest.raises(DataError, match=r"in\.csv:1: no column 'headline'"):
        predict_file(trained, str(table), table.with_name("out.csv"), text_column="headline")
    (table.parent / "in.jsonl").write_text('{"headline": "x"}\n' * 3)
    with pytest.raises(DataError, match=r"in\.jsonl:1: no column 'text'") as caught:
        predict_file(trained, str(table.parent / "in.jsonl"), table.with_name("out.csv"))
    assert "data.text_column" in caught.value.hint
    (table.parent / "in.jsonl").unlink()
    table.write_text("text\n")
    with pytest.raises(DataError, match="no texts"):
        predict_file(trained, str(table), table.with_name("out.csv"))
    assert [path.name for path in table.parent.iterdir()] == ["in.csv"]


def test_two_processes_never_write_one_output(trained: fintune.Run, table: Path) -> None:
    with FileLock(table.with_name("..out.csv.partial.lock")), pytest.raises(RunError, match="another process"):
        predict_file(trained, str(table), table.with_name("out.csv"))
    assert predict_file(trained, str(table), table.parent / "new" / "out.csv").labeled == ROWS, "a folder is made"


def test_kill_9_and_again(trained: fintune.Run, tmp_path: Path) -> None:
    path, output = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("text\n" + "".join(f"Alvex of Oslo {i} {'+-='[i % 3]}\n" for i in range(6 * bulk.CHUNK + 5)))
    command = ["predict", trained.folder, "--file", path, "--output"]
    assert run(*command, tmp_path / "whole.csv")[0] == 0
    partial = tmp_path / ".out.csv.partial"
    process = Process(*command, output)
    while process.is_running():
        if partial.exists() and partial.read_bytes().count(b"\n") > bulk.CHUNK:  # a chunk is whole
            process.send_signal(signal.SIGKILL)
            break
    assert process.end()[0] == -signal.SIGKILL
    assert not output.exists()
    code, _, told = run(*command, output)
    assert (code, "records that an interrupted job has left" in told) == (0, True)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_workbook_damaged_half_way_leaves_nothing_but_what_can_be_gone_on_with(
    trained: fintune.Run, tmp_path: Path
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for i in range(60):
        book.active.append(["text", "label"] if i == 0 else [f"Alvex of Oslo {i} +", "x"])
    whole, place = tmp_path / "whole.xlsx", tmp_path / "in.xlsx"
    book.save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) // 2] if "sheet1" in name else content)
    whole.unlink()
    with contextlib.suppress(DataError):
        done = predict_file(trained, str(place), tmp_path / "out.csv")
        assert done.rest_unread or done.unreadable
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(("chunks", "kept"), [(0, []), (2, [".out.csv.partial"])])
def test_a_failure_keeps_only_what_is_labeled(
    trained: fintune.Run, table: Path, monkeypatch: pytest.MonkeyPatch, chunks: int, kept: list[str]
) -> None:
    read = bulk.records

    def damaged(*given: Any) -> Iterator[Any]:
        for i, row in enumerate(read(*given)):
            if i == 8 * chunks + 1:
                raise DataError("in.csv: damaged", hint="Copy it again.")
            yield row

    monkeypatch.setattr(bulk, "records", damaged)
    told: list[Progress] = []
    with listening(told.append), pytest.raises(DataError, match="damaged"):
        predict_file(trained, str(table), table.with_name("out.csv"))
    assert sorted(path.name for path in table.parent.iterdir() if not path.name.endswith(".lock")) == [*kept, "in.csv"]
    note = "16 records are labeled: the same command goes on from there"
    assert [event.note for event in told if event.note == note] == [note] * len(kept)


def test_texts_of_many_lines_are_told_where_nothing_tells_them_from_rows(trained: fintune.Run, tmp_path: Path) -> None:
    """A file of texts alone: a quote that is closed too late makes one text of many rows, and may be meant."""
    rows = [f"Firm {i} of Oslo" for i in range(40)]
    rows[2], rows[30] = f'"{rows[2]}', f'{rows[30]}"'
    (tmp_path / "a.csv").write_text("\n".join(["text", *rows]) + "\n")
    told: list[Progress] = []
    with listening(told.append):
        assert predict_file(trained, str(tmp_path / "a.csv"), tmp_path / "out.csv").labeled == 12
    assert [event.note for event in told if "warning: texts of more than 10 lines: 1, the first a.csv:4" in event.note]


def test_a_packed_file_is_labeled(trained: fintune.Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text\nAlvex of Oslo and Lima -\n"))
    assert predict_file(trained, str(tmp_path / "a.csv.gz"), tmp_path / "out.csv").labeled == 1
    (tmp_path / "b.csv.gz").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(DataError, match=r"b\.csv\.gz: cannot be unpacked"):
        predict_file(trained, str(tmp_path / "b.csv.gz"), tmp_path / "out.csv")
