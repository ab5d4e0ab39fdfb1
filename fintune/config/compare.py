"""Section `compare`: the rows of a comparison."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from fintune.runtime.settings import Section


class MethodEntry(Section):
    """A row of a comparison: a method, what it is called there, and the settings in which it differs from the config."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    name: str
    label: str = Field("", max_length=40)
    train: dict[str, Any] = Field({})
    model: dict[str, Any] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, entry_or_name: object) -> object:
        entry = {"name": entry_or_name} if isinstance(entry_or_name, str) else entry_or_name
        return entry | {"label": entry.get("label") or entry.get("name")} if isinstance(entry, dict) else entry

    @property
    def options(self) -> dict[str, object]:
        """Settings of the method that are given here."""
        return dict(self.model_extra or {})


class CompareSection(Section):
    """What `fintune compare` runs."""

    methods: list[MethodEntry] = Field(
        [],
        description="Names, or {name: lora, label: lora-r16, r: 16, train: {learning_rate: 1e-4}}: a label and settings of its own.",
    )
    seeds: int = Field(3, ge=1, le=100, description="Runs of each method, with train.seed and those after it.")
    sizes: list[int] = Field(
        [], description="Sizes of the train part for a learning curve, beside the whole (data.split.train_examples)."
    )
    part: Literal["validation", "test"] = Field(
        "validation", description="Part the rows are compared on; test: once, when everything is chosen."
    )

    @field_validator("methods")
    @classmethod
    def _labels_differ(cls, methods: list[MethodEntry]) -> list[MethodEntry]:
        labels = [entry.label for entry in methods]
        if twice := [label for label in labels if labels.count(label) > 1]:
            raise ValueError(f"two rows are called '{twice[0]}': give one of them a label")
        return methods

    @field_validator("sizes")
    @classmethod
    def _rising(cls, sizes: list[int]) -> list[int]:
        return sorted(set(sizes))
