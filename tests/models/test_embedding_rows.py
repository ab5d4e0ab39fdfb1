"""A tokenizer with more tokens than its model has rows is refused where a text could reach them, and only there."""

from pathlib import Path
from typing import Any

import pytest

from fintune.config.load import load
from fintune.errors import ModelError
from fintune.models import load_model
from fintune.training.check import examine
from fintune.training.train import train
from tests import families
from tests.tiny import byte_tokenizer, config_for


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return families.save("llama", tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def with_tokenizer(llama: Path) -> Any:
    def save(tokenizer: Any) -> str:
        tokenizer.save_pretrained(llama)
        return str(llama)

    return save


def test_a_word_without_a_row_is_refused(with_tokenizer: Any) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["EBITDA"])
    with pytest.raises(
        ModelError, match="numbers tokens up to 259, the model's embedding has 259 rows: none for 'EBITDA'"
    ):
        load_model(with_tokenizer(tokenizer), device="cpu")


def test_check_says_so_too(with_tokenizer: Any, rows_file: Path, tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["EBITDA"])
    found = examine(load(config_for(Path(with_tokenizer(tokenizer)), rows_file, tmp_path)), doubt=False)
    assert [(f.level, "none for 'EBITDA'" in f.message) for f in found.report.findings if f.kind == "model"] == [
        ("severe", True)
    ]


@pytest.mark.parametrize("name", ["eos_token", "bos_token"])
def test_so_is_an_end_or_a_beginning_without_one(with_tokenizer: Any, name: str) -> None:
    from tokenizers import processors

    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({name: "<new>"})
    if name == "bos_token":
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<new> $A", special_tokens=[("<new>", 259)]
        )
    with pytest.raises(ModelError, match="none for '<new>'"):
        load_model(with_tokenizer(tokenizer), device="cpu")


def test_a_lone_pad_token_gives_way_to_the_end_token(with_tokenizer: Any) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert load_model(with_tokenizer(tokenizer), device="cpu").tokenizer.pad_token_id == 258


def test_a_control_token_nobody_writes_may_lack_its_row_and_one_in_the_template_may_not(
    with_tokenizer: Any, rows_file: Path, tmp_path: Path
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    folder = with_tokenizer(tokenizer)
    assert load_model(folder, device="cpu").tokenizer.pad_token == "<pad>"
    raw = config_for(Path(folder), rows_file, tmp_path)
    with pytest.raises(ModelError, match="the model's embedding has 259 rows, and none for '<image>'"):
        train(raw | {"task": {"name": "sentiment", "prompt": "<image>{text}{answer}"}})
