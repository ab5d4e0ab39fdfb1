"""What a run's card says, from the files of a run written by hand."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from fintune.records import Claims, Score, Statement
from fintune.runs.card_data import base_on_hub
from fintune.runs.model_card import model_card
from fintune.runs.run import Run
from fintune.runtime.printable import markdown
from tests.data.quality.test_licenses import ALLOWS, FORBIDS, UNKNOWN
from tests.report.made import made_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(Run, "adapter_sha256", lambda self: "ab" * 32)
    return made_run(tmp_path / "card")


def _card(run: Run, *licenses: str | None) -> str:
    data: dict[str, Any] = run.data()
    data["sources"] = [data["sources"][0] | {"name": f"{i}.csv", "license": text} for i, text in enumerate(licenses)]
    run.write_json("data.json", data | {"task": "sentiment"})
    return model_card(run)


@pytest.mark.parametrize("text", FORBIDS)
def test_a_license_that_refuses_commercial_use_warns(text: str, run: Run) -> None:
    assert f"> **Not for commercial use**: trained on 0.csv ({markdown(text)}).\n" in _card(run, text)


@pytest.mark.parametrize("text", ALLOWS)
def test_a_license_that_allows_it_does_not(text: str, run: Run) -> None:
    assert "commercial" not in _card(run, text)


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_license_nobody_knows_is_said_to_be_unknown(text: str | None, run: Run) -> None:
    unsaid = str(text or "").strip().lower() in ("", "unknown", "other", "n/a")
    shown = "license not said" if unsaid else text
    assert f"> **Not known to be free for commercial use**: trained on 0.csv ({markdown(str(shown))}).\n" in _card(
        run, text
    )


def test_every_source_is_heeded(run: Run) -> None:
    card = _card(run, "MIT", "CC_BY_NC_SA", None, "academic use only")
    assert "**Not for commercial use**: trained on 1.csv (CC_BY_NC_SA), 3.csv (academic use only)." in card
    assert "commercial use**: trained on 2.csv (license not said)." in card


def test_programs_read_what_a_card_is_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(_card(run, "MIT"))
    card = ModelCard.load(tmp_path / "README.md")
    data = card.data
    assert (data.base_model, data.license, data.library_name) == ("google/gemma-3-270m", "gemma", "peft")
    assert (data.metrics, data.datasets) == (["f1", "accuracy", "matthews_correlation"], None)
    assert data.tags == ["fintune", "lora", "sentiment"]
    assert (data.model_name, {one.dataset_name for one in data.eval_results}) == ("card", {"0.csv"})
    scores = run.scores()["test"]
    assert [(one.metric_type, one.metric_value, one.dataset_split) for one in data.eval_results] == [
        ("f1", round(scores["macro_f1"].value, 4), "test"),
        ("accuracy", round(scores["accuracy"].value, 4), "test"),
        ("matthews_correlation", round(scores["mcc"].value, 4), "test"),
    ]
    assert card.text.startswith("\n# card\n")


@pytest.mark.parametrize(
    ("licenses", "name"),
    [
        (["MIT", "CC BY-NC 4.0"], "gemma-and-data-cc-by-nc-4.0"),
        ([None], "gemma-and-data-unknown"),
        (["a: b\n---\nlicense: mit"], "gemma-and-data-a-b-license-mit"),
    ],
)
def test_data_that_adds_a_limit_makes_another_license(licenses: list[str | None], name: str, run: Run) -> None:
    data = ModelCard(_card(run, *licenses)).data
    assert (data.license, data.license_name) == ("other", name)


def test_what_is_not_known_is_left_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fintune.runs.card_data.base_license", lambda _: None)
    data = ModelCard(_card(run, "MIT")).data
    assert (data.license, data.language) == (None, None)


def test_scores_that_were_not_measured_on_test_are_no_results(run: Run) -> None:
    run.write_scores({}, {"validation": run.scores()["validation"]}, {})
    data = ModelCard(_card(run, "MIT")).data
    assert (data.eval_results, data.metrics) == (None, None)


def test_data_sets_of_the_hub_are_named(run: Run) -> None:
    _card(run, "MIT", "MIT")
    data: dict[str, Any] = run.data()
    data["sources"][1]["path"] = "hf:takala/financial_phrasebank/sentences_50agree@refs/convert/parquet#train"
    run.write_json("data.json", data)
    card = ModelCard(model_card(run)).data
    assert (card.datasets, card.eval_results[0].dataset_type) == (
        ["takala/financial_phrasebank"],
        "takala/financial_phrasebank",
    )


def test_scores_on_texts_that_the_model_knows_are_no_results(run: Run) -> None:
    scores, clean = run.scores(), {name: Score(0.5, 0.4, 0.6, 9) for name in run.scores()["test"]}
    run.write_scores({}, scores, {}, Claims({"test": [Statement("leaks", "warning", "some")]}, {"test": clean}))
    assert {one.metric_value for one in ModelCard(_card(run, "MIT")).data.eval_results} == {0.5}
    run.write_scores({}, scores, {}, Claims({"test": [Statement("all-leak", "severe", "all")]}))
    assert ModelCard(_card(run, "MIT")).data.eval_results is None


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("embedded", "google/gemma-3-270m"),
        ("meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B"),
        ("/models/Llama-2-7b-hf", "Llama-2-7b-hf"),
        ("/models/qwen 2\n---.gguf", "qwen-2"),
        ("/", None),
    ],
)
def test_a_base_model_is_named_as_the_hub_names_models(reference: str, name: str | None) -> None:
    assert base_on_hub(reference) == name


def test_texts_of_han_letters_are_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "adapter_sha256", lambda self: "ab" * 32)
    assert ModelCard(_card(made_run(tmp_path / "zh", text="净利润同比增长"), "MIT")).data.language == "zh"
