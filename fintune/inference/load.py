"""From a config, a run or an adapter trained elsewhere to its model, and the engine around it."""

from typing import TYPE_CHECKING, TypedDict

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.inference.candidates import first_tokens, need_distinct
from fintune.inference.foreign import ForeignAdapter
from fintune.methods import METHODS, fintune_format
from fintune.models.blocks import unwrap
from fintune.models.prompts import Kind, PromptEncoder
from fintune.models.settings import ModelSection
from fintune.runs.manifest import need_base, need_unchanged
from fintune.runs.run import Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from fintune.inference.engines import Engine
    from fintune.models import LoadedModel
    from fintune.models.shortcuts import TrunkCache
    from fintune.models.shortcuts.shortcuts import Shortcuts


def load_base(config: RunConfig) -> "LoadedModel":
    """Load the base model of a config, clean. Raises ModelError before weights load when its tokenizer cannot tell answers apart."""
    from fintune.models import load_model

    task = config.build_task()

    def need_answers(tokenizer: "PreTrainedTokenizerBase", kind: Kind) -> None:
        need_distinct(PromptEncoder(tokenizer, kind, config.model.max_length), task)

    return load_model(config.model.base, accept=need_answers, **_loading(config.model, config.model.device))


class _Loading(TypedDict):
    """Arguments of load_model that section `model` sets."""

    revision: str | None
    dtype: str
    device: str
    quantization: str
    double: bool


def _loading(model: ModelSection, device: str, *, in_full: bool = False) -> _Loading:
    return {
        "revision": model.revision,
        "dtype": "float32" if in_full else model.dtype,
        "device": device,
        "quantization": "none" if in_full else model.quantization,
        "double": model.double_quantization,
    }


def load_tuned(source: Run | ForeignAdapter, *, device: str = "auto", anew: bool = False) -> "LoadedModel":
    """Return a run's adapter, or one trained elsewhere, on its base model; see load_base_of."""
    from fintune.methods.adapter import load_adapter

    return load_adapter(load_base_of(source, device=device, anew=anew), source.adapter)


def load_base_of(
    source: Run | ForeignAdapter, *, device: str = "auto", anew: bool = False, in_full: bool = False
) -> "LoadedModel":
    """Return the base model of an adapter as its section `model` has it; `in_full`: in float32, no weight rounded.

    Raises RunError for a run that is not as it was scored, ModelError for another base model; with `anew` it is to be scored as it is.
    """
    from fintune.models import load_model
    from fintune.models.peft_files import with_own_tokenizer

    model = source.config().model
    if isinstance(run := source, ForeignAdapter):
        where = model.device if device == "auto" else device
        return with_own_tokenizer(load_model(model.base, **_loading(model, where, in_full=in_full)), run.adapter)
    record = None if anew else need_unchanged(run)
    _need_own_adapter(run)
    base = load_model(model.base, **_loading(model, device, in_full=in_full))
    if record is not None:
        need_base(record, base)
    return base


def _need_own_adapter(run: Run) -> None:
    """Refuse an adapter that another method made, which would be taken for the run's."""
    name = run.config().method.name
    own = (run.adapter / fintune_format.SETTINGS).is_file()
    if own != METHODS[name].saved_format.startswith("fintune"):
        raise ModelError(
            f"{run.adapter}: {'a' if own else 'no'} {fintune_format.SETTINGS}, and the run is of method {name}",
            hint="Copy the run folder again, or train again.",
        )
    if own and (other := fintune_format.settings(run.adapter)["method"]) != name:
        raise ModelError(
            f"{run.adapter}: an adapter of method {other}, and the run is of method {name}",
            hint="Copy the run folder again, or train again.",
        )


def engine(config: RunConfig, loaded: "LoadedModel", shortcuts: "Shortcuts | None" = None) -> "Engine":
    """Return the engine a config asks for, around a loaded model."""
    from fintune.inference.engines.one_length import OneLengthEngine
    from fintune.inference.engines.torch_engine import TorchEngine

    if config.method.one_length_at_a_time() and unwrap(loaded.model) is not loaded.model:
        first = first_tokens(config, config.build_task(), loaded) is not None
        size = config.evaluation.batch_size
        return OneLengthEngine(loaded, max_length=config.model.max_length, batch_size=size, first=first)
    return TorchEngine(
        loaded,
        max_length=config.model.max_length,
        max_new_tokens=config.model.max_new_tokens,
        batch_size=config.evaluation.batch_size,
        shortcuts=shortcuts or shortcuts_of(config, loaded),
    )


def shortcuts_of(config: RunConfig, loaded: "LoadedModel", trunk: "TrunkCache | None" = None) -> "Shortcuts":
    """Return what need not be computed for this config's task, with the states of a trunk where they are known."""
    import torch

    from fintune.models.shortcuts.shortcuts import Shortcuts

    rows = first_tokens(config, config.build_task(), loaded)
    return Shortcuts(rows=None if rows is None else torch.tensor(rows), trunk=trunk)
