"""An adapter in the weights of its base model, in float32, with the answers that must come of it.

Example:
    model = merged(Run.open("runs/phrasebank-lora"))
    model.loaded.model, len(model.expected.answers)
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.inference.answer import predict
from fintune.inference.foreign import ForeignAdapter
from fintune.inference.load import engine, load_base_of
from fintune.inference.proof import scored_in_full, stored_answers
from fintune.methods import METHODS
from fintune.records import Example, Prediction
from fintune.runs.export_schema import LicensedSource, RunInExport
from fintune.runs.run import Run

if TYPE_CHECKING:
    from torch import nn

    from fintune.models import LoadedModel


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What must come of a model that is written, and what it is made of."""

    answers: Sequence[Prediction]
    """Answers to the run's validation texts: what the run stored where it was scored in these very weights; else what the adapter answers
    on the full base model in float32. On texts of the user's own where the adapter was trained elsewhere: what it answers itself."""
    sources: Sequence[RunInExport]
    """The runs in it: name, weight, digest of the adapter, fingerprint and licenses of its data."""
    base_sha256: str | None

    @property
    def of_one(self) -> bool:
        """Whether it is made of one run alone."""
        return len(self.sources) == 1


@dataclass(frozen=True, kw_only=True)
class ModelToWrite:
    """A model to be written, in memory."""

    loaded: "LoadedModel"
    expected: Expected


def merged(run: Run | ForeignAdapter) -> ModelToWrite:
    """Return a run's adapter in the weights of its base model.

    Raises ModelError where the method cannot be merged, the base model is another one, or no weight changes.
    """
    config, method = run.config(), METHODS[run.config().method.name]
    method.need_mergeable(config.method)
    tuned, before = adapted(run)
    model = method.merged(tuned.loaded.model, config.method)
    need_change(model, before, f"{run.adapter}: the adapter changes")
    return replace(tuned, loaded=replace(tuned.loaded, model=model))


def adapted(run: Run | ForeignAdapter) -> tuple[ModelToWrite, Mapping[str, int]]:
    """Return the base model with the adapter on it, and checksums of its own parameters before. Raises ModelError."""
    from fintune.methods.adapter import load_adapter

    if (lost := METHODS[run.config().method.name].only) is not None:
        raise ModelError(
            f"method.name: {run.config().method.name} starts as what {lost} rounds away, and has no place in the full weights",
            hint="Use the adapter, on the base model it was trained on.",
        )
    if isinstance(run, Run):
        stored_answers(run)  # a damaged run is refused before weights load
    base = load_base_of(run, device="cpu", in_full=True)
    before = checksums(base.model)
    tuned = load_adapter(base, run.adapter)
    expected = Expected(answers=_expected(run, tuned), sources=[source(run)], base_sha256=base.sha256)
    return ModelToWrite(loaded=tuned, expected=expected), before


def _expected(run: Run | ForeignAdapter, tuned: "LoadedModel") -> list[Prediction]:
    """Return the answers that Expected holds."""
    if isinstance(run, ForeignAdapter):
        return answers(run.config(), tuned, [Example(row.id, row.fields, None) for row in run.texts()])
    stored = stored_answers(run)
    return stored if scored_in_full(run) else answers(run.config(), tuned, [p.example for p in stored])


def answers(config: RunConfig, loaded: "LoadedModel", examples: Sequence[Example]) -> list[Prediction]:
    """Return what a model says to a run's validation texts, or to a user's own."""
    return predict(engine(config, loaded), config.build_task(), examples, stage="before").predictions


def source(run: Run | ForeignAdapter, weight: float = 1.0) -> RunInExport:
    """Return a run, or an adapter trained elsewhere, as a card and verification.json name it."""
    if isinstance(run, ForeignAdapter):
        name, fingerprint, data = run.folder.name, "not known", list[LicensedSource]()
    else:
        name, fingerprint = run.config().name, run.data()["fingerprint"]
        data = [{"name": one["name"], "license": one["license"]} for one in run.data()["sources"]]
    return {
        "run": name,
        "weight": weight,
        "adapter_sha256": run.adapter_sha256(),
        "data_fingerprint": fingerprint,
        "data": data,
    }


def need_change(model: "nn.Module", before: Mapping[str, int], what: str) -> None:
    """Raise ModelError when every parameter is as it was."""
    if checksums(model) == before:
        raise ModelError(f"{what} no weight", hint="Train it again with more steps, or give it more weight.")


def checksums(model: "nn.Module") -> dict[str, int]:
    """Return a checksum of the bytes of each parameter: enough to see that it changed."""
    import torch

    return {n: zlib.crc32(p.detach().contiguous().view(torch.uint8).numpy().data) for n, p in model.named_parameters()}
