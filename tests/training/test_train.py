"""A config in, a complete run folder out, on both kinds of model, and usable by plain PEFT."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fintune
from fintune.config.load import load
from fintune.config.paths import absolute
from fintune.config.prepare import prepare
from fintune.errors import DataError, ModelError, RunError
from fintune.evaluation.score import score_file, score_part
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.inference.load import load_tuned
from fintune.models import LoadedModel
from fintune.runtime.progress import listening
from tests.made_records import asked
from tests.tiny import LABELS, config_for

FILES = {
    "README.md", "adapter", "config.yaml", "data.json", "environment.json", "log.jsonl", "predictions.test.jsonl",
    "predictions.test.majority.jsonl", "predictions.test.tfidf.jsonl", "predictions.test.zero-shot.jsonl",
    "predictions.validation.jsonl", "scores.json", "manifest.json",
}  # fmt: skip


def test_the_run_folder_is_whole(trained: fintune.Run) -> None:
    assert {path.name for path in trained.folder.iterdir()} == FILES
    assert {path.name for path in trained.adapter.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert fintune.Run.open(trained.folder) == trained


def test_it_learned_and_beats_the_majority(trained: fintune.Run) -> None:
    test = trained.scores()["test"]
    assert test["accuracy"].value >= 0.9
    assert test["accuracy"].n == 18
    assert trained.baselines()["majority"]["test"]["accuracy"].value == pytest.approx(1 / 3)
    assert set(trained.baselines()) == {"majority", "tfidf", "zero-shot"}
    assert trained.baselines()["zero-shot"]["test"]["accuracy"].value < 0.8


def test_stored_ids_follow_the_split(trained: fintune.Run) -> None:
    prepared = prepare(trained.config())
    ids = trained.data()["ids"]
    assert {part: [e.id for e in examples] for part, examples in prepared.splits.parts.items()} == ids
    assert trained.data()["fingerprint"] == prepared.splits.fingerprint
    assert sum(map(len, ids.values())) == 90


def test_predictions_hold_what_the_scores_were_made_of(trained: fintune.Run) -> None:
    lines = [json.loads(line) for line in (trained.folder / "predictions.test.jsonl").read_text().splitlines()]
    right = sum(line["answer"] == line["gold"] for line in lines)
    assert right / len(lines) == trained.scores()["test"]["accuracy"].value
    for line in lines:
        assert sum(line["probabilities"].values()) == pytest.approx(1)
        assert max(line["probabilities"], key=line["probabilities"].get) == line["answer"]


def test_every_epoch_is_logged_and_the_best_kept(trained: fintune.Run) -> None:
    epochs = [line for line in trained.log() if "best" in line]
    assert [line["epoch"] for line in epochs] == [1, 2, 3, 4, 5]
    for part in ("train", "validation"):
        assert all(f"{part}_{figure}" in epochs[0] for figure in ("loss", "perplexity", "accuracy", "macro_f1"))
    best = max(epochs, key=lambda line: (line["validation_macro_f1"], -line["validation_loss"]))
    assert best["validation_macro_f1"] == pytest.approx(trained.scores()["validation"]["macro_f1"].value)
    assert best["validation_loss"] == pytest.approx(trained.scores()["validation"]["answer_loss"].value, abs=1e-5)


def test_environment_says_what_ran(trained: fintune.Run) -> None:
    environment = trained.environment()
    assert environment["seed"] == 0
    assert 0 < environment["trainable_parameters"] < environment["parameters"]
    assert environment["packages"]["peft"]


def test_model_card_shows_the_scores(trained: fintune.Run) -> None:
    card = (trained.folder / "README.md").read_text()
    assert f"| this adapter, test | {100 * trained.scores()['test']['accuracy'].value:.1f} [" in card
    assert trained.data()["fingerprint"] in card
    assert trained.environment()["base_sha256"] in card
    assert "Base model: Gemma Terms of Use." in card


def test_plain_peft_loads_the_adapter_and_gives_the_same_scores(trained: fintune.Run, tiny_causal: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(tiny_causal)
    model = PeftModel.from_pretrained(base, trained.adapter).eval()
    plain = LoadedModel(model, AutoTokenizer.from_pretrained(tiny_causal), "causal", "plain")
    task = fintune.load(trained).task
    prompts = [task.prompt(asked(f"Alvex of Oslo {sign}")) for sign in "+-="]
    ours = TorchEngine(load_tuned(trained), max_length=96).rank(prompts, list(task.choices().values()))
    theirs = TorchEngine(plain, max_length=96).rank(prompts, list(task.choices().values()))
    np.testing.assert_allclose(ours.log_probability, theirs.log_probability, atol=1e-4)


def test_the_encoder_decoder_road(tiny_seq2seq: Path, rows_file: Path, tmp_path: Path) -> None:
    run = fintune.train(config_for(tiny_seq2seq, rows_file, tmp_path))
    epochs = [line for line in run.log() if "best" in line]
    assert epochs[-1]["train_loss"] < 0.7 * epochs[0]["running_loss"]
    assert json.loads((run.adapter / "adapter_config.json").read_text())["task_type"] == "SEQ_2_SEQ_LM"
    assert len(fintune.load(run)(["Alvex of Oslo +"])[0].probabilities) == 3


def test_same_config_same_adapter_and_scores(tiny_config: dict[str, Any], trained: fintune.Run) -> None:
    again = fintune.train(tiny_config)
    assert again.scores() == trained.scores()
    assert (again.adapter / "adapter_model.safetensors").read_bytes() == (
        trained.adapter / "adapter_model.safetensors"
    ).read_bytes()


def test_the_test_part_stays_unscored_when_told(tiny_config: dict[str, Any], trained: fintune.Run) -> None:
    run = fintune.train(tiny_config, ["evaluation.test=false", "train.epochs=1", "evaluation.baselines=[majority]"])
    assert set(run.scores()) == {"validation"}
    assert not (run.folder / "predictions.test.jsonl").exists()
    assert set(run.baselines()["majority"]) == {"validation"}


def test_scoring_a_part_later_gives_what_training_gave(trained: fintune.Run, tmp_path: Path) -> None:
    copied = fintune.Run(Path(shutil.copytree(trained.folder, tmp_path / "copy")))
    (copied.folder / "predictions.test.jsonl").unlink()
    found = score_part(copied, "test")
    assert found.scores == trained.scores()["test"] == copied.scores()["test"]
    assert (copied.folder / "predictions.test.jsonl").read_text() == (
        trained.folder / "predictions.test.jsonl"
    ).read_text()
    assert copied.baselines() == trained.baselines()


def test_changed_data_are_not_scored_as_the_same(trained: fintune.Run, tmp_path: Path, rows_file: Path) -> None:
    changed = tmp_path / "changed.jsonl"
    changed.write_text(rows_file.read_text() + '{"text": "one more row =", "label": "neutral"}\n')
    copied = fintune.Run(Path(shutil.copytree(trained.folder, tmp_path / "copy")))
    config = (copied.folder / "config.yaml").read_text()
    (copied.folder / "config.yaml").write_text(config.replace(str(rows_file), str(changed)))
    with pytest.raises(DataError, match="another fingerprint"):
        score_part(copied, "test")


def test_another_file_is_scored_and_nothing_stored(trained: fintune.Run, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,label\nNewtun of Oslo +,positive\nNewtun of Lima -,negative\nNewtun of Rome =,positive\n")
    before = (trained.folder / "scores.json").read_bytes()
    assert score_file(trained, str(other)).scores["accuracy"].value == pytest.approx(2 / 3)
    assert (trained.folder / "scores.json").read_bytes() == before


@pytest.mark.parametrize("label", LABELS)
def test_a_label_missing_from_the_data_is_found_before_weights(
    tiny_config: dict[str, Any], tmp_path: Path, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("fintune.models.load_model")
    rows = [line for line in Path(tiny_config["data"]["path"]).read_text().splitlines() if label not in line]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    with pytest.raises(DataError, match=f"no example of label '{label}' in the train part"):
        fintune.train(tiny_config, [f"data.path={tmp_path / 'rows.jsonl'}"])
    assert not (tmp_path / "runs").exists(), "no run folder for a run that never began"


def test_too_few_examples(tiny_config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text('{"text": "a", "label": "neutral"}\n' * 20)
    with pytest.raises(DataError, match="1 distinct examples, too few"):
        fintune.train(tiny_config, [f"data.path={tmp_path / 'few.jsonl'}"])


def test_a_template_that_cannot_fit_stops_before_training(tiny_config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"model\.max_length: 8 tokens cannot hold"):
        fintune.train(tiny_config, ["model.max_length=8"])


def test_a_broken_run_says_so_and_may_be_replaced(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fintune.evaluation.score.model_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fintune.train(tiny_config, ["train.epochs=1"])
    folder = Path(tiny_config["output"]) / "tiny"
    with pytest.raises(RunError, match="unfinished run"):
        fintune.load(folder)
    monkeypatch.undo()
    with pytest.raises(RunError, match="an interrupted run waits there"):
        fintune.train(tiny_config, ["train.epochs=1"])
    run = fintune.train(tiny_config, ["train.epochs=1"], resume=True)
    assert fintune.Run.open(folder) == run
    assert len([line for line in run.log() if "best" in line]) == 1, "trained once"
    with pytest.raises(RunError, match="a finished run stands there"):
        fintune.train(tiny_config)


def test_a_local_model_never_touches_the_network(
    tiny_config: dict[str, Any], no_network: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(OSError, match="tried to reach"):
        socket.create_connection(("127.0.0.1", 9))
    assert no_network, "the guard itself works"
    no_network.clear()
    run = fintune.train(tiny_config, ["train.epochs=1"])
    assert fintune.load(run)(["Alvex of Oslo +"])
    assert no_network == []


def test_a_run_says_what_it_cost(trained: fintune.Run) -> None:
    found, steps = trained.environment(), [line for line in trained.log() if "step" in line]
    seconds = sum(line["examples"] / line["examples_per_second"] for line in steps)
    assert found["train_seconds"] == trained.train_seconds() == pytest.approx(seconds)
    assert found["peak_memory_bytes"] == max(line["peak_memory_bytes"] for line in steps) > 50_000_000
    assert 0 < found["seconds_per_1000"] < 600


def test_a_smaller_train_part_leaves_the_others_as_they_are(tiny_config: dict[str, Any]) -> None:
    whole, some = (prepare(load(tiny_config, sets)) for sets in ([], ["data.split.train_examples=12"]))
    assert len(some.splits["train"]) == 12
    assert {e.id for e in some.splits["train"]} < {e.id for e in whole.splits["train"]}
    for part in ("validation", "test"):
        assert some.splits[part] == whole.splits[part]
    assert some.splits.fingerprint != whole.splits.fingerprint
    with pytest.raises(DataError, match=r"data\.split\.train_examples: 500 of a train part of 63"):
        prepare(load(tiny_config, ["data.split.train_examples=500"]))


def test_a_folder_called_as_the_embedded_model_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "embedded").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute(load({"model": {"base": "embedded"}})).model.base == "embedded"


def test_bfloat16_on_a_cpu_without_it_is_warned_of(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    with listening(lambda event: notes.append(event.note)):
        fintune.train(tiny_config, ["train.bf16=true", "train.epochs=1", "name=slow"])
    assert [note for note in notes if "no bfloat16 products; train.bf16:" in note]
    notes.clear()
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    with listening(lambda event: notes.append(event.note)):
        fintune.train(tiny_config, ["train.bf16=true", "train.epochs=1", "name=fast"])
    assert not [note for note in notes if "bfloat16" in note]
