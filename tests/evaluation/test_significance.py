"""The statistics of a comparison against statsmodels, hand-made cases, and how often they are right on drawn data."""

from dataclasses import replace

import numpy as np
import pytest

from fintune.evaluation import significance
from fintune.evaluation.evaluate import score
from fintune.evaluation.significance import (
    Resampled,
    difference,
    enough_resamples,
    group,
    holm,
    interval,
    mcnemar,
)
from fintune.tasks.metrics import pareto
from tests.label_scores import HEADLINE, UNPARSED, Ints, classification_scores, predictions, resample, task_of

LABELS = ["down", "same", "up"]


def drawn(n: int, seeds: int, right: float, seed: int = 0) -> tuple[Ints, Ints]:
    random = np.random.default_rng(seed)
    gold = random.integers(0, 3, n)
    guesses = random.integers(0, 3, (seeds, n))
    return gold, np.where(random.random((seeds, n)) < right, gold, guesses)


def test_the_value_is_the_mean_of_what_each_run_scored() -> None:
    gold, answers = drawn(200, 3, 0.7)
    answers[0, :5] = UNPARSED
    row = resample(gold, {"a": answers}, LABELS, resamples=50)["a"]
    alone = [classification_scores(gold, one, LABELS, resamples=0) for one in answers]
    for metric in HEADLINE:
        assert interval(row, metric, n=200).value == pytest.approx(np.mean([one[metric].value for one in alone]))


def test_kinds_of_examples_are_drawn_as_examples_are() -> None:
    """Of one run the interval is that of the plain bootstrap over examples."""
    gold, answers = drawn(150, 1, 0.6)
    row = resample(gold, {"a": answers}, LABELS, resamples=8000)["a"]
    plain = classification_scores(gold, answers[0], LABELS, resamples=8000)
    for metric in HEADLINE:
        found = interval(row, metric, n=150)
        assert (found.low, found.high) == pytest.approx((plain[metric].low, plain[metric].high), abs=0.012)


def test_examples_of_one_row_are_drawn_together() -> None:
    """Four copies of every example, each four a row, are no more evidence than the examples themselves."""
    gold, answers = drawn(120, 1, 0.6)
    single = predictions(gold, answers[0], LABELS)
    copies = [replace(one, id=f"{one.id}.{i}", row=one.id) for one in single for i in range(4)]
    task = task_of(LABELS)
    assert {m: (s.value, s.low, s.high) for m, s in score(copies, task).items() if m in HEADLINE} == {
        m: (s.value, s.low, s.high) for m, s in score(single, task).items() if m in HEADLINE
    }
    rows = {name: significance.resample(task, {"a": [of]}, resamples=8000)["a"] for name, of in
            (("alone", single), ("copied", copies), ("taken apart", [replace(one, row="") for one in copies]))}  # fmt: skip
    spread = {name: float(row.series["accuracy"][0, 1:].std()) for name, row in rows.items()}
    assert spread["copied"] == pytest.approx(spread["alone"], rel=0.05)
    assert spread["taken apart"] == pytest.approx(spread["alone"] / 2, rel=0.05)


def test_a_row_of_several_examples_counts_once_in_mcnemars_test() -> None:
    random = np.random.default_rng(0)
    a, b = random.random((2, 1, 50)) < [[[0.8]], [[0.5]]]
    fourfold = np.repeat(np.arange(50), 4)
    assert mcnemar(a[:, fourfold], b[:, fourfold], fourfold) == mcnemar(a, b)
    assert mcnemar(a[:, fourfold], b[:, fourfold]) < mcnemar(a, b) / 10


def test_rows_are_resampled_together() -> None:
    """A row that is wrong on one text more than another is never the better one on any resample."""
    gold, answers = drawn(100, 1, 0.8)
    worse = answers.copy()
    worse[0, np.flatnonzero(answers[0] == gold)[0]] = UNPARSED
    rows = resample(gold, {"a": answers, "b": worse}, LABELS, resamples=300)
    series = rows["a"].series["accuracy"] - rows["b"].series["accuracy"]
    assert series.min() == 0
    assert series[0, 0] == pytest.approx(0.01)
    found = difference(rows["a"], rows["b"], "accuracy", n=100)
    assert (found.score.value, found.score.low) == (pytest.approx(0.01), 0)
    assert found.p > 0.5, "one text is drawn into less than two thirds of the resamples"


def test_the_same_row_does_not_differ_from_itself() -> None:
    gold, answers = drawn(100, 1, 0.8)
    rows = resample(gold, {"a": answers, "b": answers}, LABELS, resamples=100)
    assert difference(rows["a"], rows["b"], "macro_f1", n=100).p == 1
    assert mcnemar(answers == gold, answers == gold) == 1


def test_bounds_are_kept() -> None:
    gold = np.array([0, 1, 2] * 20)
    answers = np.stack([gold, gold, np.roll(gold, 1)])
    found = interval(resample(gold, {"a": answers}, LABELS, resamples=500)["a"], "accuracy", n=60)
    assert found.value == pytest.approx(2 / 3)
    assert (found.low, found.high) == (0, 1)


def coverage(seeds: int, spread: float, repeats: int = 120) -> tuple[float, float, float]:
    """Shares of drawn comparisons of a method with itself: the truth is inside, inside over examples alone, called different."""
    random = np.random.default_rng(1)
    ease = random.normal(2.7, 1.2, 200_000)
    of_seed = random.normal(0, spread, 200_000)
    truth = float((1 / (1 + np.exp(-ease - of_seed))).mean())
    gold, hits, alone, apart = np.zeros(226, dtype=np.int64), 0, 0, 0
    for i in range(repeats):
        shared = random.normal(2.7, 1.2, 226)
        chances = [1 / (1 + np.exp(-shared - random.normal(0, spread))) for _ in range(2 * seeds)]
        wrong = np.array([random.random(226) >= chance for chance in chances]).astype(np.int64)
        rows = resample(gold, {"a": wrong[:seeds], "b": wrong[seeds:]}, ["x", "y"], resamples=300, seed=i)
        found = interval(rows["a"], "accuracy", n=226)
        hits += found.low <= truth <= found.high
        low, high = np.quantile(rows["a"].series["accuracy"].mean(axis=0)[1:], [0.025, 0.975])
        alone += low <= truth <= high
        apart += difference(rows["a"], rows["b"], "accuracy", n=226).p < 0.05
    return hits / repeats, alone / repeats, apart / repeats


def test_intervals_hold_the_truth_and_equal_methods_are_rarely_told_apart() -> None:
    """Seeds that differ as fine-tuning runs do: an interval over examples alone would promise what it cannot hold."""
    inside, inside_alone, apart = coverage(seeds=3, spread=0.5)
    assert inside >= 0.88
    assert inside_alone <= 0.75
    assert apart <= 0.08


def test_where_seeds_do_not_matter_either() -> None:
    inside, _, apart = coverage(seeds=3, spread=0.0)
    assert inside >= 0.93
    assert apart <= 0.06


def test_a_clear_difference_is_seen() -> None:
    gold, better = drawn(226, 3, 0.95)
    _, worse = drawn(226, 3, 0.7)
    worse = np.where(worse == drawn(226, 3, 0.7)[0], gold, (gold + 1) % 3)
    rows = resample(gold, {"a": better, "b": worse}, LABELS, resamples=1000)
    found = difference(rows["a"], rows["b"], "accuracy", n=226)
    assert found.p < 0.01
    assert 0 < found.score.low < found.score.value < found.score.high
    assert mcnemar(better == gold, worse == gold) < 0.01


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 5), (6, 1), (12, 3), (4, 4)])
def test_mcnemar_of_one_seed_is_statsmodels(only_a: int, only_b: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    a = np.array([[True] * only_a + [False] * only_b + [True] * 20 + [False] * 3])
    b = np.array([[False] * only_a + [True] * only_b + [True] * 20 + [False] * 3])
    assert mcnemar(a, b) == pytest.approx(theirs([[20, only_a], [only_b, 3]], exact=True).pvalue)


def test_mcnemar_of_several_seeds_follows_rueger() -> None:
    """Per seed 5, 6 and 10 texts that only the first has right: p = 2 / 2^n each; of three the second, times 3 / 2."""
    a = np.ones((3, 40), dtype=bool)
    b = np.array([[False] * k + [True] * (40 - k) for k in (5, 10, 6)])
    assert mcnemar(a, b) == pytest.approx(3 / 2 * 2 / 2**6)
    assert mcnemar(a[:2], b[:2]) == pytest.approx(2 / 2**5), "of two, the larger"
    assert mcnemar(a[:1], b) == mcnemar(a, b), "a baseline of one seed meets each"


def test_holm_is_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = [0.04, 0.001, 0.03, 0.5, 0.012, 0.03]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.03, 0.02]) == [0.04, 0.04]
    assert holm([]) == []


def test_resamples_suffice_for_the_strictest_test() -> None:
    assert enough_resamples(91, 0.95, 1000) == 7280
    assert 91 * 2 / (1 + 7280) < 0.05
    assert enough_resamples(1, 0.95, 1000) == 1000


def test_groups_open_with_the_best_that_is_left() -> None:
    apart = {frozenset(pair) for pair in (("a", "c"), ("a", "e"), ("c", "e"), ("b", "e"))}
    found = group(["a", "b", "c", "d", "e"], lambda x, y: frozenset((x, y)) in apart)
    assert found == [["a", "b", "d"], ["c"], ["e"]]
    assert group([], lambda x, y: True) == []


def test_the_frontier_holds_what_nothing_beats() -> None:
    points = {"best": (0.97, 90.0), "quick": (0.96, 10.0), "slow": (0.96, 20.0), "free": (0.6, 0.0), "poor": (0.5, 0.0)}
    assert pareto(points) == ["best", "quick", "free"]
    assert pareto({"a": (0.9, 1.0), "b": (0.9, 1.0)}) == ["a", "b"], "twins both stay"


def test_several_seeds_widen_the_interval() -> None:
    """Two runs at 0.5 and 1.0 say less than two at 0.75."""
    apart = Resampled({"accuracy": np.array([[0.5] * 201, [1.0] * 201])})
    alike = Resampled({"accuracy": np.array([[0.75] * 201, [0.75] * 201])})
    wide, narrow = interval(apart, "accuracy", n=9), interval(alike, "accuracy", n=9)
    assert (wide.value, narrow.value) == (0.75, 0.75)
    assert wide.low == pytest.approx(0.75 - 0.25 * np.sqrt(2))
    assert wide.high == 1.0
    assert (narrow.low, narrow.high) == (0.75, 0.75)
