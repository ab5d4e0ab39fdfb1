"""A .gguf file read as a model."""

from pathlib import Path

from fintune.models import LoadedModel
from fintune.models.digests import file_sha256
from fintune.models.folder import loading_errors
from fintune.models.gguf_file import read_gguf
from fintune.models.prompts import Kind

GGUF_FILE = "model.gguf"


def read(folder: Path) -> LoadedModel:
    """Return the file as transformers reads it, by its own names and turns."""
    with loading_errors(str(folder)):
        model, tokenizer = read_gguf(folder / GGUF_FILE)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    kind: Kind = "seq2seq" if model.config.is_encoder_decoder else "causal"
    digest = file_sha256(folder / GGUF_FILE)
    return LoadedModel(model=model, tokenizer=tokenizer, kind=kind, reference=str(folder), sha256=digest)
