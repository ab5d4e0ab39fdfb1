"""Fused LoRA layers: dropout is torch's in distribution and one mask a group; whatever is not plain goes PEFT's own way."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fintune.methods import METHODS
from fintune.methods.lora.fused import _kept, _noise, fused_layers
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, load_model

IDS = {"input_ids": torch.tensor([[257, 65, 66, 67]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}


def tuned(folder: Path, dtype: str = "float32", **options: object) -> LoadedModel:
    base = load_model(str(folder), device="cpu", dtype=dtype)
    torch.manual_seed(0)
    loaded = replace(base, model=METHODS["lora"].attach(base.model, LoraOptions(r=4, **options), "causal"))
    for name, parameter in loaded.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return loaded


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(300, 401)
    kept = _kept(_noise(x, rate), rate, x)
    assert float((kept == 0).float().mean()) == pytest.approx(rate, abs=4 * (rate * (1 - rate) / x.numel()) ** 0.5)
    assert kept.unique().tolist() == [0.0, pytest.approx(1 / (1 - rate), rel=1e-4)]
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)
    again = _kept(_noise(x, rate), rate, x)
    assert not torch.equal(kept, again)
    torch.manual_seed(0)
    assert torch.equal(kept, _kept(_noise(x, rate), rate, x))


def test_dropout_acts_in_training_alone(tiny_causal: Path) -> None:
    loaded = tuned(tiny_causal, lora_dropout=0.5)
    with fused_layers(loaded.model, IDS) as layers, torch.no_grad():
        assert layers == 14
        loaded.model.eval()
        assert torch.equal(loaded.model(**IDS).logits, loaded.model(**IDS).logits)
        loaded.model.train()
        assert not torch.equal(loaded.model(**IDS).logits, loaded.model(**IDS).logits)


def test_gradients_of_a_group_are_those_autograd_finds_under_its_own_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    from fintune.methods.lora import fused as module

    torch.manual_seed(0)
    x = torch.randn(2, 5, 8, dtype=torch.double, requires_grad=True)
    parts = [torch.randn(*shape, dtype=torch.double, requires_grad=True) for shape in ((3, 8), (2, 8), (6, 3), (4, 2))]

    class Layer:
        def __init__(self, out: int, bias: bool) -> None:
            self.parts = torch.randn(out, 8, dtype=torch.double), torch.randn(out, dtype=torch.double) if bias else None
            self.scaling = 1.7

        def frozen(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor | None]:
            return self.parts

    noise = torch.randint(-(2**15), 2**15, (10, 8), dtype=torch.int16)
    monkeypatch.setattr(module, "_noise", lambda flat, rate: noise)
    layers = [Layer(6, bias=True), Layer(4, bias=False)]
    assert torch.autograd.gradcheck(
        lambda x, *ab: module._Updated.apply(x, 0.25, torch.double, layers, *ab), (x, *parts)
    )


@pytest.mark.parametrize(
    ("dtype", "options", "layers"),
    [("bfloat16", {}, 14), ("float32", {"use_dora": True}, 0), ("float32", {"use_rslora": True}, 14)],
)
def test_what_is_not_plain_is_left_to_peft(
    tiny_causal: Path, dtype: str, options: dict[str, bool], layers: int
) -> None:
    loaded = tuned(tiny_causal, dtype=dtype, **options)
    loaded.model.eval()
    with torch.no_grad():
        plain = loaded.model(**IDS).logits
        with fused_layers(loaded.model, IDS) as found:
            assert found == layers
            torch.testing.assert_close(loaded.model(**IDS).logits, plain, atol=1e-5, rtol=1e-4)
            with loaded.model.disable_adapter():
                without = loaded.model(**IDS).logits
        assert not torch.allclose(without, plain)
    assert all("forward" not in module.__dict__ for module in loaded.model.modules())


def test_autocast_computes_in_bfloat16_and_trains_in_float32(tiny_causal: Path) -> None:
    loaded = tuned(tiny_causal)
    loaded.model.eval()

    def gradients(rough: bool = True) -> dict[str, torch.Tensor]:
        loaded.model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=rough):
            loss = loaded.model(**IDS).logits.float().logsumexp(-1).mean()
        loss.backward()
        return {n: p.grad.clone() for n, p in loaded.model.named_parameters() if p.grad is not None}

    def error(found: dict[str, torch.Tensor]) -> float:
        return max(float((found[name] - exact[name]).norm() / exact[name].norm()) for name in exact)

    exact, plain = gradients(rough=False), gradients()
    with fused_layers(loaded.model, IDS):
        found = gradients()
    assert {gradient.dtype for gradient in found.values()} == {torch.float32}
    assert 1e-4 < error(found) < 2 * error(plain) < 0.4
