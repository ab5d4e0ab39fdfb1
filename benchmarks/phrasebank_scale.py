"""PhraseBank as a scale from -1 to 1: the sign of a sentence's label times the share of annotators that agreed on it.

python -m benchmarks.phrasebank_scale shared/data/financial_phrasebank scale.csv
fintune train examples/sentiment-scale.yaml --set data.path=scale.csv

The four files lie within each other, so the level of a sentence is that of the strictest file that has it. Neutral is 0 at any level.
"""

import argparse
import csv
from pathlib import Path

from fintune.data.readers.read import read

LEVELS = {
    "Sentences_50Agree.txt": 0.5,
    "Sentences_66Agree.txt": 0.66,
    "Sentences_75Agree.txt": 0.75,
    "Sentences_AllAgree.txt": 1.0,
}
SIGNS = {"negative": -1, "neutral": 0, "positive": 1}


def scale(folder: Path) -> dict[str, float]:
    """Return the value of each sentence; the stricter file's where labels differ."""
    values: dict[str, float] = {}
    for name, level in LEVELS.items():
        for row in read(str(folder / name)):
            values[row.text] = SIGNS[str(row.target)] * level
    return values


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    with given.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "score"])
        writer.writerows(scale(given.folder).items())


if __name__ == "__main__":
    main()
