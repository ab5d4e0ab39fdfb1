"""Which runs a comparison needs: method x seed x size of the train part, each a whole config of its own.

Everything that can be wrong with them is found here, before any weight is loaded.

>>> [attempt.config.name for attempt in attempts(prepared, {}, Path("runs/phrasebank-compare"))]
['lora-seed0-5f0c31aa', 'ia3-seed0-c9d2b7e4', 'lora-seed1-...', ...]
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
from fintune.config.compare import MethodEntry
from fintune.config.load import unchecked, validate
from fintune.config.prepare import Prepared, prepare
from fintune.config.run_config import RunConfig
from fintune.errors import ConfigError, DataError, UsageError, did_you_mean
from fintune.evaluation.verdict import MAJORITY
from fintune.methods import METHODS
from fintune.runs.run import Run
from fintune.tasks.baselines import BASELINES

_SAME_FOR_ALL = {"train": ("epochs", "seed"), "model": ("base", "revision")}
"""settings that a row may not have to itself: its budget, its base model, and what the comparison sets"""
_PLACE = ("name", "output", "compare")
_SCORING = {"test", "baselines", "resamples", "confidence", "batch_size"}
"""settings that change nothing about what is trained"""


@dataclass(frozen=True)
class Attempt:
    """One run of a comparison; `size` is None for the whole train part."""

    label: str
    seed: int
    size: int | None
    config: RunConfig


def asked(
    source: str | Path | Mapping[str, Any] | RunConfig,
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
    written = unchecked(source, overrides)
    raw = validate(written).model_dump()
    described = {entry["label"]: entry for entry in raw["compare"]["methods"]}
    given: dict[str, Any] = {"seeds": seeds, "sizes": sizes, "part": part}
    if methods is not None:
        given["methods"] = [described.get(name, {"name": name}) for name in methods]
    raw["compare"] |= {key: value for key, value in given.items() if value is not None}
    if (written.get("train") or {}).get("learning_rate", "auto") == "auto":
        for entry in raw["compare"]["methods"]:
            entry["train"] = {"learning_rate": "auto"} | entry.get("train", {})
    found = validate(raw)
    if not found.compare.methods:
        raise UsageError("no method to compare", hint=f"Name some: --methods {','.join([*METHODS][:3])}")
    for entry in found.compare.methods:
        if entry.name not in METHODS:
            names = [*METHODS, *(label for label, one in described.items() if one["name"] in METHODS)]
            raise ConfigError(
                [f"compare.methods: unknown method '{entry.name}'. {did_you_mean(entry.name, names)}"],
                hint="All methods: fintune methods.",
            )
    return found


def judged_fully(config: RunConfig, written: Mapping[str, Any]) -> RunConfig:
    """With every challenger at hand, and forgetting, where what was written does not say otherwise."""
    there = [e.name for e in BASELINES.values() if e.package is None or find_spec(e.package) is not None]
    everything = {"baselines": there, "forgetting": True}
    own = written.get("evaluation") or {}
    more = {key: value for key, value in everything.items() if key not in own}
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update=more)})


def attempts(prepared: Prepared, sized: Mapping[int, Prepared], folder: Path) -> list[Attempt]:
    """Every run, those on the whole train part first and seed by seed, so that a table of all rows is there early.

    `sized` is the same data with smaller train parts. Raises ConfigError with all that is wrong with any row.
    """
    entries, seeds = prepared.config.compare.methods, range(prepared.config.compare.seeds)
    _need_right(prepared.config, entries)
    wanted: list[tuple[int | None, Prepared]] = [(None, prepared), *sorted(sized.items(), reverse=True)]
    return [
        Attempt(entry.label, seed, size, _placed(prepared.config, entry, (seed, size), of.splits.fingerprint, folder))
        for size, of in wanted
        for seed in seeds
        for entry in entries
    ]


def _need_right(config: RunConfig, entries: Sequence[MethodEntry]) -> None:
    problems: list[str] = []
    for entry in entries:
        if entry.label in (*config.evaluation.baselines, MAJORITY):
            problems.append(f"compare.methods: '{entry.label}' is what a challenger is called: give the row a label")
        try:
            config_for(config, entry, 0)
        except ConfigError as error:
            problems += [f"compare.methods, {entry.label}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems, hint="Settings of each method: docs/methods.md.")


def of_size(prepared: Prepared, size: int) -> Prepared:
    """Return the same with a smaller train part. Raises DataError when there are not so many."""
    there = len(prepared.splits["train"])
    if not 2 <= size <= there:
        raise DataError(
            f"compare.sizes: {size:,} of a train part of {there:,}", hint=f"Give sizes from 2 to {there:,}."
        )
    raw = prepared.config.model_dump()
    raw["data"]["split"]["train_examples"] = size
    return prepare(validate(raw))


def config_for(config: RunConfig, entry: MethodEntry, seed: int, size: int | None = None) -> RunConfig:
    """Return the config of a row's run. Raises ConfigError when the row's own settings are wrong."""
    own = {"train": entry.train, "model": entry.model}
    shared = [
        f"{s}.{key}: is the same for all rows" for s, keys in _SAME_FOR_ALL.items() for key in keys if key in own[s]
    ]
    if shared:
        raise ConfigError(shared, hint="Set it in the config's own section.")
    raw = config.model_dump()
    base = raw["method"] if entry.name == config.method.name else {"name": entry.name}
    raw["method"] = base | entry.options
    raw["model"] |= dict(entry.model)
    raw["train"] |= dict(entry.train) | {"seed": (config.train.seed + seed) % 2**32}
    raw["evaluation"] |= {"test": config.compare.part == "test", "baselines": []}
    raw["compare"] = {}
    if size is not None:
        raw["data"]["split"]["train_examples"] = size
    return validate(raw)


def digest(config: RunConfig, fingerprint: str, without: Sequence[str] = ()) -> str:
    """8 hex digits that change with the data and with every setting that a run's adapter depends on."""
    settings: dict[str, Any] = config.model_dump(exclude={*_PLACE, *without})
    settings["evaluation"] = {key: value for key, value in settings["evaluation"].items() if key not in _SCORING}
    code = plugins.digest_of(method=config.method.name, task=config.task.name)
    content = json.dumps([_sorted(settings), fingerprint, *code], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def _placed(
    base: RunConfig, entry: MethodEntry, run: tuple[int, int | None], fingerprint: str, folder: Path
) -> RunConfig:
    """Return the config of a run `(seed, size)` with its place, which bears the hash: that of a finished one whatever its label was."""
    config = config_for(base, entry, *run)
    plain, size = re.sub(r"[^A-Za-z0-9_-]", "_", entry.label).lstrip("-") or "row", f"n{run[1]}-" if run[1] else ""
    found = digest(config, fingerprint)
    same = (
        run.name
        for run in sorted((folder / "runs").glob(f"*-seed{config.train.seed}-{found}"))
        if Run(run).is_finished()
    )
    name = next(same, f"{plain}-{size}seed{config.train.seed}-{found}")
    return config.model_copy(update={"name": name, "output": str(folder / "runs")})


def _sorted(value: Any) -> Any:
    return {str(key): _sorted(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
