"""An adapter in the weights of its base model, in float32, with the answers that must come of it.

>>> whole = merged(Run.open("runs/phrasebank-lora"))
>>> whole.loaded.model, len(whole.expected)
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.inference.answer import predict
from fintune.inference.foreign import ForeignAdapter
from fintune.inference.load import engine, load_base_of
from fintune.inference.proof import scored_in_full, stored_answers
from fintune.methods import METHODS
from fintune.records import Prediction, Row
from fintune.runs.run import Run

if TYPE_CHECKING:
    from fintune.models import LoadedModel


@dataclass(frozen=True)
class Whole:
    """A model to be written."""

    loaded: "LoadedModel"
    expected: Sequence[Prediction]
    """on the run's validation texts: what the run stored where it was scored in these very weights; else what the adapter answers
    on the full base model in float32. On texts of the user's own where the adapter was trained elsewhere: what it answers itself"""
    sources: Sequence[Mapping[str, Any]]
    """the runs in it: name, weight, digest of the adapter, fingerprint and licenses of its data"""
    base_sha256: str | None


def merged(run: Run | ForeignAdapter) -> Whole:
    """Raises ModelError where the method cannot be merged, the base model is another one, or no weight changes."""
    config, method = run.config(), METHODS[run.config().method.name]
    method.need_mergeable(config.method)
    tuned, before = adapted(run)
    whole = method.merged(tuned.loaded.model, config.method)
    need_change(whole, before, f"{run.adapter}: the adapter changes")
    return replace(tuned, loaded=replace(tuned.loaded, model=whole))


def adapted(run: Run | ForeignAdapter) -> tuple[Whole, Mapping[str, int]]:
    """Return the base model with the adapter on it, and checksums of its own parameters before. Raises ModelError."""
    from fintune.methods.adapter import load_adapter

    if (lost := METHODS[run.config().method.name].only) is not None:
        raise ModelError(
            f"method.name: {run.config().method.name} starts as what {lost} rounds away, and has no place in the full weights",
            hint="Use the adapter, on the base model it was trained on.",
        )
    if isinstance(run, Run):
        stored_answers(run)  # a damaged run is refused before weights load
    base = load_base_of(run, device="cpu", dtype="float32", quantization="none")
    before = checksums(base.model)
    tuned = load_adapter(base, run.adapter)
    return Whole(tuned, _expected(run, tuned), [source(run)], base.sha256), before


def _expected(run: Run | ForeignAdapter, tuned: "LoadedModel") -> list[Prediction]:
    """See Whole."""
    if isinstance(run, ForeignAdapter):
        return answers(run.config(), tuned, run.texts())
    stored = stored_answers(run)
    return stored if scored_in_full(run) else answers(run.config(), tuned, stored)


def answers(config: RunConfig, loaded: "LoadedModel", texts: Sequence[Prediction] | Sequence[Row]) -> list[Prediction]:
    """Return what a model says to a run's validation texts, or to a user's own."""
    task = config.build_task()
    found, _ = predict(engine(config, loaded), task, [t.text for t in texts], [t.id for t in texts], stage="before")
    return [replace(p, gold=getattr(t, "gold", None)) for p, t in zip(found, texts, strict=True)]


def source(run: Run | ForeignAdapter, weight: float = 1.0) -> dict[str, Any]:
    """Return a run, or an adapter trained elsewhere, as a card and verification.json name it."""
    if isinstance(run, ForeignAdapter):
        unknown = {"data_fingerprint": "not known", "data": []}
        return {"run": run.folder.name, "weight": weight, "adapter_sha256": run.adapter_sha256(), **unknown}
    data = run.data()
    return {
        "run": run.config().name,
        "weight": weight,
        "adapter_sha256": run.adapter_sha256(),
        "data_fingerprint": data["fingerprint"],
        "data": [{"name": one["name"], "license": one["license"]} for one in data["sources"]],
    }


def need_change(model: Any, before: Mapping[str, int], what: str) -> None:
    """Raise ModelError when every parameter is as it was."""
    if checksums(model) == before:
        raise ModelError(f"{what} no weight", hint="Train it again with more steps, or give it more weight.")


def checksums(model: Any) -> dict[str, int]:
    """Of the bytes of each parameter: enough to see that it changed."""
    import torch

    return {n: zlib.crc32(p.detach().contiguous().view(torch.uint8).numpy()) for n, p in model.named_parameters()}
