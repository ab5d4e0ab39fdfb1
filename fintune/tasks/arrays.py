"""Kinds of arrays that scores are computed of; imported where something is computed, as numpy takes its time.

Example:
    def score(predictions: Sequence[Prediction], weights: "Floats") -> Mapping[str, "Floats"]: ...
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
