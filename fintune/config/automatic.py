"""What is automatic in section `train` and goes by the data: settled once they are read, and written so into the run's config.

Example:
    resolved(load("run.yaml"), dataset).train.epochs
    # 6
"""

import math

from fintune.config.run_config import RunConfig
from fintune.config.train import TrainSection
from fintune.data.prepare import Dataset

_STEPS = 66
"""Optimizer steps below which a small training part is not learned"""
_FEWEST, _MOST = 3, 10
"""Epochs"""


def resolved(config: RunConfig, dataset: Dataset) -> RunConfig:
    """Return the config with epochs decided."""
    if config.train.epochs != "auto":
        return config
    return config.with_(train__epochs=_epochs(len(dataset.splits["train"]), config.train))


def _epochs(examples: int, train: TrainSection) -> int:
    """Return passes that make steps enough, within bounds; docs/design/decisions/034 has what they were chosen by."""
    size = 16 if train.batch_size == "auto" else train.batch_size
    steps = math.ceil(examples / size / train.gradient_accumulation_steps)
    return min(_MOST, max(_FEWEST, math.ceil(_STEPS / steps)))
