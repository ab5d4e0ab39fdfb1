"""The sections of a config as classes: every setting with its type, bounds, default and meaning.

To add a setting: a line in its section; `fintune init`, docs/config.md and the error messages follow.
"""

from pydantic import Field, SerializeAsAny, field_validator

from fintune.methods import MethodOptions
from fintune.sections.compare import CompareSection, MethodEntry
from fintune.sections.data import DataSection, SplitSection
from fintune.sections.evaluation import EvaluationSection
from fintune.sections.model import ModelSection
from fintune.sections.section import Section
from fintune.sections.train import TrainSection
from fintune.tasks import TaskOptions

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
