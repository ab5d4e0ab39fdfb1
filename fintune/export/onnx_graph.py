"""A merged decoder as an ONNX graph for onnxruntime, made by torch.onnx: ids and places in, logits at those places out.

>>> write(merged, Path("folder"), "int8")
"""

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from fintune.engines.onnx_engine import FILE, OnnxEngine
from fintune.models import LoadedModel
from fintune.models.references import loading_errors
from fintune.preparation import first_tokens
from fintune.prompts import PromptEncoder
from fintune.sections import RunConfig
from fintune.tasks import TASKS

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3_text")
"""decoders whose graph takes texts of every length (tests)"""


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Trace it; for int8 the matrices become integers, a scale a column, and what goes into them when it does."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder.mkdir()
    with _quietly(), tempfile.TemporaryDirectory(dir=folder.parent) as place:
        if dtype == "float32":
            _trace(merged.model, folder / FILE)
        else:
            _trace(merged.model, Path(place) / FILE)
            quantize_dynamic(
                Path(place) / FILE,
                folder / FILE,
                per_channel=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=True,
            )
    merged.tokenizer.save_pretrained(folder)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of packages it would look at, and steps it takes."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _trace(model: Any, file: Path) -> None:
    import torch
    from torch.export import Dim

    class Graph(torch.nn.Module):
        """Logits at some places of texts of one length."""

        def __init__(self) -> None:
            super().__init__()
            self.body = model.model
            head = model.get_output_embeddings().weight  # its own copy: one that is the embedding's would stay in float
            self.head = torch.nn.Parameter(head.detach().T.contiguous())

        def forward(self, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
            states = self.body(input_ids=ids, use_cache=False).last_hidden_state
            logits: torch.Tensor = states[:, places] @ self.head
            return logits

    model.set_attn_implementation("eager")
    given = torch.zeros(3, 7, dtype=torch.long), torch.tensor([5, 6])
    shapes = {"ids": {0: Dim("texts", min=1), 1: Dim("tokens", min=2)}, "places": {0: Dim("places", min=1)}}
    with torch.no_grad():
        torch.onnx.export(
            Graph().eval(), given, str(file), input_names=["ids", "places"], output_names=["logits"],
            dynamic_shapes=shapes, dynamo=True, external_data=True, verbose=False,
        )  # fmt: skip


def run(folder: Path, config: RunConfig) -> OnnxEngine:
    """The folder's graph for a run's task. Raises ModelError when it cannot be read."""
    from transformers import AutoTokenizer

    with loading_errors(str(folder)):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    encoder = PromptEncoder(tokenizer, "causal", config.model.max_length)
    first = first_tokens(config, TASKS[config.task.name].build(config.task), encoder) is not None
    return OnnxEngine(folder, encoder, first=first)
