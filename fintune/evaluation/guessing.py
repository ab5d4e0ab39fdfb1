"""The loss of a model that has learned how often each label occurs, and nothing else.

>>> round(guessing({"up": 40, "down": 60}), 3)
0.673
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from fintune.config.train import TrainSection
from fintune.tasks.label_weights import label_weights

LEAST_PROBABILITY = 1e-15
"""The least probability whose logarithm is taken."""


def guessing(counts: Mapping[str, float], on: Mapping[str, float] | None = None) -> float:
    """Return the loss (nats) of giving each label the share that `counts` say, on texts whose labels occur as `on` says (else alike).

    On texts alike it is the entropy of the shares; giving every label the same share, ln of their number, bounds it.
    """
    on, total = on or counts, sum(counts.values())
    shares = {label: max(counts.get(label, 0) / total, LEAST_PROBABILITY) for label in on}
    loss = -sum(n * math.log(shares[label]) for label, n in on.items()) / sum(on.values())
    return min(loss, math.log(max(len(counts), 1)))


def guessing_a_token(strata: Sequence[str | None], lengths: Sequence[int], train: TrainSection) -> float:
    """Return the loss of guessing as training measures it, by answer token (`lengths` of the answers).

    It is infinite if losses are smoothed, or where there are no labels.
    Labels that weigh more are guessed more often; texts drawn evenly by label have other lengths on average.
    """
    labels = [stratum for stratum in strata if stratum is not None]
    if train.label_smoothing_factor or len(labels) < len(strata):
        return math.inf
    counts = Counter(labels)
    share = {label: 1 / n if train.sampling == "balanced" else 1.0 for label, n in counts.items()}
    mean_length = float(np.average(lengths, weights=[share[label] for label in labels]))
    weights = label_weights(counts, "balanced" if train.sampling == "balanced" else train.class_weights)
    return guessing({label: n * weights[label] for label, n in counts.items()}) / mean_length
