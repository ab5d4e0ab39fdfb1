"""Bottleneck adapters stand where their papers put them, in every family, and change nothing before training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fintune.errors import ModelError
from fintune.methods import METHODS
from fintune.methods.bottleneck import HoulsbyOptions, ParallelOptions, PfeifferOptions
from fintune.models import LoadedModel, load_model
from tests.families import FAMILIES, save
from tests.methods.starting import PROMPTS
from tests.methods.test_every_method import attached, learn, scores

SEQ2SEQ = {"t5", "flan-t5", "mt5", "bart", "mbart"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "options"),
    [("houlsby", HoulsbyOptions(size=4)), ("pfeiffer", PfeifferOptions(size=4)), ("parallel", ParallelOptions(size=4))],
)
def test_every_family_has_them_where_they_belong(
    family: str, name: str, options: HoulsbyOptions, tmp_path: Path
) -> None:
    base = load_model(str(save(family, tmp_path / "model")), device="cpu")
    before = scores(base)
    model = METHODS[name].attach(base.model, options, base.kind).eval()
    count = sum(hasattr(m, "adapter") for m in model.modules())
    blocks = 4 if family in SEQ2SEQ or family == "t5gemma2" else 2
    attentions = 6 if family in SEQ2SEQ else blocks
    assert count == (blocks + attentions if name == "houlsby" else blocks)
    tuned = LoadedModel(model, base.tokenizer, base.kind, "tuned")
    np.testing.assert_allclose(scores(tuned), before, atol=1e-5)
    for module in model.modules():
        if hasattr(module, "adapter"):
            torch.nn.init.normal_(module.adapter[2].weight, std=0.1)
    changed = scores(tuned)
    assert np.abs(changed - before).max() > 1e-3
    np.testing.assert_allclose(np.stack([scores(tuned, [p])[0] for p in PROMPTS]), changed, atol=1e-4)


def test_beside_reads_what_the_feed_forward_reads(tiny_causal: Path) -> None:
    tuned = attached("parallel", tiny_causal, size=4, scale=2.0, layers="top:1")
    last = next(m for m in tuned.model.modules() if hasattr(m, "adapter"))
    torch.nn.init.normal_(last.adapter[2].weight, std=0.1)
    mlp = tuned.model.model.layers[1].mlp
    x = torch.randn(1, 3, 32)
    plain = mlp.down_proj.weight @ (mlp.act_fn(x @ mlp.gate_proj.weight.T) * (x @ mlp.up_proj.weight.T)).mT
    torch.testing.assert_close(mlp(x), plain.mT + 2.0 * last.adapter(x))


def test_mix_and_match_has_prefixes_too(tiny_causal: Path, tmp_path: Path) -> None:
    tuned = attached("parallel", tiny_causal, size=4, num_virtual_tokens=3)
    assert sum(hasattr(m, "prefix") for m in tuned.model.modules()) == 2
    losses = learn("parallel", tuned, tmp_path, epochs=3)
    assert losses[-1] < losses[0] - 0.05


def test_more_blocks_than_there_are_is_refused(tiny_causal: Path) -> None:
    with pytest.raises(ModelError, match=r"top:3, and the model has 2 blocks"):
        attached("houlsby", tiny_causal, layers="top:3")


@pytest.mark.parametrize("name", ["houlsby", "pfeiffer", "parallel"])
def test_a_base_in_bfloat16_has_them_in_full_precision(name: str, tiny_model: Path) -> None:
    base = load_model(str(tiny_model), device="cpu", dtype="bfloat16")
    before = scores(base)
    model = METHODS[name].attach(base.model, METHODS[name].options(size=4), base.kind)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    np.testing.assert_array_equal(scores(LoadedModel(model, base.tokenizer, base.kind, "tuned")), before)
