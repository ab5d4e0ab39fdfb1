"""A merged decoder as an ONNX graph for onnxruntime, made by torch.onnx: ids and places in, logits at those places out.

Example:
    write(merged, Path("folder"), "int8")
"""

import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import ModelError
from fintune.inference.engines.onnx_engine import GRAPH
from fintune.models import LoadedModel
from fintune.models.families import beyond_gemma3

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BLOCK = 128
"""Number of weights that share a scale: 32 and 64 are slower, 256 rounds more (docs/log/2026-11.md)."""
_INTEGERS = 4
"""What onnxruntime's MatMulNBits calls integers on both sides."""


def write(merged: LoadedModel, folder: Path, dtype: str) -> None:
    """Trace it; for int8 the matrices become integers in blocks. Raises ModelError for a head that does more than multiply."""
    if beyond := beyond_gemma3(merged.model.config):
        raise ModelError(f"--format onnx: its graph leaves out {beyond[0]}", hint="Use --format merged.")
    folder.mkdir()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".onnx-") as place, _quietly(place):
        _trace(merged.model, (folder if dtype == "float32" else Path(place)) / GRAPH)
        if dtype == "int8":
            _quantize(Path(place), folder / GRAPH)
    merged.tokenizer.save_pretrained(folder)


def _quantize(place: Path, target: Path) -> None:
    """Write matrices in blocks of 8-bit integers, and with them what is multiplied, row by row: no text's answer hangs on its batch."""
    from onnxruntime.quantization import QuantType, quant_utils, quantize_dynamic
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    quantize_dynamic(
        place / GRAPH,
        place / "embedding.onnx",
        op_types_to_quantize=["Gather"],
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
    )
    how = DefaultWeightOnlyQuantConfig(
        block_size=_BLOCK, is_symmetric=True, accuracy_level=_INTEGERS, bits=8, op_types_to_quantize=("MatMul",)
    )
    made = MatMulNBitsQuantizer(quant_utils.load_model_with_shape_infer(place / "embedding.onnx"), algo_config=how)
    made.process()
    made.model.save_model_to_file(str(target), use_external_data_format=True)
    shutil.copymode(target, f"{target}.data")  # it is made for the owner alone


@contextmanager
def _quietly(place: str) -> Iterator[None]:
    """Silence what the exporters say of steps they take; their temporary files lie in `place`, beside the export."""
    logging.disable(logging.WARNING)
    before, tempfile.tempdir = tempfile.tempdir, place
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        tempfile.tempdir = before
        logging.disable(logging.NOTSET)


def _trace(model: "PreTrainedModel", file: Path) -> None:
    import torch
    from torch.export import Dim

    class Graph(torch.nn.Module):
        """Logits at some places of texts of one length."""

        def __init__(self) -> None:
            super().__init__()
            self.body = model.model
            tables: Any = model  # transformers leaves what follows without types
            head = (
                tables.get_output_embeddings().weight
            )  # its own copy: one that is the embedding's would stay in float
            self.head = torch.nn.Parameter(head.detach().T.contiguous())

        def forward(self, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
            states = self.body(input_ids=ids, use_cache=False).last_hidden_state
            logits: torch.Tensor = states[:, places] @ self.head
            return logits

    model.set_attn_implementation("eager")
    example = torch.zeros(3, 7, dtype=torch.long), torch.tensor([5, 6])
    shapes = {"ids": {0: Dim("texts", min=1), 1: Dim("tokens", min=2)}, "places": {0: Dim("places", min=1)}}
    with torch.no_grad():
        torch.onnx.export(
            Graph().eval(), example, str(file), input_names=["ids", "places"], output_names=["logits"],
            dynamic_shapes=shapes, dynamo=True, external_data=True, verbose=False,
        )  # fmt: skip
