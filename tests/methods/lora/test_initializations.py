"""Every start of LoRA is what its paper says and, but for two, changes no answer before training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fintune.config.load import load
from fintune.errors import ConfigError, ModelError
from fintune.methods.example_losses import example_losses
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, load_model
from tests.methods.starting import EXAMPLES, factors, layers, scores, started
from tests.training.loop.test_trainer import encoded_rows

TAKES_FROM_BASE = ["pissa", "pissa_niter_4", "olora", "corda", "lora_ga"]
SAVED_AS_DIFFERENCE = ["pissa_niter_4", "corda", "lora_ga"]
NO_EFFECT_AT_FIRST = [True, "gaussian", "mica", "eva", *TAKES_FROM_BASE]


def fed(model: Path, layer: str) -> np.ndarray:
    """What a layer of the untouched model is fed by the examples, token by token."""
    loaded, seen = load_model(str(model), device="cpu"), []
    loaded.model.get_submodule(layer).register_forward_pre_hook(lambda _, x: seen.append(x[0].detach()[0].numpy()))
    with torch.no_grad():
        for loss in example_losses(loaded, encoded_rows(loaded, EXAMPLES), 0):
            loss()
    return np.concatenate(seen).astype(np.float64)


@pytest.mark.parametrize("init", NO_EFFECT_AT_FIRST)
def test_a_start_changes_no_score_and_depends_on_the_seed_alone(tiny_model: Path, init: bool | str) -> None:
    once, again = started(tiny_model, init_lora_weights=init), started(tiny_model, init_lora_weights=init)
    np.testing.assert_allclose(scores(once), scores(load_model(str(tiny_model), device="cpu")), atol=2e-4)
    for (name, p), q in zip(once.model.named_parameters(), again.model.parameters(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize("init", [*TAKES_FROM_BASE, "mica", "eva"])
def test_what_takes_from_the_base_says_so(tiny_model: Path, init: str) -> None:
    before = dict(load_model(str(tiny_model), device="cpu").model.named_parameters())
    after = started(tiny_model, init_lora_weights=init, eva_rho=1)
    names = {
        n.removeprefix("base_model.model.").replace(".base_layer", ""): p for n, p in after.model.named_parameters()
    }
    moved = {n for n, p in before.items() if not torch.equal(p, names[n])}
    linear = {n.removeprefix("base_model.model.") + ".weight" for n in layers(after)}
    assert moved == (linear if init in TAKES_FROM_BASE else set())
    assert LoraOptions(r=4, init_lora_weights=init).changes_base() == bool(moved)


def name_of(model: Path, **options: Any) -> str:
    """The name, in the base model, of the layer that is looked at: one of the middle of the model."""
    return next(
        n for n in layers(started(model, **options)) if n.endswith(("1.mlp.down_proj", "1.layer.1.DenseReluDense.wo"))
    )


def test_eva_takes_the_directions_of_most_variance(tiny_model: Path) -> None:
    name = name_of(tiny_model)
    a, b = factors(layers(started(tiny_model, init_lora_weights="eva", eva_rho=1))[name])
    rows = fed(tiny_model, name.removeprefix("base_model.model."))
    _, _, right = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    for ours, theirs in zip(a.numpy(), right, strict=False):
        assert abs(ours @ theirs) == pytest.approx(1, abs=1e-4)
    assert a.shape[0] == 4
    assert not b.any()
    assert all((row[np.abs(row).argmax()] > 0) for row in a.numpy()), "signs do not depend on the machine"


def test_eva_moves_ranks_to_where_they_explain_most(tiny_model: Path) -> None:
    even = {n: len(factors(m)[0]) for n, m in layers(started(tiny_model, init_lora_weights="eva", eva_rho=1)).items()}
    tuned = started(tiny_model, init_lora_weights="eva", eva_rho=2, lora_alpha=8)
    moved = {n: len(factors(m)[0]) for n, m in layers(tuned).items()}
    assert set(even.values()) == {4}
    assert sum(moved.values()) == sum(even.values())
    assert max(moved.values()) > 4 > min(moved.values())
    assert max(moved.values()) <= 8
    assert {m.scaling["default"] for m in layers(tuned).values()} == {2.0}, "alpha follows the rank"


@pytest.mark.parametrize(("method", "part"), [("ipm", slice(None, 4)), ("kpm", slice(-4, None))])
def test_corda_sees_the_weight_through_the_inputs(tiny_model: Path, method: str, part: slice) -> None:
    name = name_of(tiny_model)
    weight = (
        load_model(str(tiny_model), device="cpu").model.get_submodule(name.removeprefix("base_model.model.")).weight
    )
    w, loaded = weight.detach().numpy().astype(np.float64), load_model(str(tiny_model), device="cpu")
    covariance, start = np.zeros((w.shape[1],) * 2), 0
    rows = fed(tiny_model, name.removeprefix("base_model.model."))
    lengths = _lengths(loaded, name)
    for length in lengths:
        x = rows[start : start + length] / np.abs(rows[start : start + length]).max()
        covariance, start = covariance + x.T @ x / EXAMPLES, start + length
    covariance += 0.01 * np.diag(covariance).mean() * np.eye(len(covariance))
    u, s, vt = np.linalg.svd(w @ covariance, full_matrices=False)
    wanted = (u[:, part] * s[part]) @ (vt[part] @ np.linalg.inv(covariance))
    layer = layers(started(tiny_model, init_lora_weights="corda", corda_method=method))[name]
    delta = layer.get_delta_weight("default").detach().numpy()
    np.testing.assert_allclose(delta, wanted, atol=1e-3 * np.abs(w).max())
    pissa = layers(started(tiny_model, init_lora_weights="pissa"))[name].get_delta_weight("default").detach().numpy()
    assert np.abs(delta - pissa).max() > 1e-2


def _lengths(loaded: LoadedModel, name: str) -> list[int]:
    """Tokens of each example where a layer stands."""
    order = np.random.default_rng(0).permutation(EXAMPLES)
    rows = encoded_rows(loaded, EXAMPLES)
    whole: Callable[[Any], int] = (
        (lambda r: len(r.input_ids) + len(r.answer_ids) - 1)
        if loaded.kind == "causal"
        else (lambda r: len(r.input_ids if ".encoder." in name else r.answer_ids))
    )
    return [whole(rows[i]) for i in order]


def test_lora_ga_takes_directions_of_the_full_gradient(tiny_model: Path) -> None:
    name = name_of(tiny_model)
    loaded = load_model(str(tiny_model), device="cpu")
    weight = loaded.model.get_submodule(name.removeprefix("base_model.model.")).weight
    for loss in example_losses(loaded, encoded_rows(loaded, EXAMPLES), 0):
        loss().backward()
    u, _, vt = np.linalg.svd(weight.grad.numpy().astype(np.float64))
    a, b = factors(layers(started(tiny_model, init_lora_weights="lora_ga"))[name])
    for i in range(2):  # the leading ones; those that follow differ little from each other and may be turned
        assert abs(a[i].numpy() @ vt[i]) == pytest.approx(1, abs=1e-2)
    span = u[:, :8] @ u[:, :8].T
    np.testing.assert_allclose(span @ b.numpy(), b.numpy(), atol=5e-2 * np.abs(b.numpy()).max())


def test_mica_learns_in_the_smallest_directions_and_only_a(tiny_model: Path) -> None:
    name = name_of(tiny_model)
    tuned = started(tiny_model, init_lora_weights="mica")
    a, b = factors(layers(tuned)[name])
    u, _, _ = np.linalg.svd(layers(tuned)[name].get_base_layer().weight.detach().numpy(), full_matrices=False)
    np.testing.assert_allclose(np.abs(np.diag(u[:, -4:].T @ b.numpy())), 1, atol=1e-3)
    assert not a.any()
    trains = {n.partition(".lora_")[2][0] for n, p in tuned.model.named_parameters() if p.requires_grad}
    assert trains == {"A"}


def test_pissa_niter_is_near_pissa(tiny_model: Path) -> None:
    name = name_of(tiny_model)
    weight = (
        load_model(str(tiny_model), device="cpu").model.get_submodule(name.removeprefix("base_model.model.")).weight
    )

    def left(init: str) -> float:
        layer = layers(started(tiny_model, init_lora_weights=init))[name]
        return (weight - layer.get_delta_weight("default")).norm().item()

    assert left("pissa") <= left("pissa_niter_16") < 1.01 * left("pissa")
    assert left("pissa_niter_16") < left("pissa_niter_0"), "the number counts"


def test_orthogonal_rows_and_columns(tiny_model: Path) -> None:
    for layer in layers(started(tiny_model, init_lora_weights="orthogonal")).values():
        a, b = factors(layer)
        assert torch.allclose(b @ a, torch.zeros(1), atol=1e-5), "A and B live in halves of the rank that do not meet"
        assert a.any()
        assert b.any()


@pytest.mark.parametrize("init", NO_EFFECT_AT_FIRST)
def test_on_a_base_of_half_precision_the_adapter_has_full(tiny_causal: Path, init: bool | str) -> None:
    tuned = started(tiny_causal, dtype="bfloat16", init_lora_weights=init)
    assert {p.dtype for layer in layers(tuned).values() for p in factors(layer)} == {torch.float32}
    assert {layer.get_base_layer().weight.dtype for layer in layers(tuned).values()} == {torch.bfloat16}


@pytest.mark.parametrize("init", ["pissa", "olora", "mica", "corda", "lora_ga"])
def test_a_rank_beyond_the_layer_is_refused(tiny_causal: Path, init: str) -> None:
    r = 9 if init == "lora_ga" else 17
    with pytest.raises(
        ModelError, match=rf"method\.r: {init} takes (17|18) directions of .*k_proj, which has 16"
    ) as told:
        started(tiny_causal, r=r, init_lora_weights=init)
    assert told.value.hint.startswith(f"Lower method.r to {8 if init == 'lora_ga' else 16}")
    started(tiny_causal, r=r, init_lora_weights=init, target_modules=["up_proj"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_lora_weights": "zeros"}, "unknown initialization. Allowed: true, false, gaussian"),
        ({"init_lora_weights": "pisa"}, "Did you mean 'pissa'"),
        ({"init_lora_weights": "pissa_niter_x"}, "Did you mean 'pissa_niter_4'"),
        ({"init_lora_weights": "loftq"}, "loftq makes up for a quantized base model: use method loftq"),
        ({"init_lora_weights": "orthogonal", "r": 3}, "orthogonal needs even ranks, not 3"),
        ({"init_lora_weights": "orthogonal", "rank_pattern": {"q": 5}}, "orthogonal needs even ranks, not 5"),
        ({"init_lora_weights": "mica", "use_dora": True}, "mica and use_dora cannot be combined"),
        ({"corda_method": "abc"}, "'ipm' or 'kpm'"),
        ({"eva_rho": 0.5}, "greater than or equal to 1"),
        ({"target_modules": ".*q_proj", "layers_to_transform": [0]}, "target_modules is a regex"),
    ],
)
def test_what_cannot_be_is_refused_with_the_config(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load({"method": options})
