"""A merged model as a CTranslate2 folder: its own converter, given the model in memory and a vocabulary as long as the embedding.

Example:
    write(merged, Path("folder"), "int8")
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from fintune.errors import ModelError
from fintune.inference.engines.ctranslate2_engine import TOKENIZER_FOLDER
from fintune.models import LoadedModel
from fintune.models.families import beyond_gemma3
from fintune.models.gguf_file import rope_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_ANGLES = {"gemma": (1e4, 1e4), "gemma3_text": (1e6, 1e4)}
"""Values of rope_theta of full attention and of windows that the converter knows."""


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Convert it; the tokenizer and config.json of transformers lie beside, in `tokenizer/`. Raises ModelError."""
    from ctranslate2.converters import TransformersConverter

    _need_published(merged.model.config)

    class Converter(TransformersConverter):  # type: ignore[misc]
        """A converter whose hooks for loading give what is in memory."""

        def load_model(self, *_: object, **__: object) -> "PreTrainedModel":
            model: PreTrainedModel = merged.model
            return model

        def load_tokenizer(self, *_: object, **__: object) -> SimpleNamespace:
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
    merged.model.config.save_pretrained(folder / TOKENIZER_FOLDER)
    merged.tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)


def _need_published(config: "PreTrainedConfig") -> None:
    """Refuse Gemmas of other settings than the published: the converter looks for angles where transformers 5 has them no more."""
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
    """Have the converter scale an encoder-decoder's head where the model does: it goes by whether its config says tied."""
    config = merged.model.config
    before = config.tie_word_embeddings
    if merged.kind == "seq2seq":
        config.tie_word_embeddings = getattr(config, "scale_decoder_outputs", False)
    try:
        yield
    finally:
        config.tie_word_embeddings = before


def _as_long(merged: LoadedModel) -> SimpleNamespace:
    """Return what the converter asks a tokenizer: a name for every row of the embedding, no special token None."""
    own, rows = merged.tokenizer, len(merged.model.get_input_embeddings().weight)
    names = {i: token for token, i in own.get_vocab().items()}
    vocabulary = {names.get(i, f"<row {i}>"): i for i in range(rows)}
    special = {
        name: getattr(own, name) or own.eos_token for name in ("bos_token", "eos_token", "unk_token", "pad_token")
    }
    return SimpleNamespace(get_vocab=lambda: vocabulary, convert_ids_to_tokens=own.convert_ids_to_tokens, **special)
