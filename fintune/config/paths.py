"""A config with whole paths, so that a run can be read from any folder."""

from pathlib import Path
from typing import Any

from fintune.config.run_config import RunConfig
from fintune.data.load import address
from fintune.data.readers.sources import expand
from fintune.models.references import local_path


def _addresses(paths: str | list[str]) -> str | list[str]:
    addresses = [address(source) for source in expand(paths)]
    return addresses[0] if isinstance(paths, str) and len(addresses) == 1 else addresses


def absolute(config: RunConfig) -> RunConfig:
    """Return the config with whole paths, so that a run can be read from any folder."""
    data, model = config.data, config.model
    paths: dict[str, Any] = {}
    for setting in ("validation", "test"):
        if getattr(data, setting) is not None:
            paths[f"data__{setting}"] = _addresses(getattr(data, setting))
    if data.sources:
        paths["data__sources"] = [
            one.model_copy(update={"path": _addresses(one.path)}).model_dump(exclude_unset=True) for one in data.sources
        ]
    elif isinstance(data.path, dict):
        paths["data__path"] = {label: _addresses(path) for label, path in data.path.items()}
    else:
        paths["data__path"] = _addresses(data.path)
    place = local_path(model.base)
    base = model.base if place is None else str(place.resolve())
    output = str(Path(config.output).expanduser().resolve())
    return config.with_(output=output, model__base=base, **paths)
