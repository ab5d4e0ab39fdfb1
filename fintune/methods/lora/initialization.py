"""Starts of LoRA that look at the training part first: EVA, CorDA, LoRA-GA. PEFT's formulas, our pass over the examples.

PEFT's own passes would not do: EVA's goes round until its directions settle (on few tokens: for ever) and knows no decoder;
CorDA's and LoRA-GA's come before the adapter. Here a bounded number of single examples is read, so nothing is padding.

Example:
    initialize(tuned, LoraOptions(init_lora_weights="eva"), losses)
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fintune.methods.lora.statistics import Covariance, Moments, inputs
from fintune.methods.peft_format import remember_start
from fintune.runtime.library_messages import PLAIN_START
from fintune.runtime.progress import track

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from fintune.methods.lora.options import LoraOptions
    from fintune.models.annotations import Loss

_ADAPTER = "default"


def initialize(model: "PeftModel", options: "LoraOptions", losses: "Sequence[Loss]") -> None:
    """Give a model that `attach` made the start that needs examples; each of `losses` reads one and returns its loss."""
    from peft.tuners.tuners_utils import cast_adapter_dtype

    start = FROM_EXAMPLES.get(str(options.init_lora_weights))
    if start is None:
        return
    trained = model.training
    start(model.eval(), options, losses)
    cast_adapter_dtype(model, _ADAPTER)  # some formulas leave it in the base's precision, in which it would learn badly
    model.train(trained)
    if start is not _eva:
        remember_start(model)


def _eva(model: "PeftModel", options: "LoraOptions", losses: "Sequence[Loss]") -> None:
    """Start A with the directions in which a layer's inputs vary most; ranks go where those explain most (arXiv 2410.07170).

    PEFT takes the answer's tokens alone; an answer of one token says too little, so all tokens count here.
    """
    from peft import EvaConfig, initialize_lora_eva_weights

    layers, config = _linear_layers(model), _config(model)
    moments = inputs(layers, losses, Moments)
    wanted = {name: layers[name].r[_ADAPTER] for name in moments}
    most = round(max(wanted.values()) * options.eva_rho)
    each = {own: own.directions(most) for own in set(moments.values())}  # query, key and value share theirs
    directions = {name: each[own] for name, own in moments.items()}
    ranks = _ranks(wanted, directions, options.eva_rho)
    chosen = {name: rows[: ranks[name]].to(layers[name].weight) for name, (_, rows) in directions.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=PLAIN_START)
        config.init_lora_weights, config.eva_config = "eva", EvaConfig()
        initialize_lora_eva_weights(model, eva_state_dict=chosen)
    config.init_lora_weights, config.eva_config = True, None  # what is saved is a plain LoRA of these ranks


def _ranks(
    wanted: dict[str, int], directions: "Mapping[str, tuple[torch.Tensor, torch.Tensor]]", rho: float
) -> Counter[str]:
    """Deal out as many ranks as were asked for in all, for the directions that explain most of the variance of their layer."""
    offers = [
        (-share, name) for name, rank in wanted.items() for share in directions[name][0][: round(rank * rho)].tolist()
    ]
    return Counter(name for _, name in sorted(offers)[: sum(wanted.values())])


def _corda(model: "PeftModel", options: "LoraOptions", losses: "Sequence[Loss]") -> None:
    """Start A and B with the weight's directions seen through the covariance of the layer's inputs (arXiv 2406.05223)."""
    import torch
    from peft.tuners.lora.corda import CordaEigens, collect_eigens_for_layer

    layers = _linear_layers(model)
    covariances = inputs(layers, losses, Covariance)
    with torch.no_grad():
        for name, covariance in covariances.items():
            layer, base, rank = layers[name], layers[name].get_base_layer(), layers[name].r[_ADAPTER]
            base.covariance_matrix = covariance.mean()
            whole = collect_eigens_for_layer(base, _config(model))
            del base.covariance_matrix
            part = slice(None, rank) if options.corda_method == "ipm" else slice(-rank, None)
            u, v = (matrix[:, part].to(base.weight.device) for matrix in (whole.U_WC, whole.V_WC))
            base.eigens = CordaEigens(S_WC=whole.S_WC[part].clone(), U_WC=u, V_WC=v)
            layer.corda_init(_ADAPTER, "corda")


def _lora_ga(model: "PeftModel", options: "LoraOptions", losses: "Sequence[Loss]") -> None:
    """Start A and B with the directions of the gradient that full fine-tuning would begin with (arXiv 2407.05000)."""
    import torch
    from peft import LoraGAConfig

    layers = list(_linear_layers(model).values())
    weights = [layer.get_base_layer().weight.requires_grad_(True) for layer in layers]
    sums: list[Any] = [0] * len(weights)
    for loss in track(losses, "start"):
        grads = torch.autograd.grad(loss(), weights, allow_unused=True)
        sums = [total if grad is None else total + grad for total, grad in zip(sums, grads, strict=True)]
    with torch.no_grad():
        for layer, weight, total in zip(layers, weights, sums, strict=True):
            weight.requires_grad_(False)
            if torch.is_tensor(total):  # else the layer keeps the plain start
                layer.get_base_layer()._peft_loraga_grad = total / len(losses)
            layer.lora_ga_init(_ADAPTER, LoraGAConfig())


FROM_EXAMPLES = {"eva": _eva, "corda": _corda, "lora_ga": _lora_ga}


def _config(model: "PeftModel") -> Any:
    """Return the settings of the adapter, a LoraConfig."""
    return model.peft_config[_ADAPTER]


def _linear_layers(model: "PeftModel") -> dict[str, Any]:
    """Return the adapted layers by name, without embeddings, which keep the plain start."""
    return {name: module for name, module in model.named_modules() if _ADAPTER in getattr(module, "lora_A", ())}
