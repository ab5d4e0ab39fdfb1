"""Answers a tokenizer cannot tell apart are refused before weights load; `check` says what it does not know."""

from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.errors import ModelError
from fintune.inference.candidates import answers_of, need_distinct
from fintune.models.prompts import PromptEncoder
from fintune.tasks.classification import Classification, ClassificationOptions
from fintune.training.check import examine
from fintune.training.train import train
from tests import families
from tests.kinds import tokenizer_of
from tests.tiny import config_for, tiny_rows, unigram_tokenizer


@pytest.fixture(scope="module")
def english_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = families.save("t5", tmp_path_factory.mktemp("models") / "t5")
    unigram_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def config(english_t5: Path, rows_file: Path, tmp_path: Path) -> dict[str, Any]:
    return config_for(english_t5, rows_file, tmp_path)


def no_weights(*_: Any, **__: Any) -> None:
    raise AssertionError("weights were loaded")


def test_answers_unknown_to_the_tokenizer_are_refused_before_weights_load(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForSeq2SeqLM

    monkeypatch.setattr(AutoModelForSeq2SeqLM, "from_pretrained", no_weights)
    with pytest.raises(
        ModelError, match=r"task.answers: '负面' and '中性' are the same tokens .*: ▁ <unk> </s>$"
    ) as told:
        train(config | {"task": {"name": "sentiment", "language": "zh"}})
    assert "task.answers" in told.value.hint
    assert not (tmp_path / "runs" / "tiny").exists()


def test_check_gives_the_share_of_unknown_tokens(config: dict[str, Any], tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    texts = [row["text"] + (" 涨跌" if i < 45 else "") for i, row in enumerate(tiny_rows())]
    lines = [f"{text},{row['label']}" for text, row in zip(texts, tiny_rows(), strict=True)]
    rows.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    task = {"name": "sentiment", "language": "zh"}
    found = examine(load(config | {"task": task, "data": {"path": str(rows)}}), doubt=False).report
    told = {f.kind: (f.level, f.count) for f in found.findings}
    assert told["same-answers"] == ("severe", 1)
    assert told["unknown-answers"] == ("severe", 3)
    assert told["unknown-template"] == ("warning", 1)
    assert told["unknown-tokens"] == ("warning", 45)
    unknown, all_tokens = 90 + 45, sum(len(unigram_tokenizer()(f"{text}\n情绪：")["input_ids"]) for text in texts)
    assert found.tokens["unknown"] == pytest.approx(unknown / all_tokens)


def test_a_known_language_has_no_such_finding(config: dict[str, Any]) -> None:
    found = examine(load(config), doubt=False).report
    assert found.tokens["unknown"] == 0
    assert not {f.kind for f in found.findings} & {
        "same-answers",
        "unknown-answers",
        "unknown-template",
        "unknown-tokens",
    }


def distinct(kind: str, *labels: str, template: str = "{text}\nLabel: {answer}") -> None:
    task = Classification(ClassificationOptions(labels=list(labels), prompt=template))
    need_distinct(PromptEncoder(tokenizer_of(kind), "causal", 99), task)


def test_case_alone_does_not_tell_answers_apart_where_the_tokenizer_drops_it() -> None:
    distinct("wordpiece-cased", "Positive", "positive")
    with pytest.raises(ModelError, match=r"'Positive' and 'positive' are the same tokens"):
        distinct("wordpiece-uncased", "Positive", "positive")


def test_answers_equal_once_normalized_are_the_same() -> None:
    distinct("llama", "up", "ｕｐ")
    with pytest.raises(ModelError, match="'up' and 'ｕｐ'"):
        distinct("unigram", "up", "ｕｐ")


@pytest.mark.parametrize("kind", ["llama", "unigram", "gpt2", "wordpiece-uncased"])
def test_an_answer_that_begins_another_is_told_by_the_end_token(kind: str) -> None:
    distinct(kind, "up", "upward")
    task = Classification(ClassificationOptions(labels=["up", "upward"]))
    encoder = PromptEncoder(tokenizer_of(kind), "causal", 99)
    assert all(ids[-1] == encoder.tokenizer.eos_token_id for ids in answers_of(encoder, task).values())


def test_check_says_where_prompt_and_answer_would_be_joined(tmp_path: Path, rows_file: Path, tiny_causal: Path) -> None:
    tokenizer_of("llama3").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((tiny_causal / "config.json").read_text())
    raw = config_for(tmp_path, rows_file, tmp_path)
    task = {"name": "sentiment", "language": "zh"}
    told = {f.kind: f for f in examine(load(raw | {"task": task}), doubt=False).report.findings}
    assert told["joined-answers"].level == "warning"
    assert "'：' and the answers 负面, 中性, 正面" in told["joined-answers"].message
    spaced = task | {"prompt": "{text}\n情绪：\n{answer}"}
    assert "joined-answers" not in {f.kind for f in examine(load(raw | {"task": spaced}), doubt=False).report.findings}
