"""Virtual tokens stand before every text and nowhere else; PEFT reads what is saved and gives the same answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from fintune.errors import ConfigError, ModelError
from fintune.methods import METHODS
from fintune.methods.soft_prompts import PromptOptions
from fintune.models import LoadedModel, load_model
from fintune.models.virtual_tokens import virtual_ids
from tests.families import FAMILIES, save
from tests.methods.starting import PROMPTS
from tests.methods.test_every_method import attached, learn, scores


def test_vectors_start_as_the_setting_says(tiny_causal: Path) -> None:
    loaded = load_model(str(tiny_causal), device="cpu")
    words = loaded.model.get_input_embeddings()(torch.arange(259)).detach()
    text = attached("prompt", tiny_causal, num_virtual_tokens=5, init="text", init_text="ab")
    found = text.model.get_input_embeddings().prompt().detach()
    ids = loaded.tokenizer("ab", add_special_tokens=False)["input_ids"]
    torch.testing.assert_close(found, words[[ids[i % 2] for i in range(5)]])
    common = attached("prompt", tiny_causal, num_virtual_tokens=5).model.get_input_embeddings().prompt().detach()
    assert all(any(torch.equal(row, word) for word in words) for row in common)
    random = attached("prompt", tiny_causal, num_virtual_tokens=5, init="random").model.get_input_embeddings().prompt()
    assert not any(torch.equal(row, word) for row in random.detach() for word in words)
    assert virtual_ids(text.model) == [259, 260, 261, 262, 263]


@pytest.mark.parametrize("given", [{"init": "text"}, {"init_text": "ab"}])
def test_init_and_its_text_go_together(given: dict[str, str]) -> None:
    from fintune.config.load import load

    with pytest.raises(ConfigError, match="init: text goes with an init_text"):
        load({"method": {"name": "prompt"} | given})


@pytest.mark.parametrize(
    ("name", "options"), [("prompt", {}), ("p-tuning", {"encoder": "mlp"}), ("p-tuning", {"encoder": "lstm"})]
)
def test_peft_gives_the_same_answers_with_what_is_saved(
    name: str, options: dict[str, str], tiny_model: Path, tmp_path: Path
) -> None:
    tuned = attached(name, tiny_model, num_virtual_tokens=4, **options)
    learn(name, tuned, tmp_path)
    METHODS[name].save(tuned.model, tmp_path / "adapter")
    base = load_model(str(tiny_model), device="cpu")
    theirs = PeftModel.from_pretrained(base.model, tmp_path / "adapter").eval()
    ids = torch.tensor([[257, 65, 66, 67]])
    ours = torch.cat([torch.tensor([virtual_ids(tuned.model)]), ids], dim=1)
    tuned.model.eval()
    more = {"decoder_input_ids": torch.tensor([[256, 70]])} if tuned.kind == "seq2seq" else {}
    with torch.no_grad():
        found = theirs(input_ids=ids, attention_mask=torch.ones_like(ids), **more).logits
        wanted = tuned.model(input_ids=ours, attention_mask=torch.ones_like(ours), **more).logits
    torch.testing.assert_close(found[:, -2:], wanted[:, -2:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reads_them(family: str, tmp_path: Path) -> None:
    folder = save(family, tmp_path / "model")
    base = load_model(str(folder), device="cpu")
    before = scores(base)
    torch.manual_seed(0)
    model = METHODS["prompt"].attach(base.model, PromptOptions(num_virtual_tokens=3, init="random"), base.kind)
    tuned = LoadedModel(model.eval(), base.tokenizer, base.kind, "tuned")
    found = scores(tuned)
    assert np.abs(found - before).max() > 1e-4
    one = replace(tuned, model=model)
    np.testing.assert_allclose(np.stack([scores(one, [p])[0] for p in PROMPTS]), found, atol=1e-4)


@pytest.mark.parametrize("given", [[300], [-1], [65, 259]])
def test_a_start_outside_the_vocabulary_is_refused(given: list[int], tiny_causal: Path) -> None:
    with pytest.raises(ModelError, match=rf"method.init_text: {given[-1]} is no id of this vocabulary"):
        attached("prompt", tiny_causal, init="text", init_text=given)


def test_a_start_without_tokens_is_refused() -> None:
    with pytest.raises(ModelError, match=r"method.init_text: has no tokens"):
        PromptOptions(init="text", init_text=" ").resolved(lambda text, **_: {"input_ids": []})
