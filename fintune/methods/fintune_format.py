"""What is written of a method that PEFT does not have: its settings, and the parameters that train.

`fintune_adapter.json` names the method and its settings, `fintune_adapter.safetensors` holds the parameters under their names in the
attached model; attaching again with the same settings makes the places they belong in.

Example:
    begin(model, options)                      # in attach: everything frozen, the settings remembered
    save(model, Path("runs/run/adapter"))
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from fintune.errors import ModelError
from fintune.runtime.untrusted import parse_object, read_text

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fintune.methods.protocol import MethodOptions

SETTINGS, WEIGHTS = "fintune_adapter.json", "fintune_adapter.safetensors"
FORMAT_VERSION = 1
_OPTIONS = "_fintune_options"


class SavedSettings(TypedDict):
    """What SETTINGS holds."""

    version: int
    method: str
    options: dict[str, object]


def begin(model: "nn.Module", options: "MethodOptions") -> None:
    """Freeze the model and remember the settings for `save`."""
    model.requires_grad_(False)
    setattr(model, _OPTIONS, options)


def trained(model: "nn.Module") -> "dict[str, nn.Parameter]":
    """Return the parameters that train, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def options_of(model: "nn.Module") -> "MethodOptions":
    """Return the settings a model was attached with."""
    options: MethodOptions = getattr(model, _OPTIONS)
    return options


def save(model: "nn.Module", folder: Path) -> None:
    """Write the parameters that train, and the settings, into `folder`."""
    write(trained(model), options_of(model), folder)


def write(tensors: "Mapping[str, torch.Tensor]", options: "MethodOptions", folder: Path) -> None:
    """Write tensors and settings into their two files of `folder`."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, folder / WEIGHTS, metadata={"format": "pt"})
    record = {"version": FORMAT_VERSION, "method": options.name, "options": options.model_dump()}
    (folder / SETTINGS).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def settings(folder: Path) -> SavedSettings:
    """Return what SETTINGS of a folder says. Raises ModelError when it is damaged, or from a newer version."""
    path = folder / SETTINGS
    try:
        saved = parse_object(read_text(path))
        version, method, options = saved["version"], saved["method"], saved["options"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else error
        raise ModelError(f"{path}: damaged: {problem}", hint="Copy the file again, or train again.") from None
    if not isinstance(method, str) or not isinstance(options, dict):
        what = "method is no name" if not isinstance(method, str) else "options are no settings"
        raise ModelError(f"{path}: damaged: {what}", hint="Copy the file again, or train again.")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path}: of version {version}, and this FinTune reads {FORMAT_VERSION}", hint="Update FinTune."
        )
    return SavedSettings(version=version, method=method, options=options)


def fill(model: "nn.Module", folder: Path) -> str | None:
    """Put the saved parameters into a model attached alike; returns what does not fit, None when all does."""
    import torch
    from safetensors.torch import load_file

    saved, own = load_file(folder / WEIGHTS), trained(model)
    for name in sorted(saved.keys() | own.keys()):
        theirs, ours = (tuple(side[name].shape) if name in side else "absent" for side in (saved, own))
        if theirs != ours:
            return f"{name} is {theirs} there, {ours} here"
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(saved[name])
    return None
