"""A bar for each side of a benchmark's JSON: examples or texts a second, with the least and the most of its rounds.

python -m benchmarks.plot train_speed.json docs/benchmarks/train_speed.png
"""

import argparse
import json
from pathlib import Path


def main() -> None:
    """Draw the figure."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures")
    parser.add_argument("picture")
    arguments = parser.parse_args()
    found = json.loads(Path(arguments.figures).read_text())
    sides = list(found)[::-1]
    rates = [[r["rate"] for r in found[side]] for side in sides]
    means = [sum(r) / len(r) for r in rates]
    spread = [
        [m - min(r) for m, r in zip(means, rates, strict=True)],
        [max(r) - m for m, r in zip(means, rates, strict=True)],
    ]
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(sides) + 1.2))
    bars = axes.barh(
        sides, means, xerr=spread, color=["#2563a8" if s.startswith("ours") else "#9aa3ad" for s in sides], capsize=3
    )
    axes.bar_label(bars, labels=[f"{m:.1f}" for m in means], padding=6)
    axes.set_xlabel("examples or texts a second")
    axes.set_xlim(0, max(means) * 1.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(arguments.picture, dpi=150)


if __name__ == "__main__":
    main()
