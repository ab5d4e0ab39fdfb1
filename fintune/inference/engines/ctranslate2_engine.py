"""The engine that runs a CTranslate2 folder on the CPU: quick products of 8-bit integers on every CPU, no torch at work.

Example:
    engine = CTranslate2Engine(Path("runs/run/exports/ctranslate2-int8"), PromptEncoder(tokenizer, "causal", 256), first=True)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.inference.candidates import first_tokens
from fintune.inference.engines.protocol import Ranking, RanksAlone, encode_request
from fintune.models.folder import loading_errors
from fintune.models.prompts import Kind, PromptEncoder
from fintune.records import Prompt
from fintune.runtime.progress import advance
from fintune.runtime.threads import fastest_threads
from fintune.runtime.turns import turn

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_BATCHES = {"max_batch_size": 2048, "batch_type": "tokens"}
"""How many tokens it reads at a time, padding counted."""
_WHOLE = {"max_input_length": 0}
"""Has it read texts whole: left to itself it cuts at 1,024 tokens."""
_PROMPTS = 1024
"""Number of prompts handed over at a time."""


class CTranslate2Engine(RanksAlone):
    """See Engine. With `first` the first tokens of the answers are compared and nothing else of them is read.

    Threads that share one take turns at the tokenizer; CTranslate2 runs their batches one after another.
    """

    name = "CTranslate2"

    def __init__(self, folder: Path, encoder: PromptEncoder, *, first: bool) -> None:
        """Open the folder's model. Raises ModelError when it cannot be read."""
        import ctranslate2

        self._encoder, self._first = encoder, first
        make = ctranslate2.Generator if encoder.kind == "causal" else ctranslate2.Translator
        try:
            self._model: Any = make(str(folder), device="cpu", intra_threads=fastest_threads())
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{folder}: {error}", hint="Export it again.") from None

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        """See Engine."""
        request = encode_request(self._encoder, prompts, candidates, first=self._first)
        ids, answers = request.prompts, request.answers
        scores = np.zeros((len(ids), len(answers)))
        score = self._first_tokens if self._first else self._whole
        for start in range(0, len(ids), _PROMPTS):
            some = slice(start, start + _PROMPTS)
            scores[some] = score(ids[some], answers)
            advance(stage, min(start + _PROMPTS, len(ids)), len(ids))
        return request.ranking(scores)

    def _first_tokens(self, ids: list[list[int]], answers: list[list[int]]) -> NDArray[np.float64]:
        """Return log-probabilities among the answers' first tokens, (prompts, answers)."""
        options: dict[str, Any] = {"return_logits_vocab": True, **_BATCHES}
        if self._encoder.kind == "seq2seq":
            options |= {"beam_size": 1, "max_decoding_length": 1, **_WHOLE}
            outputs = self._model.translate_batch(self._names(ids), **options)
        else:
            outputs = self._continued(self._names(ids), options)
        rows = [answer[0] for answer in answers]
        logits = np.array([np.asarray(one.logits[0][-1])[rows] for one in outputs], dtype=np.float64)
        return np.asarray(log_softmax(logits, axis=-1))

    def _continued(self, prompts: list[list[str]], options: dict[str, Any]) -> list[Any]:
        """Return one token more, prompts of a length at a time: of others it reads together what all have, and the rest token by token."""
        lengths = [len(prompt) for prompt in prompts]
        outputs: dict[int, Any] = {}
        for length in sorted(set(lengths)):
            places = [i for i, own in enumerate(lengths) if own == length]
            batch = self._model.generate_batch(
                [prompts[i] for i in places], max_length=1, include_prompt_in_result=False, **options
            )
            outputs |= dict(zip(places, batch, strict=True))
        return [outputs[i] for i in range(len(prompts))]

    def _whole(self, ids: list[list[int]], answers: list[list[int]]) -> NDArray[np.float64]:
        """Return summed log-probabilities of the answers, (prompts, answers)."""
        count = len(answers)
        prompts, targets = [row for row in ids for _ in answers], answers * len(ids)
        if self._encoder.kind == "seq2seq":  # the end token behind a target is its own affair
            without_end = [target[:-1] for target in targets]
            outputs = self._model.score_batch(self._names(prompts), self._names(without_end), **_BATCHES, **_WHOLE)
        else:
            joined = [prompt + target for prompt, target in zip(prompts, targets, strict=True)]
            outputs = self._model.score_batch(self._names(joined), **_BATCHES, **_WHOLE)
        sums = [sum(one.log_probs[-len(target) :]) for one, target in zip(outputs, targets, strict=True)]
        return np.array(sums).reshape(len(ids), count)

    def _names(self, rows: list[list[int]]) -> list[list[str]]:
        with turn(self._encoder.tokenizer):
            return [list(self._encoder.tokenizer.convert_ids_to_tokens(row)) for row in rows]


TOKENIZER_FOLDER = "tokenizer"


def run(folder: Path, config: RunConfig) -> CTranslate2Engine:
    """Return the folder's model for a run's task. Raises ModelError when it cannot be read."""
    from transformers import AutoConfig, AutoTokenizer

    with loading_errors(str(folder)):
        tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER_FOLDER, local_files_only=True)
        kind: Kind = "seq2seq" if AutoConfig.from_pretrained(folder / TOKENIZER_FOLDER).is_encoder_decoder else "causal"
    _need_within_window(AutoConfig.from_pretrained(folder / TOKENIZER_FOLDER), config.model.max_length)
    encoder = PromptEncoder(tokenizer, kind, config.model.max_length)
    first = first_tokens(config, config.build_task(), encoder) is not None
    return CTranslate2Engine(folder, encoder, first=first)


def _need_within_window(config: "PreTrainedConfig", longest: int) -> None:
    """Refuse texts longer than the window of any block, on which CTranslate2 4.8 fails."""
    windows = getattr(config, "layer_types", None) is None or "sliding_attention" in config.layer_types
    window = getattr(config, "sliding_window", None) if windows else None
    if window is not None and longest > window:
        raise ModelError(
            f"--format ctranslate2: it fails on texts above the {window} tokens of a window, and model.max_length is {longest}",
            hint=f"Use another format, or train with model.max_length at most {window}.",
        )
