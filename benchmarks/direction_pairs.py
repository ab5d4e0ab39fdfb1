"""Does a model read directions? Pairs of nearly equal texts with different labels ("rose to X from Y", "fell to X from Y").

A pair: Jaccard similarity of word 1-2-grams with numbers masked >= 0.6, and two labels. Texts that are so similar, over others
too, lie in one fold of five, so that neither member was seen in training. Each fold in turn is the test part of a run whose
validation part comes from the other four; the folds' answers are pooled. Interval: bootstrap over clusters of texts.

    python -m benchmarks.direction_pairs --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt --runs /tmp/folds
"""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from SetSimilaritySearch import all_pairs

from fintune.data.quality.cleanup import clean
from fintune.data.quality.duplicates import clusters, shingles
from fintune.data.readers.read import read
from fintune.data.splits import Plan, divide
from fintune.records import Example

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "phrasebank-embedded.yaml"
SIMILAR, FOLDS = 0.6, 5


def pairs(examples: Sequence[Example]) -> list[tuple[int, int]]:
    """Positions of texts that are similar and have different labels."""
    numbers: dict[str, int] = {}
    sets = [[numbers.setdefault(s, len(numbers)) for s in shingles(e.text)] for e in examples]
    similar = all_pairs(sets, similarity_func_name="jaccard", similarity_threshold=SIMILAR)
    return [(a, b) for a, b, _ in similar if examples[a].target != examples[b].target]


def write(path: Path, examples: Sequence[Example]) -> str:
    """A csv of texts, labels and groups; returns its name."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "group"])
        writer.writerows((e.text, e.target, e.group) for e in examples)
    return str(path)


def trained(fold: int, folds: dict[str, list[Example]], folder: Path, sets: Sequence[str]) -> Any:
    """The run that has seen the other folds alone; a finished one is read again."""
    import fintune
    from fintune.runs.run import Run

    rest = [e for name, part in folds.items() if name != str(fold) for e in part]
    overrides = [
        f"data.path={write(folder / f'rest-{fold}.csv', rest)}",
        f"data.test={write(folder / f'fold-{fold}.csv', folds[str(fold)])}",
        *("data.format=csv", "data.group_column=group", "data.split.by=group"),
        *("evaluation.baselines=[tfidf]", f"output={folder}", f"name=fold-{fold}", *sets),
    ]
    run = Run(folder / f"fold-{fold}")
    if (run.folder / "scores.json").is_file() and run.is_finished():
        return run
    return fintune.train(EXAMPLE, overrides, overwrite=True)


def share(right: Sequence[bool], groups: Sequence[str]) -> dict[str, float]:
    """Share of what is right in per cent, with a 95 % bootstrap interval over groups."""
    names = sorted(set(groups))
    inside = np.array(
        [[sum(r for r, g in zip(right, groups, strict=True) if g == name), groups.count(name)] for name in names]
    )
    drawn = np.random.default_rng(0).integers(len(names), size=(10_000, len(names)))
    sums = inside[drawn].sum(axis=1)
    low, high = np.percentile(100 * sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return {"value": 100 * float(np.mean(right)), "low": float(low), "high": float(high), "n": len(right)}


def main() -> None:
    """The pooled share of pairs of which both members are right, and of texts that are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", required=True, help="folder for the folds and their runs; finished ones are reused")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", help="write the figures there too")
    given = parser.parse_args()
    rows = [Example(row.id, row.fields, row.target or "", stratum=row.target) for row in read(given.data)]
    unique, _ = clean(rows, ["empty", "exact-duplicates"])
    numbers = clusters([e.text for e in unique], SIMILAR).tolist()
    examples = [replace(e, group=str(g)) for e, g in zip(unique, numbers, strict=True)]
    folds = divide(examples, Plan("group", {str(i): 1 / FOLDS for i in range(FOLDS)}, 0))
    folder = Path(given.runs)
    folder.mkdir(parents=True, exist_ok=True)
    runs = [trained(fold, dict(folds), folder, given.set) for fold in range(FOLDS)]
    groups = [str(e.group) for e in examples]
    opposed = pairs(examples)
    figures: dict[str, Any] = {}
    for name in (None, "tfidf"):
        found = {p.text: p.answer for run in runs for p in run.predictions("test", name)}
        right = [found[e.text] == e.target for e in examples]
        both = share([right[a] and right[b] for a, b in opposed], [groups[a] for a, _ in opposed])
        figures[name or "run"] = {"pairs": both, "texts": share(right, groups)}
    for row, parts in figures.items():
        for part, one in parts.items():
            print(f"{row}, {part}: {one['value']:.1f} [{one['low']:.1f}, {one['high']:.1f}] % right, n {one['n']}")
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
