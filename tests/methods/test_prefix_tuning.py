"""Prefixes stand before the keys and values of every attention, an encoder's too, and padding changes nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fintune.errors import ModelError
from fintune.methods import METHODS
from fintune.methods.adapter import load_adapter
from fintune.methods.prefix_attention import attention_sites
from fintune.methods.prefix_tuning import DeepPromptOptions, PrefixOptions
from fintune.models import LoadedModel, load_model
from tests.families import FAMILIES, save
from tests.methods.starting import PROMPTS
from tests.methods.test_every_method import attached, learn, scores

SITES = {"t5": 6, "flan-t5": 6, "mt5": 6, "bart": 6, "mbart": 6, "t5gemma2": 4}
"""two blocks: encoder, decoder and between, or encoder and a decoder's one attention for both"""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_them_in_every_attention(family: str, tmp_path: Path) -> None:
    base = load_model(str(save(family, tmp_path / "model")), device="cpu")
    before = scores(base)
    torch.manual_seed(0)
    options = DeepPromptOptions(num_virtual_tokens=3)
    if family == "bloom":
        with pytest.raises(ModelError, match="computes attention in a way of its own"):
            METHODS["p-tuning-v2"].attach(base.model, options, base.kind)
        return
    model = METHODS["p-tuning-v2"].attach(base.model, options, base.kind).eval()
    made = [m.prefix for m in model.modules() if hasattr(m, "prefix")]
    assert len(made) == SITES.get(family, 2)
    tuned = LoadedModel(model, base.tokenizer, base.kind, "tuned")
    found = scores(tuned)
    assert np.abs(found - before).max() > 1e-4
    np.testing.assert_allclose(np.stack([scores(tuned, [p])[0] for p in PROMPTS]), found, atol=1e-4)


def test_it_is_what_attention_over_more_keys_gives(tiny_causal: Path) -> None:
    """The last block's keys and values of an earlier text as its prefix: as if that text had been read there, and nowhere else."""
    base = load_model(str(tiny_causal), device="cpu")
    torch.manual_seed(0)
    tuned = METHODS["p-tuning-v2"].attach(base.model, DeepPromptOptions(num_virtual_tokens=2, layers="top:1"), "causal")
    prefixed = [(n, m) for n, m in tuned.named_modules() if hasattr(m, "prefix")]
    assert [n for n, _ in prefixed] == ["model.layers.1.self_attn"]
    attention = prefixed[0][1]
    keys, values = (t.detach() for t in attention.prefix())
    query, key, value = torch.randn(1, 2, 3, 16), torch.randn(1, 1, 3, 16), torch.randn(1, 1, 3, 16)
    from fintune.methods.prefix_attention import _attend

    found, _ = _attend(attention, query, key, value, None, scaling=0.25)
    wide_k, wide_v = torch.cat([keys[None], key], 2), torch.cat([values[None], value], 2)
    mask = torch.cat([torch.ones(3, 2), torch.ones(3, 3).tril()], dim=1).bool()
    weights = (query @ wide_k.transpose(2, 3) * 0.25).masked_fill(~mask, -torch.inf).softmax(-1)
    torch.testing.assert_close(found, (weights @ wide_v).transpose(1, 2))


@pytest.mark.parametrize("name", ["prefix", "p-tuning-v2"])
@pytest.mark.parametrize("family", ["mt5", "t5gemma2"])
def test_an_encoders_states_change(name: str, family: str, tmp_path: Path) -> None:
    """PEFT's prefixes reach an encoder-decoder's decoder alone; these reach its encoder too, and come back from a file."""
    folder = save(family, tmp_path / "model")
    tuned, base = attached(name, folder), load_model(str(folder), device="cpu")
    ids = torch.tensor([[65, 66, 67]])
    with torch.no_grad():
        start = tuned.model.eval().get_encoder()(input_ids=ids).last_hidden_state
        plain = base.model.get_encoder()(input_ids=ids).last_hidden_state
    assert (start - plain).abs().max() > 1e-3
    learn(name, tuned, tmp_path)
    with torch.no_grad():
        trained = tuned.model.eval().get_encoder()(input_ids=ids).last_hidden_state
    assert (trained - start).abs().max() > 1e-3
    METHODS[name].save(tuned.model, tmp_path / "adapter")
    again = load_adapter(load_model(str(folder), device="cpu"), tmp_path / "adapter")
    np.testing.assert_allclose(scores(again), scores(tuned), atol=1e-5)


def test_what_is_saved_needs_the_network_no_more(tiny_causal: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    tuned = attached("prefix", tiny_causal, num_virtual_tokens=5, hidden_size=7)
    METHODS["prefix"].save(tuned.model, tmp_path)
    found = load_file(tmp_path / "fintune_adapter.safetensors")
    assert {name.rpartition(".prefix.")[2] for name in found} == {"keys", "values"}
    assert {tuple(t.shape) for t in found.values()} == {(1, 5, 16)}


def test_prefixes_begin_as_keys_and_values_of_words(tiny_causal: Path) -> None:
    base = load_model(str(tiny_causal), device="cpu")
    torch.manual_seed(0)
    ids = torch.randint(0, 259, (1, 6))
    known = attention_sites(base.model, ids)
    torch.manual_seed(0)
    tuned = METHODS["prefix"].attach(base.model, PrefixOptions(num_virtual_tokens=6), "causal")
    made = [m.prefix() for m in tuned.modules() if hasattr(m, "prefix")]
    for site, (keys, values) in zip(known, made, strict=True):
        torch.testing.assert_close(keys, site.keys)
        torch.testing.assert_close(values, site.values)


def test_more_blocks_than_there_are_is_refused(tiny_causal: Path) -> None:
    base = load_model(str(tiny_causal), device="cpu")
    with pytest.raises(ModelError, match=r"top:3, and the model has 2 blocks"):
        METHODS["p-tuning-v2"].attach(base.model, DeepPromptOptions(layers="top:3"), "causal")


@pytest.mark.parametrize("name", ["prefix", "p-tuning-v2"])
def test_on_a_base_in_bfloat16_they_are_in_full_precision(name: str, tiny_model: Path, tmp_path: Path) -> None:
    base = load_model(str(tiny_model), device="cpu", dtype="bfloat16")
    model = METHODS[name].attach(base.model, METHODS[name].options(num_virtual_tokens=3), base.kind).eval()
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    found = scores(LoadedModel(model, base.tokenizer, base.kind, "tuned"))
    METHODS[name].save(model, tmp_path)
    again = load_adapter(load_model(str(tiny_model), device="cpu", dtype="bfloat16"), tmp_path)
    np.testing.assert_array_equal(scores(again), found)
