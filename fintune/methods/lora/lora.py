"""LoRA: a low-rank update beside frozen linear layers (Hu et al. 2021), PEFT underneath.

Settings: options.py. Starts that look at the training part: initialization.py. What is written: peft_format.py.
"""

import warnings
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.methods.lora.checks import need_names, need_whole
from fintune.methods.lora.initialization import FROM_EXAMPLES, initialize
from fintune.methods.lora.options import LoraOptions
from fintune.methods.peft_format import remember_start
from fintune.methods.protocol import Method
from fintune.models.blocks import input_embedding, unwrap
from fintune.runtime.library_messages import RANK_STABILIZED, TIED

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from torch import nn

    from fintune.models.annotations import Model

_AS_THEY_ARE = {"r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern", "bias", "use_rslora", "use_dora"}
"""Options that PEFT takes under the same name and meaning"""
_DIRECTIONS = {"eva": 1, "pissa": 1, "olora": 1, "mica": 1, "corda": 1, "lora_ga": 2}
"""Directions of a layer that an initialization takes for each of the update's"""
_TASK_TYPES = {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}


def attach(model: "Model", options: LoraOptions, kind: str) -> "PeftModel":
    """Wrap `model` into a PeftModel whose LoRA weights alone train. Draws from torch's generator: seed it first.

    `options` are resolved: trainable_tokens are ids. A start that needs examples is left to `initialize`.
    """
    from peft import get_peft_model

    need_names(model, options)
    tied = model.get_output_embeddings() if getattr(model.config, "tie_word_embeddings", False) else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f"{TIED}|{RANK_STABILIZED}")
        config = _peft_config(model, options, kind)
        _need_apart(model, options, config)
        _need_directions(model, options, config)
        try:
            tuned: PeftModel = get_peft_model(unwrap(model), config)
        except (ValueError, TypeError) as error:
            first = str(error).splitlines()[0]
            why = f"{first.removesuffix('(')} is none that LoRA adapts" if first.endswith("(") else first
            raise ModelError(
                f"method.target_modules: {why}",
                hint="Use target_modules: auto, or names of linear layers of this model.",
            ) from None
    _need_head(model, tied, options)
    need_whole(tuned, options)
    if str(options.init_lora_weights).startswith("pissa_niter"):
        remember_start(tuned)
    return tuned


def _peft_config(model: "Model", options: LoraOptions, kind: str) -> "LoraConfig":
    from peft import LoraConfig

    auto, start = options.target_modules == "auto", options.init_lora_weights
    own: Any = True if start in FROM_EXAMPLES else start
    return LoraConfig(
        task_type=_TASK_TYPES[kind],
        target_modules=options.regex(model),
        layers_to_transform=None if auto else options.numbers or None,
        exclude_modules=options.exclude_modules or None,
        modules_to_save=options.modules_to_save or None,
        trainable_token_indices=_token_rows(model, options),
        init_lora_weights=own,
        fan_in_fan_out=_is_transposed(model) if options.fan_in_fan_out is None else options.fan_in_fan_out,
        **options.model_dump(include=_AS_THEY_ARE),
    )


def _token_rows(model: "Model", options: LoraOptions) -> Any:
    """Return trainable_tokens as PEFT wants them: ids, of the input embedding and of all that is tied to it.

    An encoder-decoder with a head of its own counts as not tied at all there. Its encoder's and its decoder's embedding
    are named then, and their rows train apart.
    """
    ids = options.trainable_tokens
    if not ids:
        return None
    table = input_embedding(model)
    rows = int(table.weight.shape[0])
    if outside := [i for i in ids if not 0 <= int(i) < rows]:
        raise ModelError(
            f"method.trainable_tokens: {outside[0]} is no id of this vocabulary", hint=f"Ids are 0 to {rows - 1}."
        )
    embeddings = {n: m for n, m in model.named_modules() if getattr(m, "weight", None) is table.weight}
    if shared := {name.rpartition(".")[2] for name in embeddings} & set(options.modules_to_save):
        raise ModelError(
            f"method.trainable_tokens: {min(shared)} trains in full already (method.modules_to_save)",
            hint="Leave one of the two out.",
        )
    if getattr(model.config, "tie_word_embeddings", False) or len(embeddings) == 1:
        return ids
    return {name: ids for name, module in embeddings.items() if module is not table}


def _need_apart(model: "Model", options: LoraOptions, config: "LoraConfig") -> None:
    """Refuse rows of an embedding that is adapted as a whole."""
    from peft.tuners.tuners_utils import check_target_module_exists

    if not options.trainable_tokens:
        return
    table = input_embedding(model).weight
    names = [n for n, m in unwrap(model).named_modules() if getattr(m, "weight", None) is table]
    both = [name for name in names if check_target_module_exists(config, name)]
    if both:
        raise ModelError(
            f"method.trainable_tokens: {both[0]} is adapted already (method.target_modules)",
            hint="Leave one of the two out.",
        )


def _need_directions(model: "Model", options: LoraOptions, config: "LoraConfig") -> None:
    """Refuse a rank beyond what a layer has: PEFT would fail in the middle, or make the update smaller without a word."""
    start = str(options.init_lora_weights).partition("_niter_")[0]
    each = _DIRECTIONS.get(start)
    if each is None:
        return
    from peft.tuners.lora import corda
    from peft.utils.other import get_pattern_key

    layers: Any = corda.target_modules(unwrap(model), config)
    ranks: Any = config.rank_pattern
    for name, layer in layers:
        rank = ranks.get(get_pattern_key(ranks, name), config.r)
        least = min(layer.in_features, layer.out_features) if hasattr(layer, "in_features") else min(layer.weight.shape)
        if each * rank > least:
            raise ModelError(
                f"method.r: {start} takes {each * rank} directions of {name}, which has {least}",
                hint=f"Lower method.r to {least // each}, or that layer's in method.rank_pattern.",
            )


def _need_head(model: "Model", tied: "nn.Module | None", options: LoraOptions) -> None:
    """Refuse to adapt a head that is the embedding; rows of it that train as rows of the embedding are no such thing."""
    from peft.utils.other import TrainableTokensWrapper

    head = model.get_output_embeddings()
    if isinstance(head, TrainableTokensWrapper):
        head = head.original_module
    if tied is not None and head is not tied:
        where = "modules_to_save" if "lm_head" in options.modules_to_save else "target_modules"
        raise ModelError(
            f"method.{where}: the head of this model is its embedding (tied weights) and cannot be adapted apart",
            hint=f"Leave lm_head out of method.{where}.",
        )


def _is_transposed(model: "nn.Module") -> bool:
    """Whether the blocks' layers are GPT-2's Conv1D, which stores weights as (in, out)."""
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in model.modules())


LORA = Method(
    name="lora",
    summary="A low-rank update beside each linear layer",
    paper="Hu et al. 2021, arXiv:2106.09685",
    options=LoraOptions,
    attach=attach,
    initialize=initialize,
    learning_rate=5e-4,
    learning_rate_source="chosen on AllAgree's validation part, docs/log/2026-11.md",
)
