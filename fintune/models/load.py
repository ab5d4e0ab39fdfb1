"""From a model reference to weights in memory: safetensors (or a checked .gguf) only, never remote code.

A reference is `embedded`, `embedded-seq2seq`, a folder, a `.gguf` file, or a hub id; nothing local touches the network.

Example:
    loaded = load_model("embedded")
    loaded.kind
    # 'causal'
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.models.devices import find_device, find_dtype
from fintune.models.digests import files_sha256, joined, read_once
from fintune.models.embedding_rows import fit_rows
from fintune.models.families import OVERFLOW_IN_HALF
from fintune.models.folder import loading_errors, need_readable
from fintune.models.prompts import Kind
from fintune.models.quantization import hush_casts, is_quantized, keep_packing, quantized, unpacked
from fintune.models.references import source
from fintune.models.tokenizer import read_tokenizer
from fintune.runtime.hub import hub_answers
from fintune.runtime.turns import loading

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class LoadedModel:
    """Weights and tokenizer, in evaluation mode on `device`."""

    model: Any
    """The family's model of transformers, or PEFT's wrapper around it: each has attributes of its own."""
    tokenizer: "PreTrainedTokenizerBase"
    kind: Kind
    reference: str
    sha256: str | None = None
    """Digest of the files of weights, settings and tokenizer; of a hub model, its commit"""
    files: Mapping[str, str] = field(default_factory=dict)
    """Digest of each of these files; none of a hub model"""

    @property
    def device(self) -> "torch.device":
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    def parameters(self) -> tuple[int, int]:
        """Count trainable and all parameters."""
        sizes = [(unpacked(p), p.requires_grad) for p in self.model.parameters()]
        return sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)


@loading()
@read_once()
def load_model(  # noqa: PLR0913
    reference: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    quantization: str = "none",
    double: bool = False,
    accept: "Callable[[PreTrainedTokenizerBase, Kind], None] | None" = None,
) -> LoadedModel:
    """Load a base model, in 4 or 8 bits if asked. Raises ModelError when it is missing, damaged, or only to be had as a pickle.

    `accept` sees the tokenizer and may refuse it before weights load.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    target = find_device(device)
    precision = find_dtype(dtype, target)
    place = source(reference)
    local = place != reference or Path(place).is_dir()
    offline = not local and not hub_answers()
    if offline:
        _need_cached(reference, revision)
    files = files_sha256(Path(place)) if local else {}
    options: dict[str, Any] = {"revision": revision, "local_files_only": local or offline, "trust_remote_code": False}
    fewer_bits = quantized(quantization, precision, target, double=double)
    with loading_errors(reference, local=local):
        config = AutoConfig.from_pretrained(place, **options)
        if precision == torch.float16 and config.model_type in OVERFLOW_IN_HALF:
            raise ModelError(
                f"model.dtype: {config.model_type} overflows in float16: values in its feed-forward layers pass 65,504",
                hint="Use model.dtype: bfloat16 or float32.",
            )
        kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
        tokenizer = read_tokenizer(reference, place, local_files_only=local or offline, revision=revision)
        tokenizer("a涨🚀")  # a tokenizer without its settings fails here, not in the middle of the data
        fit_rows(reference, tokenizer, getattr(config.get_text_config(), "vocab_size", None))
        if accept is not None:
            accept(tokenizer, kind)
        auto: Any = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
        model, loading = auto.from_pretrained(
            place, dtype=precision, use_safetensors=True, output_loading_info=True, **options, **fewer_bits
        )
    _need_whole(reference, model, loading)
    _say_whether_tied(model)
    if is_quantized(model):  # asked for, or saved so
        hush_casts()
    digest = joined(files) if local else f"commit {config._commit_hash}"
    if fewer_bits:
        keep_packing(model)
    else:
        model = model.to(target)
    return LoadedModel(
        model=model.eval(), tokenizer=tokenizer, kind=kind, reference=reference, sha256=digest, files=files
    )


def _need_cached(reference: str, revision: str | None) -> None:
    """Refuse a hub id that was not downloaded before. Raises ModelError."""
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(reference, "config.json", revision=revision), str):
        raise ModelError(
            f"model.base: '{reference}' is no folder here, and the hub does not answer",
            hint="Offline? Name a folder saved with save_pretrained, or embedded; or download it once with a network.",
        )


def _need_whole(reference: str, model: "PreTrainedModel", loading: Mapping[str, Iterable[object]]) -> None:
    """Refuse weights that do not fill the model: what is missing would be drawn at random, each time anew."""
    for what in ("missing_keys", "mismatched_keys", "error_msgs"):
        if names := sorted(map(str, loading.get(what) or ())):
            raise ModelError(
                f"{reference}: the weights do not fit config.json: {what.removesuffix('_keys')}: {names[0]}"
                + (f" and {len(names) - 1} more" if len(names) > 1 else ""),
                hint="Copy or download the whole model again.",
            )
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not _all_finite(tensor):
            raise ModelError(f"{reference}: {name} holds values that are no numbers", hint="Use another copy of it.")


def _all_finite(tensor: "torch.Tensor") -> bool:
    """Whether all values are numbers: so they are where their sum is one; looking at each takes 20 times as long."""
    import torch

    wide = tensor.element_size() > 1  # torch has no sum of float8
    return (wide and bool(torch.isfinite(tensor.sum()))) or bool(torch.isfinite(tensor).all())


def _say_whether_tied(model: "PreTrainedModel") -> None:
    """Put right a config that claims the head for the embedding (all T5s' do): PEFT believes it and trains the wrong rows."""
    head = model.get_output_embeddings()
    if head is not None and head.weight is not model.get_input_embeddings().weight:
        model.config.tie_word_embeddings = False


def weight_shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes in a safetensors file by name. Raises ModelError when it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    if not weights.is_file():
        raise ModelError(f"{weights.parent}: no {weights.name}", hint="Name a run folder, or train again.")
    need_readable(weights)
    try:
        with safe_open(weights, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{weights}: damaged: {error}", hint="Copy the file again, or train again.") from None
