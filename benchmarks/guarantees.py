"""Whether what a calibration promises is kept: thresholds, sets and alarms, on draws from distributions that are known.

python -m benchmarks.guarantees --draws 1000
python -m benchmarks.guarantees --run runs/phrasebank-fast --coverage 0.99      # sets on resplits of a run's out-of-fold answers
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fintune.evaluation.calibrate import cross_fitted
from fintune.evaluation.drift import MOST_TEXTS, Traits, drift
from fintune.inference.calibration.abstention import certify
from fintune.inference.calibration.conformal import fit_quantiles, sets
from fintune.inference.calibration.record import as_matrix, places_of
from fintune.runs.run import Run
from fintune.tasks.arrays import Floats

_LEVEL, _ALARM_LEVEL = 0.95, 0.05
_SPREAD = 5.0
"""Of the logits: right in about nine of ten."""
_STATES = 16
_RESPLITS = 100


def _probabilities(random: np.random.Generator, n: int) -> Floats:
    logits = random.normal(size=(n, 3)) * _SPREAD
    powers: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def thresholds(draws: int) -> Iterator[dict[str, object]]:
    """Yield how often a threshold's true share of errors passes what was asked; a confidence is right as often as it says."""
    whole = np.sort(_probabilities(np.random.default_rng(1), 2_000_000).max(axis=1))[::-1]
    errors = np.cumsum(1 - whole) / np.arange(1, len(whole) + 1)  # among answers at least as sure
    for n in (500, 2259):
        for most in (0.01, 0.02, 0.05):
            shown, violated, coverage = 0, 0, 0.0
            for draw in range(draws):
                random = np.random.default_rng([n, int(1000 * most), draw])
                sure = _probabilities(random, n).max(axis=1)
                threshold = certify(sure, random.random(n) < sure, most, _LEVEL)
                if threshold is not None:
                    place = int(np.searchsorted(-whole, -threshold.confidence, side="right")) - 1
                    shown, coverage = shown + 1, coverage + threshold.coverage
                    violated += bool(errors[place] > most)
            allowed = 1 - _LEVEL + 2 * np.sqrt(_LEVEL * (1 - _LEVEL) / draws)
            yield {
                "n": n, "max_error": most, "shown": shown / draws, "violated": violated / draws, "allowed": round(float(allowed), 4),
                "coverage": round(coverage / max(shown, 1), 3),
            }  # fmt: skip


def alarms(draws: int) -> Iterator[dict[str, object]]:
    """Yield how often there is an alarm where old and new texts are drawn alike, and which test gives it."""
    for n in (500, 50_000):
        found = [drift(_traits(n, [n, draw, 0]), _traits(n, [n, draw, 1]), level=_ALARM_LEVEL) for draw in range(draws)]
        by_test = {
            test.name: sum(one.tests[i].p <= _ALARM_LEVEL for one in found) / draws
            for i, test in enumerate(found[0].tests)
        }
        yield {"n": n, "alarms": sum(one.alarm for one in found) / draws, **by_test}


def _traits(n: int, seed: list[int]) -> Traits:
    """Return traits of texts as a model could have: labels, lengths, shares of unseen words, states in three clusters."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, size=n, p=(0.15, 0.6, 0.25))
    states = random.normal(size=(min(n, MOST_TEXTS), _STATES)) + 2 * np.eye(_STATES)[labels[:MOST_TEXTS]]
    words = random.poisson(20, size=n) + 3
    return Traits(
        answers=list(map(str, labels)),
        lengths=np.round(random.lognormal(4.8, 0.4, size=n)),
        unseen=random.binomial(words, 0.1) / words,
        vectors=states / np.linalg.norm(states, axis=1, keepdims=True),
    )


def resplits(run: Run, coverage: float) -> Iterator[dict[str, object]]:
    """Yield how often sets hold the right label, over halves of a run's out-of-fold answers that the quantile is not of."""
    task = run.config().build_task()
    predictions, choices = run.predictions("oof"), list(task.choices() or ())
    raw, gold = as_matrix(predictions, choices), places_of(predictions, choices)
    probabilities = cross_fitted(raw, gold, np.arange(len(gold)), "temperature")
    for by_class in (False, True):
        held, sizes, empty = [], [], 0
        for split in range(_RESPLITS):
            order = np.random.default_rng(split).permutation(len(gold))
            fitted, rest = np.array_split(order, 2)
            quantiles = fit_quantiles(probabilities[fitted], gold[fitted], coverage, by_class=by_class)
            inside = sets(probabilities[rest], quantiles)
            right = inside[np.arange(len(rest)), gold[rest]]
            held.append([right.mean(), *(right[gold[rest] == i].mean() for i in range(len(choices)))])
            sizes.append(inside.sum(axis=1).mean())
            empty += int((inside.sum(axis=1) == 0).sum())
        names = ["all", *choices]
        means = dict(zip(names, (round(float(share), 4) for share in np.mean(held, axis=0)), strict=True))
        yield {
            "coverage": coverage,
            "by_class": by_class,
            **means,
            "labels": round(float(np.mean(sizes)), 3),
            "empty": empty,
        }


def main() -> None:
    """Print a line of JSON for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--coverage", type=float, default=0.99)
    given = parser.parse_args()
    if given.run is not None:
        lines = resplits(Run.open(given.run), given.coverage)
    else:
        lines = (line for part in (thresholds, alarms) for line in part(given.draws))
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
