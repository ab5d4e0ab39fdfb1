"""How many test rows have a near-duplicate in train, by way of splitting: the table of docs/guides/data.md.

python benchmarks/split_leaks.py --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt
"""

import argparse

import numpy as np

from fintune.data.quality.cleanup import clean
from fintune.data.quality.duplicates import clusters, twins
from fintune.data.readers.read import read
from fintune.data.splits import Plan, divide
from fintune.records import Example

SHARES = {
    "published protocol, 90/10": {"train": 0.9, "test": 0.1},
    "70/10/20": {"train": 0.7, "validation": 0.1, "test": 0.2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    rows = [Example(row.id, row.fields, row.target or "", stratum=row.target) for row in read(given.data)]
    unique, _ = clean(rows, ["exact-duplicates"])
    print("| split | shares | test rows with a twin in train, mean of seeds [least, most] |\n|---|---|---|")
    for name, shares in SHARES.items():
        for by, examples in (("random", rows), ("stratified", rows), ("near-duplicates", unique)):
            groups = clusters([e.text for e in examples])
            found = []
            for seed in range(given.seeds):
                parts = divide(examples, Plan(by, shares, seed), groups=groups)
                found.append(100 * twins([e.text for e in parts["test"]], [e.text for e in parts["train"]]).mean())
            print(f"| {by} | {name} | {np.mean(found):.1f} % [{min(found):.1f}, {max(found):.1f}] |")


if __name__ == "__main__":
    main()
