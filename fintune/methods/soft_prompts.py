"""Soft prompts: learned vectors before every text. Prompt tuning learns them as they are, P-tuning through a small network.

Ours stand before the text as token ids (models/virtual_tokens.py): PEFT's drop position ids, so that padding would change scores.
What is written is PEFT's format too, and PEFT gives the same answers with it for texts one at a time.

Example:
    METHODS["prompt"].attach(model, PromptOptions(num_virtual_tokens=20), "causal")
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from fintune.errors import ModelError
from fintune.methods import fintune_format
from fintune.methods.protocol import Method, MethodOptions
from fintune.models.blocks import input_embedding

if TYPE_CHECKING:
    from peft import PromptTuningConfig
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from fintune.models.annotations import Model

_COMMON = 5000
"""Ids of a vocabulary's beginning, where common words stand in most (Lester et al. drew from so many)"""


class _Before(MethodOptions):
    num_virtual_tokens: int = Field(20, ge=1, le=1000, description="Vectors that stand before every text.")

    def tokens_before(self) -> int:
        """Count the vectors."""
        return self.num_virtual_tokens


class PromptOptions(_Before):
    """Settings of method `prompt`."""

    name: Literal["prompt"] = "prompt"
    init: Literal["random", "vocabulary", "text"] = Field(
        "vocabulary", description="Vectors start at random | as those of common words | as those of init_text."
    )
    init_text: str | list[int] = Field("", description="What init: text begins with, repeated as needed.")

    @model_validator(mode="after")
    def _some_text(self) -> Self:
        if (self.init == "text") != bool(self.init_text):
            raise ValueError("init: text goes with an init_text, and an init_text with it")
        return self

    def resolved(self, tokenizer: "PreTrainedTokenizerBase") -> Self:
        """Return the settings with init_text as token ids."""
        if not isinstance(self.init_text, str) or not self.init_text:
            return self
        ids = tokenizer(self.init_text, add_special_tokens=False)["input_ids"]
        if not ids:
            raise ModelError("method.init_text: has no tokens", hint="Give it a word or more.")
        return self.model_copy(update={"init_text": ids})


class PTuningOptions(_Before):
    """Settings of method `p-tuning`."""

    name: Literal["p-tuning"] = "p-tuning"
    encoder: Literal["mlp", "lstm"] = Field("mlp", description="The network that makes the vectors: mlp | lstm.")
    hidden_size: int = Field(128, ge=1, le=16384, description="Its inner width.")
    dropout: float = Field(0.0, ge=0, lt=1, description="In the lstm.")


def prompt_tuning(model: "Model", options: PromptOptions, kind: str) -> "Model":
    """Put vectors before every text; they alone train."""
    from fintune.methods.prompt_modules import LearnedPrompt

    fintune_format.begin(model, options)
    return _inserted(model, LearnedPrompt(_start(model, options)), options)


def p_tuning(model: "Model", options: PTuningOptions, kind: str) -> "Model":
    """Put vectors before every text that a network makes; it alone trains, and is not needed afterwards."""
    import peft

    from fintune.methods.prompt_modules import GeneratedPrompt

    fintune_format.begin(model, options)
    count, width = options.num_virtual_tokens, input_embedding(model).embedding_dim
    config = peft.PromptEncoderConfig(
        num_virtual_tokens=count,
        token_dim=width,
        num_transformer_submodules=1,
        encoder_reparameterization_type=options.encoder.upper(),
        encoder_hidden_size=options.hidden_size,
        encoder_dropout=options.dropout,
        encoder_num_layers=2,
    )
    return _inserted(model, GeneratedPrompt(peft.PromptEncoder(config), count), options)


def _inserted(model: "Model", prompt: "nn.Module", options: _Before) -> "Model":
    from fintune.models.virtual_tokens import insert

    insert(model, prompt.to(model.device), options.num_virtual_tokens)
    return model


def _start(model: "Model", options: PromptOptions) -> "Tensor":
    """Return where the vectors begin `(n, width)`, as the embedding gives them."""
    import torch

    words, count = input_embedding(model), options.num_virtual_tokens
    if options.init == "random":
        spread = words(torch.arange(min(_COMMON, words.num_embeddings), device=model.device)).std()
        return torch.randn(count, words.embedding_dim) * spread.cpu()
    if options.init == "text":
        if outside := [i for i in options.init_text if not 0 <= int(i) < words.num_embeddings]:
            raise ModelError(
                f"method.init_text: {outside[0]} is no id of this vocabulary",
                hint=f"Ids are 0 to {words.num_embeddings - 1}.",
            )
        chosen = torch.tensor([options.init_text[i % len(options.init_text)] for i in range(count)])
    else:
        chosen = torch.randint(0, min(_COMMON, words.num_embeddings), (count,))
    with torch.no_grad():
        return words(chosen.to(model.device)).float().cpu()


def _save(model: "Model", folder: Path) -> None:
    """Write our files, and PEFT's beside them: the vectors, and a config that names the method."""
    import torch
    from safetensors.torch import save_file

    from fintune.models.virtual_tokens import VirtualTokens

    fintune_format.save(model, folder)
    with torch.no_grad():
        embedding = model.get_input_embeddings()
        assert isinstance(embedding, VirtualTokens)
        vectors = embedding.prompt().detach().float().cpu().contiguous()
    save_file({"prompt_embeddings": vectors}, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    _peft_config(model, *vectors.shape).save_pretrained(str(folder))


def _peft_config(model: "Model", count: int, width: int) -> "PromptTuningConfig":
    from peft import PromptTuningConfig

    return PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM",
        base_model_name_or_path=model.name_or_path,
        inference_mode=True,
        num_virtual_tokens=count,
        token_dim=width,
        num_transformer_submodules=1,
    )


_SHARED: dict[str, Any] = {
    "merge": None,
    "no_merge": "virtual tokens are no words of the base model's vocabulary",
    "virtual_tokens": True,
    "trunk": False,
    "saved_format": "fintune and peft",
    "save": _save,
}
PROMPT = Method(
    name="prompt",
    summary="Learned vectors before every text",
    paper="Lester et al. 2021, arXiv:2104.08691",
    options=PromptOptions,
    attach=prompt_tuning,
    learning_rate=3e-2,
    learning_rate_source="better of two on AllAgree's validation part, docs/log/2026-11.md; arXiv:2104.08691's 0.3 is Adafactor's",
    **_SHARED,
)
P_TUNING = Method(
    name="p-tuning",
    summary="Learned vectors before every text, made by a small network while training",
    paper="Liu et al. 2021, arXiv:2103.10385",
    options=PTuningOptions,
    attach=p_tuning,
    learning_rate=1e-3,
    learning_rate_source="ours, not searched",
    **_SHARED,
)
