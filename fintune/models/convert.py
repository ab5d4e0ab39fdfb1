"""Models in other layouts as a Hugging Face folder: Meta's LLaMA checkpoints, .gguf files.

Example:
    convert("Llama-2-7b", output="llama-2-7b-hf").parameters
    # 6738415616
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fintune.errors import ModelError, RunError
from fintune.models.folder import read_json
from fintune.runtime.files import disk_errors, need_place, replacing_folder


@dataclass(frozen=True)
class Converted:
    """A new folder and what loads from it."""

    folder: str
    layout: str
    parameters: int
    bytes: int
    sha256: str | None

    def record(self) -> dict[str, object]:
        """Return the record for programs."""
        return asdict(self)


def convert(source: str | Path, *, output: str | Path) -> Converted:
    """Write `source` as a folder that transformers loads, and load it. Raises ModelError; RunError when the folder is there."""
    from fintune.models import load_model

    path, folder = Path(source).expanduser(), Path(output).expanduser().absolute()
    layout, write = _layout(path)
    need_place(folder / "config.json")
    if folder.exists():
        raise RunError(f"{folder}: is there already", hint="Name another folder with --output.")
    with replacing_folder(folder) as place:
        write(path, place)
        held = str(read_json(place / "config.json").get("dtype") or "float32")
        loaded = load_model(
            str(place), device="cpu", dtype=held
        )  # what does not load again must not be said to be made
        size = sum(file.stat().st_size for file in place.rglob("*"))
    return Converted(
        folder=str(folder), layout=layout, parameters=loaded.parameters()[1], bytes=size, sha256=loaded.sha256
    )


def _layout(path: Path) -> tuple[str, Callable[[Path, Path], None]]:
    from fintune.models.formats import llama_checkpoint, state_dict

    if path.suffix == ".gguf" and path.is_file():
        return "gguf", _from_gguf
    if path.is_dir() and state_dict.is_one(path):
        return "state dict", _from_state_dict
    if path.is_dir() and llama_checkpoint.is_original(path):
        return "LLaMA, original", llama_checkpoint.convert
    formats = "a .gguf file, a folder with params.json and consolidated.*.pth, or a state-dict export"
    what = f"not {formats}" if path.exists() else "no such file or folder"
    raise ModelError(f"{path}: {what}", hint="A Hugging Face folder needs no converting: model.base takes it as it is.")


def _from_gguf(source: Path, place: Path) -> None:
    from fintune.models.embedded import convert_gguf
    from fintune.models.folder import loading_errors

    with loading_errors(str(source)), disk_errors(place):
        convert_gguf(source.resolve(), place)


def _from_state_dict(source: Path, place: Path) -> None:
    from fintune.models import save
    from fintune.models.formats import state_dict

    with disk_errors(place):
        save.write(state_dict.read(source, held=True), place, None)
