"""A saved adapter put on its base model."""

from dataclasses import replace
from pathlib import Path
from warnings import catch_warnings, filterwarnings

from fintune.errors import ModelError
from fintune.models import peft_files
from fintune.models.blocks import unwrap
from fintune.models.folder import loading_errors, read_json
from fintune.models.load import LoadedModel, weight_shapes
from fintune.models.peft_files import misfit_error
from fintune.models.references import ADAPTER_CONFIG
from fintune.runtime.library_messages import FAN_IN, INVALID_SHAPE, RANK_PATTERN, TIED_MODEL, UNKNOWN_LAYER
from fintune.runtime.turns import loading

_IRRELEVANT_WARNINGS = "|".join((TIED_MODEL, UNKNOWN_LAYER, RANK_PATTERN, INVALID_SHAPE, FAN_IN))


@loading()
def load_adapter(base: LoadedModel, folder: Path) -> LoadedModel:
    """Put a saved adapter on its base model. Raises ModelError when it is damaged or belongs to another model."""
    from fintune.methods import fintune_format

    return _load_own(base, folder) if (folder / fintune_format.SETTINGS).is_file() else _load_peft(base, folder)


def _load_own(base: LoadedModel, folder: Path) -> LoadedModel:
    """Attach again with the settings that were saved, then fill the places that made."""
    import torch
    from pydantic import ValidationError

    from fintune.methods import METHODS, fintune_format

    saved = fintune_format.settings(folder)
    if (method := METHODS.get(saved["method"])) is None:
        raise ModelError(
            f"{folder}: of method '{saved['method']}', which is not there",
            hint="If it is your own: --code FILE that makes it.",
        )
    weight_shapes(folder / fintune_format.WEIGHTS)
    try:
        options = method.options.model_validate(saved["options"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("options", *first["loc"])))
        raise ModelError(
            f"{folder / fintune_format.SETTINGS}: {where}: {first['msg']}", hint="Copy the file again, or train again."
        ) from None
    with torch.random.fork_rng(devices=[]):
        model = method.attach(base.model, options, base.kind)
    if (wrong := fintune_format.fill(model, folder)) is not None:
        raise misfit_error(folder, base.reference, wrong)
    return replace(base, model=model.eval())


def _load_peft(base: LoadedModel, folder: Path) -> LoadedModel:
    import torch
    from peft import PeftModel

    settings, shapes = read_json(folder / ADAPTER_CONFIG), weight_shapes(folder / peft_files.WEIGHTS)
    config = peft_files.peft_config(folder, settings, base.kind)
    model = unwrap(base.model)
    peft_files.resize(model, shapes)
    with (
        torch.random.fork_rng(devices=[]),
        loading_errors(str(folder)),
        catch_warnings(),
    ):  # PEFT initializes, then loads
        filterwarnings("ignore", message=_IRRELEVANT_WARNINGS)
        try:
            tuned = PeftModel.from_pretrained(model, folder, config=config)
        except (RuntimeError, ValueError) as error:
            raise misfit_error(folder, base.reference, str(error).strip().splitlines()[0]) from None
        if wrong := peft_files.misfit(tuned, shapes):
            raise misfit_error(folder, base.reference, wrong)
    return replace(base, model=tuned.eval())
