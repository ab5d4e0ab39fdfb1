"""Which runs a comparison needs: method x seed x size of the train part, each a whole config of its own.

Everything that can be wrong with them is found here, before any weight is loaded.

Runs are named by method, seed and a hash of their settings and data: lora-seed0-5f0c31aa, ia3-seed0-c9d2b7e4, lora-seed1-...
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fintune.config import plugins
from fintune.config.compare import CompareSection, MethodEntry
from fintune.config.load import ConfigSource, unchecked, validate
from fintune.config.prepare import Prepared, prepare
from fintune.config.run_config import RunConfig
from fintune.errors import ConfigError, DataError, UsageError, did_you_mean
from fintune.methods import METHODS
from fintune.runs.run import Run
from fintune.tasks.baselines import BASELINES, is_floor

_SAME_FOR_ALL = {"train": ("epochs", "seed"), "model": ("base", "revision")}
"""Settings that a row may not have to itself: its budget, its base model, and what the comparison sets."""
_PLACE = ("name", "output", "compare")
"""Settings that say where a run stands, and beside which."""
_SCORING = {"test", "baselines", "resamples", "confidence", "batch_size"}
"""Settings that change nothing about what is trained."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a comparison; `size` is None for the whole train part."""

    label: str
    seed: int
    size: int | None
    config: RunConfig


def comparison_config(
    source: ConfigSource,
    overrides: Sequence[str] = (),
    *,
    methods: Sequence[str] | None = None,
    seeds: int | None = None,
    sizes: Sequence[int] | None = None,
    part: str | None = None,
) -> RunConfig:
    """Return the config with what the command line says of its section `compare`; a method that is labeled there keeps its settings.

    Where train.learning_rate is auto, each row has its method's own. Raises UsageError when no method is named, ConfigError when
    one is unknown.
    """
    written: dict[str, Any] = unchecked(source, overrides)
    described = {entry.label: entry.model_dump() for entry in validate(written).compare.methods}
    rows = [*described.values()] if methods is None else [described.get(name, {"name": name}) for name in methods]
    if (written.get("train") or {}).get("learning_rate", "auto") == "auto":
        rows = [row | {"train": {"learning_rate": "auto"} | row.get("train", {})} for row in rows]
    options = {"methods": rows, "seeds": seeds, "sizes": sizes, "part": part}
    chosen = {name: option for name, option in options.items() if option is not None}
    config = validate({**written, "compare": {**(written.get("compare") or {}), **chosen}})
    if not config.compare.methods:
        raise UsageError("no method to compare", hint=f"Name some: --methods {','.join([*METHODS][:3])}")
    for entry in config.compare.methods:
        if entry.name not in METHODS:
            names = [*METHODS, *(label for label, row in described.items() if row["name"] in METHODS)]
            raise ConfigError(
                [f"compare.methods: unknown method '{entry.name}'. {did_you_mean(entry.name, names)}"],
                hint="All methods: fintune methods.",
            )
    return config


def with_all_baselines(config: RunConfig, written: Mapping[str, object]) -> RunConfig:
    """Return the config with every installed baseline, and forgetting measured, where what was written does not say otherwise."""
    installed = [b.name for b in BASELINES.values() if b.package is None or find_spec(b.package) is not None]
    everything = {"baselines": installed, "forgetting": True}
    section = written.get("evaluation")
    own = section if isinstance(section, Mapping) else {}
    return config.with_(**{f"evaluation__{key}": value for key, value in everything.items() if key not in own})


def planned_runs(
    prepared: Prepared,
    sized: Mapping[int, Prepared],
    folder: Path,
    *,
    methods: Sequence[MethodEntry] | None = None,
) -> list[PlannedRun]:
    """Return every run, those on the whole train part first and seed by seed, so that a table of all rows is there early.

    `sized` is the same data with smaller train parts; `methods` are other rows than those of the config. Raises ConfigError with
    all that is wrong with any row.
    """
    config = prepared.config
    entries = config.compare.methods if methods is None else methods
    _check_rows(config, entries)
    parts: list[tuple[int | None, Prepared]] = [(None, prepared), *sorted(sized.items(), reverse=True)]
    return [
        PlannedRun(
            label=entry.label,
            seed=seed,
            size=size,
            config=_placed(config_for(config, entry, seed, size), entry, size, part.splits.fingerprint, folder),
        )
        for size, part in parts
        for seed in range(config.compare.seeds)
        for entry in entries
    ]


def _check_rows(config: RunConfig, entries: Sequence[MethodEntry]) -> None:
    problems: list[str] = []
    for entry in entries:
        if entry.label in config.evaluation.baselines or is_floor(entry.label):
            problems.append(f"compare.methods: '{entry.label}' is what a baseline is called: give the row a label")
        try:
            config_for(config, entry, 0)
        except ConfigError as error:
            problems += [f"compare.methods, {entry.label}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems, hint="Settings of each method: docs/reference/methods.md.")


def with_train_size(prepared: Prepared, size: int) -> Prepared:
    """Return the same with a smaller train part. Raises DataError when there are not so many examples."""
    available = len(prepared.splits["train"])
    if not 2 <= size <= available:
        raise DataError(
            f"compare.sizes: {size:,} of a train part of {available:,}", hint=f"Give sizes from 2 to {available:,}."
        )
    return prepare(prepared.config.with_(data__split__train_examples=size))


def config_for(config: RunConfig, entry: MethodEntry, seed: int, size: int | None = None) -> RunConfig:
    """Return the config of a row's run. Raises ConfigError when the row's own settings are wrong."""
    own = {"train": entry.train, "model": entry.model}
    shared = [
        f"{s}.{key}: is the same for all rows" for s, keys in _SAME_FOR_ALL.items() for key in keys if key in own[s]
    ]
    if shared:
        raise ConfigError(shared, hint="Set it in the config's own section.")
    raw = config.model_dump()
    method = raw["method"] if entry.name == config.method.name else {"name": entry.name}
    row = validate(
        raw
        | {"method": method | entry.options, "model": raw["model"] | entry.model, "train": raw["train"] | entry.train}
    )
    row = row if size is None else row.with_(data__split__train_examples=size)
    return row.with_(
        train__seed=(config.train.seed + seed) % 2**32,
        evaluation__test=config.compare.part == "test",
        evaluation__baselines=[],
        compare=CompareSection(),
    )


def digest(config: RunConfig, fingerprint: str, without: Sequence[str] = ()) -> str:
    """Return 8 hex digits that change with the data and with every setting that a run's adapter depends on."""
    settings: dict[str, Any] = config.model_dump(exclude={*_PLACE, *without})
    settings["evaluation"] = {key: value for key, value in settings["evaluation"].items() if key not in _SCORING}
    code = plugins.digest_of(method=config.method.name, task=config.task.name)
    content = json.dumps([_sorted(settings), fingerprint, *code], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def _placed(config: RunConfig, entry: MethodEntry, size: int | None, fingerprint: str, folder: Path) -> RunConfig:
    """Return the config of a run with its place, which bears the hash: that of a finished one whatever its label was."""
    label, part = re.sub(r"[^A-Za-z0-9_-]", "_", entry.label).lstrip("-") or "row", f"n{size}-" if size else ""
    tail = f"seed{config.train.seed}-{digest(config, fingerprint)}"
    finished = (run.name for run in sorted((folder / "runs").glob(f"*-{tail}")) if Run(run).is_finished())
    return config.with_(name=next(finished, f"{label}-{part}{tail}"), output=str(folder / "runs"))


def _sorted(value: object) -> object:
    return {str(key): _sorted(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
