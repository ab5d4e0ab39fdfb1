"""A run, or a model folder and a task, called on texts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fintune
from fintune.data.readers.read import Reading, read
from fintune.errors import DataError, RunError
from fintune.export.export import export
from fintune.inference.explain import explain
from fintune.runtime.progress import Progress, listening


@pytest.fixture(scope="module")
def predictor(trained: fintune.Run) -> fintune.Predictor:
    return fintune.load(trained.folder)


def test_texts_in_labels_out(predictor: fintune.Predictor) -> None:
    found = predictor(["Bormas of Lima +", "Bormas of Lima -", "Bormas of Lima ="])
    assert [p.answer for p in found] == ["positive", "negative", "neutral"]
    assert [p.id for p in found] == ["1", "2", "3"]
    assert found[0].confidence == max(found[0].probabilities.values())


def test_one_text_or_many_same_probabilities(predictor: fintune.Predictor) -> None:
    texts = ["Bormas of Lima +", "x" * 200, "涨 🚀 -"]
    together = predictor(texts)
    for text, one in zip(texts, together, strict=True):
        assert predictor([text])[0].probabilities == pytest.approx(dict(one.probabilities), abs=1e-4)


def test_texts_that_were_cut_are_told(predictor: fintune.Predictor) -> None:
    heard: list[Progress] = []
    with listening(heard.append):
        predictor(["short +", "x" * 200])
    assert [event.note for event in heard if not event.total] == [
        "1 of 2 texts exceed model.max_length and lost their middle"
    ]


def test_no_texts_no_predictions(predictor: fintune.Predictor) -> None:
    assert predictor([]) == []


def test_a_bare_text_is_a_programming_error(predictor: fintune.Predictor) -> None:
    with pytest.raises(TypeError, match="list of texts"):
        predictor("text")


@pytest.mark.parametrize(("texts", "error"), [([1], TypeError), ([None], TypeError), (["a", " "], DataError)])
def test_what_is_no_text_is_refused(predictor: fintune.Predictor, texts: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"text [12]"):
        predictor(texts)


def test_a_model_folder_needs_a_task(tiny_causal: Path) -> None:
    with pytest.raises(RunError, match="does not say its task"):
        fintune.load(tiny_causal)
    zero_shot = fintune.load(tiny_causal, task={"name": "classification", "labels": ["up", "down"]}, device="cpu")
    assert set(zero_shot(["Profit rose."])[0].probabilities) == {"up", "down"}


def test_neither_run_nor_model(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        fintune.load(tmp_path / "nowhere")


def test_importing_fintune_stays_light() -> None:
    code = "import sys, fintune; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        fintune.trian  # noqa: B018


NOTHING = [
    "",
    " \n\t",
    "\u200b\u200b",
    "\ufeff",
    "\x01\x1b",
    "\u00ad\u2060",
    "\u3000\u00a0",
    "\u2800",
    "\u3164",
    "\ufe0f",
]
TEXTS = ["Bormas of Lima +", "Bormas of Lima -", "Bormas of Lima ="]


@pytest.mark.parametrize(
    "make",
    [iter, tuple, lambda texts: (text for text in texts), np.array, pd.Series],
    ids=["iterator", "tuple", "generator", "array", "series"],
)
def test_any_iterable_of_texts_is_read_to_its_end(predictor: fintune.Predictor, make: Any) -> None:
    assert predictor(make(TEXTS)) == predictor(TEXTS)
    assert [p.id for p in predictor(make(TEXTS), iter("abc"))] == ["a", "b", "c"]


def test_explain_takes_what_predict_takes(trained: fintune.Run) -> None:
    assert explain(trained, iter(TEXTS[:1])) == explain(trained, TEXTS[:1])
    with pytest.raises(DataError, match="nothing in it can be read"):
        explain(trained, ["\u200b"])


def test_what_is_no_list_of_texts_is_refused(predictor: fintune.Predictor) -> None:
    with pytest.raises(TypeError, match="a list of texts, not a DataFrame"):
        predictor(pd.DataFrame({"text": TEXTS}))
    with pytest.raises(TypeError, match="a list of texts, not a dict"):
        predictor(dict.fromkeys(TEXTS))
    with pytest.raises(TypeError, match="a list of texts, not a bytes"):
        predictor(b"text")
    with pytest.raises(ValueError, match="2 ids for 3 texts"):
        predictor(TEXTS, ["a", "b"])
    assert predictor(iter(())) == []


@pytest.mark.parametrize("text", NOTHING)
def test_what_has_nothing_to_read_is_no_text(predictor: fintune.Predictor, text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="text 2: is empty, or nothing in it can be read"):
        predictor(["a", text])
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": t, "label": "positive"}) + "\n" for t in ("Alvex +", text)))
    assert [row.text for row in read(str(file), Reading())] == ["Alvex +", ""]


def test_what_has_something_to_read_stays(predictor: fintune.Predictor) -> None:
    kept = ["\u200b+", "نامه\u200cها", "👩\u200d🔬", "\ue000", "涨", "?", "\u0301"]
    assert [p.text for p in predictor(kept)] == kept


def test_a_file_of_texts_with_nothing_to_read_says_so(trained: fintune.Run, fin: Any, tmp_path: Path) -> None:
    file, out = tmp_path / "texts.jsonl", tmp_path / "out.csv"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in ("Alvex +", *NOTHING)))
    assert fin("predict", trained.folder, "--file", file, "--output", out).code == 0
    assert out.read_text().count("\n") == 2
    errors = [json.loads(line) for line in Path(f"{out}.errors.jsonl").read_text().splitlines()]
    assert [error["kind"] for error in errors] == ["empty"] * len(NOTHING)


def test_a_text_with_nothing_to_read_is_refused_as_argument_and_told_in_a_file(
    trained: fintune.Run, fin: Any, tmp_path: Path
) -> None:
    refused = fin("predict", trained.folder, "Alvex +", "\u200b\u200d")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "error: argument 2: nothing to read in it")
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in ("Alvex +", "\u200b", " ")))
    shown = fin("predict", trained.folder, "--file", file)
    assert (shown.code, "texts.jsonl:2: nothing to read in it, no label (2 of 3 such)" in shown.err) == (0, True)


def test_loading_prints_nothing(trained: fintune.Run, tmp_path: Path) -> None:
    merged = export(trained, "merged", output=tmp_path / "merged").folder
    load = f"for p in {[str(trained.folder), str(merged)]}: fintune.load(p)(['Alvex +'])"
    asked = "from transformers.utils import logging; logging.set_verbosity_info()"
    code = f"import fintune, sys\n{load}\nprint('asked', file=sys.stderr)\n{asked}\n{load}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unasked, shown = done.stderr.split("asked\n")
    assert (done.stdout, unasked) == ("", "")
    assert "Loading weights" in shown
