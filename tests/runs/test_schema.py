"""Every file of a run is written whole or not at all, and reads back as it was."""

import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import SafetensorError

from fintune.config.load import dump, load
from fintune.errors import RunError
from fintune.records import Answer, Score, predictions_in
from fintune.runs.run import Run
from fintune.runs.schema import problem_of
from fintune.runtime.files import replacing_folder, write_atomically
from tests.made_records import prediction


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "runs" / "r")
    run.write_text("config.yaml", dump(load({})))
    return run


class Adapter:
    """Saves like a PeftModel; fails half-way when told."""

    def __init__(self, content: str, failure: Exception | None = None) -> None:
        self.content, self.failure, self.peft_config = content, failure, {}

    def save_pretrained(self, folder: str, **_: object) -> None:
        Path(folder).mkdir(parents=True)
        for name in ("README.md", "weights"):
            (Path(folder) / name).write_text(self.content)
        if self.failure:
            raise self.failure


def test_an_adapter_is_replaced_whole(run: Run) -> None:
    for content in ("first", "second"):
        run.save_adapter(Adapter(content))
        assert [(path.name, path.read_text()) for path in run.adapter.iterdir()] == [("weights", content)]
        assert sorted(path.name for path in run.folder.iterdir()) == ["adapter", "config.yaml"]


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("No space left on device (os error 28)", errno.ENOSPC),
        ("File too large (os error 27)", errno.EFBIG),
        ("broken", errno.EIO),
    ],
)
def test_an_adapter_that_cannot_be_saved_leaves_the_former(run: Run, message: str, number: int) -> None:
    run.save_adapter(Adapter("former"))
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is the message
        run.save_adapter(Adapter("half", SafetensorError(message)))
    assert caught.value.errno == number
    assert (run.adapter / "weights").read_text() == "former"
    run.save_adapter(Adapter("next"))
    assert (run.adapter / "weights").read_text() == "next"


def test_scores_round_trip(run: Run) -> None:
    scores = {"test": {"accuracy": Score(0.5, 0.4, 0.6, 10), "f1/涨": Score(1 / 3, 0.0, 1.0, 10)}}
    run.write_scores({"name": "t", "version": 1}, scores, {"majority": {"test": {"mcc": Score(0.0, -1.0, 1.0, 3)}}})
    again = Run.open(run.folder)
    assert again.scores() == scores
    assert again.baselines() == {"majority": {"test": {"mcc": Score(0.0, -1.0, 1.0, 3)}}}
    assert again.raw_scores()["task"] == {"name": "t", "version": 1}


def test_predictions_are_a_json_object_a_line(run: Run) -> None:
    run.write_predictions("test", [prediction("f:1", "涨", " up", "up", {"up": 1.0}, "down")] * 2)
    line = (
        '{"version": 2, "id": "f:1", "fields": {"text": "涨"}, "answer": "up", "written": " up", "probabilities": {"up": 1.0}, '
        '"gold": "down"}\n'
    )
    assert (run.folder / "predictions.test.jsonl").read_text(encoding="utf-8") == line * 2


def test_the_row_of_several_examples_is_stored(run: Run) -> None:
    made = [
        replace(prediction(f"f:1/{i}", "涨", " up", "positive", {"positive": 1.0}, "negative"), row="f:1")
        for i in range(2)
    ]
    run.write_predictions("test", made)
    assert Run.open(run.folder).predictions("test") == made


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[]", "Input should be an object"),
        (
            '{"version": 2, "id": "a", "fields": {"text": "t"}, "answer": "x", "written": "x", "probabilities": {}, "golds": "up"}',
            "golds: Unexpected keyword argument",
        ),
        ('{"id": "a", "text": "t", "answer": "x", "label": null, "probabilities": {}}', "version: Field required"),
        ('{"version": 1}', "version: Input should be 2"),
        ('{"version": 2, "id": 1}', "id: Input should be a valid string"),
        ('{"id"', "Invalid JSON"),
    ],
)
def test_a_damaged_prediction_is_named_by_line(line: str, what: str, run: Run) -> None:
    run.write_predictions("test", [prediction("f:1", "涨", " up", "up", {"up": 1.0})])
    with (run.folder / "predictions.test.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError, match=rf"predictions\.test\.jsonl: damaged: line 2: {what}"):
        run.predictions("test")


def test_json_and_log_round_trip(run: Run) -> None:
    run.write_json("data.json", {"ids": {"涨": ["1", "2"]}, "fingerprint": ""})
    run.write_json("environment.json", {"seed": 3})
    run.append_log({"epoch": 1})
    run.append_log({"epoch": 2})
    assert (run.data(), run.environment(), run.log()) == (
        {"ids": {"涨": ["1", "2"]}, "fingerprint": ""},
        {"seed": 3},
        [{"epoch": 1}, {"epoch": 2}],
    )
    assert not list(run.folder.glob(".*"))


@pytest.mark.parametrize("content", ["{", "", "{}", "[]", None])
def test_a_damaged_or_missing_file_is_named(run: Run, content: str | None) -> None:
    if content is not None:
        run.write_text("scores.json", content)
    with pytest.raises(RunError, match=r"scores\.json: (damaged|cannot be read)") as caught:
        Run.open(run.folder).scores()
    assert caught.value.hint == "Copy the run folder again."


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a.txt", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "a.txt", "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_write_makes_its_folders_and_replaces(tmp_path: Path) -> None:
    for content in ("old and longer", "涨\n"):
        write_atomically(tmp_path / "a" / "b" / "c.txt", content)
        assert (tmp_path / "a" / "b" / "c.txt").read_text(encoding="utf-8") == content


def test_who_is_reading_keeps_the_file_as_it_was(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", "old")
    with (tmp_path / "a.txt").open() as reader:
        write_atomically(tmp_path / "a.txt", "new")
        assert (reader.read(), (tmp_path / "a.txt").read_text()) == ("old", "new")


def test_a_killed_writer_of_a_folder_leaves_the_former_one_and_nothing_else(tmp_path: Path) -> None:
    killed = """
import os, signal, sys
from pathlib import Path
from fintune.runtime.files import replacing_folder
rename, folder = Path.rename, Path(sys.argv[1])
def kill(path, target):
    rename(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = kill  # between the former folder's going and the new one's coming
with replacing_folder(folder, overwrite=True) as place:
    place.mkdir()
"""
    folder = tmp_path / "out [1] 出"
    folder.mkdir()
    (folder / "a").write_text("former")
    assert subprocess.run([sys.executable, "-c", killed, folder], check=False).returncode == -9
    assert not folder.exists()
    with pytest.raises(ZeroDivisionError), replacing_folder(folder, overwrite=True):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert (folder / "a").read_text() == "former"


def test_a_full_disk_is_named_by_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    def write() -> None:
        with replacing_folder(tmp_path / "out") as place:
            raise OSError(errno.ENOSPC, "No space left on device", str(place / "model.safetensors"))

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert (caught.value.filename, caught.value.errno) == (str(tmp_path / "out"), errno.ENOSPC)


def test_who_comes_second_replaces_nothing(tmp_path: Path) -> None:
    def second() -> None:
        with replacing_folder(tmp_path / "out") as place:
            for made, content in ((place, "second"), (tmp_path / "out", "first")):
                made.mkdir()
                (made / "a").write_text(content)

    with pytest.raises(RunError, match="another process has made it"):
        second()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "first"


@pytest.mark.parametrize("answer", ["up", 0.25, ("Nokia", "Fortum"), None])
def test_answers_of_every_kind_come_back(answer: Answer | None, run: Run) -> None:
    made = [prediction("f:1", "x", "as written", answer, {}, answer)]
    run.write_predictions("test", made)
    assert predictions_in((run.folder / "predictions.test.jsonl").read_text("utf-8")) == made


def test_a_slice_says_of_what_it_is_and_why_it_is_worse() -> None:
    score = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 12}
    whole = {
        "by": "group",
        "name": "g",
        "scores": {"rank": score},
        "metric": "rank",
        "rest": 0.9,
        "p": 0.01,
        "worse": True,
    }

    def problem(**changes: object) -> str | None:
        return problem_of("scores.json", {"splits": {}, "baselines": {}, "slices": {"test": [whole | changes]}})

    assert problem() is None
    assert "by" in (problem(by="colour") or "")
    for changes in ({"p": None}, {"metric": "other"}, {"scores": {}}):
        assert "a slice needs" in (problem(**changes) or "")
