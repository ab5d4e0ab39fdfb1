"""A merged model as a CTranslate2 folder: its own converter, given the model in memory and a vocabulary as long as the embedding.

>>> write(merged, Path("folder"), "int8")
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fintune.engines.ct2 import CTranslate2Engine
from fintune.errors import ModelError
from fintune.models import LoadedModel
from fintune.models.families import beyond_gemma3
from fintune.models.gguf_file import rope_of
from fintune.models.references import loading_errors
from fintune.preparation import first_tokens
from fintune.prompts import Kind, PromptEncoder
from fintune.sections import RunConfig
from fintune.tasks import TASKS

FAMILIES = ("llama", "qwen2", "qwen3", "gemma", "gemma3_text", "mistral", "gpt2", "bloom", "t5", "mt5")
"""whose scores are torch's (tests); its T5Gemma 2 differs from transformers'"""
_ANGLES = {"gemma": (1e4, 1e4), "gemma3_text": (1e6, 1e4)}
"""rope_theta of full attention and of windows"""
_BESIDE = "tokenizer"


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Convert it; the tokenizer and config.json of transformers lie beside, in `tokenizer/`. Raises ModelError."""
    from ctranslate2.converters import TransformersConverter

    _need_published(merged.model.config)

    class Converter(TransformersConverter):  # type: ignore[misc]
        """Its hooks for loading give what is in memory."""

        def load_model(self, *_: Any, **__: Any) -> Any:
            return merged.model

        def load_tokenizer(self, *_: Any, **__: Any) -> Any:
            return _as_long(merged)

    try:
        with tempfile.TemporaryDirectory() as place:
            merged.model.config.save_pretrained(place)
            with _said_tied(merged):
                Converter(place).convert(str(folder), quantization=dtype)
    except (ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"--format ctranslate2: it cannot convert this model: {str(error).partition(chr(10))[0]}",
            hint="Use --format merged.",
        ) from None
    merged.model.config.save_pretrained(folder / _BESIDE)
    merged.tokenizer.save_pretrained(folder / _BESIDE)


def _need_published(config: Any) -> None:
    """Its converter takes Gemma's published settings: it looks for angles where transformers 5 has them no more."""
    if beyond := beyond_gemma3(config):
        raise ModelError(f"--format ctranslate2: it does not know {beyond[0]}", hint="Use --format merged.")
    if config.model_type in _ANGLES:
        whole = rope_of(config)
        both = [
            (rope["rope_theta"], rope.get("rope_type", "default"))
            for rope in (whole, config.rope_parameters.get("sliding_attention", whole))
        ]
        if both != [(theta, "default") for theta in _ANGLES[config.model_type]]:
            raise ModelError(
                "--format ctranslate2: it knows Gemma with its usual positions alone", hint="Use --format merged."
            )


@contextmanager
def _said_tied(merged: LoadedModel) -> Iterator[None]:
    """The converter has an encoder-decoder's head scale where its config says tied; whether it scales is another question."""
    config = merged.model.config
    was = config.tie_word_embeddings
    if merged.kind == "seq2seq":
        config.tie_word_embeddings = getattr(config, "scale_decoder_outputs", False)
    try:
        yield
    finally:
        config.tie_word_embeddings = was


def run(folder: Path, config: RunConfig) -> CTranslate2Engine:
    """The folder's model for a run's task. Raises ModelError when it cannot be read."""
    from transformers import AutoConfig, AutoTokenizer

    with loading_errors(str(folder)):
        tokenizer = AutoTokenizer.from_pretrained(folder / _BESIDE, local_files_only=True)
        kind: Kind = "seq2seq" if AutoConfig.from_pretrained(folder / _BESIDE).is_encoder_decoder else "causal"
    _need_within_window(AutoConfig.from_pretrained(folder / _BESIDE), config.model.max_length)
    encoder = PromptEncoder(tokenizer, kind, config.model.max_length)
    first = first_tokens(config, TASKS[config.task.name].build(config.task), encoder) is not None
    return CTranslate2Engine(folder, encoder, first=first)


def _need_within_window(config: Any, longest: int) -> None:
    """CTranslate2 4.8 fails on texts longer than the window of any block."""
    windows = getattr(config, "layer_types", None) is None or "sliding_attention" in config.layer_types
    window = getattr(config, "sliding_window", None) if windows else None
    if window is not None and longest > window:
        raise ModelError(
            f"--format ctranslate2: it fails on texts above the {window} tokens of a window, and model.max_length is {longest}",
            hint=f"Use another format, or train with model.max_length at most {window}.",
        )


def _as_long(merged: LoadedModel) -> Any:
    """What the converter asks a tokenizer: a name for every row of the embedding, no special token None."""
    own, rows = merged.tokenizer, len(merged.model.get_input_embeddings().weight)
    names = {i: token for token, i in own.get_vocab().items()}
    vocabulary = {names.get(i, f"<row {i}>"): i for i in range(rows)}
    special = {
        name: getattr(own, name) or own.eos_token for name in ("bos_token", "eos_token", "unk_token", "pad_token")
    }
    return SimpleNamespace(get_vocab=lambda: vocabulary, convert_ids_to_tokens=own.convert_ids_to_tokens, **special)
