"""Near-duplicates are found exactly: against the definition applied to every pair."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from fintune.data.quality.duplicates import clusters, hashed, shingles, twins
from fintune.data.readers.read import read

WORDS = [a + b for a in "abcdefgh" for b in "uvwxyz"]


def by_definition(texts: list[str], threshold: float = 0.7) -> set[frozenset[int]]:
    """Clusters by comparing every pair and joining transitively."""
    sets = [shingles(text) or frozenset([text]) for text in texts]
    root = list(range(len(texts)))
    for a, b in combinations(range(len(texts)), 2):
        if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= threshold:
            old, new = root[b], root[a]
            root = [new if r == old else r for r in root]
    return {frozenset(i for i, r in enumerate(root) if r == name) for name in set(root)}


def found(texts: list[str]) -> set[frozenset[int]]:
    numbers = clusters(texts)
    return {frozenset(np.flatnonzero(numbers == number).tolist()) for number in set(numbers.tolist())}


def is_twin(texts: list[str], others: list[str], threshold: float = 0.7) -> list[bool]:
    """Whether a text is similar to one of the others, by comparing every pair."""
    mine, theirs = ([shingles(text) or frozenset([text]) for text in side] for side in (texts, others))
    return [any(len(a & b) / len(a | b) >= threshold for b in theirs) for a in mine]


def sample(seed: int) -> list[str]:
    """150 short texts, 90 of them another one with a few words changed."""
    random = np.random.default_rng(seed)
    words = list("abcdefghijkl")  # no digits: they would all be masked to one word
    base = [random.choice(words, size=random.integers(1, 14)).tolist() for _ in range(60)]
    changed = [[w if random.random() > 0.08 else "z" for w in base[random.integers(60)]] for _ in range(90)]
    return [" ".join(row) for row in base + changed]


@pytest.mark.parametrize("seed", range(5))
def test_exactly_as_defined(seed: int) -> None:
    texts = sample(seed)
    expected = by_definition(texts)
    assert found(texts) == expected
    assert 1 < len(expected) < 150, "the sample holds clusters and single texts"


def test_numbers_are_masked_and_case_and_width_folded() -> None:
    assert found(["Sales rose 5 % to EUR 3.2 mn", "sales ROSE 71 % to EUR 9,115.20 mn", "The board met"]) == {
        frozenset({0, 1}),
        frozenset({2}),
    }
    assert shingles("ＡＢＣ １２") == shingles("abc 7")


@pytest.mark.parametrize(("shared", "more", "fewer"), [(8, 1, 1), (8, 2, 0), (15, 3, 2), (22, 4, 4), (29, 11, 0)])
def test_the_threshold_itself_counts(shared: int, more: int, fewer: int) -> None:
    """Two texts that differ only in their middle, with a similarity of 7/10 to the last bit."""
    head, tail = WORDS[: shared // 2], WORDS[shared // 2 : shared]
    middle = WORDS[shared : shared + more]
    a = " ".join(head + middle + tail)
    b = " ".join(head + WORDS[40 : 40 + fewer] + tail)
    assert 10 * len(shingles(a) & shingles(b)) == 7 * len(shingles(a) | shingles(b))
    assert clusters([a, b]).tolist() == [0, 0]
    assert clusters([" ".join([*head, *middle, "extra", *tail]), b]).tolist() == [0, 1]


def test_near_neighbors_join_into_one_cluster_though_its_ends_differ() -> None:
    chain = [" ".join(WORDS[start : start + 20]) for start in (0, 3, 6, 9)]
    assert clusters([chain[0], "apart", *chain[1:]]).tolist() == [0, 1, 0, 0, 0]
    assert clusters([chain[0], "apart", chain[-1]]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 % of 3,000.50", {"0", "of", "0 of", "of 0"}),
        ("2024-12-31 and 10:30", {"0", "and", "0 and", "and 0"}),
        ("Straße STRASSE", {"strasse", "strasse strasse"}),
        ("Q3 5G", {"q0", "0g", "q0 0g"}),
        ("snake_case", {"snake", "case", "snake case"}),
        ("涨5%", {"涨", "0", "涨 0"}),
        ("カタ", {"カ", "タ", "カ タ"}),
        ("", set()),
        (" .,!", set()),
    ],
)
def test_shingles(text: str, expected: set[str]) -> None:
    assert shingles(text) == expected


def test_an_ideograph_is_a_word() -> None:
    assert shingles("净利润") == {"净", "利", "润", "净 利", "利 润"}
    assert found(["公司净利润同比增长百分之五", "公司净利润同比增长百分之六", "董事会会议通知"]) == {
        frozenset({0, 1}),
        frozenset({2}),
    }


def test_texts_without_words_join_only_their_equals() -> None:
    assert found(["!!!", "???", "!!!", "words"]) == {frozenset({0, 2}), frozenset({1}), frozenset({3})}
    assert clusters([]).shape == (0,)
    assert clusters(["one"]).tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_twins_exactly_as_defined(seed: int) -> None:
    texts = sample(seed)
    expected = is_twin(texts[:70], texts[70:])
    assert twins(texts[:70], texts[70:]).tolist() == expected
    assert len(set(expected)) == 2, "some have a twin, some do not"


def test_a_twin_is_similar_itself_and_not_over_a_third_text() -> None:
    chain = [" ".join(WORDS[start : start + 20]) for start in (0, 3, 6, 9)]
    assert twins([chain[0], "apart", chain[2], chain[0]], [chain[3]]).tolist() == [False, False, True, False]
    assert twins(["Sales rose 5 %", "!!!", "???"], ["SALES rose 7.1 %", "!!!"]).tolist() == [True, True, False]
    assert twins(["new words", "of no", "file"], []).tolist() == [False, False, False]
    assert twins([], ["one"]).shape == (0,)


def test_hashes_stand_for_shingles() -> None:
    texts = [*sample(0), "涨5%", "Straße", "!!!", "\ud800", "a " * 300]
    sets = [shingles(text) or frozenset([text]) for text in texts]
    rows = [set(row.tolist()) for row in np.split(hashed(texts).indices, hashed(texts).indptr[1:-1])]
    assert [[len(a & b) for b in rows] for a in rows] == [[len(a & b) for b in sets] for a in sets]


def test_ascii_texts_have_the_shingles_of_their_full_width_form() -> None:
    random = np.random.default_rng(0)
    for codes in random.integers(1, 127, size=(500, 40)).tolist() + random.integers(44, 60, size=(200, 20)).tolist():
        text = "".join(map(chr, codes))
        wide = text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
        assert shingles(text) == shingles(wide)


def test_what_phrasebank_holds(phrasebank: Path) -> None:
    rows = list(read(str(phrasebank)))
    assert Counter(row.target for row in rows) == {"negative": 303, "neutral": 1391, "positive": 570}
    texts = list(dict.fromkeys(row.text for row in rows))
    assert len(rows) - len(texts) == 5
    sizes = np.bincount(clusters(texts))
    assert (sizes[sizes > 1].sum(), (sizes > 1).sum()) == (203, 69)
    with_duplicates = np.bincount(clusters([row.text for row in rows]))
    assert with_duplicates[with_duplicates > 1].sum() == 213, "with the five pairs of exact duplicates"
