"""Going on with an interrupted run: only with the same settings, data and base model; what differs is shown.

Example:
    need_same_config(run, config)
    # ConfigError: train.learning_rate: 0.001 now, 0.0005 when the run began
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from fintune.config.load import ConfigSource
from fintune.config.prepare import Prepared
from fintune.config.run_config import RunConfig
from fintune.errors import ConfigError, DataError, ModelError, RunError
from fintune.runs.files import MARK
from fintune.runs.manifest import flat
from fintune.runs.places import unfinished_of
from fintune.runs.run import Run, run_of
from fintune.runtime.environment import PACKAGES, describe, kernels
from fintune.runtime.progress import tell

_HINT = "Restore what differs, or begin anew with --overwrite."
_FREE = ("name", "output", "compare")
"""Settings of where the run stands (it may have been moved), and of what it is to be compared with."""
_ABSENT = "not set"
_T = TypeVar("_T")


def where_it_lies(source: ConfigSource, overrides: Sequence[str], config: RunConfig, *, resume: bool) -> RunConfig:
    """Return the config, with `resume` of the run in whose folder it lies, wherever that has been moved to, unless the place was given.

    Raises RunError for an interrupted run that was moved, without `resume`: a new one would be trained in its former place.
    """
    place = Path(source).expanduser().resolve() if isinstance(source, str | Path) else Path()
    here, target = Run(place.parent), run_of(config).folder.resolve()
    place_given = any(override.partition("=")[0].strip() in ("name", "output") for override in overrides)
    own = place.name == "config.yaml" and any((here.folder / name).is_file() for name in (MARK, "scores.json"))
    if not own or place_given or here.folder in (target, unfinished_of(target)):
        return config
    if resume and re.fullmatch(r"\w[\w.-]*", here.folder.name):
        return config.model_copy(update={"output": str(here.folder.parent), "name": here.folder.name})
    if resume or here.has_begun_training():
        raise RunError(
            f"{here.folder}: an interrupted run lies there, and its config would train another in {target}",
            hint=f"Go on with it: {here.command_to_resume()}. Or begin anew elsewhere: --set name=...",
        )
    return config


def need_same_config(run: Run, config: RunConfig) -> None:
    """Raise ConfigError with every setting that is not as it was when the run began."""
    then, now = (dict(flat(settings.model_dump())) for settings in (run.config(), config))
    changed = [
        f"{key}: {now.get(key, _ABSENT)} now, {then.get(key, _ABSENT)} when the run began"
        for key in sorted(then.keys() | now.keys())
        if key.split(".")[0] not in _FREE and then.get(key, _ABSENT) != now.get(key, _ABSENT)
    ]
    if changed:
        raise ConfigError(changed, hint=_HINT)


def need_same_data(run: Run, prepared: Prepared) -> None:
    """Raise DataError when a file or the split is not as it was."""
    data = run.data()
    then = {source["path"]: source for source in _need(run, "data.json", data.get("sources"), "sources")}
    for source in prepared.sources:
        before: Mapping[str, object] = then.get(source["path"], {})
        for what in ("sha256", "rows", "examples"):
            if before.get(what) != source[what]:
                raise DataError(
                    f"{source['path']}: changed since the run began: {what} {_short(source[what])} now, "
                    f"{_short(before.get(what, 'none'))} then",
                    hint=_HINT,
                )
    if data["fingerprint"] != prepared.splits.fingerprint:
        raise DataError(
            f"data: another split ({prepared.splits.fingerprint} now, {data['fingerprint']} then)", hint=_HINT
        )


def need_same_base(run: Run, base: str, sha256: str | None) -> None:
    """Raise ModelError when the weights or the tokenizer are not those the run began with; tell of other versions."""
    then = run.environment()
    if then.get("base_sha256") != sha256:
        raise ModelError(
            f"{base}: weights or tokenizer have changed since the run began: sha256 {_short(sha256)} now, "
            f"{_short(then.get('base_sha256'))} then",
            hint=_HINT,
        )
    if then.get("kernels") != kernels():
        tell("train", f"warning: kernels {kernels()} now, {then.get('kernels')} when the run began: bytes may differ")
    now = describe()
    if then.get("cpu_capability") != now["cpu_capability"]:
        tell("train", f"warning: {now['cpu_capability']} now, {then.get('cpu_capability')} then: bytes may differ")
    before = _need(run, "environment.json", then.get("packages"), "packages")
    for name in PACKAGES:
        if before.get(name) != now["packages"][name]:
            tell(
                "train",
                f"warning: {name} {now['packages'][name]} now, {before.get(name)} when the run began: bytes may differ",
            )


def threads_of(run: Run, config: RunConfig) -> int | None:
    """CPU threads the run has been trained with so far, or shall be; None: as torch finds."""
    if run.has_begun_training():
        return _need(run, "environment.json", run.environment().get("torch_threads"), "torch_threads")
    return config.train.fixed_threads


def _need(run: Run, file: str, content: _T | None, key: str) -> _T:
    if content is None:
        raise RunError(
            f"{run.folder / file}: damaged: no {key}", hint="Copy the run folder again, or begin anew with --overwrite."
        )
    return content


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else str(value)
