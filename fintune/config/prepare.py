"""A config found sound before any weight loads: its model, method, packages and data.

A mistake in config or data costs seconds, not minutes.

Example:
    prepared = prepare(load("run.yaml"))
    prepared.report.exact_duplicates
    # 5
"""

from dataclasses import dataclass, fields
from importlib.util import find_spec

from fintune.config.across import sentiment_of_none
from fintune.config.automatic import resolved
from fintune.config.paths import absolute
from fintune.config.run_config import RunConfig
from fintune.data.prepare import Dataset
from fintune.data.prepare import announce as announce_data
from fintune.data.prepare import prepare as prepare_data
from fintune.data.quality.report import DataReport
from fintune.data.quality.scant import scant
from fintune.errors import BrokenEnvironment, ConfigError, ModelError
from fintune.methods import METHODS
from fintune.models import check_reference
from fintune.models.prompts import Kind
from fintune.models.references import kind_at_hand, positions_at_hand
from fintune.records import Statement, strata
from fintune.runtime.install import with_extra
from fintune.runtime.progress import tell
from fintune.tasks.baselines import BASELINES, DEFAULT


@dataclass(frozen=True, kw_only=True)
class Prepared(Dataset):
    """A config whose model, method, packages and data have been found sound, and its data."""

    config: RunConfig


def prepare(config: RunConfig) -> Prepared:
    """Check the model's reference, read, check and split the data. Raises ModelError, DataError; loads no weights."""
    _need_packages(config)
    check_reference(config.model.base, config.model.device)
    need_fit(config, kind_at_hand(config.model.base))
    need_positions(config, positions_at_hand(config.model.base))
    dataset = prepare_data(config.data, config.build_task())
    _need_labels_to_balance(config, dataset)
    config = absolute(resolved(config, dataset))
    return Prepared(config=config, **{field.name: getattr(dataset, field.name) for field in fields(dataset)})


def _need_labels_to_balance(config: RunConfig, dataset: Dataset) -> None:
    if not strata(dataset.splits["train"]) and (problem := balanced_without_labels(config)):
        raise ConfigError([problem], hint="Leave it out.")


def balanced_without_labels(config: RunConfig) -> str | None:
    """Return what a task without labels refuses of a config; None where nothing is balanced."""
    train = config.train
    asked = [name for name in ("class_weights", "sampling") if getattr(train, name) in ("balanced", "sqrt")]
    return (
        f"train.{asked[0]}: {getattr(train, asked[0])} needs labels, and task {config.task.name} has none"
        if asked
        else None
    )


def announce(prepared: Prepared) -> None:
    """Tell whoever listens what the data hold, and which baselines are left out."""
    announce_data(prepared, prepared.config.data)
    for statement in scant_in(prepared.config, prepared.report):
        tell("data", statement.text)
    if (remark := sentiment_of_none(prepared.config.task)) is not None:
        tell("task", f"warning: {remark}")
    for name in prepared.config.evaluation.baselines:
        baseline = BASELINES[name]
        asked = "baselines" in prepared.config.evaluation.model_fields_set
        unasked = not asked and name in DEFAULT and prepared.task.kind not in baseline.kinds
        if (reason := baseline.left_out(prepared.task)) and not unasked:
            tell("baselines", f"left out: {reason}")


def scant_in(config: RunConfig, report: DataReport) -> list[Statement]:
    """Return what the parts of a config's data have too little of."""
    labels = report.parts.get("train", {}) if config.build_task().kind == "labels" else {}
    return scant(labels, validation=report.sizes.get("validation", 0), choosing=config.train.epochs != 1)


def need_fit(config: RunConfig, kind: Kind | None) -> None:
    """Refuse a method that does not go with the base model, of the kind as far as that is known. Raises ModelError."""
    checkpointing = config.train.gradient_checkpointing
    METHODS[config.method.name].need_fit(config.method, kind, config.model.quantization, checkpointing=checkpointing)


def need_positions(config: RunConfig, positions: int | None) -> None:
    """Refuse texts longer than the base model can read, its number of positions as far as that is known. Raises ModelError."""
    length, virtual = config.model.max_length, config.method.tokens_before()
    written = config.model.max_new_tokens if config.build_task().choices() is None else 0
    if positions is not None and length + virtual + written > positions:
        more = f" and {virtual} virtual tokens" if virtual else ""
        more += f" and {written} of a written answer (model.max_new_tokens)" if written else ""
        raise ModelError(
            f"model.max_length: {length}{more}, and the model reads {positions} tokens at most",
            hint=f"Use --set model.max_length={max(8, positions - virtual - written)}{', or fewer virtual tokens' if virtual else ''}.",
        )


def _need_packages(config: RunConfig) -> None:
    """Find a missing extra now, not after the weights have loaded."""
    for package in config.train.report_to:
        if find_spec(package) is None:
            raise BrokenEnvironment(
                f"train.report_to: {package} is not installed",
                hint=f"{with_extra(package)}, or leave it out.",
            )
    if config.model.quantized and find_spec("bitsandbytes") is None:
        raise BrokenEnvironment(
            "model.quantization: bitsandbytes is not installed",
            hint=f"{with_extra('quantization')}, or leave it out.",
        )
    for entry in (BASELINES[name] for name in config.evaluation.baselines):
        if entry.package is not None and find_spec(entry.package) is None:
            raise BrokenEnvironment(
                f"evaluation.baselines: {entry.name} needs {entry.package}, which is not installed",
                hint=f"{with_extra(entry.extra or '')}, or leave it out.",
            )
