"""What is left out changes nothing: loss, gradients and scores are those of the whole model, family by family."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fintune.inference.engines.torch_engine import TorchEngine
from fintune.methods import METHODS
from fintune.methods.lora.fused import fused
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, load_model
from fintune.models.batches import collator, read
from fintune.models.loss import answer_loss
from fintune.models.shortcuts import TrunkCache, find_trunk
from fintune.models.shortcuts.shortcuts import STATES, Shortcuts
from fintune.records import Encoded, Prompt
from tests.families import FAMILIES, save
from tests.training.loop.test_trainer import encoded_rows

LAST = {"llama", "qwen2", "qwen3", "gemma", "gemma3", "mistral", "glm", "phi"}
"""families whose last block can do with a few positions"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {family: save(family, root / family) for family in FAMILIES}


def tuned(folder: Path, **options: Any) -> LoadedModel:
    """LoRA whose update is not zero, so that what is compared depends on it."""
    base = load_model(str(folder), device="cpu")
    for module in base.model.modules():
        if isinstance(module, torch.nn.Dropout):  # GPT-2's: what it touches cannot be compared, nor cached
            module.p = 0.0
    for name, value in base.model.config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(base.model.config, name, 0.0)
    torch.manual_seed(0)
    chosen = LoraOptions(**({"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "layers": "top:1"} | options))
    loaded = replace(base, model=METHODS["lora"].attach(base.model, chosen, base.kind))
    for name, parameter in loaded.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return loaded


def step(
    loaded: LoadedModel, rows: list[Encoded], shortcuts: Shortcuts | None, *, enabled: bool = True
) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one batch."""
    batch = collator(loaded)(rows)
    labels, _ = batch.pop("labels"), batch.pop("weights")
    loaded.model.zero_grad()
    with ExitStack() as stack:
        if shortcuts is not None:
            stack.enter_context(fused(loaded, enabled))
            if shortcuts.trunk is not None:
                side = "left" if loaded.kind == "causal" else "right"
                batch[STATES] = shortcuts.trunk.states([read(row, loaded.kind) for row in rows], side)
        inputs = stack.enter_context((shortcuts or Shortcuts(last_block=False)).taken(loaded.model, batch))
        loss = answer_loss(loaded.model(**inputs), labels, rows=None if shortcuts is None else shortcuts.rows)
        loss.backward()
    return loss.item(), {n: p.grad.clone() for n, p in loaded.model.named_parameters() if p.grad is not None}


def filled(loaded: LoadedModel, sequences: list[list[int]], **options: Any) -> TrunkCache:
    cache = TrunkCache(find_trunk(loaded.model, loaded.kind), sequences, loaded.sha256, limit=10**9, **options)
    cache.fill(loaded.tokenizer.pad_token_id)
    return cache


def assert_agree(found: tuple[float, dict[str, torch.Tensor]], plain: tuple[float, dict[str, torch.Tensor]]) -> None:
    assert found[0] == pytest.approx(plain[0], abs=1e-4)
    assert found[1].keys() == plain[1].keys() != set()
    for name, gradient in plain[1].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-4 * float(gradient.abs().max()) + 1e-7, rtol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_training_with_all_shortcuts_has_the_loss_and_gradients_of_the_plain_path(
    folders: dict[str, Path], family: str
) -> None:
    loaded = tuned(folders[family])
    rows = encoded_rows(loaded, 6)
    cache = filled(loaded, [read(row, loaded.kind) for row in rows])
    assert_agree(step(loaded, rows, Shortcuts(trunk=cache)), step(loaded, rows, None))


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_on_every_layer_is_the_same_when_lean(folders: dict[str, Path], family: str) -> None:
    loaded = tuned(folders[family], layers="all")
    rows = encoded_rows(loaded, 6)
    assert_agree(step(loaded, rows, Shortcuts()), step(loaded, rows, None))


@pytest.mark.parametrize("family", FAMILIES)
def test_candidates_alone_have_the_loss_of_their_rows(folders: dict[str, Path], family: str) -> None:
    loaded = tuned(folders[family])
    rows = [replace(row, answer_ids=row.answer_ids[:1]) for row in encoded_rows(loaded, 6)]
    candidates = torch.tensor(sorted({row.answer_ids[0] for row in rows}, reverse=True))
    batch = collator(loaded)(rows)
    labels, _ = batch.pop("labels"), batch.pop("weights")
    logits = loaded.model(**batch).logits[:, 0].float()[:, candidates]
    gold = torch.tensor([candidates.tolist().index(label) for label in labels[:, 0].tolist()])
    expected = torch.nn.functional.cross_entropy(logits, gold).item()
    cache = filled(loaded, [read(row, loaded.kind) for row in rows])
    found, _ = step(loaded, rows, Shortcuts(rows=candidates, trunk=cache))
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_of_first_tokens_are_the_same_from_the_trunk(folders: dict[str, Path], family: str) -> None:
    loaded = tuned(folders[family])
    loaded.model.eval()
    prompts = [
        Prompt.around("", text, ":") for text in ("Alvex of Oslo +", "Bormas of Lima and more words -", "Cyrit =")
    ]
    answers = ["up", "down", "sideways"]
    plain = TorchEngine(loaded, max_length=96)
    rows = torch.tensor([plain._encoder.answer_ids(answer, "")[0] for answer in answers])
    ids, _ = plain._encoder.encode_prompts(prompts, reserve=1)
    cache = filled(loaded, ids)

    def scores(**options: Any) -> np.ndarray:
        return TorchEngine(loaded, max_length=96, shortcuts=Shortcuts(rows=rows, **options)).rank(
            prompts, answers
        ).log_probability  # fmt: skip

    slow = scores(last_block=False)
    whole = plain._batch(ids, [[int(row)] for row in rows], None).log_softmax(dim=-1).double().numpy(force=True)
    np.testing.assert_allclose(slow, whole, atol=1e-4)
    np.testing.assert_allclose(scores(trunk=cache), slow, atol=1e-4)
    np.testing.assert_allclose(scores(), slow, atol=1e-4)
    assert np.ptp(slow, axis=0).max() > 1e-3, "the texts must matter, else any states would do"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lower_blocks_are_not_run_and_the_last_one_at_few_positions(folders: dict[str, Path], family: str) -> None:
    from fintune.models.blocks import blocks, unwrap

    loaded = tuned(folders[family])
    rows = [replace(row, answer_ids=row.answer_ids[:1]) for row in encoded_rows(loaded, 4)]
    cache = filled(loaded, [read(row, loaded.kind) for row in rows])
    lower, seen = [], []
    part = unwrap(loaded.model).get_encoder() if loaded.kind == "seq2seq" else blocks(loaded.model)[0]
    linear = next(m for m in part.modules() if isinstance(m, torch.nn.Linear) or type(m).__name__ == "Conv1D")
    linear.register_forward_hook(lambda *_: lower.append(1))
    norms = [m for m in blocks(loaded.model)[-1].modules() if "Norm" in type(m).__name__]
    norms[-1].register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))
    step(loaded, rows, Shortcuts(trunk=cache), enabled=False)
    assert not lower
    if family in LAST and family != "phi":
        assert seen == [1]
