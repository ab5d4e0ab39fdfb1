"""What a registry entry of a method says; the CLI, docs and test matrix derive from it."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict

from fintune.errors import ModelError
from fintune.methods import peft_format
from fintune.models.blocks import unwrap
from fintune.models.quantization import is_quantized
from fintune.runtime.library_messages import UNTIED

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from fintune.models.annotations import Loss, Model


class MethodOptions(BaseModel):
    """Base of every method's settings (section `method` of a config)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str

    def changes_base(self) -> bool:
        """Whether training changes parameters of the base model itself, so that it must be loaded anew to be clean."""
        return False

    def resolved(self, tokenizer: "PreTrainedTokenizerBase") -> Self:
        """Return the settings with what depends on the tokenizer put into numbers. Raises ModelError when it knows no such thing."""
        return self

    def tokens_before(self) -> int:
        """Count the virtual tokens that stand before every text, as ids behind the vocabulary (virtual_tokens.py)."""
        return 0

    def no_quantization(self, quantization: str) -> str:
        """Say why these settings do not go with a base model held so (nf4, int8), where the method as such would."""
        return ""

    def no_merge(self) -> str:
        """Say why these settings make something that cannot become plain weights, where the method as such could."""
        return ""

    def one_length_at_a_time(self) -> bool:
        """Whether answers depend on what a text is padded with, so that only texts of one length are read together."""
        return False


def _as_attached(model: "Model", options: MethodOptions, losses: "Sequence[Loss]") -> None:
    """Leave the start that `attach` gave."""


def merge_with_peft(model: "PeftModel") -> "PreTrainedModel":
    """Return the base model with a PeftModel's update in its weights; what was tied to one that is updated keeps its own."""
    _untie(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=UNTIED)
        merged: PreTrainedModel = model.merge_and_unload()
    merged.eval()
    return merged


def _untie(model: "PeftModel") -> None:
    """Give every adapted layer a weight of its own where other layers read the same: the update is of that layer alone.

    A head tied to its embedding, an encoder's embedding that is the decoder's too: merging would change all of them.
    """
    layers = [module for _, module in model.named_modules(remove_duplicate=False)]
    readers = Counter(id(weight) for layer in layers if (weight := layer._parameters.get("weight")) is not None)
    for layer in {id(layer): layer for layer in layers if "base_layer" in layer._modules}.values():
        if readers[id(layer.base_layer._parameters.get("weight"))] > 1:
            layer.base_layer = deepcopy(layer.base_layer)


@dataclass(frozen=True)
class Steps:
    """What a method does beside the gradient's step, for one training: all of it after `begin`."""

    begin: Callable[[Any, int], None]
    """Called with the model and the optimizer steps there will be."""
    penalty: "Callable[[Any], torch.Tensor]"
    """Returns what is added to the model's loss."""
    stepped: Callable[[Any, int], None]
    """Called with the model and the number of the step from 1, after the optimizer has stepped and before gradients are cleared"""
    state: "Callable[[Any], dict[str, torch.Tensor]]"
    """Returns the tensors of a model that a resume needs beside parameters."""
    restore: "Callable[[Any, Mapping[str, torch.Tensor]], None]"
    """Puts these tensors back into a model."""


@dataclass(frozen=True)
class Method:
    """A way to train few parameters of a model."""

    name: str
    summary: str
    paper: str
    options: type[MethodOptions]
    attach: "Callable[[Model, Any, str], Model]"
    """Of a model, resolved options and a kind makes the same model with a few trainable parameters."""
    learning_rate: float
    """What `train.learning_rate: auto` stands for."""
    learning_rate_source: str
    kinds: tuple[str, ...] = ("causal", "seq2seq")
    """Kinds of models it works on."""
    merge: "Callable[[Any], PreTrainedModel] | None" = merge_with_peft
    """Makes a plain model with the same answers; None where there is none."""
    no_merge: str = ""
    """Why it cannot be merged."""
    quantized: bool = True
    """Whether the base model may be in 4 or 8 bits."""
    only: str | None = None
    """The one model.quantization it makes sense with."""
    trains: bool = True
    """Whether it can be trained here, or only opened."""
    checkpointing: bool = True
    """Whether activations may be computed again instead of being kept."""
    virtual_tokens: bool = False
    """Whether something learned stands before every text."""
    trunk: bool = True
    """Whether blocks below the lowest adapter can be computed once."""
    saved_format: str = "peft"
    save: Callable[[Any, Path], None] = peft_format.save
    rates: Callable[[Any, Any], dict[str, float]] | None = None
    """Gives a factor on the learning rate for parameters whose name ends so; None: one rate for all."""
    steps: Steps | None = None
    initialize: "Callable[[Any, Any, Sequence[Loss]], None]" = _as_attached
    """Gives an attached model a start that depends on the training part; each loss reads one example of it."""

    @property
    def mergeable(self) -> bool:
        """Whether `merge` is there."""
        return self.merge is not None

    def why_not_mergeable(self, options: MethodOptions) -> str:
        """Say why what these settings train cannot become plain weights; empty where it can."""
        return options.no_merge() or self.no_merge or ("" if self.merge is not None else "it does not say how")

    def need_mergeable(self, options: MethodOptions) -> None:
        """Raise ModelError with the reason where these settings have no merged model; needs no weights."""
        if reason := self.why_not_mergeable(options):
            raise self._cannot_be_merged(reason)

    def merged(self, model: "Model", options: MethodOptions) -> "PreTrainedModel":
        """Return a plain model with the same answers, in evaluation mode. Raises ModelError with the reason where there is none."""
        if is_quantized(unwrap(model)):
            raise self._cannot_be_merged(
                "the base model is held in fewer bits, and rounding again would change its answers"
            )
        self.need_mergeable(options)
        assert self.merge is not None
        plain = self.merge(model)
        plain.eval()
        return plain

    def _cannot_be_merged(self, reason: str) -> ModelError:
        return ModelError(f"method.name: {self.name} cannot be merged: {reason}", hint="Use it as an adapter.")

    def need_fit(
        self, options: MethodOptions, kind: str | None, quantization: str, *, checkpointing: bool = False
    ) -> None:
        """Raise ModelError when it does not go with such a base model; asked before weights are loaded, if the kind is known then.

        `quantization` is model.quantization.
        """
        if not self.trains:
            raise ModelError(
                f"method.name: {self.name} is an adapter trained elsewhere, and is not trained here",
                hint="Choose another: fintune methods lists them.",
            )
        if kind is not None and kind not in self.kinds:
            raise ModelError(
                f"method.name: {self.name} works on {', '.join(self.kinds)} models, and this one is {kind}",
                hint="fintune methods lists what goes with which.",
            )
        if self.only not in (None, quantization):
            raise ModelError(
                f"method.name: {self.name} is for a base model in {self.only}, and model.quantization is {quantization}",
                hint=f"Use --set model.quantization={self.only}, or method lora.",
            )
        if quantization != "none" and not self.quantized:
            raise ModelError(
                f"model.quantization: {quantization}, and {self.name} needs the base model's weights in full",
                hint="Use model.quantization: none, or method lora.",
            )
        if quantization != "none" and (reason := options.no_quantization(quantization)):
            raise ModelError(
                f"model.quantization: {quantization}, and {reason}",
                hint=f"Use model.quantization: none, or another setting of method {self.name}.",
            )
        if checkpointing and not self.checkpointing:
            raise ModelError(
                f"train.gradient_checkpointing: {self.name} cannot compute its activations again",
                hint="Use --set train.gradient_checkpointing=false.",
            )

    def describe(self) -> dict[str, str]:
        """Return the entry as text: a row of `fintune methods` and of the docs."""
        return {
            "name": self.name,
            "summary": self.summary,
            "paper": self.paper,
            "models": ", ".join(self.kinds),
            "mergeable": "yes" if self.mergeable else f"no: {self.no_merge}",
            "4-bit base": "needed" if self.only else "yes" if self.quantized else "no",
            "gradient checkpointing": "yes" if self.checkpointing else "no",
            "virtual tokens": "yes" if self.virtual_tokens else "no",
            "lower-block cache": "yes" if self.trunk else "no",
            "of its own": "work after each step" if self.steps else "learning rates" if self.rates else "",
            "learning rate": f"{self.learning_rate:g} ({self.learning_rate_source})" if self.trains else "not trained",
            "saved as": self.saved_format,
        }

    def brief(self) -> dict[str, str]:
        """Describe the entry in what a screen of 80 columns has room for."""
        return {
            "name": self.name,
            "summary": self.summary,
            "merges": "yes" if self.mergeable else "no",
            "learning rate": f"{self.learning_rate:g}" if self.trains else "",
        }

    def settings(self) -> list[dict[str, str]]:
        """Return the settings of section `method`, as text."""
        return described(self.options)


def described(options: type[BaseModel]) -> list[dict[str, str]]:
    """Describe settings, defaults and meanings of a class of options as text; `name` is left out."""
    return [
        {
            "setting": name,
            "default": "must be set"
            if field.is_required()
            else json.dumps(field.get_default(call_default_factory=True), ensure_ascii=False),
            "meaning": field.description or "",
        }
        for name, field in options.model_fields.items()
        if name != "name"
    ]
