"""What `fintune compare --search` does: try settings of each method on the validation part, and write down the best.

Optuna's tree-structured Parzen estimator proposes (Bergstra et al. 2011), every proposal is an ordinary run under `runs/`, found
again by its hash. Each proposal's random numbers come from its own number, so a search that was interrupted, or is given more
trials, goes on as if it had never stopped. The test part is not looked at.

Example:
    search("run.yaml", settings=["learning_rate", "r"], trials=20).best[0].settings
    # {'train.learning_rate': 0.00071, 'method.r': 16}
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fintune.comparison.compare import folder_of
from fintune.comparison.jobs import FAILURES, finished_run
from fintune.comparison.planned_runs import comparison_config, config_for, digest, planned_runs
from fintune.comparison.space import Choice, Range, space
from fintune.config.compare import MethodEntry
from fintune.config.load import ConfigSource, dump, load
from fintune.config.prepare import Prepared, announce, prepare
from fintune.config.run_config import RunConfig
from fintune.errors import BrokenEnvironment, ConfigError, TrainingError, UsageError
from fintune.runtime.files import locked, need_place, write_atomically
from fintune.runtime.install import with_extra
from fintune.runtime.progress import tell
from fintune.tasks.lookup import metric_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best settings found for a row."""

    label: str
    settings: Mapping[str, Choice]
    metric: str
    """The task's first headline metric, by which the best epoch is chosen too."""
    score: float
    trials: int
    flags: str
    """The row as `--set` flags of fintune train."""


@dataclass(frozen=True)
class Search:
    """The best of each row, and the config that compares them."""

    config: Path
    best: list[Best]

    def record(self) -> dict[str, object]:
        """Return both as JSON, for programs."""
        return {"config": str(self.config), "best": [asdict(row) for row in self.best]}


def search(
    source: ConfigSource,
    overrides: Sequence[str] = (),
    *,
    settings: Sequence[str],
    methods: Sequence[str] | None = None,
    trials: int = 20,
) -> Search:
    """Search `settings` of each method (left out: those of the config's section compare, or its method); one seed.

    Raises UsageError when a setting cannot be searched, or the part is test; BrokenEnvironment when Optuna is not there.
    """
    config = _config(source, overrides, methods)
    prepared = prepare(config)
    folder = folder_of(prepared.config)
    spaces = {e.label: space(config_for(prepared.config, e, 0), settings) for e in config.compare.methods}
    planned_runs(prepared, {}, folder)
    need_place(folder / "best.yaml")
    announce(prepared)
    with locked(folder, hint="Wait until it ends, or choose another name: --set name=..."):
        best = [_search(prepared, e, spaces[e.label], trials, folder) for e in prepared.config.compare.methods]
        write_atomically(folder / "best.yaml", dump(_with_best(prepared.config, best)))
    return Search(folder / "best.yaml", best)


def _config(source: ConfigSource, overrides: Sequence[str], methods: Sequence[str] | None) -> RunConfig:
    if find_spec("optuna") is None:
        raise BrokenEnvironment("--search needs optuna, which is not installed", hint=with_extra("search"))
    config = load(source, overrides)
    if config.compare.part == "test":
        raise UsageError(
            "--search: settings are chosen on validation, not on test", hint="Leave compare.part as it is."
        )
    default = None if config.compare.methods else [config.method.name]
    return comparison_config(source, overrides, methods=methods or default, seeds=1, sizes=[])


def _search(prepared: Prepared, entry: MethodEntry, ranges: Sequence[Range], trials: int, folder: Path) -> Best:
    study = _study(prepared, entry, ranges, folder)
    _resume(study)
    while len(finished := _finished(study)) < trials:
        _try(study, prepared, entry, ranges, folder)
    scored = {trial.value: trial for trial in reversed(finished) if trial.value is not None}
    if not scored:
        raise TrainingError(
            f"{entry.label}: no trial came to a score", hint="Narrow it: --search learning_rate=1e-5:1e-3"
        )
    metric, gain = prepared.task.headline[0], max(scored)
    settings, score = scored[gain].user_attrs["settings"], metric_of(metric).gain(gain)
    flags = _flags(_changed(entry, settings))
    return Best(label=entry.label, settings=settings, metric=metric, score=score, trials=len(finished), flags=flags)


def _finished(study: "Study") -> "list[FrozenTrial]":
    """Return trials with a score, or with the reason why there is none."""
    return [trial for trial in study.trials if trial.value is not None or "reason" in trial.user_attrs]


def _resume(study: "Study") -> None:
    """Propose once more what a killed process was trying: its run is resumed."""
    from optuna.trial import TrialState

    for stale in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(stale.number, state=TrialState.FAIL)
        study.enqueue_trial(stale.params)


def _try(study: "Study", prepared: Prepared, entry: MethodEntry, ranges: Sequence[Range], folder: Path) -> None:
    import optuna

    study.sampler = optuna.samplers.TPESampler(seed=(prepared.config.train.seed + len(_finished(study))) % 2**32)
    trial = study.ask()
    settings = {each.key: each.suggest(trial) for each in ranges}
    trial.set_user_attr("settings", settings)
    shown = " · ".join(f"{key} {value}" for key, value in settings.items())
    try:
        planned = planned_runs(prepared, {}, folder, methods=[_changed(entry, settings)])[0]
        run = finished_run(planned.config, "validation")
    except (*FAILURES, ConfigError) as error:  # values that do not go together
        tell("search", f"{entry.label}, trial {trial.number + 1}: {shown}: {error.message}")
        trial.set_user_attr("reason", error.message)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return
    metric = metric_of(prepared.task.headline[0])
    score = run.scores()["validation"][metric.name].value
    study.tell(trial, metric.gain(score))
    tell("search", f"{entry.label}, trial {trial.number + 1}: {shown}: {metric.title} {metric.written(score)}")


def _changed(entry: MethodEntry, settings: Mapping[str, Choice]) -> MethodEntry:
    """Return the row with settings such as {"train.learning_rate": 0.001, "method.r": 16}."""
    own = {key.removeprefix("method."): value for key, value in settings.items() if key.startswith("method.")}
    train = {key.removeprefix("train."): value for key, value in settings.items() if key.startswith("train.")}
    return MethodEntry.model_validate(entry.model_dump() | own | {"train": entry.train | train})


def _flags(entry: MethodEntry) -> str:
    method = {"name": entry.name} | entry.options
    sections = {"method": method, "train": entry.train, "model": entry.model}
    settings = {f"{section}.{key}": value for section, own in sections.items() for key, value in own.items()}
    shown = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    return " ".join(f"--set {shlex.quote(f'{key}={value}')}" for key, value in shown.items())


def _study(prepared: Prepared, entry: MethodEntry, ranges: Sequence[Range], folder: Path) -> "Study":
    """Return the study of a row: another one when data, ranges or any other setting change."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    base = digest(config_for(prepared.config, entry, 0), f"{prepared.splits.fingerprint} {list(ranges)}")
    storage = JournalStorage(JournalFileBackend(str(folder / "search.journal")))
    return optuna.create_study(
        study_name=f"{entry.label}-{base}", storage=storage, direction="maximize", load_if_exists=True
    )


def _with_best(config: RunConfig, best: Sequence[Best]) -> RunConfig:
    """Return the config whose section compare holds the rows with their best settings."""
    settings = {row.label: row.settings for row in best}
    methods = [_changed(entry, settings[entry.label]) for entry in config.compare.methods]
    return config.with_(compare__methods=methods, compare__seeds=type(config.compare)().seeds)
