"""What is automatic in section `train` and goes by the data: settled once they are read, and written so into the run's config.

Example:
    resolved(load("run.yaml"), dataset).train.epochs
    # 6
"""

import math

from fintune.config.run_config import RunConfig
from fintune.config.train import TrainSection
from fintune.data.prepare import Dataset
from fintune.records import strata

_STEPS = 66
"""Optimizer steps below which a small training part is not learned"""
_FEWEST, _MOST = 3, 10
"""Epochs"""


def resolved(config: RunConfig, dataset: Dataset) -> RunConfig:
    """Return the config with epochs and class weights decided."""
    train, changes = config.train, dict[str, object]()
    part = dataset.splits["train"]
    if train.epochs == "auto":
        changes["train__epochs"] = _epochs(len(part), train)
    if train.class_weights == "auto":
        has_labels = dataset.task.kind == "labels" and bool(strata(part))
        changes["train__class_weights"] = "sqrt" if has_labels and train.sampling == "plain" else "none"
    return config.with_(**changes) if changes else config


def _epochs(examples: int, train: TrainSection) -> int:
    """Return passes that make steps enough, within bounds; docs/design/decisions/034 has what they were chosen by."""
    size = 16 if train.batch_size == "auto" else train.batch_size
    steps = math.ceil(examples / size / train.gradient_accumulation_steps)
    return min(_MOST, max(_FEWEST, math.ceil(_STEPS / steps)))
