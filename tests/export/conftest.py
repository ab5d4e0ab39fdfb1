"""A graph of ONNX takes eight seconds of tracing whatever the model's size: the same weights are traced once."""

import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fintune.export.formats import onnx


@pytest.fixture(scope="session", autouse=True)
def traced_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    kept, trace = tmp_path_factory.mktemp("graphs"), onnx._trace

    def once(model: Any, file: Path) -> None:
        settings = model.config.to_dict() | {"_name_or_path": ""}
        digest = sha256(json.dumps(settings, sort_keys=True, default=str).encode())
        for name, value in model.state_dict().items():
            digest.update(name.encode() + value.contiguous().numpy().tobytes())
        folder = kept / digest.hexdigest()
        if not folder.exists():
            folder.mkdir()
            trace(model, folder / file.name)
        shutil.copytree(folder, file.parent, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "_trace", once)
        yield
