"""The sections of a config as classes: every setting with its type, bounds, default and meaning.

To add a setting: a line in its section; `fintune init`, docs/reference/config.md and the error messages follow.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, Field, SerializeAsAny, ValidationError, field_validator

from fintune.config.compare import CompareSection, MethodEntry
from fintune.config.evaluation import EvaluationSection
from fintune.config.train import TrainSection
from fintune.data.settings import DataSection, SplitSection
from fintune.errors import ConfigError
from fintune.methods import MethodOptions
from fintune.models.settings import ModelSection
from fintune.runtime.settings import Section
from fintune.tasks import Task, TaskOptions
from fintune.tasks.contract import built

__all__ = [
    "CompareSection",
    "DataSection",
    "EvaluationSection",
    "MethodEntry",
    "ModelSection",
    "RunConfig",
    "Section",
    "SplitSection",
    "TrainSection",
]

_Settings = TypeVar("_Settings", bound=BaseModel)


class RunConfig(Section):
    """A whole run; build it with `load` or `validate`, which know the registries."""

    name: str = Field("run", pattern=r"^\w[\w.-]*$", max_length=100, description="Name of the run folder.")

    @field_validator("name")
    @classmethod
    def _fits_a_file_system(cls, name: str) -> str:
        if len(name.encode()) > 200:
            raise ValueError("is longer than 200 bytes, too long for the name of a folder")
        return name

    output: str = Field("runs", description="Folder that holds run folders.")
    model: ModelSection
    data: DataSection
    task: SerializeAsAny[TaskOptions]
    method: SerializeAsAny[MethodOptions]
    train: TrainSection
    evaluation: EvaluationSection
    compare: CompareSection = CompareSection()

    def build_task(self) -> Task:
        """Return the task that section `task` names, with its options."""
        return built(self.task)

    def with_(self, **settings: object) -> Self:
        """Return the config with other settings, each section checked: `train__seed=1`, `data__split__train_examples=100`.

        What the registries decide (which settings a method has, a learning rate that is auto) is for `validate`. Raises ConfigError.
        """
        try:
            return _with(self, settings)
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError([f"{'.'.join(map(str, first['loc']))}: {first['msg']}"]) from None


def _with(section: _Settings, settings: Mapping[str, object]) -> _Settings:
    """Return the section with settings whose names lead into it by `__`; those of an inner section are changed together."""
    inner: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for path, value in settings.items():
        name, _, rest = path.partition("__")
        inner[name][rest] = value
    changed: dict[str, object] = {}
    for name, values in inner.items():
        base: Any = values.pop("") if "" in values else getattr(section, name)
        changed[name] = _with(base, values) if values else base
    return type(section).model_validate(dict(section) | changed)
