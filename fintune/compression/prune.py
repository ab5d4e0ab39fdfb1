"""A base model with fewer blocks."""

import json
from pathlib import Path

from fintune.compression.trim import TRIM_RECORD, Trimmed, new_folder
from fintune.runtime.files import replacing_folder


def prune(base: str, *, layers: int, output: str | Path, device: str = "auto", overwrite: bool = False) -> Trimmed:
    """Write a causal model's first `layers` blocks as a model; a short training heals what that costs.

    Raises ModelError for an encoder-decoder or a number of blocks it does not have, RunError when the folder is there.
    """
    from fintune.compression.layers import keep_first, save
    from fintune.models import check_reference, load_model

    folder = new_folder(output, overwrite)
    check_reference(base, device)
    loaded = load_model(base, device=device)
    whole, tokens = loaded.parameters()[1], len(loaded.tokenizer)
    keep_first(loaded, layers)
    with replacing_folder(folder, overwrite=overwrite) as place:
        save(loaded, place)
        load_model(str(place), device="cpu")  # what does not load again must not be said to be made
        size = sum(file.stat().st_size for file in place.glob("*.safetensors"))
        pruned = Trimmed(
            base=base,
            folder=str(folder),
            tokens=(tokens, tokens),
            parameters=(whole, loaded.parameters()[1]),
            bytes=size,
            verified={},
        )
        (place / TRIM_RECORD).write_text(json.dumps(pruned.record() | {"layers": layers}, indent=1))
    return pruned
