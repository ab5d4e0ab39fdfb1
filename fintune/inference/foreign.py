"""An adapter trained elsewhere: its folder, the base model it is put on, and the task it is asked.

It has no stored answers, so nothing is claimed of it but what it answers itself: it is used unmerged.

Example:
    ForeignAdapter.open("adapter", base="Llama-2-7b-hf", task="sentiment").config().method.peft_type
    # 'LORA'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from fintune.config.load import unchecked, validate
from fintune.config.run_config import RunConfig
from fintune.data.readers.read import read
from fintune.data.reading import reading_like
from fintune.errors import ConfigError, DataError, ModelError, RunError, UsageError
from fintune.methods import fintune_format
from fintune.models.digests import file_sha256
from fintune.models.folder import need_readable, read_json
from fintune.models.peft_files import need_fit, peft_settings
from fintune.models.references import ADAPTER_CONFIG, at_hand, check_reference, local_path
from fintune.records import Row
from fintune.runs.files import weights_of
from fintune.tasks import TASKS


class Use(TypedDict, total=False):
    """What an adapter does not say itself."""

    base: str | None
    """The model it is put on."""
    task: str | Path | Mapping[str, object] | None
    """A task's name, a YAML file with a section `task` (and others), or that section."""
    overrides: Sequence[str]
    """Settings, each as section.key=value."""


class Proof(Use, total=False):
    """What it takes to merge or export an adapter."""

    data: str | None
    """File of texts on which what was made is compared with the adapter itself."""


@dataclass(frozen=True)
class ForeignAdapter:
    """An adapter's folder with what it takes to use it; see Run."""

    folder: Path
    settings: RunConfig
    proof: str | None = None
    """File of texts on which rebuilt weights are compared with the adapter itself."""

    @classmethod
    def open(cls, folder: str | Path, **use: Unpack[Use]) -> "ForeignAdapter":
        """Return an adapter for a base and a task. Raises ModelError when it cannot be used or does not fit, RunError without a task."""
        place = Path(folder).expanduser().absolute()
        method = _method(place)
        raw = _with_base(place, _settings(place, use))
        config = validate(raw | {"method": method})
        local = local_path(config.model.base)
        check_reference(config.model.base, config.model.device)
        if method["name"] == "peft":
            need_fit(place, read_json(place / ADAPTER_CONFIG), config.model.base)
        base = config.model.base if local is None else str(local.resolve())
        return cls(place, config.with_(model__base=base))

    @property
    def adapter(self) -> Path:
        """The folder itself."""
        return self.folder

    def config(self) -> RunConfig:
        """Return base and task as they were given, method as the adapter says, defaults elsewhere."""
        return self.settings

    def adapter_sha256(self) -> str:
        """Return the digest of the weights."""
        return file_sha256(weights_of(self.folder))

    def texts(self) -> list[Row]:
        """Return what lies in `proof`. Raises RunError without one, DataError when it holds no texts or none can be read."""
        if self.proof is None:
            raise RunError(
                f"{self.folder}: an adapter trained elsewhere has no stored answers, and nothing can be proved without texts",
                hint="Give a file of texts of the kind it is for: --data FILE",
            )
        how = reading_like(self.settings.data, self.settings.build_task(), self.proof, need_label=False)
        if not (rows := [row for row in read(self.proof, how) if row.text]):
            raise DataError(f"{self.proof}: no texts", hint="Give it some dozens at least.")
        return rows


def is_adapter(place: Path) -> bool:
    """Return whether a bare adapter lies there, and no run."""
    own = any((place / name).is_file() for name in (ADAPTER_CONFIG, fintune_format.SETTINGS))
    return own and not (place / "config.yaml").is_file()


def need_none(folder: str | Path, use: Mapping[str, object]) -> None:
    """Refuse what only an adapter takes, of something that says it itself. Raises UsageError."""
    flags = {"base": "--base", "task": "--task", "overrides": "--set", "data": "--data"}
    if flags_given := [flag for name, flag in flags.items() if use.get(name)]:
        raise UsageError(
            f"{flags_given[0]}: {folder} is no bare adapter, and says itself what it is used for",
            hint="Leave it out.",
        )


def _method(place: Path) -> dict[str, object]:
    """Return section `method`: of FinTune's own format as it was saved, else what PEFT makes of it."""
    if (place / fintune_format.SETTINGS).is_file():
        need_readable(weights_of(place))
        return dict(fintune_format.settings(place)["options"])
    return {"name": "peft", "peft_type": peft_settings(place)["peft_type"]}


def _settings(place: Path, use: Use) -> dict[str, object]:
    """Return the sections that were given. Raises RunError without a task, ConfigError for a file that cannot be read."""
    task, overrides = use.get("task"), use.get("overrides") or ()
    if isinstance(task, Mapping):
        sections: Path | dict[str, object] = {"task": dict(task)}
    elif str(task) in TASKS:
        sections = {"task": {"name": str(task)}}
    else:
        sections = {} if task is None else Path(task)
    raw: dict[str, object] = unchecked(sections, overrides)
    if not raw.get("task"):
        where = (
            f"{task}: no section task" if isinstance(sections, Path) else f"{place}: an adapter does not say its task"
        )
        raise RunError(
            where, hint="Give --task sentiment, --task FILE (YAML with a section task), or --set task.labels=[up,down]."
        )
    if use.get("base") is not None:
        raw["model"] = _section(raw, "model") | {"base": str(use["base"])}
    return raw


def _section(raw: Mapping[str, object], name: str) -> dict[str, object]:
    """Return a section as it was given. Raises ConfigError where a value stands in its place."""
    if not isinstance(section := raw.get(name) or {}, Mapping):
        raise ConfigError([f"{name}: holds settings, one a line, not a value"], hint="Mend it.")
    return dict(section)


def _with_base(place: Path, raw: dict[str, object]) -> dict[str, object]:
    """Return the sections with the base model that the adapter names, where none was given. Raises ModelError when that is not at hand."""
    model = _section(raw, "model")
    if "base" in model:
        return raw
    named = (
        read_json(place / ADAPTER_CONFIG).get("base_model_name_or_path") if (place / ADAPTER_CONFIG).is_file() else None
    )
    if not isinstance(named, str) or not named:
        raise ModelError(f"{place}: the adapter does not name its base model", hint="Name it: --base FOLDER.")
    if at_hand(named) is None:
        raise ModelError(
            f"{place}: the adapter was trained on '{named[:200]}', which is not at hand", hint="Name it: --base FOLDER."
        )
    return raw | {"model": model | {"base": named}}
