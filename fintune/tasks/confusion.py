"""Metrics of labels, all from confusion counts, so that a thousand resamples cost one vectorized pass.

>>> label_series(["down", "up"], ["down", None], ["down", "up"], np.ones((1, 2)))["accuracy"]
array([0.5])
"""

from collections.abc import Sequence

import numpy as np

from fintune.records import Answer
from fintune.tasks.arrays import Floats, Ints


def label_series(
    gold: Sequence[Answer | None], answers: Sequence[Answer | None], labels: Sequence[str], weights: Floats
) -> dict[str, Floats]:
    """Return accuracy, F1 (macro, weighted, micro, of each label), MCC, counts, the share of unreadable answers, `(draws,)` each.

    Source: MCC for k classes: Gorodkin 2004. Macro-F1 is over labels that occur, among gold labels or answers; balanced accuracy,
    the mean recall, over those among gold labels (Brodersen et al. 2010).
    """
    index: dict[Answer | None, int] = {label: i for i, label in enumerate(labels)}
    k = len(labels)
    cells = np.array([index[g] * (k + 1) + index.get(a, k) for g, a in zip(gold, answers, strict=True)], dtype=np.int64)
    size = k * (k + 1)
    counts = np.array([np.bincount(cells, weights=draw, minlength=size) for draw in weights])
    return _of_counts(np.rint(counts).astype(np.int64).reshape(len(weights), k, k + 1), labels)


def _of_counts(counts: Ints, labels: Sequence[str]) -> dict[str, Floats]:
    """Return metrics of confusion counts `(draws, k, k + 1)`: gold by predicted, the last column unparsed."""
    k = len(labels)
    hits = np.diagonal(counts, axis1=1, axis2=2).astype(float)
    support, answered = counts.sum(axis=2), counts.sum(axis=1)
    f1 = _ratio(2 * hits, support + answered[:, :k])
    seen = (support + answered[:, :k]) > 0
    precision, recall = _ratio(hits, answered[:, :k]), _ratio(hits, support)
    total, right = support.sum(axis=1), hits.sum(axis=1)
    series = {
        "accuracy": right / total,
        "macro_f1": f1.sum(axis=1) / np.maximum(seen.sum(axis=1), 1),
        "weighted_f1": (f1 * support).sum(axis=1) / total,
        "micro_f1": 2 * right / (total + answered[:, :k].sum(axis=1)),
        "balanced_accuracy": recall.sum(axis=1) / (support > 0).sum(axis=1),
        "mcc": _mcc(right, support, answered),
        "unparsed": answered[:, k] / total,
    }
    for i, label in enumerate(labels):
        series |= {f"precision/{label}": precision[:, i], f"recall/{label}": recall[:, i], f"f1/{label}": f1[:, i]}
        series |= {f"support/{label}": support[:, i].astype(float)}
    for i, label in enumerate(labels):
        series |= {f"confusion/{label}/{other}": counts[:, i, j].astype(float) for j, other in enumerate(labels)}
    return series


def _mcc(hits: Floats, support: Ints, answered: Ints) -> Floats:
    total = support.sum(axis=1).astype(float)
    padded = np.pad(support, ((0, 0), (0, 1)))
    covariance = hits * total - (answered * padded).sum(axis=1)
    spread = (total**2 - (answered.astype(float) ** 2).sum(axis=1)) * (
        total**2 - (padded.astype(float) ** 2).sum(axis=1)
    )
    return _ratio(covariance, np.sqrt(spread))


def _ratio(top: Floats, bottom: Floats | Ints) -> Floats:
    """Return top / bottom, 0 where the bottom is 0."""
    safe = np.where(bottom == 0, 1, bottom)
    return np.where(bottom == 0, 0.0, top / safe)
