"""The tokenizer of a base model, read once: as transformers' class for the folder builds it, or as its file has it where that is the same.

Example:
    load_tokenizer("embedded")
    # GemmaTokenizer(...), or None where it is not yet converted
"""

from pathlib import Path
from typing import TYPE_CHECKING

from fintune.models.annotations import JsonObject
from fintune.models.embedded import EMBEDDED
from fintune.models.folder import loading_errors, read_json
from fintune.models.references import at_hand
from fintune.runtime.turns import loading

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SETTINGS, _FILE = "tokenizer_config.json", "tokenizer.json"
_OF_FILE = "GemmaTokenizer"
"""The class whose tokenizer, built of its parts again, is the one that an embedded model's file holds."""


def load_tokenizer(reference: str) -> "PreTrainedTokenizerBase | None":
    """Return the tokenizer of a model that is at hand (a folder, or converted already); None otherwise."""
    folder = at_hand(reference)
    if folder is None:
        return None
    with loading(), loading_errors(reference):
        return read_tokenizer(reference, str(folder), local_files_only=True)


def read_tokenizer(
    reference: str, place: str, *, local_files_only: bool, revision: str | None = None
) -> "PreTrainedTokenizerBase":
    """Return the tokenizer of the folder or hub id that a reference comes to. Raises what transformers does."""
    if reference in EMBEDDED and all((Path(place) / name).is_file() for name in (_FILE, _SETTINGS)):
        settings = dict(read_json(Path(place) / _SETTINGS))
        if settings.pop("tokenizer_class", None) == _OF_FILE:
            return _of_file(Path(place), settings)
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        place, revision=revision, local_files_only=local_files_only, trust_remote_code=False
    )
    return tokenizer


def _of_file(folder: Path, settings: JsonObject) -> "PreTrainedTokenizerBase":
    """Return a tokenizer as its file has it: its class would parse the file twice in Python and build it anew, three times the work."""
    from transformers import GemmaTokenizer, TokenizersBackend

    tokenizer = GemmaTokenizer.__new__(GemmaTokenizer)
    place = {
        "name_or_path": str(folder),
        "tokenizer_file": str(folder / _FILE),
        "is_local": True,
        "local_files_only": True,
    }
    TokenizersBackend.__init__(tokenizer, **{**settings, **place})
    return tokenizer
