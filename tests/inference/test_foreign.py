"""Adapters trained elsewhere answer as PEFT has them answer, or are refused before weights are loaded."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

import fintune
import fintune.models
from fintune.errors import ModelError
from fintune.inference.foreign import ForeignAdapter
from tests.families import save
from tests.foreign import TASK, TEXTS, answers_of_peft, configs, log_probabilities, make, plain_model, rewrite
from tests.tiny import tiny_rows

NAMES = list(configs("causal"))


@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning")  # PEFT's, in the plain half
@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_plain_peft(name: str, tiny_model: Path, tmp_path: Path) -> None:
    folder = make(tiny_model, tmp_path / "adapter", configs("seq2seq" if "seq" in tiny_model.name else "causal")[name])
    found = log_probabilities(fintune.load(folder, base=str(tiny_model), task=TASK, device="cpu"))
    np.testing.assert_allclose(found, answers_of_peft(tiny_model, folder), atol=1e-4)
    before = log_probabilities(fintune.load(tiny_model, task=TASK, device="cpu"))
    assert np.abs(found - before).max() > 0.1


@pytest.fixture(scope="module")
def adapter(tiny_causal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of the tiny causal model; tests must not change it."""
    return make(tiny_causal, tmp_path_factory.mktemp("foreign") / "adapter", configs("causal")["lora"])


def test_commands_take_it_with_base_and_task(
    adapter: Path, tiny_causal: Path, rows_file: Path, tmp_path: Path, fin: Any
) -> None:
    task = tmp_path / "task.yaml"
    task.write_text(json.dumps({"task": TASK, "model": {"device": "cpu", "max_length": 96}}))
    use = ("--base", tiny_causal, "--task", task)
    expected = fintune.load(adapter, base=str(tiny_causal), task=TASK, device="cpu")(TEXTS)
    lines = fin("predict", adapter, *TEXTS, "--json", *use).out.splitlines()
    assert [json.loads(line)["label"] for line in lines] == [p.answer for p in expected]
    done = fin("predict", adapter, "--file", rows_file, "--output", tmp_path / "out.jsonl", *use)
    assert "90" in done.err
    given = ("--set", "task.prompt={text}{answer}", "--set", f"model.base={tiny_causal}", "--task", "sentiment")
    again = fin("predict", adapter, *TEXTS, "--json", *given).out.splitlines()
    assert again == lines
    scores = json.loads(fin("evaluate", adapter, "--data", rows_file, "--json", *use).out)
    labels = [row["label"] for row in tiny_rows()]
    answered = [json.loads(line)["label"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert scores["accuracy"]["value"] == pytest.approx(
        np.mean([a == b for a, b in zip(labels, answered, strict=True)])
    )
    explained = json.loads(fin("explain", adapter, TEXTS[0], "--json", *use).out)
    assert [word["text"] for word in explained[0]["words"]] == ["Alvex", "of", "Oslo"]


def test_a_kept_adapter_is_used_by_its_name(
    adapter: Path, tiny_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fin: Any
) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))
    added = fin("adapters", "add", adapter, "--name", "theirs").out
    assert f"next: fintune predict theirs --file FILE --base {tiny_causal} --task sentiment" in added
    by_name = fintune.load("theirs", base=str(tiny_causal), task=TASK, device="cpu")(TEXTS)
    assert by_name == fintune.load(adapter, base=str(tiny_causal), task=TASK, device="cpu")(TEXTS)


def test_the_base_it_names_is_taken_where_it_is_at_hand(adapter: Path, tiny_causal: Path, tmp_path: Path) -> None:
    assert ForeignAdapter.open(adapter, task="sentiment").config().model.base == str(tiny_causal)
    gone = Path(shutil.copytree(adapter, tmp_path / "gone"))
    rewrite(gone, base_model_name_or_path="meta-llama/Llama-2-7b-hf")
    with pytest.raises(ModelError, match="trained on 'meta-llama/Llama-2-7b-hf', which is not at hand"):
        ForeignAdapter.open(gone, task="sentiment")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": None}, "no peft_type: not an adapter as PEFT saves it"),
        ({"peft_type": "LOAR"}, "peft_type 'LOAR' is unknown to PEFT"),
        ({"peft_type": "XLORA"}, "XLORA is a mixture of several adapters"),
        ({"task_type": "SEQ_CLS"}, "task_type SEQ_CLS: for a model with a head of its own"),
        ({"task_type": "SEQ_2_SEQ_LM"}, "task_type SEQ_2_SEQ_LM, and the base model is causal"),
        ({"task_type": "SINGING"}, "task_type 'SINGING' is unknown"),
        ({"auto_map": {"AutoModel": "code.py"}}, "auto_map: code of its own, which is never run"),
        ({"megatron_config": {"a": 1}}, "megatron_config: Megatron's layers"),
        ({"use_newest_trick": True}, "use_newest_trick: a setting that PEFT .* does not know"),
        ({"r": "many"}, r"adapter: .*"),
        ({"target_modules": ["c_attn"]}, "does not fit base model .*c_attn"),
        ({"r": 8}, r"does not fit base model .*lora_A.weight is \(4, 48\) there, \(8, 48\) here"),
        ({"target_modules": ["q_proj"]}, "down_proj.lora_A.weight is .* there, absent here"),
    ],
)
def test_what_cannot_be_used_is_refused_before_weights_are_loaded(
    settings: dict[str, Any], message: str, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fin: Any
) -> None:
    folder = Path(shutil.copytree(adapter, tmp_path / "adapter"))
    rewrite(folder, **settings)
    monkeypatch.setattr("fintune.models.load_model", None)
    refused = fin("predict", folder, "a text", "--task", "sentiment")
    assert refused.code == 2
    assert re.search(message, refused.err), refused.err
    assert len(refused.err.splitlines()) == 2


def test_an_adapter_of_another_base_is_refused_with_the_first_difference(
    adapter: Path, tmp_path: Path, fin: Any
) -> None:
    other = save("gemma3", tmp_path / "other", hidden_size=48)
    refused = fin("predict", adapter, "a text", "--task", "sentiment", "--base", other)
    assert "base_model.model.model.layers.0.mlp.down_proj.lora_B.weight is (32, 4) there, (48, 4) here" in refused.err


def test_pickled_weights_are_refused_with_the_way_to_convert_them(
    adapter: Path, tiny_causal: Path, tmp_path: Path, fin: Any
) -> None:
    folder = Path(shutil.copytree(adapter, tmp_path / "adapter"))
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    refused = fin("predict", folder, "a text", "--task", "sentiment")
    assert "its weights are a pickle (adapter_model.bin), which is not read" in refused.err
    command = refused.err.partition('python -c "')[2].partition('"')[0]
    subprocess.run([sys.executable, "-c", command], cwd=folder, check=True)
    (folder / "adapter_model.bin").unlink()
    assert (
        log_probabilities(fintune.load(folder, task=TASK)).tolist()
        == log_probabilities(fintune.load(adapter, task=TASK)).tolist()
    )


def test_what_is_missing_is_told(adapter: Path, trained: fintune.Run, fin: Any) -> None:
    assert "an adapter does not say its task" in fin("predict", adapter, "a text").err
    assert "an adapter, and no data in it" in fin("evaluate", adapter, "--task", "sentiment").err
    assert (
        "an adapter trained elsewhere has none"
        in fin("predict", adapter, "x", "--task", "sentiment", "--engine", "int8").err
    )
    assert (
        "nowhere: no such folder, and no adapter is kept" in fin("predict", "nowhere", "x", "--task", "sentiment").err
    )
    assert (
        f"{adapter}: an adapter trained elsewhere, and only runs are combined"
        in fin("merge", trained.folder, adapter, "-o", adapter.with_name("none")).err
    )
    told = fin("predict", trained.folder, "a text", "--task", "sentiment").err
    assert f"--task: {trained.folder} is no bare adapter" in told


def test_inspect_says_whether_it_fits(adapter: Path, tiny_causal: Path, tmp_path: Path, fin: Any) -> None:
    facts = json.loads(fin("inspect", adapter, "--base", tiny_causal, "--json").out)
    assert (facts["method"], facts["rank"], facts["base"]) == ("lora", 4, str(tiny_causal))
    assert facts["fits"].startswith("yes")
    assert facts["put_on_sha256"] == fintune.models.load_model(str(tiny_causal), device="cpu").sha256
    other = json.loads(fin("inspect", adapter, "--base", save("gpt2", tmp_path / "other"), "--json").out)
    assert other["fits"].startswith("no: ")
    assert "--base" in fin("inspect", tiny_causal, "--base", tiny_causal).err


def test_it_is_not_trained(tiny_config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="peft is an adapter trained elsewhere"):
        fintune.train(tiny_config | {"method": {"name": "peft"}})


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts without labels."""
    file = tmp_path_factory.mktemp("texts") / "texts.csv"
    file.write_text("text\n" + "".join(f'"{row["text"]}"\n' for row in tiny_rows(12)))
    return file


@pytest.mark.parametrize("name", ["lora", "dora", "ia3", "hra"])
def test_merged_weights_are_proved_on_texts_of_the_users_own(
    name: str, tiny_causal: Path, texts_file: Path, tmp_path: Path, fin: Any
) -> None:
    folder = make(tiny_causal, tmp_path / "adapter", configs("causal")[name])
    use = ("--base", tiny_causal, "--set", "task.prompt={text}{answer}")
    refused = fin("merge", folder, *use)
    assert "no stored answers, and nothing can be proved without texts" in refused.err
    assert "--data FILE" in refused.err
    made = fin("merge", folder, *use, "--data", texts_file)
    assert made.code == 0, made.err
    record = json.loads((folder / "exports" / "merged" / "verification.json").read_text())
    assert (record["texts"], record["changed"], record["score"], record["method"]) == (12, 0, None, "peft")
    assert record["largest_difference"] < 1e-4
    assert record["reference"]["answers"] == "the adapter's own, before it was merged"
    assert record["reference"]["file"] == str(texts_file)
    assert f"12 of the 12 texts of `{texts_file}`" in (folder / "exports" / "merged" / "README.md").read_text()
    merged = log_probabilities(fintune.load(folder / "exports" / "merged"))
    np.testing.assert_allclose(merged, answers_of_peft(tiny_causal, folder), atol=1e-3)
    engine = json.loads(fin("predict", folder, TEXTS[0], *use, "--engine", "merged", "--json").out)
    assert engine["label"] == fintune.load(folder, task=TASK)([TEXTS[0]])[0].answer


@pytest.mark.parametrize("name", ["gguf-lora", "gguf"])
def test_formats_of_other_programs_are_proved_so(name: str, texts_file: Path, tmp_path: Path, fin: Any) -> None:
    adapter = make(save("llama", tmp_path / "base"), tmp_path / "adapter", configs("causal")["lora"])
    use = ("--format", name, "--task", "sentiment", "--data", texts_file, "--json", "-o", tmp_path / "made")
    made = fin("export", adapter, *use)
    assert made.code == 0, made.err
    assert json.loads(made.out)["reference"]["file"] == str(texts_file)
    assert fintune.load(tmp_path / "made")(TEXTS)[0].answer == fintune.load(adapter, task="sentiment")(TEXTS)[0].answer


def test_vectors_before_the_text_are_not_merged(tiny_causal: Path, texts_file: Path, tmp_path: Path, fin: Any) -> None:
    folder = make(tiny_causal, tmp_path / "adapter", configs("causal")["prompt"])
    refused = fin("merge", folder, "--task", "sentiment", "--data", texts_file)
    assert "cannot be merged: vectors before the text are no weights of the base model" in refused.err
    assert not (folder / "exports").exists()


def enlarged(base: Path, folder: Path, **settings: Any) -> Path:
    """An adapter of a base model whose vocabulary was given three tokens more, with its tokenizer."""
    import peft

    model, tokenizer = plain_model(base), AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["Oslo", "Lima", "Turin"])
    torch.manual_seed(2)
    model.resize_token_embeddings(len(tokenizer))
    tuned = peft.get_peft_model(
        model, peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], r=2, **settings)
    )
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    tuned.save_pretrained(folder, save_embedding_layers=True)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings")
@pytest.mark.parametrize("settings", [{}, {"modules_to_save": ["embed_tokens", "lm_head"]}])
def test_tokens_that_were_added_come_with_their_embeddings(settings: dict[str, Any], tmp_path: Path, fin: Any) -> None:
    base = save("llama", tmp_path / "base")
    folder = enlarged(base, tmp_path / "adapter", **settings)
    predicted = fin("predict", folder, *TEXTS, "--base", base, "--set", "task.prompt={text}{answer}", "--json")
    assert "tokenizer  the adapter's, which holds the embeddings" in predicted.err
    found = log_probabilities(fintune.load(folder, base=str(base), task=TASK))
    np.testing.assert_allclose(found, answers_of_peft(base, folder, tokenizer=folder), atol=1e-4)
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS))
    made = fin(
        "merge", folder, "--base", base, "--set", "task.prompt={text}{answer}", "--data", texts, "-o", tmp_path / "m"
    )
    assert made.code == 0, made.err
    np.testing.assert_allclose(log_probabilities(fintune.load(tmp_path / "m")), found, atol=1e-3)


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(tmp_path: Path, fin: Any) -> None:
    base = save("llama", tmp_path / "base")
    folder = enlarged(base, tmp_path / "adapter")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["Quito"])
    tokenizer.save_pretrained(folder)
    refused = fin("predict", folder, "a text", "--base", base, "--task", "sentiment")
    assert "its tokenizer has 263 tokens, and there are embeddings of 262" in refused.err


def test_tokens_without_embeddings_are_left_alone(adapter: Path, tiny_causal: Path, tmp_path: Path, fin: Any) -> None:
    folder = Path(shutil.copytree(adapter, tmp_path / "adapter"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal)
    tokenizer.save_pretrained(folder)
    asked = ("predict", folder, TEXTS[0], "--task", "sentiment", "--json")
    silent = fin(*asked)
    assert "tokenizer" not in silent.err
    tokenizer.add_tokens(["Oslo"])
    tokenizer.save_pretrained(folder)
    told = fin(*asked)
    assert (
        "tokenizer  the base model's: the adapter's has other tokens, and no embeddings of them (260 tokens" in told.err
    )
    assert told.out == silent.out
