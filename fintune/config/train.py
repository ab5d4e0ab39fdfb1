"""Section `train`: how the adapter is trained."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from fintune.runtime.settings import Section
from fintune.tasks.label_weights import Weighting


class TrainSection(Section):
    """How the adapter is trained."""

    epochs: Literal["auto"] | int = Field(
        "auto",
        description="Passes over the training part, of which the best on validation is kept (train.keep); auto: by its size.",
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
    class_weights: Weighting = Field(
        "none",
        description="Rare labels weigh more in the loss: balanced in inverse proportion to their number, sqrt to the root of it.",
    )
    sampling: Literal["plain", "balanced"] = Field(
        "plain", description="balanced: every epoch draws the same number of examples of each label."
    )
    hard_example_ratio: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the training part that epochs after the first go through: the examples of highest loss when last"
        " learned, in smaller batches, as many as in the first.",
    )
    keep: Literal["one-standard-error", "best"] | int = Field(
        "one-standard-error",
        description="Epoch to keep: the latest within one standard error of the best on validation | the best | one by its number,"
        " whatever validation says.",
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
        description="CPU threads, fixed for the whole run; auto: the fastest number, measured on a quiet machine and"
        " remembered; to measure it again, remove threads.json from the cache folder.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Adapter initialization, order of batches, dropout.")

    @model_validator(mode="after")
    def _balanced_once(self) -> Self:
        if self.sampling == "balanced" and self.class_weights in ("balanced", "sqrt"):
            raise ValueError("class_weights and sampling both balance the labels: choose one")
        if self.sampling == "balanced" and self.hard_example_ratio < 1:
            raise ValueError("sampling draws by label and hard_example_ratio by loss: choose one")
        return self

    @model_validator(mode="after")
    def _kept_is_trained(self) -> Self:
        if isinstance(self.keep, int) and (self.keep < 1 or (self.epochs != "auto" and self.keep > self.epochs)):
            raise ValueError(f"keep: {self.keep} is none of the epochs 1 to {self.epochs}")
        return self

    report_to: list[Literal["mlflow", "tensorboard"]] = Field(
        [], description="Send the log there too: mlflow | tensorboard; needs the extra of that name."
    )

    @property
    def fixed_threads(self) -> int | None:
        """The number that was asked for; None for auto."""
        return None if self.threads == "auto" else self.threads

    @field_validator("epochs")
    @classmethod
    def _some_epochs(cls, number: str | int) -> str | int:
        if isinstance(number, int) and not 1 <= number <= 1000:
            raise ValueError("must be auto, or 1 to 1,000")
        return number

    @field_validator("batch_size")
    @classmethod
    def _some_examples(cls, number: str | int) -> str | int:
        if isinstance(number, int) and not 1 <= number <= 65_536:
            raise ValueError("must be auto, or 1 to 65,536")
        return number

    @field_validator("learning_rate")
    @classmethod
    def _some_rate(cls, rate: str | float) -> str | float:
        if isinstance(rate, float) and rate < 0:
            raise ValueError("must be auto, or 0 or more")
        return rate

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate, once it is a number."""
        if self.learning_rate == "auto":
            raise ValueError("train.learning_rate: auto has not been resolved yet")
        return self.learning_rate

    @property
    def passes(self) -> int:
        """The epochs, once they are a number."""
        if self.epochs == "auto":
            raise ValueError("train.epochs: auto has not been resolved yet")
        return self.epochs

    @property
    def examples_a_step(self) -> int:
        """The batch size, once it is a number."""
        if self.batch_size == "auto":
            raise ValueError("train.batch_size: auto has not been resolved yet")
        return self.batch_size

    @field_validator("threads")
    @classmethod
    def _some_threads(cls, number: str | int) -> str | int:
        if isinstance(number, int) and not 1 <= number <= 1024:
            raise ValueError("must be auto, or 1 to 1024")
        return number
