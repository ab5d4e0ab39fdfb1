"""A model at hand without its weights: shapes and names of layers alone, there in a moment whatever its size.

>>> found = skeleton("Qwen/qwen2.5-72b-folder")
>>> found.model.device
device(type='meta')
"""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from fintune.models.load import LoadedModel
from fintune.models.references import at_hand, loading_errors


def skeleton(reference: str) -> LoadedModel | None:
    """The model on torch's device meta; None where the reference is not at hand. Raises ModelError as loading would."""
    if (folder := at_hand(reference)) is None:
        return None
    with loading_errors(reference), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = auto.from_config(config, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return LoadedModel(model.eval(), tokenizer, "seq2seq" if config.is_encoder_decoder else "causal", reference)
