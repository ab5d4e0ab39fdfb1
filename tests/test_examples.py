"""The shipped configs do what they say, on models small enough for a test."""

import json
from pathlib import Path

import pytest

import fintune
from fintune.errors import ModelError
from tests.tiny import tiny_rows

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def phrasebank_file(tmp_path: Path) -> Path:
    """Tiny rows as Financial PhraseBank writes its sentences."""
    path = tmp_path / "Sentences_AllAgree.txt"
    path.write_text("".join(f"{row['text']}@{row['label']}\n" for row in tiny_rows()), encoding="latin-1")
    return path


def test_the_worked_example_runs_on_an_mt5(tiny_seq2seq: Path, phrasebank_file: Path, tmp_path: Path) -> None:
    places = [f"model.base={tiny_seq2seq}", f"data.path={phrasebank_file}", f"output={tmp_path / 'runs'}"]
    run = fintune.train(EXAMPLES / "mt0-large-phrasebank.yaml", places)
    saved = json.loads((run.adapter / "adapter_config.json").read_text())
    assert (saved["task_type"], saved["r"], saved["lora_alpha"], saved["lora_dropout"]) == ("SEQ_2_SEQ_LM", 8, 32, 0.1)
    assert sorted(saved["target_modules"]) == ["q", "v"]
    steps = [line for line in run.log() if "step" in line]
    assert steps[-1]["step"] == 3 * 9, "72 training rows in batches of 8, three epochs"
    assert steps[0]["learning_rate"] == pytest.approx(1e-3 * (1 - 4 / 27)), "linear from 1e-3, no warm-up"
    assert steps[-1]["loss"] < 0.95 * steps[0]["loss"]
    assert set(run.scores()) == {"validation", "test"}


def test_the_fast_example_caches_what_lies_below_and_trains_on_first_tokens(
    tiny_causal: Path, phrasebank_file: Path, tmp_path: Path
) -> None:
    places = [
        f"model.base={tiny_causal}",
        f"data.path={phrasebank_file}",
        f"output={tmp_path / 'runs'}",
        "method.layers=top:1",
    ]
    with pytest.raises(ModelError, match="candidates needs answers that differ in their first token"):
        fintune.train(EXAMPLES / "phrasebank-fast.yaml", places)  # here a token is a byte
    run = fintune.train(EXAMPLES / "phrasebank-fast.yaml", [*places, "train.objective=tokens"])
    assert run.environment()["trunk_depth"] == 1
    assert json.loads((run.adapter / "adapter_config.json").read_text())["r"] == 16


def test_four_files_are_one_set_with_soft_labels(
    tiny_causal: Path, phrasebank_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = phrasebank_file.read_text().splitlines(keepends=True)
    for count, name in ((30, "All"), (50, "75"), (70, "66"), (90, "50")):
        (tmp_path / f"Sentences_{name}Agree.txt").write_text("".join(lines[:count]))
    monkeypatch.chdir(tmp_path)
    answers = ["task.prompt={text}{answer}", "task.answers={negative: a, neutral: b, positive: c}"]
    places = [f"model.base={tiny_causal}", f"output={tmp_path / 'runs'}", "method.layers=top:1", *answers]
    run = fintune.train(EXAMPLES / "phrasebank-agreement.yaml", places)
    assert run.data()["report"]["dropped"] == {"exact-duplicates": 30 + 50 + 70}
    soft = run.data()["soft_labels"]  # type: ignore[typeddict-item]
    assert soft["examples"] == len(run.data()["ids"]["train"])
    assert soft["mean_share"] == pytest.approx((30 + 20 * 0.75 + 20 * 0.66 + 20 * 0.5) / 90, abs=0.05)


def test_the_scale_is_trained_on_numbers(tiny_causal: Path, tmp_path: Path) -> None:
    values = {"negative": -0.75, "neutral": 0.0, "positive": 1.0}
    rows = [f"{row['text']},{values[row['label']]}" for row in tiny_rows()]
    (tmp_path / "scale.csv").write_text("\n".join(["text,score", *rows]) + "\n")
    places = [f"model.base={tiny_causal}", f"data.path={tmp_path / 'scale.csv'}", f"output={tmp_path / 'runs'}"]
    run = fintune.train(EXAMPLES / "sentiment-scale.yaml", [*places, "method.layers=top:1"])
    assert set(run.baselines()) == {"mean", "tfidf", "zero-shot"}
    assert run.scores()["test"]["mae"].value < 1
