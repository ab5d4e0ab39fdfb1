"""The engine that runs an ONNX graph with onnxruntime on the CPU: texts of one length at a time, so that none needs filling up.

Example:
    engine = OnnxEngine(Path("runs/run/exports/onnx-int8"), PromptEncoder(tokenizer, "causal", 256), first=True)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.inference.candidates import first_tokens
from fintune.inference.engines.protocol import Ranking, RanksAlone, encode_request
from fintune.models.folder import loading_errors
from fintune.models.prompts import PromptEncoder
from fintune.records import Prompt
from fintune.runtime.progress import advance
from fintune.runtime.threads import fastest_threads

GRAPH = "model.onnx"
_TOKENS = 2048
"""Number of tokens in a batch."""


class OnnxEngine(RanksAlone):
    """See Engine. With `first` the first tokens of the answers are compared and nothing else of them is read.

    Threads that share one take turns at the tokenizer; onnxruntime runs their batches side by side.
    """

    name = "onnxruntime"

    def __init__(self, folder: Path, encoder: PromptEncoder, *, first: bool) -> None:
        """Open the folder's graph. Raises ModelError when it cannot be read."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = fastest_threads()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # of threads beside a busy program
        self._encoder, self._first = encoder, first
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own exceptions derive from nothing else
            raise ModelError(f"{folder / GRAPH}: {error}", hint="Export it again.") from None

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        """See Engine."""
        request = encode_request(self._encoder, prompts, candidates, first=self._first)
        ids, answers = request.prompts, request.answers
        scores = np.zeros((len(ids), len(answers)))
        for done, places in _batches(ids):
            rows = np.array([ids[i] for i in places])
            scores[places] = self._first_tokens(rows, answers) if self._first else self._whole(rows, answers)
            advance(stage, done, len(ids))
        return request.ranking(scores)

    def _first_tokens(self, rows: NDArray[np.int64], answers: list[list[int]]) -> NDArray[np.float64]:
        """Return log-probabilities among the answers' first tokens, (texts, answers)."""
        first = self._logits(rows, 1)[:, 0, [answer[0] for answer in answers]]
        return np.asarray(log_softmax(first, axis=-1))

    def _whole(self, rows: NDArray[np.int64], answers: list[list[int]]) -> NDArray[np.float64]:
        """Return summed log-probabilities of the answers, (texts, answers)."""
        scores = np.zeros((len(rows), len(answers)))
        for number, answer in enumerate(answers):
            beginning = np.tile(np.array(answer[:-1], dtype=np.int64), (len(rows), 1))
            each = log_softmax(self._logits(np.concatenate([rows, beginning], axis=1), len(answer)), axis=-1)
            scores[:, number] = each[:, range(len(answer)), answer].sum(axis=1)
        return scores

    def _logits(self, rows: NDArray[np.int64], last: int) -> NDArray[np.float64]:
        """Return logits at the last places of texts of one length, (texts, last, vocabulary)."""
        places = np.arange(rows.shape[1] - last, rows.shape[1])
        logits = self._session.run(None, {"ids": rows, "places": places})[0]
        return np.asarray(logits, dtype=np.float64)


def _batches(ids: list[list[int]]) -> Iterator[tuple[int, list[int]]]:
    """Yield how many texts are done by then, and places of texts of one length."""
    done = 0
    for length in sorted({len(row) for row in ids}):
        places = [i for i, row in enumerate(ids) if len(row) == length]
        size = max(1, _TOKENS // length)
        for start in range(0, len(places), size):
            done += len(places[start : start + size])
            yield done, places[start : start + size]


def run(folder: Path, config: RunConfig) -> OnnxEngine:
    """Return the folder's graph for a run's task. Raises ModelError when it cannot be read."""
    from transformers import AutoTokenizer

    with loading_errors(str(folder)):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    encoder = PromptEncoder(tokenizer, "causal", config.model.max_length)
    first = first_tokens(config, config.build_task(), encoder) is not None
    return OnnxEngine(folder, encoder, first=first)
