"""A run of any method on any tiny family, its adapter filled with noise, and what opening it answers beside what was stored."""

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import set_seed

from fintune.config.load import dump, load
from fintune.errors import ModelError
from fintune.inference import predictor, proof
from fintune.inference.answer import predict
from fintune.inference.load import engine
from fintune.methods import METHODS
from fintune.methods.adapter import load_adapter
from fintune.models import load_model
from fintune.records import Example
from fintune.runs import manifest
from fintune.runs.run import Run
from fintune.tasks import TASKS
from tests.families import save
from tests.tiny import tiny_rows

TEXTS = [row["text"] for row in tiny_rows(6)]
OPTIONS: dict[str, dict[str, Any]] = {
    "bitfit": {"add": True}, "freeze": {"blocks": 1}, "vera": {"r": 8}, "pissa": {"init_lora_weights": True},
    "prompt": {"num_virtual_tokens": 3}, "p-tuning": {"num_virtual_tokens": 3}, "prefix": {"num_virtual_tokens": 3},
    "p-tuning-v2": {"num_virtual_tokens": 3},
}  # fmt: skip
EMBEDDING = {"gpt2": "wte", "bloom": "word_embeddings"}
ATTENTION = {"gpt2": "c_attn", "bloom": "query_key_value", "t5": "q", "flan-t5": "q", "mt5": "q"}
WIDE: dict[str, dict[str, int]] = {
    "llama": {"hidden_size": 64, "intermediate_size": 128, "num_key_value_heads": 2},
    "mt5": {"d_model": 64, "d_kv": 32, "d_ff": 128},
}
"""families in widths that 4-bit products take"""


@dataclass(frozen=True)
class Case:
    """A method with settings."""

    label: str
    method: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """What opening answered; `merged` as it was asked to, and `refused` where such a run is not made."""

    difference: float = 0.0
    fell_back: bool = False
    refused: str = ""

    def __str__(self) -> str:
        if self.refused:
            return "refused"
        return f"{self.difference:.0e}{' unmerged' if self.fell_back else ''}"


def methods() -> list[Case]:
    """Every entry of the registry as it is."""
    return [Case(name, name, OPTIONS.get(name, {})) for name in METHODS]


def variants(family: str) -> list[Case]:
    """Settings that touch what layers share: embeddings, heads, copies, biases, single rows."""
    table, inner = EMBEDDING.get(family, "embed_tokens"), ATTENTION.get(family, "q_proj")
    return [
        Case("lora on the embedding", "lora", {"target_modules": [table, inner]}),
        Case("dora on the embedding", "dora", {"target_modules": [table, inner]}),
        Case("rslora on the embedding", "rslora", {"target_modules": [table, inner], "rank_pattern": {inner: 3}}),
        Case("lora, embedding in full", "lora", {"target_modules": [inner], "modules_to_save": [table]}),
        Case("lora, head in full", "lora", {"target_modules": [inner], "modules_to_save": ["lm_head"]}),
        Case("lora, rows of tokens", "lora", {"target_modules": [inner], "trainable_tokens": [65, 66, 43]}),
        Case("lora, biases", "lora", {"bias": "all"}),
        Case("lora on the head", "lora", {"target_modules": ["lm_head", inner]}),
        Case("ia3 on the head", "ia3", {"target_modules": ["lm_head", inner]}),
        Case("vera on the head", "vera", {"target_modules": ["lm_head", inner], "r": 4}),
        Case("full, embedding too", "full", {"embeddings": True}),
        Case("bitfit, own biases", "bitfit", {"add": False}),
    ]


def opened(case: Case, model: Path, folder: Path, dtype: str = "float32") -> Cell:
    """Store what a run of noise answers as an adapter, open it as users do, and compare."""
    try:
        run = made(case, model, folder, dtype)
    except ModelError as error:
        return Cell(refused=str(error))
    stored = run.predictions("validation")
    answered = predictor.load(run.folder)(TEXTS)
    was, now = (np.array([list(p.probabilities.values()) for p in side]) for side in (stored, answered))
    compared = json.loads((proof.cache_folder() / "comparisons.json").read_text())
    return Cell(float(np.abs(was - now).max()), fell_back=len(compared) > 1)


def made(case: Case, model: Path, folder: Path, dtype: str) -> Run:
    """A run folder scored as training scores: the saved adapter on a clean base. Raises ModelError where it is not to be had."""
    run, method = Run(folder), METHODS[case.method]
    held = {"dtype": dtype, "quantization": method.only or "none"}
    config = load({
        "name": folder.name, "output": str(folder.parent), "model": held | {"base": str(model), "device": "cpu", "max_length": 96},
        "task": {"name": "sentiment", "prompt": "{text}{answer}"}, "method": {"name": case.method, **case.options},
    })  # fmt: skip
    base = load_model(str(model), device="cpu", **held)
    set_seed(zlib.crc32(f"{case.label} {model.name}".encode()))
    options = config.method.resolved(base.tokenizer)
    tuned = replace(base, model=method.attach(base.model, options, base.kind))
    with torch.no_grad():
        for parameter in tuned.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    folder.mkdir(parents=True)
    run.write_text("config.yaml", dump(config))
    run.save_adapter(tuned.model)
    scored = load_adapter(load_model(str(model), device="cpu", **held), run.adapter)
    ids = [str(i) for i in range(len(TEXTS))]
    examples = [Example(name, {"text": text}, None) for name, text in zip(ids, TEXTS, strict=True)]
    answered = predict(engine(config, scored), TASKS["sentiment"].build(config.task), examples)
    run.write_predictions("validation", [replace(a, gold=a.answer) for a in answered.predictions])
    run.write_json("data.json", {"ids": {"validation": ids}, "fingerprint": "0"})
    run.write_json("environment.json", {"base_sha256": scored.sha256})
    manifest.write(run, scored)
    return run


def saved(family: str, method: str, folder: Path) -> Path | None:
    """The family's tiny model, as wide as the method needs it; None where that is not to be had."""
    if METHODS[method].only is None:
        return save(family, folder / family)
    return save(family, folder / f"{family}-wide", **WIDE[family]) if family in WIDE else None
