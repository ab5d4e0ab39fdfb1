"""Linear probe: the model stays as it is, and a linear map of its last states decides.

Example:
    METHODS["linear-probe"].attach(model, ProbeOptions(), "causal")
"""

from typing import TYPE_CHECKING, Any, Literal

from fintune.methods.fintune_format import begin, save
from fintune.methods.protocol import Method, MethodOptions

if TYPE_CHECKING:
    import torch

    from fintune.models.annotations import Model


class ProbeOptions(MethodOptions):
    """Settings of method `linear-probe`."""

    name: Literal["linear-probe"] = "linear-probe"


def attach(model: "Model", options: ProbeOptions, kind: str) -> "Model":
    """Put a map h -> h + Wh + b before the head: the logits of any set of answers stay linear in the last states."""
    from torch import nn

    begin(model, options)
    head: Any = model.get_output_embeddings()
    width = head.weight.shape[1]
    head.probe = nn.Linear(width, width).to(head.weight.device)
    nn.init.zeros_(head.probe.weight)
    nn.init.zeros_(head.probe.bias)
    head.register_forward_pre_hook(_mapped)
    return model


def _mapped(head: Any, args: "tuple[torch.Tensor, ...]") -> "tuple[torch.Tensor, ...]":
    states, *rest = args
    return (states + head.probe(states.to(head.probe.weight.dtype)).to(states.dtype), *rest)


LINEAR_PROBE = Method(
    name="linear-probe",
    summary="A linear map of the frozen model's last states",
    paper="Alain and Bengio 2016, arXiv:1610.01644",
    options=ProbeOptions,
    attach=attach,
    merge=None,
    no_merge="the map adds a bias before the head, and where the head is the embedding, merging would change that too",
    saved_format="fintune",
    save=save,
    learning_rate=1e-3,
    learning_rate_source="better of two on AllAgree's validation part, docs/log/2026-11.md",
)
