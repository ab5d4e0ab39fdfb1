"""How much an example of each label counts in the loss, where some labels are rarer than others.

>>> label_weights({"up": 10, "flat": 90}, "balanced")["up"], round(label_weights({"up": 10, "flat": 90}, "sqrt")["up"], 3)
(5.0, 2.5)
"""

from collections.abc import Hashable, Mapping
from typing import Literal, TypeVar

Weighting = Literal["none", "sqrt", "balanced"]
_EXPONENTS: Mapping[Weighting, float] = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}
_Label = TypeVar("_Label", bound=Hashable)


def label_weights(counts: Mapping[_Label, int], weighting: Weighting) -> dict[_Label, float]:
    """Return the weight of an example by its label; the mean over all examples is 1.

    balanced: in inverse proportion to the label's number, as scikit-learn's; sqrt: to the root of it (Mahajan et al. 2018, 2.2).
    """
    raw = {label: float(n) ** -_EXPONENTS[weighting] for label, n in counts.items()}
    mean = sum(n * raw[label] for label, n in counts.items()) / sum(counts.values())
    return {label: weight / mean for label, weight in raw.items()}
