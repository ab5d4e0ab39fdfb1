"""From a config, a run or an adapter trained elsewhere to its model, and the engine around it."""

from typing import TYPE_CHECKING, Any

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.inference.candidates import first_tokens, need_distinct
from fintune.inference.foreign import ForeignAdapter
from fintune.methods import METHODS, fintune_format
from fintune.models.blocks import bare
from fintune.models.prompts import Kind, PromptEncoder
from fintune.models.settings import ModelSection
from fintune.runs.manifest import need_base, need_unchanged
from fintune.runs.run import Run

if TYPE_CHECKING:
    from fintune.models import LoadedModel
    from fintune.models.shortcuts import TrunkCache
    from fintune.models.shortcuts.shortcuts import Shortcuts


def load_base(config: RunConfig) -> "LoadedModel":
    """Load the base model of a config, clean. Raises ModelError before weights load when its tokenizer cannot tell answers apart."""
    from fintune.models import load_model

    task = config.build_task()

    def need_answers(tokenizer: Any, kind: Kind) -> None:
        need_distinct(PromptEncoder(tokenizer, kind, config.model.max_length), task)

    return load_model(config.model.base, accept=need_answers, **_how(config.model, config.model.device))


def _how(model: ModelSection, device: str) -> dict[str, Any]:
    return {
        "revision": model.revision,
        "dtype": model.dtype,
        "device": device,
        "quantization": model.quantization,
        "double": model.double_quantization,
    }


def load_tuned(source: Run | ForeignAdapter, *, device: str = "auto", anew: bool = False) -> "LoadedModel":
    """Return a run's adapter, or one trained elsewhere, on its base model; see load_base_of."""
    from fintune.methods.adapter import load_adapter

    return load_adapter(load_base_of(source, device=device, anew=anew), source.adapter)


def load_base_of(
    source: Run | ForeignAdapter, *, device: str = "auto", anew: bool = False, **other: str
) -> "LoadedModel":
    """Return the base model of an adapter, `other` settings of section `model` than the run's aside.

    Raises RunError for a run that is not as it was scored, ModelError for another base model; with `anew` it is to be scored as it is.
    """
    from fintune.models import load_model
    from fintune.models.peft_files import with_own_tokenizer

    if isinstance(run := source, ForeignAdapter):
        model = run.config().model
        where = model.device if device == "auto" else device
        return with_own_tokenizer(load_model(model.base, **_how(model, where) | other), run.adapter)
    record = None if anew else need_unchanged(run)
    _need_own_adapter(run)
    model = run.config().model
    base = load_model(model.base, **_how(model, device) | other)
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


def engine(config: RunConfig, loaded: "LoadedModel", shortcuts: "Shortcuts | None" = None) -> Any:
    """Return the engine a config asks for, around a loaded model."""
    from fintune.inference.engines.one_length import OneLengthEngine
    from fintune.inference.engines.torch_engine import TorchEngine

    if config.method.one_length_at_a_time() and bare(loaded.model) is not loaded.model:
        first = first_tokens(config, config.build_task(), loaded) is not None
        size = config.evaluation.batch_size
        return OneLengthEngine(loaded, max_length=config.model.max_length, batch_size=size, first=first)
    return TorchEngine(
        loaded,
        max_length=config.model.max_length,
        batch_size=config.evaluation.batch_size,
        shortcuts=shortcuts or shortcuts_of(config, loaded),
    )


def shortcuts_of(config: RunConfig, loaded: "LoadedModel", trunk: "TrunkCache | None" = None) -> "Shortcuts":
    """Return what need not be computed for this config's task, with the states of a trunk where they are known."""
    import torch

    from fintune.models.shortcuts.shortcuts import Shortcuts

    rows = first_tokens(config, config.build_task(), loaded)
    return Shortcuts(rows=None if rows is None else torch.tensor(rows), trunk=trunk)
