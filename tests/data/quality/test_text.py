"""What counts as the same text, as wrongly decoded, as a label that holds more than a label."""

import pytest

from fintune.data.quality.text import is_dictionary, is_header, is_mojibake, normalized, parses


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Sales rose 5 %!", "sales  ROSE 5%"),
        ("ｓａｌｅｓ", "Sales"),
        ("公司，扭亏。", "公司 扭亏"),
        ("，，，", "..."),
        ("STRASSE", "straße"),
    ],
)
def test_texts_that_are_the_same(text: str, same: str) -> None:
    assert normalized(text) == normalized(same)


@pytest.mark.parametrize(("text", "other"), [("a b", "ab"), ("up 5", "up 6"), ("🚀", "📉"), ("🚀", "...")])
def test_texts_that_are_not(text: str, other: str) -> None:
    assert normalized(text) != normalized(other)


def test_mojibake() -> None:
    assert [is_mojibake(text) for text in ("KÃ¤se", "Sepp+ñl+ñ", "a\ufffdb")] == [True] * 3
    assert [is_mojibake(text) for text in ("Käse", "涨 C+轮融资", "plain", "Düsseldorf – “so”", "🚀")] == [False] * 5


def test_headers_and_dictionaries() -> None:
    assert is_header(" Headline ")
    assert not is_header("Headline inflation rose")
    assert [is_dictionary(label) for label in ("{'a': 'up'}", '["a"]', "up", "{up")] == [True, True, False, False]
    assert [parses(label) for label in ("{'a': 'up'}", '{"a": null}', "{'L'Oreal': 'up'}", "{__import__('os')}")] == [
        True, True, False, False,
    ]  # fmt: skip
