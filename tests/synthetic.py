"""Headline-like texts in any number, for tests and benchmarks of scale."""

from collections.abc import Iterator

import numpy as np


def headlines(number: int, seed: int = 0, near: float = 0.05, window: int = 1_000_000) -> Iterator[str]:
    """12-20 Zipf-distributed words and numbers; a share `near` changes 1-2 words of one of the last `window` texts."""
    random = np.random.default_rng(seed)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["".join(random.choice(letters, size)) for size in random.integers(3, 10, 50_000)]
    edges = np.cumsum(1 / np.arange(2, len(words) + 2))

    def draw(size: int) -> list[str]:
        picked = np.searchsorted(edges, random.random(size) * edges[-1])
        amounts = random.integers(1, 10_000, size) * (random.random(size) < 0.1)
        return [f"{n / 10:,}" if n else words[p] for p, n in zip(picked.tolist(), amounts.tolist(), strict=True)]

    recent: list[str] = []
    for i in range(number):
        if recent and random.random() < near:
            row = recent[random.integers(len(recent))].split()
            for place in random.integers(len(row), size=random.integers(1, 3)):
                row[place] = draw(1)[0]
        else:
            row = draw(int(random.integers(12, 21)))
        text = " ".join(row)
        if len(recent) < window:
            recent.append(text)
        else:
            recent[i % window] = text
        yield text
