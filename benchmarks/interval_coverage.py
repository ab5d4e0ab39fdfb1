"""How often a comparison's intervals hold the truth and its tests call equal methods different, on drawn data: docs/guides/compare.md.

python -m benchmarks.interval_coverage
"""

import numpy as np

from fintune.evaluation.significance import difference, interval, mcnemar, resample
from fintune.records import Prediction
from fintune.tasks.classification import Classification, ClassificationOptions

EASE, SPREAD_OF_EASE = 2.7, 1.2
"""mean and spread of the log-odds that a text is answered rightly: about 90 % are"""
REPEATS, RESAMPLES = 300, 400


def right(chance: np.ndarray, random: np.random.Generator, seeds: int, spread: float) -> np.ndarray:
    """Whether each of `seeds` runs, whose quality differs by `spread`, answers each text rightly: `(seeds, n)`."""
    return np.array([random.random(len(chance)) < _share(chance + random.normal(0, spread)) for _ in range(seeds)])


def _share(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))


def predicted(runs: np.ndarray) -> list[list[Prediction]]:
    """What the runs said, where the right answer is yes."""
    said = {True: Prediction("", {}, "yes", "yes", {}, "yes"), False: Prediction("", {}, "no", "no", {}, "yes")}
    return [[said[bool(hit)] for hit in run] for run in runs]


def measure(seeds: int, n: int, spread: float) -> dict[str, float]:
    """Shares of 300 comparisons of a method with itself."""
    random, task = np.random.default_rng(0), Classification(ClassificationOptions(labels=["yes", "no"]))
    many = random.normal(EASE, SPREAD_OF_EASE, 1_000_000) + random.normal(0, spread, 1_000_000)
    truth = float(_share(many).mean())
    counts = dict.fromkeys(("held", "held, texts alone", "apart", "apart, texts alone", "apart, both tests"), 0)
    for i in range(REPEATS):
        chance = random.normal(EASE, SPREAD_OF_EASE, n)
        a, b = right(chance, random, seeds, spread), right(chance, random, seeds, spread)
        answers = {"a": a, "b": b}
        rows = resample(task, {name: predicted(runs) for name, runs in answers.items()}, resamples=RESAMPLES, seed=i)
        found, p = interval(rows["a"], "accuracy", n=n), difference(rows["a"], rows["b"], "accuracy", n=n).p
        means = [rows[name].series["accuracy"].mean(axis=0)[1:] for name in "ab"]
        low, high = np.quantile(means[0], [0.025, 0.975])
        counts["held"] += found.low <= truth <= found.high
        counts["held, texts alone"] += low <= truth <= high
        counts["apart"] += p < 0.05
        counts["apart, texts alone"] += 2 * min((means[0] <= means[1]).mean(), (means[0] >= means[1]).mean()) < 0.05
        counts["apart, both tests"] += max(p, mcnemar(a, b)) < 0.05
    return {name: count / REPEATS for name, count in counts.items()}


def main() -> None:
    print("| seeds | texts | spread of seeds | " + " | ".join(measure(1, 10, 0.0)) + " |")
    for seeds in (1, 3, 5):
        for n in (226, 1000):
            for spread in (0.0, 0.3, 0.6):
                shares = " | ".join(f"{share:.2f}" for share in measure(seeds, n, spread).values())
                print(f"| {seeds} | {n:,} | {spread} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
