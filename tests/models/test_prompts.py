"""Truncation touches the source text alone; an answer goes on where the prompt ends."""

from typing import Any

import pytest

from fintune.errors import ModelError
from fintune.models.prompts import PromptEncoder
from fintune.records import Encoded, Prompt, TooLong
from tests.tiny import byte_tokenizer

BOS, EOS = 257, 258


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer()


def decode(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def test_an_answer_goes_on_where_the_prompt_ends(tokenizer: Any) -> None:
    encoded = PromptEncoder(tokenizer, "causal", 64).encode(Prompt.around("Q: ", "up", "\nA:"), " yes")
    assert isinstance(encoded, Encoded)
    assert encoded.input_ids[0] == BOS
    assert decode(tokenizer, encoded.input_ids) == "Q: up\nA:"
    assert encoded.answer_ids == [*tokenizer(" yes", add_special_tokens=False)["input_ids"], EOS]


def test_seq2seq_answers_start_without_the_blank(tokenizer: Any) -> None:
    assert decode(tokenizer, PromptEncoder(tokenizer, "seq2seq", 64).answer_ids(" yes", "")[:-1]) == "yes"


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
@pytest.mark.parametrize("limit", [20, 25, 40])
def test_only_the_middle_of_the_text_is_cut(tokenizer: Any, kind: Any, limit: int) -> None:
    text = "abcdefghij" * 5
    encoder = PromptEncoder(tokenizer, kind, limit)
    encoded = encoder.encode(Prompt.around("<", text, "> A:"), " up")
    assert isinstance(encoded, Encoded)
    total = len(encoded.input_ids) + (len(encoded.answer_ids) if kind == "causal" else 0)
    assert total == limit
    shown = decode(tokenizer, encoded.input_ids)
    inner = shown.removeprefix("<").removesuffix("> A:")
    assert len(shown) - len(inner) == 5, "the template stands whole"
    assert encoded.cut == len(text) - len(inner)
    assert text.startswith(inner[: len(inner) // 2])
    assert text.endswith(inner[-(len(inner) // 2) :])


def test_a_text_that_fits_is_not_cut(tokenizer: Any) -> None:
    prompt = Prompt.around("<", "abc", ">")
    encoded = PromptEncoder(tokenizer, "causal", 6 + 2).encode(prompt, "x")  # bos < a b c > and x eos
    assert isinstance(encoded, Encoded)
    assert encoded.cut == 0
    assert PromptEncoder(tokenizer, "causal", 7).encode(prompt, "x") == Encoded([BOS, 27, 64, 66, 29], [87, EOS], 1)


def test_characters_of_several_tokens_are_cut_whole(tokenizer: Any) -> None:
    text = "涨跌" * 10
    for limit in range(12, 40):
        encoded = PromptEncoder(tokenizer, "causal", limit).encode(Prompt.around("", text, ":"), "x")
        assert isinstance(encoded, Encoded)
        assert set(decode(tokenizer, encoded.input_ids)) <= {"涨", "跌", ":"}


def test_template_and_answer_that_do_not_fit_are_told(tokenizer: Any) -> None:
    found = PromptEncoder(tokenizer, "causal", 10).encode(Prompt.around("", "text", "\nSentiment:"), " up")
    assert found == TooLong(needed=1 + 11 + 4 + 1, limit=10)


def test_an_end_token_after_a_causal_prompt_is_dropped(tokenizer: Any) -> None:
    from tokenizers import processors

    ending = byte_tokenizer()
    ending.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", EOS)]
    )
    encoded = PromptEncoder(ending, "causal", 64).encode_prompt(Prompt.around("", "up", ""), reserve=0)
    assert isinstance(encoded, Encoded)
    assert EOS not in encoded.input_ids
    kept = PromptEncoder(ending, "seq2seq", 64).encode_prompt(Prompt.around("", "up", ""), reserve=0)
    assert isinstance(kept, Encoded)
    assert kept.input_ids[-1] == EOS


def test_a_tokenizer_without_end_token_is_refused() -> None:
    endless = byte_tokenizer()
    endless.eos_token = None
    with pytest.raises(ModelError, match="end token"):
        PromptEncoder(endless, "causal", 64)


@pytest.mark.parametrize("limit", range(30, 130, 7))
def test_of_several_texts_those_that_are_marked_are_shortened_the_longest_first(tokenizer: Any, limit: int) -> None:
    title, body, note, kept = "T" * 20, "b" * 60, "n" * 40, "k" * 9
    pieces = (
        (title, "shortened"), ("<", "template"), (body, "shortened"), (">", "template"), (kept, "field"), ("|", "template"),
        (note, "shortened"), (":", "template"),
    )  # fmt: skip
    encoded = PromptEncoder(tokenizer, "causal", limit).encode(Prompt(pieces), "x")  # type: ignore[arg-type]
    assert isinstance(encoded, Encoded)
    shown = decode(tokenizer, encoded.input_ids)
    left = [shown.count(letter) for letter in "Tbn"]
    assert shown == f"{'T' * left[0]}<{'b' * left[1]}>{kept}|{'n' * left[2]}:", "nothing else is cut"
    assert encoded.cut == 120 - sum(left)
    assert len(encoded.input_ids) + len(encoded.answer_ids) == min(limit, 1 + 120 + 4 + 9 + 2)
    level = max(left)
    assert all(length == whole or level - length <= 1 for length, whole in zip(left, (20, 60, 40), strict=True))


def test_what_may_not_be_shortened_and_does_not_fit_is_too_long(tokenizer: Any) -> None:
    prompt = Prompt((("k" * 50, "field"), ("short", "shortened"), (":", "template")))
    assert isinstance(PromptEncoder(tokenizer, "causal", 40).encode(prompt, "x"), TooLong)
    assert isinstance(PromptEncoder(tokenizer, "causal", 40).encode(Prompt((("k" * 50, "field"),)), "x"), TooLong)
