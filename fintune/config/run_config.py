"""The sections of a config as classes: every setting with its type, bounds, default and meaning.

To add a setting: a line in its section; `fintune init`, docs/reference/config.md and the error messages follow.
"""

from pydantic import Field, SerializeAsAny, field_validator

from fintune.config.compare import CompareSection, MethodEntry
from fintune.config.evaluation import EvaluationSection
from fintune.config.train import TrainSection
from fintune.data.settings import DataSection, SplitSection
from fintune.methods import MethodOptions
from fintune.models.settings import ModelSection
from fintune.runtime.settings import Section
from fintune.tasks import TASKS, Task, TaskOptions

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
        return TASKS[self.task.name].build(self.task)
