"""A run, or a model folder and a task, called on texts."""

from pathlib import Path
from typing import Any

import pytest

import fintune
from fintune.errors import DataError, RunError
from fintune.progress import Progress, listening


@pytest.fixture(scope="module")
def predictor(trained: fintune.Run) -> fintune.Predictor:
    return fintune.load(trained.folder)


def test_texts_in_labels_out(predictor: fintune.Predictor) -> None:
    found = predictor(["Bormas of Lima +", "Bormas of Lima -", "Bormas of Lima ="])
    assert [p.label for p in found] == ["positive", "negative", "neutral"]
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
    import subprocess
    import sys

    code = "import sys, fintune; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        fintune.trian  # noqa: B018
