"""A config with whole paths, so that a run can be read from any folder."""

from pathlib import Path
from typing import Any

from fintune.config.run_config import RunConfig
from fintune.data.load import address
from fintune.data.readers.sources import expand
from fintune.models.references import local_path


def absolute(config: RunConfig) -> RunConfig:
    """Return the config with whole paths, so that a run can be read from any folder."""
    data, model = config.data, config.model
    paths: dict[str, Any] = {}
    for setting in ("path", "validation", "test"):
        setting_value = getattr(data, setting)
        if setting_value is not None:
            addresses = [address(source) for source in expand(setting_value)]
            paths[f"data__{setting}"] = (
                addresses[0] if isinstance(setting_value, str) and len(addresses) == 1 else addresses
            )
    place = local_path(model.base)
    base = model.base if place is None else str(place.resolve())
    output = str(Path(config.output).expanduser().resolve())
    return config.with_(output=output, model__base=base, **paths)
