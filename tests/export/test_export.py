"""An export is proved to be what was evaluated, or not written."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file, save_file

import fintune
from fintune.errors import BrokenEnvironment, ModelError, RunError, UsageError
from fintune.export import export as exporting
from fintune.export.export import Exported, export
from fintune.export.formats import gguf_settings
from fintune.export.merge import merged
from fintune.export.names import FORMAT_NAMES
from fintune.export.registry import FORMATS
from fintune.inference.artifacts import ARTIFACTS, AsModel, engine_of, export_of
from fintune.inference.open import open_engine
from fintune.models import LoadedModel, load_model
from fintune.models.convert import convert
from fintune.models.formats import llama, state_dict
from fintune.models.gguf_file import parsed_once, read_gguf
from fintune.models.gguf_reader import ArrayReader
from fintune.runs import manifest
from fintune.runs.run import Run
from fintune.runtime.install import with_extra
from fintune.tasks import TASKS
from tests.families import save
from tests.made_records import asked
from tests.tiny import config_for, unigram_tokenizer

FAMILIES = ["llama", "qwen2", "qwen3", "gemma3", "gpt2", "flan-t5", "mt5", "t5gemma2"]


def trained(family: str, rows: Path, folder: Path, *more: str, **method: Any) -> Run:
    model = save(family, folder / "model 模")
    if family in ("flan-t5", "mt5"):
        unigram_tokenizer().save_pretrained(model)
    config = config_for(model, rows, folder / "runs 跑") | {"method": method}
    brief = ["train.learning_rate=3e-3", "train.epochs=2", "evaluation.baselines=[]", "evaluation.test=false"]
    return fintune.train(config, [*brief, *more])


@pytest.fixture(scope="module", params=FAMILIES)
def run(request: pytest.FixtureRequest, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(request.param, rows_file, tmp_path_factory.mktemp("export"), name="lora", r=2)


@pytest.mark.parametrize(
    ("name", "dtype"), [(f.name, d) for f in FORMATS.values() for d in f.dtypes if f.name != "bitsandbytes"]
)
def test_every_format_answers_as_the_run_was_scored(name: str, dtype: str, run: Run, tmp_path: Path) -> None:
    base = load_model(run.config().model.base, device="cpu")
    if (family := base.model.config.model_type) not in (FORMATS[name].families or (family,)):
        with pytest.raises(ModelError, match=f"--format {name}: is for .*, and this model is {family}"):
            export(run, name, dtype=dtype, output=tmp_path / "none")
        assert not (tmp_path / "none").exists()
        return
    if dtype == "float16" and family in ("t5", "mt5") and FORMATS[name].half_overflows:
        with pytest.raises(ModelError, match="overflows in it"):
            export(run, name, dtype=dtype, output=tmp_path / "none")
        return
    made = export(run, name, dtype=dtype, output=tmp_path / "合并 folder", allow_loss=True)
    written = json.loads((made.folder / "verification.json").read_text())
    assert written["texts"] == 9
    assert written["changed"] <= (dtype in ("q8_0", "int8"))
    assert written["largest_difference"] < {"float32": 1e-4, "q8_0": 0.1, "int8": 0.1}.get(dtype, 1e-2)
    card = (made.folder / "README.md").read_text()
    assert run.environment()["base_sha256"] in card
    assert f"{9 - written['changed']} of the 9 validation texts" in card
    if not isinstance(back := FORMATS[name].back, AsModel):
        return
    again = back.read(made.folder)
    own, theirs = again.model.state_dict(), base.model.state_dict()
    assert own.keys() == theirs.keys()
    assert any(not torch.equal(own[n], theirs[n]) for n in own)


def test_only_a_plain_lora_goes_alone(rows_file: Path, tmp_path: Path) -> None:
    dora = trained("llama", rows_file, tmp_path / "a", name="dora", r=2)
    with pytest.raises(ModelError, match=r"--format gguf-lora: .* trained too"):
        export(dora, "gguf-lora")
    norms = trained("llama", rows_file, tmp_path / "b", name="norms")
    with pytest.raises(ModelError, match="norms is no plain LoRA"):
        export(norms, "gguf-lora")


def test_llamas_state_dict_is_metas_and_comes_back_bit_by_bit(rows_file: Path, tmp_path: Path) -> None:
    run = trained("llama", rows_file, tmp_path, name="lora", r=2)
    whole = merged(run).loaded
    before = {name: tensor.clone() for name, tensor in whole.model.state_dict().items()}
    made = export(run, "state-dict", output=tmp_path / "out")
    names = torch.load(made.folder / "consolidated.00.pth", weights_only=True).keys()
    assert {"tok_embeddings.weight", "layers.1.attention.wq.weight", "layers.0.feed_forward.w2.weight"} <= names
    after = state_dict.read(made.folder).model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    settings = json.loads((made.folder / "params.json").read_text())
    width = int(8 * settings["dim"] / 3)
    width = int(settings["ffn_dim_multiplier"] * width)
    assert settings["multiple_of"] * -(-width // settings["multiple_of"]) == whole.model.config.intermediate_size


@pytest.mark.parametrize(
    ("family", "method"),
    [
        ("llama", {"name": "dora", "r": 2}),
        ("t5gemma2", {"name": "lora", "r": 2, "modules_to_save": ["embed_tokens"]}),
        ("llama", {"name": "lokr"}),
        ("mt5", {"name": "ia3"}),
        ("gpt2", {"name": "bitfit"}),
        ("llama", {"name": "norms"}),
        ("gemma3", {"name": "freeze", "blocks": 1}),
        ("gpt2", {"name": "lora", "r": 2, "target_modules": ["wte", "c_attn"]}),
        ("t5gemma2", {"name": "dora", "r": 2, "target_modules": ["embed_tokens", "q_proj"]}),
        ("gemma3", {"name": "ia3", "target_modules": ["lm_head", "v_proj"]}),
    ],
)
def test_every_sort_of_merge_is_proved(family: str, method: dict[str, Any], rows_file: Path, tmp_path: Path) -> None:
    run = trained(family, rows_file, tmp_path, **method)
    assert export(run, "merged").verification.changed == 0
    assert (run.folder / "exports" / "merged" / "model.safetensors").is_file()


def test_each_format_has_a_name_a_writer_and_a_reader() -> None:
    assert set(FORMATS) == set(FORMAT_NAMES) == set(ARTIFACTS)


def test_a_t5_without_unigrams_is_no_gguf(rows_file: Path, tmp_path: Path) -> None:
    run = fintune.train(config_for(save("mt5", tmp_path / "model"), rows_file, tmp_path), ["train.epochs=1"])
    with pytest.raises(ModelError, match="a T5 has a unigram tokenizer there, and this one is BPE"):
        export(run, "gguf", dtype="q8_0", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["gemma3", "mt5"])
def test_an_embedding_that_is_no_longer_the_head_is_written_apart_or_refused(
    family: str, rows_file: Path, tmp_path: Path
) -> None:
    layers = ["embed_tokens", "q_proj" if family == "gemma3" else "q"]
    run = trained(family, rows_file, tmp_path, "train.learning_rate=3e-2", name="lora", r=2, target_modules=layers)
    if family == "mt5":
        with pytest.raises(ModelError, match=r"coder\.embed_tokens\.weight is not the embedding of the rest"):
            export(run, "gguf", dtype="float16", allow_loss=True)
        return
    made = export(run, "gguf")
    names = {tensor.name for tensor in GGUFReader(made.folder / "model.gguf").tensors}
    assert {"output.weight", "token_embd.weight"} <= names
    assert made.verification.largest_difference < 1e-4


def test_what_cannot_be_merged_says_why_and_writes_nothing(rows_file: Path, tmp_path: Path) -> None:
    run = trained("llama", rows_file, tmp_path, name="houlsby", size=4)
    with pytest.raises(ModelError, match="houlsby cannot be merged: "):
        export(run, "merged")
    assert not (run.folder / "exports").exists()


@pytest.fixture(scope="module")
def plain(rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained("llama", rows_file, tmp_path_factory.mktemp("plain"), name="lora", r=2)


def standing(run: Run, name: str, dtype: str = "") -> Exported:
    """The export that another test has left, or a new one: ten seconds for a graph of ONNX."""
    form = FORMATS[name]
    left = exporting._finished(run, form, dtype or next(iter(form.dtypes)), False)
    return left or export(run, name, dtype=dtype or None, overwrite=True)


def test_another_base_is_refused(plain: Run, rows_file: Path, tmp_path: Path) -> None:
    run = trained("llama", rows_file, tmp_path, name="lora", r=2)
    save("llama", tmp_path / "model 模", num_hidden_layers=1)
    with pytest.raises(ModelError, match=r"not those the adapter was trained on \(sha256 differs"):
        export(run, "merged")


def test_one_that_answers_otherwise_is_not_written(plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FORMATS["merged"]

    def damaging(merged: Any, folder: Path, dtype: str) -> None:
        with torch.no_grad():
            merged.model.lm_head.weight.mul_(-1)
        original.write(merged, folder, dtype)

    monkeypatch.setitem(FORMATS, "merged", replace(original, write=damaging))
    place = tmp_path / "place"
    with pytest.raises(ModelError, match="merged, float32: not the model that was evaluated"):
        export(plain, "merged", output=place / "deep" / "out", allow_loss=True)
    assert not place.exists()
    monkeypatch.setitem(FORMATS, "merged", replace(original, write=damaging, dtypes={"float32": None}))
    with pytest.raises(ModelError, match="texts get another answer"):
        export(plain, "merged", output=place / "out")
    assert export(plain, "merged", output=place / "out", allow_loss=True).verification.changed > 1


def test_an_adapter_that_changes_nothing_is_refused(plain: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(plain.folder, tmp_path / "run")))
    file = run.adapter / "adapter_model.safetensors"
    save_file({name: torch.zeros_like(tensor) for name, tensor in load_file(file).items()}, file)
    base = manifest.read(run).base
    manifest.write(run, LoadedModel(None, None, "causal", "scored so", sha256=base.sha256, files=base.files))
    with pytest.raises(ModelError, match="the adapter changes no weight"):
        export(run, "merged")


def test_the_place_is_taken_or_the_words_are_wrong(plain: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunError, match="is there already"):
        export(plain, "merged", output=tmp_path / "mine", overwrite=True)
    export(plain, "merged", output=tmp_path / "out")
    with pytest.raises(RunError, match="is there already"):
        export(plain, "merged", output=tmp_path / "out")
    export(plain, "merged", output=tmp_path / "out", overwrite=True)
    with pytest.raises(UsageError, match="--format mergd: unknown format"):
        export(plain, "mergd")
    with pytest.raises(UsageError, match="--dtype int3: format merged has float32, bfloat16, float16"):
        export(plain, "merged", dtype="int3")


def test_an_adapter_of_a_base_in_4_bits_is_merged_into_the_full_one_and_measured(
    rows_file: Path, tmp_path: Path
) -> None:
    model = save("llama", tmp_path / "model", hidden_size=64, intermediate_size=128, num_key_value_heads=2)
    config = config_for(model, rows_file, tmp_path) | {"method": {"name": "lora", "r": 2}}
    run = fintune.train(config, ["model.quantization=nf4", "evaluation.baselines=[]", "train.learning_rate=3e-3"])
    made = export(run, "merged", allow_loss=True)
    assert made.verification.changed == 0
    assert made.verification.largest_difference < 1e-4, "beside the adapter on the full base"
    assert 1e-4 < made.facts["beside_the_run"]["largest_difference"] < 1


def test_the_commands_print_what_was_found(plain: Run, tmp_path: Path, fin: Any) -> None:
    shown = fin("merge", plain.folder, "-o", tmp_path / "merged 合")
    assert shown.code == 0
    assert "9 of 9" in shown.out
    found = json.loads(fin("export", plain.folder, "--format", "gguf", "-o", tmp_path / "g", "--json").out)
    assert found["format"] == "gguf"
    refused = fin("export", plain.folder, "--format", "nothing")
    assert refused.code == 2
    assert "unknown format" in refused.err


@pytest.mark.parametrize("name", ["merged", "gguf", "ctranslate2-int8", "onnx"])
def test_an_export_is_an_engine(name: str, plain: Run, rows_file: Path, tmp_path: Path, fin: Any) -> None:
    form, _, dtype = name.partition("-")
    standing(plain, form, dtype)
    texts = [p.text for p in plain.predictions("validation")]
    found = fintune.load(plain, engine_name=name)(texts)
    assert [p.answer for p in found] == [p.answer for p in plain.predictions("validation")]
    moved = Path(shutil.copytree(plain.folder / "exports" / name, tmp_path / "moved"))
    assert fintune.load(moved)(texts) == found
    scores = json.loads(fin("evaluate", plain.folder, "--data", rows_file, "--engine", name, "--json").out)
    assert scores["accuracy"]["n"] == 90
    shown = fin("predict", plain.folder, "--engine", name, texts[0])
    assert (shown.code, "it/s" in shown.err) == (0, False)
    unknown = fin("predict", plain.folder, "--engine", "nothing", "a text")
    assert unknown.code == 2
    assert name in unknown.err


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("llama", {"hidden_size": 64, "intermediate_size": 128, "num_key_value_heads": 2}),
        ("mt5", {"d_model": 64, "d_kv": 32, "d_ff": 128}),
    ],
)
def test_all_formats_in_one_table(
    family: str, sizes: dict[str, int], rows_file: Path, tmp_path: Path, fin: Any
) -> None:
    model = save(family, tmp_path / "model", **sizes)
    if family == "mt5":
        unigram_tokenizer().save_pretrained(model)
    config = config_for(model, rows_file, tmp_path) | {"method": {"name": "lora", "r": 2}}
    run = fintune.train(config, ["train.learning_rate=3e-3", "evaluation.baselines=[]", "evaluation.test=false"])
    records = json.loads(fin("export", run.folder, "--all", "--allow-loss", "--json").out)
    made = {f"{one['format']} {one['dtype']}": one for one in records}
    assert made.keys() == {f"{form.name} {dtype}" for form in FORMATS.values() for dtype in form.dtypes}
    assert all(("folder" in one) != ("refused" in one) for one in made.values())
    assert (
        made["bitsandbytes nf4"]["megabytes"]
        < made["merged bfloat16"]["megabytes"]
        < made["merged float32"]["megabytes"]
    )
    assert "| bitsandbytes, nf4 |" in fin("export", run.folder, "--all", "--table").out
    assert fin("export", run.folder, "--all", "--format", "gguf").code == 2


def test_a_missing_package_is_named(plain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fintune.inference.artifacts.find_spec", lambda name: None)
    with pytest.raises(BrokenEnvironment, match="ctranslate2 is not installed") as refused:
        export(plain, "ctranslate2")
    assert refused.value.hint == with_extra("ctranslate2")


def test_an_engine_whose_package_is_missing_is_named(plain: Run, monkeypatch: pytest.MonkeyPatch, fin: Any) -> None:
    standing(plain, "onnx")
    monkeypatch.setattr(
        "fintune.inference.artifacts.find_spec", lambda name: None if name == "onnxruntime" else "there"
    )
    asked = [fin("predict", plain.folder, "--engine", "onnx", "a"), fin("predict", plain.folder / "exports/onnx", "a")]
    assert [one.code for one in asked] == [1, 1]
    assert all("onnxruntime is not installed" in one.err and with_extra("onnx") in one.err for one in asked)


def test_what_writes_a_format_is_not_needed_to_run_it(plain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    standing(plain, "onnx")
    monkeypatch.setattr("fintune.inference.artifacts.find_spec", lambda name: name == "onnxruntime" or None)
    assert fintune.load(plain, engine_name="onnx")(["a"])
    with pytest.raises(BrokenEnvironment, match="onnx is not installed"):
        export(plain, "onnx", overwrite=True)


def test_what_an_earlier_writer_made_and_is_not_trusted_is_made_again(plain: Run) -> None:
    record = standing(plain, "onnx").folder / "verification.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"format_version": 1}))
    with pytest.raises(ModelError, match="written by an earlier FinTune"):
        fintune.load(plain, engine_name="onnx")
    assert exporting._finished(plain, FORMATS["onnx"], "float32", False) is None
    export(plain, "onnx", overwrite=True)
    assert exporting._finished(plain, FORMATS["onnx"], "float32", False) is not None


def test_a_gguf_is_parsed_once(plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = export(plain, "gguf", output=tmp_path / "g").folder / "model.gguf"
    parsed: list[str] = []

    class Counted(ArrayReader):
        def __init__(self, path: str) -> None:
            parsed.append(path)
            super().__init__(path)

    monkeypatch.setattr("fintune.models.gguf_reader.ArrayReader", Counted)
    read_gguf(file)
    assert parsed == [str(file.resolve())]


def test_a_reader_whose_package_is_missing_is_named(
    plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export(plain, "gguf", output=tmp_path / "g").folder
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(BrokenEnvironment, match="gguf is not installed"):
        convert(folder / "model.gguf", output=tmp_path / "back")


def test_exports_under_each_others_names_are_no_engines(plain: Run) -> None:
    float32, int8 = (standing(plain, "ctranslate2", dtype).folder for dtype in ("float32", "int8"))
    float32.rename(float32.with_name("aside"))
    int8.rename(float32)
    with pytest.raises(ModelError, match="holds the export ctranslate2-int8"):
        fintune.load(plain, engine_name="ctranslate2")
    float32.rename(int8)
    float32.with_name("aside").rename(float32)
    fintune.load(plain, engine_name="ctranslate2")


@pytest.mark.parametrize("form", ["onnx", "ctranslate2"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_what_a_graph_would_leave_out_is_refused(form: str, dtype: str, tmp_path: Path) -> None:
    loaded = load_model(str(save("gemma3", tmp_path / "model", final_logit_softcapping=2.0)))
    with pytest.raises(ModelError, match=rf"--format {form}: .* final_logit_softcapping=2\.0"):
        FORMATS[form].write(loaded, tmp_path / "made", dtype)
    assert not (tmp_path / "made").exists()


def test_an_answer_in_8_bits_does_not_hang_on_the_batch(plain: Run) -> None:
    standing(plain, "onnx", "int8")
    engine, task = engine_of(export_of(plain, "onnx-int8")), TASKS["sentiment"].build(plain.config().task)
    prompts = [task.prompt(asked(text)) for text in ("Alvex +", "Bortu -", "Cyrit =")]
    alone = [engine.rank([prompt], list(task.choices().values())).log_probability[0] for prompt in prompts]
    np.testing.assert_allclose(engine.rank(prompts, list(task.choices().values())).log_probability, alone, atol=1e-5)


def test_stretched_positions_of_metas_own_sort_come_back(tmp_path: Path) -> None:
    stretched = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, **llama.STRETCHED}
    loaded = load_model(str(save("llama", tmp_path / "model", rope_parameters=stretched)))
    FORMATS["state-dict"].write(loaded, tmp_path / "made", "float32")
    back = Path(convert(tmp_path / "made", output=tmp_path / "back").folder)
    assert json.loads((back / "config.json").read_text())["rope_parameters"] == stretched


def test_a_truncated_state_dict_is_named(rows_file: Path, tmp_path: Path) -> None:
    made = export(trained("llama", rows_file, tmp_path, name="lora", r=2), "state-dict").folder
    file = made / "consolidated.00.pth"
    file.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(ModelError, match=r"consolidated\.00\.pth: damaged"):
        convert(made, output=tmp_path / "back")


def test_what_is_no_finished_export_is_not_replaced(plain: Run, tmp_path: Path) -> None:
    (export(plain, "merged", output=tmp_path / "out").folder / "verification.json").unlink()
    with pytest.raises(RunError, match="is there already, and no finished export") as refused:
        export(plain, "merged", output=tmp_path / "out", overwrite=True)
    assert refused.value.hint == "Delete it, or name another with --output."


def test_a_folder_of_another_version_is_refused(plain: Run, tmp_path: Path) -> None:
    folder = export(plain, "merged", output=tmp_path / "out").folder
    record = json.loads((folder / "verification.json").read_text())
    (folder / "verification.json").write_text(json.dumps(record | {"version": 4}))
    with pytest.raises(ModelError, match="version 4, and this FinTune reads up to 3"):
        fintune.load(folder)
    (folder / "verification.json").write_text(json.dumps(record | {"version": 1}))
    with pytest.raises(ModelError, match=r"made by an earlier FinTune \(version 1 of verification.json, 3 now\)"):
        fintune.load(folder)


@pytest.mark.parametrize("family", ["llama", "gemma", "mistral", "bloom", "mt5"])
@pytest.mark.parametrize("objective", ["candidates", "tokens"])
def test_first_tokens_and_whole_answers_in_ctranslate2(
    family: str, objective: str, rows_file: Path, tmp_path: Path
) -> None:
    answers = "task.answers={negative: Oslo, neutral: Lima, positive: Turin}"
    run = trained(family, rows_file, tmp_path, f"train.objective={objective}", answers, name="lora", r=2)
    made = export(run, "ctranslate2")
    assert made.verification.changed == 0
    engine = engine_of(export_of(run, "ctranslate2"))
    task = TASKS["sentiment"].build(run.config().task)
    prompts = [
        task.prompt(asked(text)) for text in ("Alvex +", "Bortun of Lima and Turin and Accra =", "Cyrit of Oslo -")
    ]
    alone = [engine.rank([prompt], list(task.choices().values())).log_probability[0] for prompt in prompts]
    np.testing.assert_allclose(engine.rank(prompts, list(task.choices().values())).log_probability, alone, atol=1e-4)
    exact = open_engine(run).rank(prompts, list(task.choices().values())).log_probability
    np.testing.assert_allclose(alone, exact, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "sizes", "objective"),
    [("llama", {"num_hidden_layers": 1}, "tokens"), ("gemma3", {"sliding_window": 16}, "candidates")],
)
def test_first_tokens_and_whole_answers_in_onnx(
    family: str, sizes: dict[str, int], objective: str, rows_file: Path, tmp_path: Path
) -> None:
    config = config_for(save(family, tmp_path / "model", **sizes), rows_file, tmp_path)
    answers = "task.answers={negative: Oslo, neutral: Lima, positive: Turin}"
    run = fintune.train(config, ["train.epochs=1", "evaluation.baselines=[]", f"train.objective={objective}", answers])
    assert export(run, "onnx").verification.changed == 0
    engine, task = engine_of(export_of(run, "onnx")), TASKS["sentiment"].build(run.config().task)
    prompts = [
        task.prompt(asked(text)) for text in ("Alvex +", "Bortun of Lima and Turin and Accra =", "Cyrit of Oslo -")
    ]
    found, exact = (e.rank(prompts, list(task.choices().values())).log_probability for e in (engine, open_engine(run)))
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_a_file_that_was_changed_is_not_run(plain: Run, tmp_path: Path) -> None:
    folder = export(plain, "merged", output=tmp_path / "out").folder
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors: is missing, or not the file that was proved"):
        fintune.load(folder)


def test_neither_the_prompt_nor_what_lies_beside_may_change(plain: Run, tmp_path: Path) -> None:
    folder = export(plain, "merged", output=tmp_path / "out").folder
    settings = folder / "fintune.yaml"
    settings.write_text(settings.read_text().replace("{text}{answer}", "no {text}{answer}"))
    with pytest.raises(ModelError, match=r"fintune\.yaml: is missing, or not the file that was proved"):
        fintune.load(folder)
    added = export(plain, "merged", output=tmp_path / "more").folder
    (added / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"adapter_config\.json: was not there when it was proved"):
        fintune.load(added)


def test_an_export_of_an_adapter_the_run_no_longer_has_is_no_engine(plain: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(plain.folder, tmp_path / "run")))
    export(run, "merged", overwrite=True)
    file = run.adapter / "adapter_model.safetensors"
    save_file({name: 2 * tensor for name, tensor in load_file(file).items()}, file)
    with pytest.raises(ModelError, match="made of another adapter than the run has now"):
        fintune.load(run, engine_name="merged")
    file.unlink()
    with pytest.raises(RunError, match="adapter: no weights"):
        fintune.load(run, engine_name="merged")


@pytest.mark.parametrize(
    ("edit", "where"),
    [({"files": {}}, "files"), ({"sources": []}, "sources"), ({"sources": [{}]}, r"sources\.0\.run"), ({"version": 0}, "version"),
     ({"largest_difference": None}, "largest_difference"), ({"megabytes": "many"}, "megabytes"),
     ({"dtype": "q9"}, "no format merged, q9")],
)  # fmt: skip
def test_a_damaged_record_is_named(plain: Run, tmp_path: Path, edit: dict[str, Any], where: str) -> None:
    folder = export(plain, "merged", output=tmp_path / "out").folder
    record = json.loads((folder / "verification.json").read_text())
    (folder / "verification.json").write_text(json.dumps(record | edit))
    with pytest.raises(ModelError, match=rf"verification\.json: damaged: {where}"):
        fintune.load(folder)


@pytest.mark.parametrize("damage", ["fewer", "other labels", "no number"])
def test_nothing_is_proved_on_damaged_answers(damage: str, plain: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(plain.folder, tmp_path / "run")))
    stored = run.predictions("validation")
    values = dict.fromkeys(stored[0].probabilities, float("nan"))
    changed = {
        "fewer": stored[1:],
        "other labels": [replace(stored[0], probabilities={"up": 1.0}), *stored[1:]],
        "no number": [replace(stored[0], probabilities=values), *stored[1:]],
    }
    run.write_predictions("validation", changed[damage])
    with pytest.raises((ModelError, RunError), match=r"predictions\.validation\.jsonl: damaged"):
        export(run, "merged", output=tmp_path / "out")


def test_texts_above_a_window_are_refused_where_ctranslate2_fails_on_them(rows_file: Path, tmp_path: Path) -> None:
    model = save("gemma3", tmp_path / "model", sliding_window=64)
    run = fintune.train(config_for(model, rows_file, tmp_path), ["train.epochs=1", "evaluation.baselines=[]"])
    with pytest.raises(ModelError, match=r"above the 64 tokens of a window, and model\.max_length is 96"):
        export(run, "ctranslate2")
    assert not (run.folder / "exports").exists()


def test_only_lora_goes_alone_to_llama_cpp(rows_file: Path, tmp_path: Path) -> None:
    run = trained("llama", rows_file, tmp_path, name="prompt")
    with pytest.raises(ModelError, match="prompt is no plain LoRA"):
        export(run, "gguf-lora")


def test_what_a_library_cannot_do_is_a_refusal_of_one_format(
    plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fin: Any
) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("shape '[32, 0]' is invalid")

    run = Run(Path(shutil.copytree(plain.folder, tmp_path / "run", ignore=shutil.ignore_patterns("exports"))))
    (run.folder / "exports" / "merged-float16").mkdir(parents=True)  # somebody's own
    only = {n: replace(FORMATS[n], dtypes=dict.fromkeys(FORMATS[n].dtypes)) for n in ("merged", "state-dict")}
    only["merged"] = replace(FORMATS["merged"], write=failing, dtypes={"float32": 1e-4})
    only["state-dict"] = replace(FORMATS["state-dict"], dtypes={"float32": 1e-4})
    for name in list(FORMATS):
        monkeypatch.delitem(FORMATS, name)
    for name, form in only.items():
        monkeypatch.setitem(FORMATS, name, form)
    shown = fin("export", run.folder, "--all")
    assert shown.code == 0
    assert "merged, float32: cannot be written: shape '[32, 0]' is invalid" in shown.out
    assert (run.folder / "exports" / "state-dict" / "verification.json").is_file()
    monkeypatch.delitem(FORMATS, "state-dict")
    assert fin("export", run.folder, "--all").code == 2


def test_a_refusal_leaves_no_folder_and_a_link_to_nothing_is_told(plain: Run, tmp_path: Path, fin: Any) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    shown = fin("merge", plain.folder, "-o", tmp_path / "broken")
    assert (shown.code, "broken: is a link to nothing" in shown.err) == (2, True)
    for flags in (("--combine", "ties"), ("--density", "0.3"), ("--weights", "1")):
        shown = fin("merge", plain.folder, *flags)
        assert (shown.code, f"{flags[0]}: there is one run" in shown.err) == (2, True)


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3", "flan-t5"])
def test_lora_for_llama_cpp_is_the_difference_between_two_models_in_its_own_layout(
    family: str, rows_file: Path, tmp_path: Path
) -> None:
    run = trained(family, rows_file, tmp_path, name="lora", r=2)
    FORMATS["gguf"].write(load_model(run.config().model.base, device="cpu"), tmp_path / "base", "float32")
    whole, alone = export(run, "gguf").folder, export(run, "gguf-lora").folder
    files = whole / "model.gguf", tmp_path / "base" / "model.gguf", alone / "adapter.gguf"
    with parsed_once() as parse:
        after, before, update = ({t.name: torch.from_numpy(t.data.copy()) for t in parse(f).tensors} for f in files)
    layers = {name.removesuffix(".lora_a") for name in update if name.endswith(".lora_a")}
    assert any("attn_q" in name for name in layers)
    for name in after:
        own = update[f"{name}.lora_b"] @ update[f"{name}.lora_a"] if name in layers else torch.zeros(1)
        torch.testing.assert_close(after[name] - before[name], own.expand_as(after[name]), atol=1e-5, rtol=0)


def test_a_gguf_of_other_settings_is_not_written(plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = gguf_settings.settings
    monkeypatch.setattr(gguf_settings, "settings", lambda *given: original(*given) | {"llama.rope.freq_base": 9999.0})
    with pytest.raises(ModelError, match=r"rope_parameters is .*9999"):
        export(plain, "gguf", output=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("family", "changed", "message"),
    [
        ("gemma3", {"final_logit_softcapping": 30.0}, "llama.cpp knows Gemma 3 with"),
        ("flan-t5", {"relative_attention_max_distance": 64}, "distances up to 128"),
        ("qwen2", {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 8}, "has no windows"),
        ("qwen3", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}}, "type yarn"),
    ],
)
def test_models_that_llama_cpp_would_run_otherwise_are_refused(
    family: str, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    loaded = load_model(str(save(family, tmp_path / "model")), device="cpu")
    loaded.model.config.update(changed)
    with pytest.raises(ModelError, match=message):
        FORMATS["gguf"].write(loaded, tmp_path / "made", "float32")


def test_stretched_positions_are_written_as_factors(rows_file: Path, tmp_path: Path) -> None:
    model = save("llama", tmp_path / "model")
    settings = json.loads((model / "config.json").read_text())
    settings["rope_parameters"] |= {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }  # fmt: skip
    (model / "config.json").write_text(json.dumps(settings))
    run = fintune.train(config_for(model, rows_file, tmp_path), ["train.epochs=1", "evaluation.baselines=[]"])
    folder = export(run, "gguf", allow_loss=True).folder
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(folder / "model.gguf").tensors}
    plain = load_model(str(model), device="cpu").model.model.rotary_emb.inv_freq
    usual = settings["rope_parameters"]["rope_theta"] ** (-np.arange(0, 16, 2) / 16)
    np.testing.assert_allclose(usual / tensors["rope_freqs.weight"], plain, rtol=1e-5)
    back = Path(convert(folder / "model.gguf", output=tmp_path / "back").folder)
    assert json.loads((back / "config.json").read_text())["rope_parameters"] == settings["rope_parameters"]
    with pytest.raises(ModelError, match="Meta's layout has no original_max_position_embeddings 64"):
        export(run, "state-dict", allow_loss=True)
