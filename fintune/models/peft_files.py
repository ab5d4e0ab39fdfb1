"""A PEFT adapter's folder before its weights are read: what it is, whether it fits a base model, and whose tokenizer is right.

Example:
    settings = peft_settings(Path("adapter"))
    need_fit(Path("adapter"), settings, "Llama-2-7b-hf")
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError, did_you_mean
from fintune.models.annotations import JsonObject
from fintune.models.blocks import input_embedding, unwrap
from fintune.models.folder import loading_errors, read_json
from fintune.models.prompts import Kind
from fintune.models.references import ADAPTER_CONFIG, TOKENIZER_FILES
from fintune.runtime.install import package
from fintune.runtime.progress import tell

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig, PeftModel
    from transformers import PreTrainedModel

    from fintune.models.load import LoadedModel

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of tensors, by name."""

WEIGHTS = "adapter_model.safetensors"
_OF_BASE = "base_model.model."
"""Prefix that PEFT writes before the name of a layer"""
_KINDS: dict[str, Kind] = {"CAUSAL_LM": "causal", "SEQ_2_SEQ_LM": "seq2seq"}
_HEADS = {"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"}
_MORE_THAN_TEXT = {
    "XLORA": "is a mixture of several adapters",
    "POLY": "wants a task's number with every text",
    "MULTITASK_PROMPT_TUNING": "wants a task's number with every text",
}
_NOT_HERE = {
    "auto_map": "code of its own, which is never run",
    "megatron_config": "Megatron's layers, which are none of transformers'",
    "alora_invocation_tokens": "an update that begins within the text (activated LoRA)",
}
"""Settings that make more of an adapter than weights beside those of the base model"""
_WRAPPED = re.compile(r"\.(base_layer|original_module|modules_to_save)\.")
"""Parts that PEFT puts into the name of an embedding that it has wrapped"""
_FROM_BASE = "init_lora_weights"
_UNPICKLE = (
    "import torch; from safetensors.torch import save_file; "
    "save_file(torch.load('adapter_model.bin', map_location='cpu', weights_only=True), 'adapter_model.safetensors')"
)


def peft_settings(folder: Path) -> JsonObject:
    """Read adapter_config.json, if it is of an adapter that can be opened here. Raises ModelError; no weights are read."""
    settings = read_json(folder / ADAPTER_CONFIG)
    _need_peft(folder, settings)
    _need_language_model(folder, settings)
    _need_weights(folder)
    peft_config(folder, settings)
    return settings


def _need_peft(folder: Path, settings: Mapping[str, object]) -> None:
    place, name = folder / ADAPTER_CONFIG, settings.get("peft_type")
    if not isinstance(name, str):
        raise ModelError(
            f"{place}: no peft_type: not an adapter as PEFT saves it",
            hint="Have the program that made it save for PEFT.",
        )
    if name in _MORE_THAN_TEXT:
        raise ModelError(
            f"{place}: peft_type {name} {_MORE_THAN_TEXT[name]}", hint="Only single adapters are opened here."
        )
    for key, what in _NOT_HERE.items():
        if settings.get(key):
            raise ModelError(f"{place}: {key}: {what}", hint="Use it where it was made.")


def _need_language_model(folder: Path, settings: Mapping[str, object]) -> None:
    """Refuse an adapter of a model with another head than a language model's."""
    task = settings.get("task_type")
    if task in _HEADS:
        raise ModelError(
            f"{folder / ADAPTER_CONFIG}: task_type {task}: for a model with a head of its own, and FinTune asks a language model for words",
            hint="Adapters of task_type CAUSAL_LM or SEQ_2_SEQ_LM are opened here; use this one with transformers and PEFT.",
        )
    if task is not None and task not in _KINDS:
        raise ModelError(
            f"{folder / ADAPTER_CONFIG}: task_type '{str(task)[:40]}' is unknown",
            hint=f"Such are opened: {', '.join(_KINDS)}.",
        )


def _need_weights(folder: Path) -> None:
    if (folder / WEIGHTS).is_file():
        return
    if (folder / "adapter_model.bin").is_file():
        raise ModelError(
            f"{folder}: its weights are a pickle (adapter_model.bin), which is not read",
            hint=f'Convert it, in that folder: python -c "{_UNPICKLE}"',
        )
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    raise ModelError(
        f"{folder}: no {WEIGHTS}" + (f", but {others[0]}" if others else ""),
        hint="Copy the whole folder that PEFT's save_pretrained wrote.",
    )


def peft_config(folder: Path, settings: Mapping[str, object], kind: Kind | None = None) -> "PeftConfig":
    """Make PEFT's own object of these settings, of the task type of `kind` where they name none. Raises ModelError."""
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING

    place, known = (
        folder / ADAPTER_CONFIG,
        {str(name.value): made for name, made in PEFT_TYPE_TO_CONFIG_MAPPING.items()},
    )
    if (name := str(settings["peft_type"])) not in known:
        raise ModelError(
            f"{place}: peft_type '{name[:40]}' is unknown to PEFT {version('peft')}",
            hint=f"{did_you_mean(name, known)} Or it takes a newer one: {package('-U peft')}",
        )
    names = {field.name for field in fields(known[name])}
    for key, value in settings.items():
        if key not in names and value and key != "runtime_config":
            raise ModelError(
                f"{place}: {key[:60]}: a setting that PEFT {version('peft')} does not know, and would pass over",
                hint=f"Use a newer one ({package('-U peft')}), or delete the line if it does not matter for answers.",
            )
    own: dict[str, Any] = {key: value for key, value in settings.items() if key in names}
    own["base_model_name_or_path"] = None  # PEFT asks a hub about it, and it was said already what the base model is
    own["task_type"] = own.get("task_type") or next((task for task, of in _KINDS.items() if of == kind), None)
    with _in_words(place), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return known[name](**own | {"inference_mode": True})


def need_fit(folder: Path, settings: Mapping[str, object], reference: str) -> None:
    """Refuse an adapter of another model before weights are loaded; nothing is said of a model that is not at hand. Raises ModelError."""
    import torch
    from peft import get_peft_model

    from fintune.models.load import weight_shapes
    from fintune.models.skeleton import skeleton

    shapes = weight_shapes(folder / WEIGHTS)
    if (frame := skeleton(reference)) is None:
        return
    need_kind(folder, settings, frame.kind)
    config = peft_config(folder, settings, frame.kind)
    if isinstance(getattr(config, _FROM_BASE, True), str):
        setattr(config, _FROM_BASE, True)  # a start that reads values finds none here; names and shapes are the same
    with torch.random.fork_rng(devices=[]), torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = unwrap(frame.model)
        resize(model, shapes)
        with _in_words(folder, f"the adapter does not fit base model '{reference}': "):
            tuned = get_peft_model(model, config)
        wrong = misfit(tuned, shapes)
    if wrong:
        raise misfit_error(folder, reference, wrong)


def need_kind(folder: Path, settings: Mapping[str, object], kind: Kind) -> None:
    """Raise ModelError for an adapter of the other kind of model."""
    if _KINDS.get(str(settings.get("task_type")), kind) != kind:
        raise ModelError(
            f"{folder / ADAPTER_CONFIG}: task_type {settings['task_type']}, and the base model is {kind}",
            hint="Name the base model it was trained on: --base.",
        )


def misfit(tuned: "PeftModel", shapes: Shapes) -> str:
    """Say where an adapter's file and the places made for it on a model differ first; empty where they do not.

    The embedding and the head may be in the file too: PEFT saves them in full where they were resized.
    """
    from peft import get_peft_model_state_dict

    own = {n: tuple(t.shape) for n, t in get_peft_model_state_dict(tuned, save_embedding_layers=False).items()}
    whole = {f"{_OF_BASE}{n}": tuple(t.shape) for n, t in _embeddings(unwrap(tuned)).items()}
    for name in sorted(shapes.keys() | own.keys()):
        here = own.get(name) or whole.get(_WRAPPED.sub(".", name))
        if shapes.get(name) != here:
            return f"{name} is {shapes.get(name, 'absent')} there, {here or 'absent'} here"
    return ""


def _embeddings(model: "PreTrainedModel") -> "dict[str, torch.nn.Parameter]":
    """Return the weights of the embedding and the head by their names without an adapter."""
    layers = [layer for layer in (model.get_input_embeddings(), model.get_output_embeddings()) if layer is not None]
    inner = {id(getattr(layer, "original_module", getattr(layer, "base_layer", layer))) for layer in layers}
    return {
        _WRAPPED.sub(".", f"{name}.{part}"): tensor
        for name, module in model.named_modules(remove_duplicate=False)
        if id(module) in inner
        for part, tensor in module.named_parameters(recurse=False)
    }


def resize(model: "PreTrainedModel", shapes: Shapes) -> None:
    """Give a model as many rows of its vocabulary as an adapter's file has, where that holds the embedding whole."""
    if (rows := _rows(model, shapes)) != input_embedding(model).weight.shape[0]:
        model.resize_token_embeddings(rows, mean_resizing=False)


def _rows(model: "PreTrainedModel", shapes: Shapes) -> int:
    """Return the rows of the vocabulary in an adapter's file, or the model's own where that does not hold the embedding whole."""
    held = {shapes[f"{_OF_BASE}{name}"][0] for name in _embeddings(model) if f"{_OF_BASE}{name}" in shapes}
    return held.pop() if len(held) == 1 else int(input_embedding(model).weight.shape[0])


def misfit_error(folder: Path, reference: str, detail: str) -> ModelError:
    """Make the error for an adapter that belongs to another model."""
    return ModelError(
        f"{folder}: the adapter does not fit base model '{reference}': {detail}",
        hint="Use the base model it was trained on, or copy the adapter again.",
    )


@contextmanager
def _in_words(place: Path, what: str = "") -> Iterator[None]:
    """Say what PEFT raises over settings in one line."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError, NotImplementedError) as error:
        message = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{place}: {what}{message}", hint="Use the base model it was trained on, or copy the adapter again."
        ) from None


def with_own_tokenizer(base: "LoadedModel", folder: Path) -> "LoadedModel":
    """Return the base model with the tokenizer right for an adapter: its own, if it brings one with other tokens and their embeddings.

    Raises ModelError when that cannot be read, or has more tokens than the adapter has rows for.
    """
    from transformers import AutoTokenizer

    from fintune.models.load import weight_shapes

    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return base
    shapes = weight_shapes(folder / WEIGHTS)
    with loading_errors(f"{folder}: its tokenizer"):
        own = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if own.get_vocab() == base.tokenizer.get_vocab():
        return base
    counts = f"{len(own):,} tokens, the base model's {len(base.tokenizer):,}"
    if not _holds_embedding(read_json(folder / ADAPTER_CONFIG), shapes):
        tell("tokenizer", f"the base model's: the adapter's has other tokens, and no embeddings of them ({counts})")
        return base
    if len(own) > (rows := _rows(unwrap(base.model), shapes)):
        raise ModelError(
            f"{folder}: its tokenizer has {len(own):,} tokens, and there are embeddings of {rows:,}",
            hint="Copy the whole adapter again, or delete its tokenizer to use the base model's.",
        )
    if own.pad_token_id is None:
        own.pad_token = own.eos_token
    tell("tokenizer", f"the adapter's, which holds the embeddings it was trained with ({counts})")
    return replace(base, tokenizer=own)


def _holds_embedding(settings: Mapping[str, object], shapes: Shapes) -> bool:
    """Whether rows or the whole of the embedding were trained, or made for more tokens."""
    return bool(settings.get("trainable_token_indices")) or any(
        part in name
        for name in shapes
        for part in ("embed_tokens.", "lora_embedding", "shared.", "wte.", "token_adapter")
    )
