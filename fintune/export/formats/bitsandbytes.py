"""A merged model as a Hugging Face folder in 4 or 8 bits (bitsandbytes).

Example:
    write(merged, Path("folder"), "nf4")
"""

import tempfile
from pathlib import Path

from fintune.models import LoadedModel, load_model, save


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Save it in float32, load that in fewer bits, save again."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        save.write(merged, Path(place) / "whole", "float32")
        fewer = load_model(str(Path(place) / "whole"), device=str(merged.device), quantization=dtype)
        fewer.model.config._name_or_path = folder.name
        fewer.model.save_pretrained(folder)
        fewer.tokenizer.save_pretrained(folder)
