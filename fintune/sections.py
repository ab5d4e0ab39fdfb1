"""The sections of a config as classes: every setting with its type, bounds, default and meaning.

To add a setting: a line here; `fintune init`, docs/config.md and the error messages follow.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from fintune.baselines import BASELINES, DEFAULT
from fintune.data.cleanup import DROPS, FAULTS, LEAKS
from fintune.data.formats import FORMATS
from fintune.errors import did_you_mean
from fintune.methods import MethodOptions
from fintune.tasks import TaskOptions


class Section(BaseModel):
    """Base of the config's sections: unknown settings are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)


class ModelSection(Section):
    """The base model."""

    base: str = Field("embedded", description="embedded | embedded-seq2seq | folder | file.gguf | hub id")
    revision: str | None = Field(None, description="Commit or tag of a hub id; pin it for a reproducible run.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: bfloat16 on CUDA, else float32."
    )
    device: str = Field("auto", description="auto | cpu | cuda | cuda:1 | mps")
    quantization: Literal["none", "nf4", "int8"] = Field(
        "none", description="Hold the frozen base model in 4 bits (nf4) or 8 (int8); needs fintune[quantization]."
    )
    double_quantization: bool = Field(False, description="nf4: the scales are quantised too.")
    max_length: int = Field(
        256, ge=8, le=1_000_000, description="Tokens of prompt and answer; longer texts lose their middle."
    )

    @model_validator(mode="after")
    def _scales_of_4_bits(self) -> Self:
        if self.double_quantization and self.quantization != "nf4":
            raise ValueError(f"double_quantization: goes with quantization: nf4, not {self.quantization}")
        return self

    @property
    def quantized(self) -> bool:
        """Whether the base model is held in fewer bits."""
        return self.quantization != "none"


class SplitSection(Section):
    """How examples are divided."""

    by: Literal["near-duplicates", "stratified", "random", "group", "time"] = Field(
        "near-duplicates",
        description="near-duplicates (stay together, labels keep their share) | stratified | random | group | time (oldest to train).",
    )
    train: float = Field(0.7, gt=0, lt=1, description="Share to learn from.")
    validation: float = Field(0.1, gt=0, lt=1, description="Share by which the best epoch is chosen.")
    test: float = Field(0.2, gt=0, lt=1, description="Share scored once, at the end.")
    seed: int = Field(0, ge=0, lt=2**32, description="Another seed, another split.")
    folds: int = Field(0, ge=0, le=100, description="2 or more: what test leaves is cut into so many folds.")
    fold: int = Field(0, ge=0, description="The fold, from 0, that is validation; the others are train.")
    train_examples: int | None = Field(
        None,
        ge=2,
        description="Learn from so many of the train part only: labels keep their share, and of one seed the smaller lie within"
        " the larger; null: all.",
    )

    @property
    def fractions(self) -> dict[str, float]:
        """Shares by part, in order."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


class DataSection(Section):
    """The labelled text."""

    path: str | list[str] = Field(
        "builtin:headlines",
        description="A file, a glob, a list of them, builtin:headlines, a folder that datasets saved, or hf:owner/name@revision#split.",
    )
    validation: str | list[str] | None = Field(None, description="Files of the validation part, if it is given.")
    test: str | list[str] | None = Field(None, description="Files of the test part, if it is given.")
    format: str = Field("auto", description=f"auto | {' | '.join(FORMATS)}")
    encoding: str = Field("auto", description="auto: utf-8 where the file is, else what is found; phrasebank: latin-1.")
    delimiter: str = Field("auto", description="Of csv files; auto: found.")
    header: bool | None = Field(
        None, description="Whether a table begins with names; null: yes, unless columns are numbers."
    )
    text_column: str = Field("text", description="Column that holds the text; 1 is the first, -1 the last.")
    label_column: str = Field("label", description="Column that holds the label.")
    label_map: dict[str, str] = Field(
        {}, description="Label in the file: label of the task, for example {0: negative}."
    )
    date_column: str | None = Field(None, description="Column that holds a date.")
    date_format: str | list[str] | None = Field(None, description="Such as '%d/%m/%Y', or several; null: ISO 8601.")
    group_column: str | None = Field(
        None, description="Column whose value must not stand on two sides (split.by: group)."
    )
    drop: list[str] = Field(
        ["empty", "exact-duplicates"], description=f"Rows to leave out: {' | '.join([*FAULTS, *DROPS, LEAKS])}."
    )
    redact: list[Literal["email", "phone", "iban", "card", "national-id"]] = Field(
        [], description="Personal data to blot out: email | phone | iban | card | national-id; needs fintune[pii]."
    )
    licence: str | dict[str, str] | None = Field(
        None, description="Of the data; {file name: licence} where files differ."
    )
    commercial: bool = Field(
        False, description="true: refuse data whose licence forbids commercial use, or is not said."
    )
    split: SplitSection = SplitSection()

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "auto" and name not in FORMATS:
            raise ValueError(f"unknown format. {did_you_mean(name, ['auto', *FORMATS])}")
        return name

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, given: str) -> str:
        if given not in ("auto", "\\t") and len(given) != 1:
            raise ValueError("must be one character, \\t, or auto")
        return given

    @field_validator("drop")
    @classmethod
    def _droppable(cls, names: list[str]) -> list[str]:
        allowed = [*FAULTS, *DROPS, LEAKS]
        for name in names:
            if name not in allowed:
                raise ValueError(f"unknown kind of row '{name}'. {did_you_mean(name, allowed)}")
        return names

    @model_validator(mode="after")
    def _columns_of_the_split(self) -> Self:
        for by, column in (("group", self.group_column), ("time", self.date_column)):
            if self.split.by == by and column is None:
                raise ValueError(f"split.by: {by} needs data.{'group' if by == 'group' else 'date'}_column")
        columns = [self.text_column, self.label_column]
        if self.header is False and not all(column.lstrip("-").isdigit() for column in columns):
            raise ValueError("header: false needs columns by number, such as text_column: 1")
        if self.split.folds == 1 or self.split.fold >= max(1, self.split.folds):
            raise ValueError(f"split.fold: {self.split.fold} is not one of {self.split.folds} folds (2 or more)")
        if self.split.folds and self.validation is not None:
            raise ValueError("split.folds: validation is given, so there is nothing to fold")
        return self

    @property
    def paths(self) -> dict[str, list[str]]:
        """The files of each part; `train` alone when the rest is split off it."""
        named = {"train": self.path, "validation": self.validation, "test": self.test}
        return {part: [p] if isinstance(p, str) else p for part, p in named.items() if p is not None}


class TrainSection(Section):
    """How the adapter is trained."""

    epochs: int = Field(
        3, ge=1, le=1000, description="Passes over the training part; the best by validation macro-F1 is kept."
    )
    learning_rate: Literal["auto"] | float = Field(
        "auto",
        description="Peak learning rate; auto: the method's (fintune methods), written into the run's config.yaml.",
    )
    batch_size: Literal["auto"] | int = Field(
        16,
        description="Examples a step and device; auto: the smallest that is nearly the fastest, measured in seconds.",
    )
    micro_batch_tokens: int = Field(
        640,
        ge=1,
        description="A batch goes through the model in parts of at most so many tokens; bounds memory, changes no figure.",
    )
    gradient_accumulation_steps: int = Field(
        1, ge=1, le=65_536, description="Steps whose gradients are averaged over answer tokens."
    )
    warmup_ratio: float = Field(0.06, ge=0, lt=1, description="Share of steps in which the learning rate rises from 0.")
    lr_scheduler_type: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "linear", description="After the warm-up."
    )
    weight_decay: float = Field(0.0, ge=0, description="AdamW's.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    label_smoothing_factor: float = Field(
        0.0, ge=0, lt=1, description="Share of each target token that is spread over the vocabulary."
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare labels weigh more in the loss, in inverse proportion to their number."
    )
    sampling: Literal["plain", "balanced"] = Field(
        "plain", description="balanced: every epoch draws the same number of examples of each label."
    )
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better one; null: train all epochs."
    )
    logging_steps: int = Field(5, ge=1, description="A line of log.jsonl every so many steps.")
    save_steps: int = Field(
        50, ge=0, description="A checkpoint to resume from every so many steps, and after each epoch; 0: then only."
    )
    bf16: Literal["auto"] | bool = Field(
        "auto", description="Autocast to bfloat16 in training; auto: where a GPU holds the model in it."
    )
    objective: Literal["auto", "tokens", "candidates"] = Field(
        "tokens",
        description="What is learned and scored: tokens (the whole answer among all words) | candidates (the answers' first"
        " tokens among each other: faster, but the model no longer generates them); auto: candidates where these differ.",
    )
    trunk_cache: Literal["auto"] | bool = Field(
        "auto",
        description="Compute the frozen blocks below the lowest adapter once for each text and keep it in a file; auto: where"
        " that changes no figure.",
    )
    trunk_cache_dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="What it is computed and kept in; bfloat16: half as large, twice as fast where the CPU multiplies in it.",
    )
    trunk_cache_gb: float = Field(
        20.0,
        gt=0,
        description="Most that such files may take (in FINTUNE_TRUNK_CACHE, or the cache folder's trunk); old ones go first.",
    )
    lean: bool = Field(
        True, description="Compute LoRA layers that read one input together: less work, the same numbers."
    )
    compile: bool = Field(
        False, description="torch.compile: faster on a GPU after minutes of compiling; untested on one here."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations again instead of keeping them: less memory, about a third slower."
    )
    threads: Literal["auto"] | int = Field(
        "auto",
        description="CPU threads, fixed for the whole run; auto: the fastest number, measured once on a machine.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Adapter initialisation, order of batches, dropout.")

    @model_validator(mode="after")
    def _balanced_once(self) -> Self:
        if self.class_weights == self.sampling == "balanced":
            raise ValueError("class_weights and sampling both balance the labels: choose one")
        return self

    report_to: list[Literal["mlflow", "tensorboard"]] = Field(
        [], description="Send the log there too: mlflow | tensorboard; needs the extra of that name."
    )

    @property
    def fixed_threads(self) -> int | None:
        """The number that was asked for; None for auto."""
        return None if self.threads == "auto" else self.threads

    @field_validator("batch_size")
    @classmethod
    def _some_examples(cls, given: str | int) -> str | int:
        if isinstance(given, int) and not 1 <= given <= 65_536:
            raise ValueError("must be auto, or 1 to 65,536")
        return given

    @field_validator("learning_rate")
    @classmethod
    def _some_rate(cls, given: str | float) -> str | float:
        if isinstance(given, float) and given < 0:
            raise ValueError("must be auto, or 0 or more")
        return given

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate, once it is a number."""
        if self.learning_rate == "auto":
            raise ValueError("train.learning_rate: auto has not been resolved yet")
        return self.learning_rate

    @property
    def examples_a_step(self) -> int:
        """The batch size, once it is a number."""
        if self.batch_size == "auto":
            raise ValueError("train.batch_size: auto has not been resolved yet")
        return self.batch_size

    @field_validator("threads")
    @classmethod
    def _some_threads(cls, given: str | int) -> str | int:
        if isinstance(given, int) and not 1 <= given <= 1024:
            raise ValueError("must be auto, or 1 to 1024")
        return given


class EvaluationSection(Section):
    """What is scored after training."""

    test: bool = Field(True, description="Score the test part. Turn off while choosing settings.")
    baselines: list[str] = Field(
        [*DEFAULT], description=f"Rows to compare with, in the same table: {' | '.join(BASELINES)}."
    )
    shots: int = Field(
        2, ge=1, le=64, description="Training examples of each label that few-shot shows the base model."
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


class MethodEntry(Section):
    """A row of a comparison: a method, what it is called there, and the settings in which it differs from the config."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    name: str
    label: str = Field("", max_length=40)
    train: dict[str, Any] = {}
    model: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: object) -> object:
        entry = {"name": given} if isinstance(given, str) else given
        return entry | {"label": entry.get("label") or entry.get("name")} if isinstance(entry, dict) else entry

    @property
    def options(self) -> dict[str, Any]:
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
