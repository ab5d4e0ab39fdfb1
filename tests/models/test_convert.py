"""Other layouts become folders that load, or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fintune.errors import ModelError, RunError
from fintune.export.registry import FORMATS
from fintune.models import load_model
from fintune.models.convert import convert
from tests.families import save
from tests.models.formats.test_llama_checkpoint import ranks, weights, written
from tests.tiny import unigram_tokenizer


@pytest.fixture
def original(tmp_path: Path) -> Path:
    source = written(tmp_path / "原 original", weights(518, 2), 2, 0, n_kv_heads=2)
    ranks(source)
    return source


def test_a_checkpoint_of_meta_becomes_a_base_model(original: Path, tmp_path: Path, fin: Any) -> None:
    made = json.loads(fin("convert", original, "-o", tmp_path / "made 成", "--json").out)
    assert made["layout"] == "LLaMA, original"
    assert made["parameters"] == sum(tensor.numel() for tensor in weights(518, 2).values())
    assert load_model(made["folder"], device="cpu").sha256 == made["sha256"]


def test_a_gguf_comes_back_as_the_model_it_was_made_from(tmp_path: Path, fin: Any) -> None:
    loaded = load_model(str(save("llama", tmp_path / "model")), device="cpu")
    FORMATS["gguf"].write(loaded, tmp_path / "made", "float32")
    shown = fin("convert", tmp_path / "made" / "model.gguf", "-o", tmp_path / "back")
    assert "gguf · " in shown.out
    assert "model.base=" in shown.out
    again = load_model(str(tmp_path / "back"), device="cpu")
    own, theirs = loaded.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(own[name], theirs[name]) for name in own)
    assert again.tokenizer("Alvex !! ü").input_ids == loaded.tokenizer("Alvex !! ü").input_ids


def test_a_t5_in_gguf_comes_back_with_its_gate_its_head_and_its_normalization(tmp_path: Path) -> None:
    model = save("flan-t5", tmp_path / "model")
    unigram_tokenizer().save_pretrained(model)
    loaded = load_model(str(model), device="cpu")
    FORMATS["gguf"].write(loaded, tmp_path / "made", "float32")
    back = load_model(convert(tmp_path / "made" / "model.gguf", output=tmp_path / "back").folder, device="cpu")
    text = "Ａlvex  of Oslo\nﬁ +"
    ids = torch.tensor([loaded.tokenizer(text).input_ids])
    assert back.tokenizer(text).input_ids == ids[0].tolist()
    with torch.no_grad():
        own, theirs = (m.model(input_ids=ids, decoder_input_ids=ids[:, :2]).logits for m in (loaded, back))
    torch.testing.assert_close(own, theirs, atol=1e-5, rtol=0)


def test_what_is_no_such_thing_is_refused(original: Path, tmp_path: Path, fin: Any) -> None:
    assert fin("convert", tmp_path / "nothing", "-o", tmp_path / "x").code == 2
    with pytest.raises(ModelError, match=r"not a \.gguf file, a folder with params\.json"):
        convert(save("llama", tmp_path / "model"), output=tmp_path / "x")
    (tmp_path / "there").mkdir()
    with pytest.raises(RunError, match="is there already"):
        convert(original, output=tmp_path / "there")
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF and nothing")
    with pytest.raises(ModelError, match=r"bad\.gguf"):
        convert(bad, output=tmp_path / "x")
    shard = original / "consolidated.01.pth"
    shard.write_bytes(shard.read_bytes()[:900])
    with pytest.raises(ModelError, match=r"consolidated\.01\.pth: damaged"):
        convert(original, output=tmp_path / "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.gguf", "model", "there", "原 original"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"dim": 33}, "not LLaMA's layout"), ({"n_heads": 64}, "not LLaMA's layout"), ({"norm_eps": None}, "norm_eps is None"),
     ({"rope_theta": "x"}, "rope_theta is 'x', should be a number above 0"), ({"rope_theta": 0}, "rope_theta is 0"),
     ({"n_kv_heads": "4"}, "n_kv_heads is '4'"), ({"norm_eps": -1.0}, "norm_eps is -1.0")],
)  # fmt: skip
def test_wrong_settings_are_told(wrong: dict[str, Any], message: str, original: Path, tmp_path: Path) -> None:
    file = original / "params.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | wrong))
    with pytest.raises(ModelError, match=message):
        convert(original, output=tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_tokenizer_that_is_not_the_checkpoints_is_told(original: Path, tmp_path: Path) -> None:
    file = original / "tokenizer.model"
    whole = file.read_text()
    file.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(ModelError, match=r"tokenizer\.model has 517 tokens, and the weights 518"):
        convert(original, output=tmp_path / "made")
    file.write_text("")
    with pytest.raises(ModelError, match=r"tokenizer\.model: is empty"):
        convert(original, output=tmp_path / "made")
