"""Section `evaluation`: what is scored after training, and beside what."""

from pydantic import Field, field_validator

from fintune.errors import did_you_mean
from fintune.runtime.settings import Section
from fintune.tasks.baselines import BASELINES, DEFAULT


class EvaluationSection(Section):
    """What is scored after training."""

    test: bool = Field(True, description="Score the test part. Turn off while choosing settings.")
    baselines: list[str] = Field(
        [*DEFAULT], description=f"Rows to compare with, those that go with the task: {' | '.join(BASELINES)}."
    )
    shots: int = Field(
        2,
        ge=1,
        le=64,
        description="Training examples of each label (of tasks without labels: in all) that few-shot shows the base model.",
    )
    forgetting: bool = Field(
        False,
        description="Measure how much the model forgot: its perplexity on general text before and after (causal).",
    )
    batch_size: int = Field(32, ge=1, le=65_536, description="Texts scored at a time.")
    resamples: int = Field(1000, ge=100, le=100_000, description="Bootstrap resamples.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Of the intervals.")

    @field_validator("baselines")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in BASELINES:
                raise ValueError(f"unknown baseline '{name}'. {did_you_mean(name, BASELINES)}")
        return names
