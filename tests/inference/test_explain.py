"""`fintune explain`: texts given, a file, or those of a run that are worth a look."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import fintune
from fintune.errors import RunError
from fintune.inference.attribution import Attribution, Word
from fintune.inference.explain import explain_run
from fintune.inference.table import attributions
from tests.conftest import Command


@pytest.fixture
def copied(trained: fintune.Run, tmp_path: Path) -> fintune.Run:
    return fintune.Run(Path(shutil.copytree(trained.folder, tmp_path / "copy")))


def test_the_sign_that_decides_moves_the_answer_most(fin: Command, trained: fintune.Run) -> None:
    text = "Alvex of Oslo and Lima up"
    (found,) = json.loads(fin("explain", trained.folder, text, "--json").out)
    (plain,) = fintune.load(trained)([text])
    assert (found["id"], found["answer"]) == ("1", plain.answer)
    assert found["probability"] == pytest.approx(plain.confidence, abs=1e-4)
    assert [word["text"] for word in found["words"]] == text.split()
    without = fintune.load(trained)(["Alvex of Oslo and Lima"])[0]
    assert found["words"][-1]["effect"] == pytest.approx(
        plain.confidence - without.probabilities[plain.answer or ""], abs=1e-4
    )


def test_without_texts_the_run_is_explained_and_the_file_written(fin: Command, copied: fintune.Run) -> None:
    result = fin("explain", copied.folder)
    assert result.code == 0
    found = json.loads((copied.folder / "attributions.json").read_text())
    assert 5 <= len(found) <= 10
    assert set(found[0]) == {"id", "text", "answer", "probability", "words"}
    stored = {p.id: p for p in copied.predictions("test")}
    assert all(stored[one["id"]].text == one["text"] and stored[one["id"]].answer == one["answer"] for one in found)
    least = min(stored.values(), key=lambda p: p.confidence)
    assert least.id in {one["id"] for one in found}
    for one in found:
        assert f"{one['probability']:.3f}  {one['text']}" in result.out
    assert "\x1b" not in result.out, "piped: no colors"


def test_a_file_of_texts(fin: Command, copied: fintune.Run, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "Alvex +"}\n{"text": "Cymas -"}\n')
    found = json.loads(fin("explain", copied.folder, "--file", tmp_path / "texts.jsonl", "--json").out)
    assert [one["text"] for one in found] == ["Alvex +", "Cymas -"]
    assert not (copied.folder / "attributions.json").exists()


def test_a_run_without_a_scored_part_says_so(fin: Command, copied: fintune.Run) -> None:
    scores = copied.raw_scores() | {"splits": {}}
    copied.write_json("scores.json", scores)
    with pytest.raises(RunError, match="no part was scored"):
        explain_run(copied)
    assert fin("explain", copied.folder).code == 2


def test_a_damaged_predictions_file(copied: fintune.Run) -> None:
    (copied.folder / "predictions.test.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"predictions\.test\.jsonl: damaged"):
        explain_run(copied)
    (copied.folder / "predictions.test.jsonl").unlink()
    with pytest.raises(RunError, match=r"predictions\.test\.jsonl: cannot be read"):
        explain_run(copied)


def test_line_ends_of_other_scripts_do_not_break_predictions(copied: fintune.Run) -> None:
    (first, *_) = copied.predictions("test")
    odd = replace(first, id="x", fields={"text": "one\u2028two\x85three"})
    copied.write_predictions("test", [odd], "oracle")
    assert copied.predictions("test", "oracle") == [odd]


def test_words_for_and_against_are_colored_and_the_strongest_written_out() -> None:
    words = [Word("loss", -0.1), Word("loss", 0.0), Word("narrowed", 0.6), Word("by", 0.01)]
    line, below = attributions(
        [Attribution(id="1", text="A loss, loss narrowed by", answer="positive", probability=0.97, words=words)]
    )
    assert line.plain == "positive  0.970  A loss, loss narrowed by"
    colored = [(line.plain[s.start : s.end], s.start, s.style) for s in line.spans]
    assert colored == [("loss", 19, "red"), ("narrowed", 30, "bold green")]
    assert below.plain.strip().split("  ") == ["narrowed +0.600", "loss -0.100", "by +0.010", "loss +0.000"]
