"""Weights come from safetensors alone; what is missing, damaged or foreign is said in two lines."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fintune.errors import BrokenEnvironment, ModelError
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.methods import METHODS
from fintune.methods.adapter import load_adapter
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, check_reference, load_model
from fintune.records import Prompt


@pytest.fixture
def copy(tiny_causal: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_causal, tmp_path / "model"))


def with_adapter(base: Path, folder: Path) -> LoadedModel:
    """A model with a LoRA adapter that changes its answers, saved to `folder`."""
    loaded = load_model(str(base), device="cpu")
    torch.manual_seed(0)
    tuned = replace(loaded, model=METHODS["lora"].attach(loaded.model, LoraOptions(r=4, lora_alpha=16), loaded.kind))
    with torch.no_grad():
        for name, parameter in tuned.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    tuned.model.save_pretrained(folder)
    return replace(tuned, model=tuned.model.eval())


def scores(loaded: LoadedModel) -> np.ndarray:
    prompts = [Prompt.around("", "Profit rose.", ":"), Prompt.around("", "Loss.", ":")]
    return TorchEngine(loaded, max_length=64).rank(prompts, ["up", "down"]).log_probability


def test_kind_is_read_from_the_config(tiny_causal: Path, tiny_seq2seq: Path) -> None:
    assert load_model(str(tiny_causal), device="cpu").kind == "causal"
    assert load_model(str(tiny_seq2seq), device="cpu").kind == "seq2seq"


def test_auto_means_float32_on_a_cpu(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    assert loaded.model.dtype == torch.float32
    assert not loaded.model.training
    assert load_model(str(tiny_causal), device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16


def test_an_adapter_round_trips(tiny_model: Path, tmp_path: Path) -> None:
    tuned = with_adapter(tiny_model, tmp_path / "a")
    clean = load_model(str(tiny_model), device="cpu")
    bare = scores(clean)
    again = load_adapter(clean, tmp_path / "a")
    np.testing.assert_allclose(scores(again), scores(tuned), atol=1e-6)
    assert np.abs(scores(again) - bare).max() > 0.01, "the adapter is not the identity"


def test_loading_an_adapter_draws_no_random_numbers(tiny_causal: Path, tmp_path: Path) -> None:
    with_adapter(tiny_causal, tmp_path / "a")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_adapter(load_model(str(tiny_causal), device="cpu"), tmp_path / "a")
    assert torch.equal(torch.rand(1), expected)


def test_an_adapter_of_another_model_is_refused(tiny_causal: Path, tiny_seq2seq: Path, tmp_path: Path) -> None:
    with_adapter(tiny_seq2seq, tmp_path / "a")
    with pytest.raises(ModelError, match="does not fit base model"):
        load_adapter(load_model(str(tiny_causal), device="cpu"), tmp_path / "a")


def test_an_adapter_of_a_wider_model_is_refused(tiny_causal: Path, tmp_path: Path) -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig.from_pretrained(tiny_causal)
    config.intermediate_size = 64
    Gemma3ForCausalLM(config).save_pretrained(tmp_path / "wide")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_causal / name, tmp_path / "wide")
    with_adapter(tmp_path / "wide", tmp_path / "a")
    with pytest.raises(ModelError, match="does not fit base model"):
        load_adapter(load_model(str(tiny_causal), device="cpu"), tmp_path / "a")


def test_an_adapter_of_a_deeper_model_is_refused(tiny_causal: Path, tmp_path: Path) -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig.from_pretrained(tiny_causal)
    config.num_hidden_layers = 3
    config.layer_types = ["sliding_attention", "full_attention", "full_attention"]
    Gemma3ForCausalLM(config).save_pretrained(tmp_path / "deep")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_causal / name, tmp_path / "deep")
    with_adapter(tmp_path / "deep", tmp_path / "a")
    with pytest.raises(ModelError, match="does not fit base model"):
        load_adapter(load_model(str(tiny_causal), device="cpu"), tmp_path / "a")


@pytest.mark.parametrize("which", ["model", "adapter"])
def test_truncated_weights_are_named(copy: Path, tmp_path: Path, which: str) -> None:
    with_adapter(copy, tmp_path / "a")
    file = copy / "model.safetensors" if which == "model" else tmp_path / "a" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelError, match="damaged") as caught:
        load_adapter(load_model(str(copy), device="cpu"), tmp_path / "a")
    assert caught.value.hint


def test_pickled_weights_are_never_read(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \.safetensors"):
        load_model(str(copy))


def test_code_of_a_model_is_never_run(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match="auto_map"):
        load_model(str(copy))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("/no/such/folder", "no folder '/no/such/folder'"),
        ("./nowhere", "no folder './nowhere'"),
        ("missing.gguf", "no file 'missing.gguf'"),
        (" ", "is empty"),
    ],
)
def test_a_missing_reference_is_named(reference: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(reference)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("unable to mmap 1072419256 bytes from file <model.safetensors>: Cannot allocate memory (12)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_a_model_that_does_not_fit_into_memory_is_not_called_damaged(
    tiny_causal: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", fail)
    with pytest.raises(BrokenEnvironment, match=r"causal0?: does not fit into memory") as caught:
        load_model(str(tiny_causal), device="cpu")
    assert "ulimit -v" in caught.value.hint


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="damaged JSON"):
        load_model(str(tmp_path))


def test_a_damaged_gguf_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF nonsense")
    with pytest.raises(ModelError, match=r"model\.gguf: damaged: ends in its header"):
        load_model(str(tmp_path / "model.gguf"))
    assert not (tmp_path / "cache").exists()


def test_a_hub_id_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match="'someone/some-model' is no folder here, and the hub does not answer"
    ) as caught:
        load_model("someone/some-model")
    assert "Offline?" in caught.value.hint


def test_an_unusable_device_is_refused(tiny_causal: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.device: cannot use 'quantum'"):
        load_model(str(tiny_causal), device="quantum")


@pytest.mark.parametrize(
    ("reference", "device", "message"),
    [
        ("/no/such/folder", "auto", "no folder '/no/such/folder'"),
        ("missing.gguf", "auto", "no file 'missing.gguf'"),
        ("someone/some-model", "meta", "cannot use 'meta'"),
    ],
)
def test_references_are_checked_without_weights(reference: str, device: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_reference(reference, device)


def test_good_references_pass_the_check(tiny_causal: Path) -> None:
    for reference in (str(tiny_causal), "someone/some-model"):
        check_reference(reference, "cpu")


def test_the_embedded_model_is_checked_without_converting_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BrokenEnvironment, match="the embedded model is not installed"):
        check_reference("embedded", "cpu")
    assert not list(tmp_path.iterdir())


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def store(folder: Path, values: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    save_file(values, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_leave_a_layer_out_are_refused(copy: Path) -> None:
    values = tensors(copy)
    del values["model.layers.1.self_attn.q_proj.weight"]
    store(copy, values)
    with pytest.raises(ModelError, match=r"do not fit config\.json: missing: model\.layers\.1\.self_attn\.q_proj"):
        load_model(str(copy))


def test_weights_of_another_model_are_refused(copy: Path, tiny_seq2seq: Path) -> None:
    shutil.copy(tiny_seq2seq / "model.safetensors", copy)
    with pytest.raises(ModelError, match=r"do not fit config\.json"):
        load_model(str(copy))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers_are_refused(copy: Path, value: float) -> None:
    values = tensors(copy)
    values["model.norm.weight"][3] = value
    store(copy, values)
    with pytest.raises(ModelError, match=r"model\.norm\.weight holds values that are no numbers"):
        load_model(str(copy))


def test_weights_whose_sum_alone_is_too_large_are_numbers(copy: Path) -> None:
    values = tensors(copy)
    values["model.norm.weight"][:8] = torch.finfo(torch.float32).max / 2
    store(copy, values)
    assert load_model(str(copy)).model.model.norm.weight[0] > 1e38


def test_a_model_without_tokenizer_is_refused(copy: Path) -> None:
    (copy / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(copy))
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="no tokenizer in"):
        load_model(str(copy))


def test_the_digest_follows_weights_config_and_tokenizer(copy: Path) -> None:
    digests = [load_model(str(copy)).sha256]
    values = tensors(copy)
    values["model.norm.weight"][3] += 1
    store(copy, values)
    digests.append(load_model(str(copy)).sha256)
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text() + " ")
    digests.append(load_model(str(copy)).sha256)
    (copy / "notes.txt").touch()
    digests.append(load_model(str(copy)).sha256)
    assert len(set(digests)) == 3
    assert digests[2] == digests[3]


def test_t5_in_float16_is_refused_with_the_reason(tiny_seq2seq: Path, tiny_causal: Path) -> None:
    with pytest.raises(ModelError, match=r"mt5 overflows in float16"):
        load_model(str(tiny_seq2seq), device="cpu", dtype="float16")
    assert load_model(str(tiny_seq2seq), device="cpu", dtype="bfloat16").model.dtype == torch.bfloat16
    assert load_model(str(tiny_causal), device="cpu", dtype="float16").model.dtype == torch.float16
