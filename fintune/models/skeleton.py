"""A model at hand without its weights: shapes and names of layers alone, there in a moment whatever its size.

Example:
    skeleton("Qwen/qwen2.5-72b-folder").model.device
    # device(type='meta')
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from fintune.models.folder import loading_errors
from fintune.models.load import LoadedModel
from fintune.models.prompts import Kind
from fintune.models.references import at_hand
from fintune.runtime.turns import loading

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


@loading()
def skeleton(reference: str) -> LoadedModel | None:
    """Return the model on torch's device meta; None where the reference is not at hand. Raises ModelError as loading would."""
    if (folder := at_hand(reference)) is None:
        return None
    with loading_errors(reference), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = auto.from_config(config, trust_remote_code=False)
    kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
    tokenizer: Any = LateTokenizer(folder)
    return LoadedModel(model=model.eval(), tokenizer=tokenizer, kind=kind, reference=reference)


class LateTokenizer:
    """A folder's tokenizer, read when it is first asked for anything: a large one takes seconds, and few methods ask."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _read(self) -> "PreTrainedTokenizerBase":
        return AutoTokenizer.from_pretrained(self._folder, local_files_only=True, trust_remote_code=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read, name)

    def __call__(self, *texts: Any, **options: Any) -> "BatchEncoding":
        """Tokenize as the folder's own."""
        encoding: BatchEncoding = self._read(*texts, **options)
        return encoding
