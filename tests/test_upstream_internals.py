"""Names of libraries that they do not promise to keep, each with the file of ours that leans on it: a new version fails here, by name.

What is public and documented is not listed. A name in `fintune/` that is neither public nor listed fails too.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import fintune

ROOT = Path(fintune.__file__).parent


@dataclass(frozen=True, kw_only=True)
class Internal:
    """A library's name that a file of ours uses; `attribute` is a path in which `()` calls what stands before it."""

    module: str
    attribute: str
    file: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"


def _listed(table: dict[str, dict[str, str]]) -> list[Internal]:
    rows = ((module, name, files) for module, names in table.items() for name, files in names.items())
    return [Internal(module=m, attribute=n, file=file) for m, n, files in rows for file in files.split()]


INTERNALS = _listed(
    {
        "transformers": {
            "PreTrainedConfig()._attn_implementation": "models/shortcuts/last_block.py methods/prefix_attention.py"
            " inference/engines/joint_candidates.py",
            "PreTrainedConfig()._name_or_path": "models/save.py models/gguf_file.py compression/layers.py"
            " compression/trimmed_folder.py export/formats/bitsandbytes.py",
            "DynamicCache.batch_repeat_interleave": "inference/engines/shared_prefix.py",
            "Trainer._save_checkpoint": "training/loop/answer_trainer.py",
            "Trainer._get_output_dir": "training/loop/answer_trainer.py",
            "Trainer._save": "training/loop/answer_trainer.py",
            "Trainer._load_from_checkpoint": "training/loop/answer_trainer.py",
            "Trainer._clip_grad_norm": "training/loop/answer_trainer.py",
        },
        "transformers.activations": {"ACT2FN": "methods/bottleneck.py"},
        "transformers.convert_slow_tokenizer": {
            "TikTokenConverter.load_tiktoken_bpe": "models/formats/llama_tokenizer.py"
        },
        "transformers.integrations.gguf.gguf_tokenizer_mapping": {
            "GGUF_PRE_TOKENIZER_SPLITS": "export/formats/gguf_tokenizer.py"
        },
        "transformers.integrations.integration_utils": {
            "get_reporting_integration_callbacks": "training/loop/trainer.py",
            "TensorBoardCallback": "training/loop/trainer.py",
        },
        "transformers.integrations.sdpa_attention": {"sdpa_attention_forward": "methods/prefix_attention.py"},
        "transformers.masking_utils": {"sdpa_mask": "methods/prefix_attention.py"},
        "transformers.modeling_gguf_pytorch_utils": {"tqdm": "models/gguf_file.py"},
        "transformers.pytorch_utils": {
            "Conv1D": "methods/targets.py methods/bottleneck.py methods/lora/lora.py",
        },
        "transformers.trainer_callback": {"PrinterCallback": "training/loop/trainer.py"},
        "typer._click.core": {"Context": "cli/deferred.py"},
        "peft": {"initialize_lora_eva_weights": "methods/lora/initialization.py"},
        "peft.tuners.adalora.layer": {"RankAllocator.set_total_step": "methods/adalora.py"},
        "peft.tuners.lora": {
            "Embedding": "methods/lora/checks.py",
            "Linear": "methods/lora/fused.py",
            "LoraLayer": "export/formats/gguf_lora.py",
            "LoraLayer.corda_init": "methods/lora/initialization.py",
            "LoraLayer.lora_ga_init": "methods/lora/initialization.py",
        },
        "peft.tuners.lora.bnb": {"Linear4bit": "methods/lora/loftq.py"},
        "peft.tuners.lora.corda": {
            "CordaEigens": "methods/lora/initialization.py",
            "collect_eigens_for_layer": "methods/lora/initialization.py",
            "target_modules": "methods/lora/lora.py",
        },
        "peft.tuners.tuners_utils": {
            "cast_adapter_dtype": "methods/lora/initialization.py",
            "check_target_module_exists": "methods/lora/lora.py",
        },
        "peft.utils.other": {
            "ModulesToSaveWrapper": "methods/lora/checks.py",
            "TrainableTokensWrapper": "methods/lora/lora.py",
            "get_pattern_key": "methods/lora/lora.py",
        },
        "torch": {"_int_mm": "inference/engines/int8.py runtime/threads.py"},
        "torch.nn": {
            "Module()._forward_hooks": "inference/engines/int8.py",
            "Module()._forward_pre_hooks": "inference/engines/int8.py",
            "Module()._modules": "methods/protocol.py",
            "Module()._parameters": "methods/protocol.py",
        },
        "torch.utils.deterministic": {"fill_uninitialized_memory": "runtime/environment.py"},
        "bitsandbytes.functional": {"dequantize_4bit": "methods/lora/loftq.py"},
        "bitsandbytes.nn": {"Linear4bit(2, 2).support_avx512bf16_for_cpu": "models/quantization.py"},
        "ctranslate2.converters": {
            "TransformersConverter.load_model": "export/formats/ctranslate2.py",
            "TransformersConverter.load_tokenizer": "export/formats/ctranslate2.py",
        },
        "huggingface_hub.errors": {"StrictDataclassError": "models/formats/llama_checkpoint.py"},
        "gguf": {"GGUFReader": "models/gguf_reader.py"},
        "onnxruntime.quantization.quant_utils": {"load_model_with_shape_infer": "export/formats/onnx.py"},
        "onnxruntime.quantization.matmul_nbits_quantizer": {
            "DefaultWeightOnlyQuantConfig": "export/formats/onnx.py",
            "MatMulNBitsQuantizer": "export/formats/onnx.py",
        },
    }
)

WRITTEN = _listed(
    {
        "transformers.configuration_utils": {"_commit_hash": "models/load.py"},
        "transformers.trainer": {"_loss_shifts_labels": "training/loop/answer_trainer.py"},
        "transformers.modeling_utils": {"_hf_peft_config_loaded": "models/quantization.py"},
        "transformers.modeling_gguf_pytorch_utils": {"GGUFReader": "models/gguf_file.py"},
        "transformers.quantizers.base": {"hf_quantizer": "models/gguf_file.py"},
        "peft.tuners.adalora.layer": {
            "exp_avg_ipt": "methods/adalora.py",
            "exp_avg_unc": "methods/adalora.py",
            "ipt": "methods/adalora.py",
        },
        "peft.tuners.lora.layer": {
            "_peft_loraga_grad": "methods/lora/initialization.py",
            "covariance_matrix": "methods/lora/initialization.py",
            "eigens": "methods/lora/initialization.py",
            "lora_bias": "methods/lora/fused.py",
            "lora_variant": "methods/lora/fused.py export/formats/gguf_lora.py",
        },
    }
)
"""Names that the library sets on its objects, or reads from them where we set it: its own text must hold them."""

PUBLIC = {
    "bitsandbytes": (),
    "ctranslate2": ("converters",),
    "gguf": (),
    "huggingface_hub": ("constants",),
    "onnxruntime": ("quantization",),
    "peft": (),
    "torch": ("nn", "nn.functional", "utils.data", "utils.tensorboard", "export"),
    "transformers": ("modeling_outputs", "utils"),
    "accelerate": (),
}
"""Modules that libraries document beside their own name."""


def _of(internal: Internal) -> Any:
    """Import the module of an entry; skip where its package is an extra that is not installed."""
    package = internal.module.partition(".")[0]
    if package in ("bitsandbytes", "ctranslate2", "gguf", "onnxruntime"):
        pytest.importorskip(package)
    return import_module(internal.module)


@pytest.mark.parametrize("internal", INTERNALS, ids=str)
def test_the_name_exists(internal: Internal) -> None:
    value = _of(internal)
    for part in re.findall(r"\w+(?:\([\d, ]*\))?", internal.attribute):
        name, _, arguments = part.partition("(")
        value = getattr(value, name)
        if arguments:
            value = value(*map(int, re.findall(r"\d+", arguments)))
    assert value is not None or internal.attribute.endswith("_attn_implementation")


@pytest.mark.parametrize("internal", WRITTEN, ids=str)
def test_the_library_still_reads_or_sets_the_name(internal: Internal) -> None:
    module = _of(internal)
    text = inspect.getsource(module)
    if internal.module == "peft.tuners.lora.layer":  # initializations have moved between these two before
        text += inspect.getsource(import_module("peft.tuners.lora.corda"))
    assert re.search(rf"\b{internal.attribute}\b", text)


@pytest.mark.parametrize("internal", [*INTERNALS, *WRITTEN], ids=lambda entry: f"{entry}-{entry.file}")
def test_the_named_file_uses_it(internal: Internal) -> None:
    """An entry whose user has gone goes too."""
    name = re.sub(r"\(.*?\)", "", internal.attribute).rpartition(".")[2]
    assert re.search(rf"\b{name}\b", (ROOT / internal.file).read_text(encoding="utf-8"))


def test_a_block_takes_its_cache_under_the_name_we_give_it() -> None:
    """models/shortcuts/last_block.py replaces it, inference/engines continue from it."""
    llama = import_module("transformers.models.llama.modeling_llama")
    for part in (llama.LlamaAttention, llama.LlamaModel, llama.LlamaForCausalLM):
        assert "cache" in inspect.signature(part.forward).parameters, part


def _is_public(module: str) -> bool:
    package, _, inner = module.partition(".")
    return package not in PUBLIC or not inner or inner in PUBLIC[package]


def _private(tree: ast.Module, source: str) -> Iterator[tuple[str, str]]:
    """Yield `(module or "", name)` of what a file imports from private modules, and of private attributes of others' objects."""
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    own |= {
        n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and _self(n)
    }
    own |= {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not _is_public(node.module):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PUBLIC:
            yield from ((node.module, alias.name) for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if not _is_public(alias.name))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from ((text, "") for text in texts if not _is_public(text))
        elif isinstance(node, ast.Attribute) and _is_hidden(node.attr) and (node.attr not in own or _super(node)):
            yield "", node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "getattr",
            "setattr",
            "hasattr",
            "delattr",
        ):
            texts = [a.value for a in node.args[1:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from (("", text) for text in texts if _is_hidden(text))
    if re.search(r"transformers import .*\bTrainer\b(?! *Callback)", source):
        from transformers import Trainer

        written = inspect.getsource(Trainer)
        names = own | {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        yield from (("", name) for name in names if _is_hidden(name) and f"self.{name}" in written)


def _self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _super(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super"


def _is_hidden(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_every_private_name_of_a_library_is_listed() -> None:
    """`_name` of an object counts as a library's where the file itself defines no such name."""
    listed: dict[str, set[str]] = {}
    for entry in (*INTERNALS, *WRITTEN):
        listed.setdefault(entry.file, set()).update(re.findall(r"\w+", entry.attribute), entry.module.split("."))
    missing = []
    for path in sorted(ROOT.rglob("*.py")):
        source, file = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        for module, name in _private(ast.parse(source), source):
            last = name or module.rpartition(".")[2]
            if last not in listed.get(file, ()):
                missing.append(f"{file}: {module} {name}")
    assert not missing, "list them in INTERNALS or WRITTEN, or use a public name"
