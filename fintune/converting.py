"""Models in other layouts as a Hugging Face folder: Meta's LLaMA checkpoints, .gguf files.

>>> convert("Llama-2-7b", output="llama-2-7b-hf").parameters
6738415616
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fintune.atomic import need_place, replacing_folder
from fintune.errors import ModelError, RunError


@dataclass(frozen=True)
class Converted:
    """A new folder and what loads from it."""

    folder: str
    layout: str
    parameters: int
    bytes: int
    sha256: str | None

    def record(self) -> dict[str, Any]:
        """For programs."""
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
        loaded = load_model(str(place), device="cpu")  # what does not load again must not be said to be made
        size = sum(file.stat().st_size for file in place.rglob("*"))
    return Converted(str(folder), layout, loaded.parameters()[1], size, loaded.sha256)


def _layout(path: Path) -> tuple[str, Callable[[Path, Path], None]]:
    from fintune.models import original_llama
    from fintune.models.embedded import convert_gguf
    from fintune.models.references import loading_errors

    def gguf(source: Path, place: Path) -> None:
        with loading_errors(str(source)):
            convert_gguf(source.resolve(), place)

    if path.suffix == ".gguf" and path.is_file():
        return "gguf", gguf
    if path.is_dir() and original_llama.is_original(path):
        return "LLaMA, original", original_llama.convert
    what = (
        "no such file or folder"
        if not path.exists()
        else "neither a .gguf file nor a folder with params.json and consolidated.*.pth"
    )
    raise ModelError(
        f"{path}: {what}", hint="Name one. A Hugging Face folder needs no converting: model.base takes it as it is."
    )
