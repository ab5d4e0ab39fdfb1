"""What is written of a method that PEFT does not have: its settings, and the parameters that train.

`fintune_adapter.json` names the method and its settings, `fintune_adapter.safetensors` holds the parameters under their names in the
attached model; attaching again with the same settings makes the places they belong in.

>>> begin(model, options)                      # in attach: everything frozen, the settings remembered
>>> save(model, Path("runs/run/adapter"))
"""

import json
from pathlib import Path
from typing import Any

from fintune.errors import ModelError
from fintune.runtime.untrusted import parse_object, read_text

SETTINGS, WEIGHTS = "fintune_adapter.json", "fintune_adapter.safetensors"
VERSION = 1
_OPTIONS = "_fintune_options"


def begin(model: Any, options: Any) -> None:
    """Freeze the model and remember the settings for `save`."""
    model.requires_grad_(False)
    setattr(model, _OPTIONS, options)


def trained(model: Any) -> dict[str, Any]:
    """Return the parameters that train, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def options_of(model: Any) -> Any:
    """Return the settings a model was attached with."""
    return getattr(model, _OPTIONS)


def save(model: Any, folder: Path) -> None:
    """Write the parameters that train, and the settings, into `folder`."""
    write(trained(model), options_of(model), folder)


def write(tensors: dict[str, Any], options: Any, folder: Path) -> None:
    """Write both files."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, folder / WEIGHTS, metadata={"format": "pt"})
    record = {"version": VERSION, "method": options.name, "options": options.model_dump()}
    (folder / SETTINGS).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def settings(folder: Path) -> dict[str, Any]:
    """Return what SETTINGS of a folder says. Raises ModelError when it is damaged, or from a newer version."""
    path = folder / SETTINGS
    try:
        found = parse_object(read_text(path))
        version, method, options = found["version"], found["method"], found["options"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = f"no {error}" if isinstance(error, KeyError) else error
        raise ModelError(f"{path}: damaged: {told}", hint="Copy the file again, or train again.") from None
    if not isinstance(method, str) or not isinstance(options, dict):
        what = "method is no name" if not isinstance(method, str) else "options are no settings"
        raise ModelError(f"{path}: damaged: {what}", hint="Copy the file again, or train again.")
    if version != VERSION:
        raise ModelError(f"{path}: of version {version}, and this FinTune reads {VERSION}", hint="Update FinTune.")
    return found


def fill(model: Any, folder: Path) -> str | None:
    """Put the saved parameters into a model attached alike; returns what does not fit, None when all does."""
    import torch
    from safetensors.torch import load_file

    saved, own = load_file(folder / WEIGHTS), trained(model)
    for name in sorted(saved.keys() | own.keys()):
        there, here = (tuple(found[name].shape) if name in found else "absent" for found in (saved, own))
        if there != here:
            return f"{name} is {there} there, {here} here"
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(saved[name])
    return None
