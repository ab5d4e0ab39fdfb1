"""What `fintune.load` answers beside what was stored, for every method and variant on every tiny family; a table of the largest
difference of a probability. `unmerged`: the merged weights answered otherwise, and the adapter was used as it is.

python -m benchmarks.opened_matrix --dtype float32
"""

import argparse
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path
from unittest.mock import patch

from tests.families import FAMILIES
from tests.opened import Cell, methods, opened, saved, variants


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--family", action="append", choices=list(FAMILIES))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    families = given.family or list(FAMILIES)
    found: dict[str, dict[str, Cell]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as place:
        for family in families:
            for number, case in enumerate([*methods(), *variants(family)]):
                folder = Path(place) / f"{family}-{number}"
                if (model := saved(family, case.method, Path(place) / "models")) is not None:
                    with patch("fintune.inference.proof.cache_folder", lambda folder=folder: folder / "cache"):
                        found[case.label][family] = opened(case, model, folder / "run", given.dtype)
    print(f"| {given.dtype} | {' | '.join(families)} |\n|{'---|' * (len(families) + 1)}")
    for label, row in found.items():
        print(f"| {label} | {' | '.join(str(row.get(family, '-')) for family in families)} |")
    every = [cell for row in found.values() for cell in row.values() if not cell.refused]
    print(f"\n{len(every)} opened; largest difference {max(cell.difference for cell in every):.2g}; "
          f"{sum(cell.fell_back for cell in every)} unmerged where merging was asked for")  # fmt: skip


if __name__ == "__main__":
    main()
