"""Do the defaults carry over? Sets nobody tuned for, small to middling, today's defaults beside those before and beside TF-IDF.

python -m benchmarks.defaults --data ../shared/data --json benchmarks/results/defaults-cells.jsonl

A cell is a set, a number of rows, a seed and an arm; cells that are in the file are not run again, so it can be stopped at any time.
Rows of a seed are drawn from all but 600 test texts (whole clusters of near-duplicates on either side; the smaller draws lie within
the larger); train and validation are cut from them as for any file. Another arm, to choose by (never on the sets that confirm):
--sets allagree twitter finfe --arms slow --arm slow train.learning_rate=2e-4. Answers are stored as numbers of labels, no text of the data.
"""

import argparse
import ast
import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import f1_score, recall_score

from fintune.config.load import load
from fintune.data.quality.duplicates import clusters
from fintune.data.readers.read import read
from fintune.data.splits import learning_subset
from fintune.evaluation.significance import holm
from fintune.records import Example
from fintune.training.train import train

TEST = 600
_BEFORE = 3
"""Epochs that were the default"""
ARMS: dict[str, list[str]] = {
    "auto": [],
    "before": [
        "method.layers=all", f"train.epochs={_BEFORE}", "train.learning_rate=5e-4", "train.batch_size=16", "train.objective=tokens",
        "train.class_weights=none", "train.label_smoothing_factor=0",
    ],
    "sqrt": ["train.class_weights=sqrt"],
}  # fmt: skip
"""Settings of each arm; TF-IDF is scored beside the first."""
_DRAWS = 2000
_LEAST = 10
"""Rows of each label"""
_LARGEST = TEST // 10
"""Texts of a cluster that may be tested on: gold headlines have one of 1,159, which would be a test part of its own"""
_GOLD = "Price Direction "


class Source(NamedTuple):
    """A set of labeled texts: its labels in order, and rows of (text, label)."""

    labels: Sequence[str]
    rows: Callable[[Path], Iterator[tuple[str, str]]]
    task: str
    language: str = "en"


def _agree(folder: Path) -> Iterator[tuple[str, str]]:
    for row in read(str(folder / "financial_phrasebank" / "Sentences_50Agree.txt")):
        yield row.text, str(row.target)


def _all_agree(folder: Path) -> Iterator[tuple[str, str]]:
    for row in read(str(folder / "financial_phrasebank" / "Sentences_AllAgree.txt")):
        yield row.text, str(row.target)


def _twitter(folder: Path) -> Iterator[tuple[str, str]]:
    names = {"0": "negative", "1": "positive", "2": "neutral"}
    with (folder / "twitter_financial_news" / "sent_train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["text"], names[row["label"]]


def _finfe(folder: Path) -> Iterator[tuple[str, str]]:
    said: dict[str, set[int]] = {}
    for text, code in json.loads((folder / "fincuge_finfe" / "train_list.json").read_text(encoding="utf-8")):
        said.setdefault(text, set()).add(int(code))
    for text, codes in said.items():
        if len(codes) == 1:  # 781 texts have several
            yield text, ("negative", "neutral", "positive")[codes.pop()]


def _sentfin(folder: Path) -> Iterator[tuple[str, str]]:
    with (folder / "sentfin" / "SEntFiN.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                decisions = ast.literal_eval(row["Decisions"])
            except (SyntaxError, ValueError):  # 13 rows whose quotes do not match
                continue
            if len(decisions) == 1:
                yield row["Title"], next(iter(decisions.values()))


def _gold(folder: Path) -> Iterator[tuple[str, str]]:
    with (folder / "gold_commodity_headlines" / "gold-dataset-sinha-khandait.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        for row in csv.DictReader(file, delimiter="\t"):
            marked = [name for name in ("Up", "Constant", "Down") if row[_GOLD + name] == "1"]
            if len(marked) < 2:
                yield row["News"], marked[0].lower() if marked else "none"


_SENTIMENTS = ["negative", "neutral", "positive"]
CHOSEN_ON = {
    "allagree": Source(_SENTIMENTS, _all_agree, "sentiment"),
    "twitter": Source(_SENTIMENTS, _twitter, "sentiment"),
    "finfe": Source(_SENTIMENTS, _finfe, "sentiment", "zh"),
}
"""What the defaults were chosen on"""
CONFIRMED_ON = {
    "50agree": Source(_SENTIMENTS, _agree, "sentiment"),
    "sentfin": Source(_SENTIMENTS, _sentfin, "sentiment"),
    "gold": Source(["down", "constant", "up", "none"], _gold, "classification"),
}
"""What nobody chose anything on"""
SOURCES = CHOSEN_ON | CONFIRMED_ON


def draw(source: Source, folder: Path, rows: int, seed: int) -> tuple[list[Example], list[Example]]:
    """Return rows to learn from and rows to test on, no near-duplicates between them."""
    distinct = dict(source.rows(folder))
    examples = [Example(str(i), {"text": text}, label) for i, (text, label) in enumerate(distinct.items())]
    groups = clusters([example.text for example in examples])
    order = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(i)
    test = [i for group in order.tolist() if len(members[group]) <= _LARGEST for i in members[group]][:TEST]
    tested = {int(groups[i]) for i in test}
    rest = [examples[i] for group in order.tolist() if group not in tested for i in members[group]]
    return _with_enough(learning_subset(rest, rows, seed), rest), [examples[i] for i in test]


def _with_enough(chosen: list[Example], among: Sequence[Example]) -> list[Example]:
    """Return the same number of rows, ten of each label at least, so that every part has some: the most frequent one gives way."""
    counts, taken = Counter(str(one.target) for one in chosen), {one.id for one in chosen}
    for label in [label for label, n in counts.items() if n < _LEAST]:
        more = [one for one in among if one.target == label and one.id not in taken][: _LEAST - counts[label]]
        frequent = max(counts, key=lambda name: counts[name])
        out = {one.id for one in [one for one in chosen if one.target == frequent][-len(more) :]}
        chosen = [one for one in chosen if one.id not in out] + more
        counts[frequent] -= len(more)
    return chosen


def measure(name: str, rows: int, seed: int, arm: str, folder: Path) -> dict[str, object]:
    """Train one cell and return its answers."""
    source = SOURCES[name]
    parts = draw(source, folder, rows, seed)
    with tempfile.TemporaryDirectory() as place:
        paths = [
            _written(part, Path(place) / f"{which}.csv") for part, which in zip(parts, ("rows", "test"), strict=True)
        ]
        settings = [
            f"data.test={paths[1]}", "data.text_column=text", "data.label_column=label", f"task.name={source.task}",
            f"task.labels={json.dumps(source.labels)}",
            *([f"task.language={source.language}"] if source.task == "sentiment" else []), f"output={place}/runs", f"train.seed={seed}",
            f"data.split.seed={seed}", f"evaluation.baselines={'[tfidf]' if arm == 'auto' else '[]'}", *ARMS[arm],
        ]  # fmt: skip
        begun = time.perf_counter()
        run = train(load(paths[0], settings))
        seconds = time.perf_counter() - begun
        said = run.predictions("test")
        counted = [str(p.answer) for p in run.predictions("test", "tfidf")] if arm == "auto" else None
        return {
            "set": name, "rows": rows, "seed": seed, "arm": arm, "epochs": run.config().train.epochs, "seconds": round(seconds),
            "gold": _digits(source, [str(p.gold) for p in said]), "answers": _digits(source, [str(p.answer) for p in said]),
            "tfidf": counted and _digits(source, counted),
        }  # fmt: skip


def _written(examples: Sequence[Example], path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((example.text, example.target) for example in examples)
    return path


def _digits(source: Source, labels: Sequence[str]) -> str:
    return "".join(str(source.labels.index(label)) for label in labels)


def macro_f1(gold: str, answers: str) -> float:
    """Return the mean F1 of the labels that occur in `gold`, per cent."""
    return 100 * float(f1_score(list(gold), list(answers), average="macro", labels=sorted(set(gold)), zero_division=0))


def p_worse(gold: str, ours: str, theirs: str, draws: int = _DRAWS) -> float:
    """Return the p-value of being no worse in macro-F1: one-sided approximate randomization (Yeh 2000), answers swapped text by text."""
    classes = sorted(set(gold))
    y, a, b = (np.array(list(s)) for s in (gold, ours, theirs))
    swap = np.random.default_rng(0).random((draws, len(y))) < 0.5
    swapped_a, swapped_b = np.where(swap, b, a), np.where(swap, a, b)
    found = _f1(y, b[None], classes) - _f1(y, a[None], classes)
    drawn = _f1(y, swapped_b, classes) - _f1(y, swapped_a, classes)
    return float((1 + int((drawn >= found - 1e-12).sum())) / (1 + draws))


def _f1(gold: np.ndarray, answers: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return macro-F1 of each row of `answers` `(draws, n)`."""
    figures = []
    for label in classes:
        said, true = answers == label, gold == label
        both = (said & true).sum(axis=1)
        figures.append(2 * both / np.maximum(said.sum(axis=1) + true.sum(), 1))
    return np.mean(figures, axis=0)


def table(cells: Sequence[dict[str, str]]) -> str:
    """Return means by set and number of rows, and how many comparisons are lost beyond chance."""
    of = {(c["set"], c["rows"], c["seed"], c["arm"]): c for c in cells}
    lines, tests = (
        ["| set | rows | seeds | TF-IDF | before | auto | sqrt | s before | s auto |", "|" + "---|" * 9],
        [],
    )
    for name, rows in sorted({(c["set"], c["rows"]) for c in cells}, key=str):
        seeds = [c["seed"] for c in cells if (c["set"], c["rows"], c["arm"]) == (name, rows, "auto")]
        shown: dict[str, list[float]] = {"tfidf": [], **{arm: [] for arm in ARMS}}
        for seed in seeds:
            auto = of[name, rows, seed, "auto"]
            answers = {"tfidf": auto["tfidf"]} | {
                arm: c["answers"] for arm in ARMS if (c := of.get((name, rows, seed, arm)))
            }
            for arm, said in answers.items():
                shown[arm].append(macro_f1(auto["gold"], said))
                if arm in ("tfidf", "before"):
                    tests.append((name, rows, seed, arm, p_worse(auto["gold"], auto["answers"], said)))
        means = [f"{np.mean(v):.1f}" if (v := shown[arm]) else "" for arm in ("tfidf", "before", "auto", "sqrt")]
        times = [_mean_seconds(cells, name, rows, arm) for arm in ("before", "auto")]
        lines.append(f"| {name} | {rows} | {len(seeds)} | " + " | ".join([*means, *times]) + " |")
    lost = [test for test, p in zip(tests, holm([t[-1] for t in tests]), strict=True) if p < 0.05]
    return "\n".join([*lines, f"{len(tests)} comparisons, worse beyond chance (Holm): {lost or 'none'}", _rare(cells)])


def _mean_seconds(cells: Sequence[dict[str, str]], name: str, rows: str, arm: str) -> str:
    seconds = [float(c["seconds"]) for c in cells if (c["set"], c["rows"], c["arm"]) == (name, rows, arm)]
    return f"{np.mean(seconds):.0f}" if seconds else ""


def _rare(cells: Sequence[dict[str, str]]) -> str:
    """Return the recall of each set's rarest label, by arm."""
    parts = []
    for name in SOURCES:
        for arm in ARMS:
            own = [c for c in cells if c["set"] == name and c["arm"] == arm]
            recalls = []
            for c in own:
                rarest = min(set(c["gold"]), key=c["gold"].count)
                recalls.append(
                    recall_score(list(c["gold"]), list(c["answers"]), labels=[rarest], average="macro", zero_division=0)
                )
            if recalls:
                parts.append(f"{name} {arm} {100 * np.mean(recalls):.1f}")
    return "recall of the rarest label: " + " · ".join(parts)


def cell_of(
    cells: Sequence[dict[str, str]], name: str, rows: int, seed: int, arm: str, folder: Path
) -> dict[str, object]:
    """Return one cell: that of today's defaults where they come to what stood before, else trained."""
    for cell in cells if arm == "before" else ():
        if [cell[key] for key in ("set", "rows", "seed", "arm", "epochs")] == [name, rows, seed, "auto", _BEFORE]:
            return {**cell, "arm": arm, "tfidf": None}
    return measure(name, rows, seed, arm, folder)


def main() -> None:
    """Run what is not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(CONFIRMED_ON), choices=list(SOURCES))
    parser.add_argument("--rows", nargs="+", type=int, default=[400, 100, 1500])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="*", default=list(ARMS))
    parser.add_argument(
        "--arm", nargs="+", action="append", default=[], metavar=("NAME", "SETTING"), help="another arm"
    )
    given = parser.parse_args()
    ARMS.update({name: settings for name, *settings in given.arm})
    cells = [json.loads(line) for line in given.json.read_text().splitlines()] if given.json.is_file() else []
    done = {(c["set"], c["rows"], c["seed"], c["arm"]) for c in cells}
    for rows in given.rows:
        for seed in range(given.seeds):
            for name in given.sets:
                for arm in given.arms:
                    if (name, rows, seed, arm) in done:
                        continue
                    cells.append(cell_of(cells, name, rows, seed, arm, given.data))
                    with given.json.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(cells[-1]) + "\n")
                    scored = macro_f1(cells[-1]["gold"], cells[-1]["answers"])
                    print(name, rows, seed, arm, f"{scored:.1f}", f"{cells[-1]['seconds']} s", flush=True)
    print(table(cells))


if __name__ == "__main__":
    main()
