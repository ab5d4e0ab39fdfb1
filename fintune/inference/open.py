"""A finished run as an engine: adapter merged where that answers as was stored; a quick one is checked, and asks where it is unsure.

Example:
    running = open_engine(Run.open("runs/phrasebank-lora"), "int8")
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from fintune.errors import ModelError, RunError, UsageError
from fintune.inference.agreement import AGREEMENT, Verification, compare
from fintune.inference.answer import predict
from fintune.inference.artifacts import Artifact, artifact_of, engine_of, export_of
from fintune.inference.calibration.record import Calibration, of_export, of_run
from fintune.inference.calibration.rules import CostRule, CostsByLabel, Rule, SureEnough
from fintune.inference.engines import Engine
from fintune.inference.engines.fallback import FallbackEngine
from fintune.inference.engines.registry import ENGINES, EngineEntry, entry_of
from fintune.inference.foreign import ForeignAdapter, Use, is_adapter, need_none
from fintune.inference.load import engine, load_tuned
from fintune.inference.proof import compared, known, proved, stored_answers
from fintune.methods import METHODS
from fintune.runs.adapter_store import place_of
from fintune.runs.exported import EXPORT_RECORD, EXPORT_SETTINGS, Export, exports_of
from fintune.runs.run import Run
from fintune.runtime.progress import tell
from fintune.runtime.shell import typed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from fintune.models import LoadedModel

Trained = Run | Export | ForeignAdapter
"""Whatever answers texts."""
_FEW = 64
"""Number of texts that a model reads to be prepared."""


def open_trained(folder: str | Path, **use: Unpack[Use]) -> Trained:
    """Return a run (`base`: where its base model lies now), an export, or an adapter trained elsewhere with what it is used for.

    Raises RunError when it is none.
    """
    place = place_of(folder)
    if (
        is_adapter(place) and not (place / EXPORT_RECORD).is_file()
    ):  # what was put beside an export makes no adapter of it
        return ForeignAdapter.open(place, **use)
    if not place.exists() and any(use.values()):
        raise RunError(
            f"{folder}: no such folder, and no adapter is kept under that name", hint="See: fintune adapters list"
        )
    moved = use.get("base") or ""
    need_none(folder, {**use, "base": None} if (place / "config.yaml").is_file() else use)
    if (
        all((place / name).is_file() for name in (EXPORT_SETTINGS, EXPORT_RECORD))
        and not (place / "config.yaml").is_file()
    ):
        return Export(place.absolute())
    return Run.open(place, base=moved)


def says_itself(folder: str | Path) -> bool:
    """Whether a folder is a run or an export, which say what they are used for, and no bare adapter."""
    place = place_of(folder)
    return not is_adapter(place) or (place / EXPORT_RECORD).is_file()


def kind_in_words(source: Trained) -> str:
    """Return what a source is, as a sentence has it."""
    return {Run: "a run", Export: "an export", ForeignAdapter: "an adapter"}[type(source)]


@dataclass(frozen=True, kw_only=True)
class ChosenEngine:
    """An engine on what answers texts, found to be there and to run on this machine before any weight is read."""

    source: Trained
    name: str
    export: Export | None
    """The export that is the engine, where one is."""
    artifact: Artifact | None
    """What that export is."""
    calibration: Calibration | None = None
    """What corrects its probabilities, where the run was calibrated."""

    def rule(self, max_error: float | None = None, costs: CostsByLabel | None = None) -> Rule | None:
        """Return which answers stand: those of which at most such a share is wrong, or what costs least; None: nothing was asked.

        Raises UsageError where no calibration shows it.
        """
        if max_error is None and costs is None:
            return None
        if max_error is not None and costs is not None:
            raise UsageError("--max-error: and --costs are two ways to abstain", hint="Give one of them.")
        first = {
            Run: f"First: fintune calibrate {typed(self.source.folder)}",
            Export: "Calibrate the run it was made of, then export again, with --overwrite.",
            ForeignAdapter: "Name a run.",
        }[type(self.source)]
        if self.calibration is None:
            what = kind_in_words(self.source)
            option = "--costs" if max_error is None else f"--max-error {max_error:.3g}"
            raise UsageError(f"{option}: {self.source.folder} is {what} without a calibration", hint=first)
        if costs is not None:
            return CostRule.of(costs, self.calibration.choices)
        assert max_error is not None
        return SureEnough(self.calibration.threshold(max_error, first))

    def open(self, *, device: str = "auto") -> Engine:
        """Return the engine, loaded. Raises ModelError when it disagrees with what the run has stored."""
        if self.export is not None:
            return engine_of(self.export, self.artifact)
        if isinstance(adapter := self.source, ForeignAdapter):  # as PEFT has it: merged weights cannot be proved
            return engine(adapter.config(), load_tuned(adapter, device=device))
        assert isinstance(self.source, Run)
        return _engine_of_run(self.source, ENGINES[self.name], device)


def open_engine(source: Trained, name: str = "torch", *, device: str = "auto") -> Engine:
    """Return the engine `name` on a run's model. Raises as choose_engine and ChosenEngine.open do."""
    return choose_engine(source, name).open(device=device)


def choose_engine(source: Trained, name: str = "torch") -> ChosenEngine:
    """Return the engine `name`: one of ENGINES, or the name of a run's export.

    Raises UsageError for one there is not, ModelError for one that this machine is not made for, BrokenEnvironment for a missing package.
    """
    export = None
    if isinstance(source, Export):
        if name != "torch":
            raise UsageError(
                f"--engine {name}: {source.folder} is an export, and an engine", hint="Leave --engine out."
            )
        export = source
    elif isinstance(source, ForeignAdapter) and name in ENGINES and not ENGINES[name].exact:
        raise UsageError(
            f"--engine {name}: is checked on stored answers, and an adapter trained elsewhere has none",
            hint="Use --engine torch, or export it with texts to prove it on: fintune export ADAPTER --data FILE",
        )
    elif name in ENGINES or name not in exports_of(source.folder):
        entry_of(name, exports_of(source.folder)).need_machine()
    else:
        export = export_of(source, name)
    artifact = None if export is None else artifact_of(export)
    return ChosenEngine(source=source, name=name, export=export, artifact=artifact, calibration=calibration_of(source))


def calibration_of(source: Trained) -> Calibration | None:
    """Return what corrects a source's probabilities, if anything does. Raises RunError for a damaged one, or another model's."""
    if isinstance(source, ForeignAdapter):
        return None
    return of_run(source) if isinstance(source, Run) else of_export(source)


def _engine_of_run(run: Run, entry: EngineEntry, device: str) -> Engine:
    import torch

    config = run.config()
    loaded = load_tuned(run, device=device)
    entry.need(loaded)
    method = METHODS[config.method.name]
    rounds = entry.exact and loaded.model.dtype != torch.float32  # in the merged weights, and so in the answers
    merge = method.mergeable and not config.method.no_merge() and not config.model.quantized and not rounds
    loaded = proved(run, loaded, merge=merge, again=lambda: load_tuned(run, device=device))
    exact = engine(config, loaded)
    return exact if entry.exact else _quick_engine(run, entry, loaded, exact)


def _quick_engine(run: Run, entry: EngineEntry, loaded: "LoadedModel", exact: Engine) -> Engine:
    """Return an engine that rounds, with the exact one behind it, checked on the run's stored answers."""
    config, stored = run.config(), stored_answers(run)
    task = config.build_task()
    examples = [p.example for p in stored]
    copy = replace(loaded, model=_sharing(loaded.model))
    quick = engine(config, copy)
    entry.prepare(copy, lambda: predict(quick, task, examples[:_FEW], stage=f"prepare {entry.name}"))
    both = FallbackEngine(quick, exact, entry.margin)

    def measure() -> Verification:
        return compare(task, stored, predict(both, task, examples, stage=f"check {entry.name}").predictions, None)

    _check(run, entry, loaded, measure)
    return both


def _sharing(model: "PreTrainedModel") -> "PreTrainedModel":
    """Return a copy whose layers can be replaced; the weights are the same memory."""
    shared: dict[int, object] = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    return deepcopy(model, shared)


def _check(run: Run, entry: EngineEntry, loaded: "LoadedModel", measure: Callable[[], Verification]) -> None:
    """Refuse an engine that answers otherwise than the run."""
    how = f"engine {entry.name} {entry.version}"
    before = known(run, how, loaded)
    verification = before or compared(run, how, loaded, measure)
    if before is None:
        tell(entry.name, f"{verification.in_words()} than with torch")
    if verification.changed > (1 - AGREEMENT) * verification.texts + 1e-9 and verification.changed > 1:
        raise ModelError(
            f"--engine {entry.name}: {verification.in_words()} than with torch",
            hint=f"{AGREEMENT:.1%} must keep theirs; use --engine torch.",
        )
