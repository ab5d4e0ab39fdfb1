"""A finished run as an engine: adapter merged where that answers as was stored; a quick one is checked, and asks where it is unsure.

>>> running = open_engine(Run.open("runs/phrasebank-lora"), "int8")
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Unpack

from fintune.errors import ModelError, RunError, UsageError
from fintune.inference.agreement import AGREEMENT, Verification, compare
from fintune.inference.answer import predict
from fintune.inference.artifacts import engine_of, export_of, need_package
from fintune.inference.engines import Engine
from fintune.inference.engines.fallback import SecondLook
from fintune.inference.engines.registry import ENGINES, EngineEntry, entry_of
from fintune.inference.foreign import ForeignAdapter, Use, is_adapter, need_none
from fintune.inference.load import engine, load_tuned
from fintune.inference.proof import compared, known, proved, stored_answers
from fintune.methods import METHODS
from fintune.runs.adapter_store import place_of
from fintune.runs.exported import RECORD, SETTINGS, Export, exports_of
from fintune.runs.run import Run
from fintune.runtime.progress import tell

Trained = Run | Export | ForeignAdapter
"""what answers texts"""
_FEW = 64
"""texts a model reads to be prepared"""


def open_trained(folder: str | Path, **use: Unpack[Use]) -> Trained:
    """Return a run (`base`: where its base model lies now), an export, or an adapter trained elsewhere with what it is used for.

    Raises RunError when it is none.
    """
    place = place_of(folder)
    if is_adapter(place) and not (place / RECORD).is_file():  # what was put beside an export makes no adapter of it
        return ForeignAdapter.open(place, **use)
    if not place.exists() and any(use.values()):
        raise RunError(
            f"{folder}: no such folder, and no adapter is kept under that name", hint="See: fintune adapters list"
        )
    moved = use.get("base") or ""
    need_none(folder, {**use, "base": None} if (place / "config.yaml").is_file() else use)
    if all((place / name).is_file() for name in (SETTINGS, RECORD)) and not (place / "config.yaml").is_file():
        return Export(place.absolute())
    return Run.open(place, base=moved)


def called(source: Trained) -> str:
    """Return what it is, as a sentence has it."""
    return {Run: "a run", Export: "an export", ForeignAdapter: "an adapter"}[type(source)]


def open_engine(source: Trained, name: str = "torch", *, device: str = "auto") -> Engine:
    """Return the engine `name` on a run's model. Raises UsageError, ModelError when it disagrees with what the run has stored."""
    import torch

    need_engine(source, name)
    if isinstance(run := source, Export):
        return engine_of(run)
    if name not in ENGINES:
        return engine_of(export_of(run, name))
    if isinstance(run, ForeignAdapter):  # as PEFT has it: there is nothing to prove merged weights on
        adapter: Engine = engine(run.config(), load_tuned(run, device=device))
        return adapter
    entry, config = ENGINES[name], run.config()
    loaded = load_tuned(run, device=device)
    entry.need(loaded)
    method = METHODS[config.method.name]
    rounds = entry.exact and loaded.model.dtype != torch.float32  # in the merged weights, and so in the answers
    merge = not method.why_not_mergeable(config.method) and not config.model.quantized and not rounds
    loaded = proved(run, loaded, merge=merge, again=lambda: load_tuned(run, device=device))
    running: Engine = engine(config, loaded)
    if entry.exact:
        return running
    stored, task = stored_answers(run), config.build_task()
    texts, ids = [p.text for p in stored], [p.id for p in stored]
    prompts, candidates = [task.prompt(text) for text in texts[:_FEW]], task.candidates()
    other = replace(loaded, model=_sharing(loaded.model))
    quick = engine(config, other)
    entry.prepare(other, lambda: quick.rank(prompts, candidates, stage=f"prepare {name}"))
    both = SecondLook(quick, running, entry.margin)
    _check(run, entry, loaded, lambda: compare(stored, predict(both, task, texts, ids, stage=f"check {name}")[0], None))
    return both


def need_engine(source: Trained, name: str) -> None:
    """Refuse an engine there is not, or that this machine is not made for, before anything is read.

    Raises UsageError, ModelError, BrokenEnvironment.
    """
    if isinstance(source, Export):
        if name != "torch":
            raise UsageError(
                f"--engine {name}: {source.folder} is an export, and an engine", hint="Leave --engine out."
            )
        need_package(source)
    elif isinstance(source, ForeignAdapter) and name in ENGINES and not ENGINES[name].exact:
        raise UsageError(
            f"--engine {name}: is checked on stored answers, and an adapter trained elsewhere has none",
            hint="Use --engine torch, or export it with texts to prove it on: fintune export ADAPTER --data FILE",
        )
    elif name in ENGINES or name not in exports_of(source.folder):
        entry_of(name, exports_of(source.folder)).need_machine()
    else:
        need_package(export_of(source, name))


def _sharing(model: Any) -> Any:
    """Return a copy whose layers can be replaced; the weights are the same memory."""
    held = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    return deepcopy(model, held)


def _check(run: Run, entry: EngineEntry, loaded: Any, measure: Callable[[], Verification]) -> None:
    """Refuse an engine that answers otherwise than the run."""
    how = f"engine {entry.name} {entry.version}"
    before = known(run, how, loaded)
    found = before or compared(run, how, loaded, measure)
    if before is None:
        tell(entry.name, f"{found.said()} than with torch")
    if found.changed > (1 - AGREEMENT) * found.texts + 1e-9 and found.changed > 1:
        raise ModelError(
            f"--engine {entry.name}: {found.said()} than with torch",
            hint=f"{AGREEMENT:.1%} must keep theirs; use --engine torch.",
        )
