"""T5Gemma 2 made of Gemma 3: every tensor has its places, and copied blocks compute what they did."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, Gemma3ForCausalLM, Gemma3TextConfig

from fintune.errors import ModelError
from fintune.inference.engines.torch_engine import TorchEngine
from fintune.models import load_model
from fintune.models.encoder_decoder import convert_encoder_decoder, encoder_decoder, target_names
from fintune.records import Prompt
from tests.tiny import byte_tokenizer

WINDOW = 6
IDS = torch.tensor([[257, *range(3, 22)], [257, *range(40, 59)]])
"""twenty tokens: more than three windows"""


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Gemma 3 in which no setting has its default value, so that one left behind changes the numbers."""
    config = Gemma3TextConfig(
        vocab_size=259, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, max_position_embeddings=256, sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], pad_token_id=256, bos_token_id=257,
        eos_token_id=258, initializer_range=0.2, query_pre_attn_scalar=20, rms_norm_eps=1e-3,
        final_logit_softcapping=3.0, hidden_activation="silu", rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 3000.0},
        },
    )  # fmt: skip
    torch.manual_seed(3)
    model = Gemma3ForCausalLM(config)
    for name, parameter in model.named_parameters():
        if "norm" in name:  # zeros at first: they would be alike wherever they came from
            torch.nn.init.normal_(parameter, std=0.3)
    folder = tmp_path_factory.mktemp("gemma") / "source"
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def made(gemma: Path) -> Path:
    convert_encoder_decoder(gemma, gemma.with_name("made"))
    return gemma.with_name("made")


def models(gemma: Path, made: Path, attention: str) -> tuple[Any, Any]:
    options: dict[str, Any] = {"attn_implementation": attention}
    source = Gemma3ForCausalLM.from_pretrained(gemma, **options).eval()
    return source, AutoModelForSeq2SeqLM.from_pretrained(made, **options).eval()


def additive(allowed: torch.Tensor) -> torch.Tensor:
    return torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)[None, None]


def distances(n: int = IDS.shape[1]) -> torch.Tensor:
    """How far each key lies behind each query."""
    return torch.arange(n)[:, None] - torch.arange(n)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_encoder_under_a_causal_mask_is_the_source(gemma: Path, made: Path, attention: str) -> None:
    source, model = models(gemma, made, attention)
    behind = distances()
    causal = {
        "full_attention": additive(behind >= 0),
        "sliding_attention": additive((behind >= 0) & (behind < WINDOW)),
    }
    with torch.no_grad():
        ours = model.get_encoder()(input_ids=IDS, attention_mask=causal).last_hidden_state
        torch.testing.assert_close(ours, source.model(IDS).last_hidden_state, atol=1e-5, rtol=1e-4)
        both_ways = model.get_encoder()(input_ids=IDS).last_hidden_state
    assert (both_ways - ours).abs().amax(dim=-1).min() > 1e-2, "as it is, the encoder looks ahead"


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_decoder_without_its_encoder_is_the_source(gemma: Path, made: Path, attention: str) -> None:
    """The encoder's mask is zero everywhere, so that only the decoder's own tokens are attended to; logits are compared."""
    source, model = models(gemma, made, attention)
    seen, unseen = torch.ones(2, 5, dtype=torch.long), torch.zeros(2, 5, dtype=torch.long)
    encoder = model.get_encoder()(input_ids=IDS[:, :5], attention_mask=seen)
    with torch.no_grad():
        apart = model(encoder_outputs=encoder, attention_mask=unseen, decoder_input_ids=IDS, use_cache=False).logits
        torch.testing.assert_close(apart, source(IDS).logits, atol=1e-5, rtol=1e-4)
        with_it = model(encoder_outputs=encoder, attention_mask=seen, decoder_input_ids=IDS, use_cache=False).logits
    assert (with_it - apart).abs().max() > 1e-2, "as it is, the decoder attends to the encoder"
    assert apart.abs().max() <= 3.0, "the source's soft cap"


def test_the_encoders_window_reaches_half_to_either_side(made: Path) -> None:
    """One token is changed: a block of local attention passes it on to neighbors within half the window."""
    model = AutoModelForSeq2SeqLM.from_pretrained(made).eval()
    encoder = model.get_encoder().text_model
    encoder.config.num_hidden_layers = 1  # the first block alone, a local one
    other = IDS.clone()
    other[:, 10] = 99
    with torch.no_grad():
        moved = (encoder(other).last_hidden_state - encoder(IDS).last_hidden_state).abs().amax(dim=-1)
    assert (moved[0] > 1e-6).nonzero().flatten().tolist() == list(range(10 - WINDOW // 2, 10 + WINDOW // 2))


def test_every_tensor_has_its_places_and_no_text_tensor_is_random(gemma: Path, made: Path) -> None:
    given = load_file(gemma / "model.safetensors")
    own = AutoModelForSeq2SeqLM.from_pretrained(made).state_dict()
    placed: set[str] = set()
    for name, tensor in given.items():
        for target in target_names(name):
            assert torch.equal(own[target], tensor), target
            placed.add(target)
    assert len(placed) == 2 * len(given) + 1, "encoder and decoder, and the head"
    rest = {name for name in own if name not in placed and "vision_tower" not in name and "multi_modal" not in name}
    assert {name.rpartition(".")[2] for name in rest} == {"eoi_embedding"}
    assert not any(own[name].any() for name in rest)


def test_embedding_and_head_stay_one(made: Path) -> None:
    model = load_model(str(made), device="cpu").model
    shared = (model.model.encoder.text_model.embed_tokens, model.model.decoder.embed_tokens, model.lm_head.out_proj)
    assert len({module.weight.data_ptr() for module in shared}) == 1
    assert len([name for name in load_file(made / "model.safetensors") if "embed_tokens.weight" in name]) == 1


def test_a_tensor_without_a_place_is_refused(gemma: Path) -> None:
    config = Gemma3TextConfig.from_pretrained(gemma)
    weights = load_file(gemma / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.layers\.0\.extra\.weight has no place in T5Gemma 2") as caught:
        encoder_decoder(config, weights | {"model.layers.0.extra.weight": torch.zeros(3)})
    assert "tied embeddings" in caught.value.hint
    with pytest.raises(ModelError, match=r"lm_head\.weight has no place"):
        encoder_decoder(config, weights | {"lm_head.weight": torch.zeros(259, 32)})
    more = {f"model.layers.{i}.input_layernorm.weight": torch.zeros(32) for i in (3, 4)}
    with pytest.raises(ModelError, match=r"model\.layers\.3\.input_layernorm\.weight has no place .*, nor 1 more"):
        encoder_decoder(config, weights | more)


def test_a_tensor_that_is_not_there_is_refused(gemma: Path) -> None:
    weights = load_file(gemma / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(
        ModelError, match=r"model\.decoder\.layers\.1\.mlp\.up_proj\.weight gets no weights, nor 1 more"
    ):
        encoder_decoder(Gemma3TextConfig.from_pretrained(gemma), weights)


def test_made_twice_the_bytes_are_the_same(gemma: Path, made: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    expected = torch.rand(1)
    torch.manual_seed(99)
    convert_encoder_decoder(gemma, tmp_path / "again")
    assert torch.equal(torch.rand(1), expected), "and no random number is drawn from the caller's generator"
    names = sorted(file.name for file in made.iterdir())
    assert "tokenizer.json" in names
    assert names == sorted(file.name for file in (tmp_path / "again").iterdir())
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes(), name


def test_saved_and_loaded_it_is_the_same_model(gemma: Path, made: Path, tmp_path: Path) -> None:
    model = encoder_decoder(Gemma3TextConfig.from_pretrained(gemma), load_file(gemma / "model.safetensors")).eval()
    once = AutoModelForSeq2SeqLM.from_pretrained(made).eval()
    once.save_pretrained(tmp_path / "twice")
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "twice").eval()
    with torch.no_grad():
        logits = [m(input_ids=IDS, decoder_input_ids=IDS[:, :7]).logits for m in (model, once, again)]
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[1], logits[2])
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), f"{name}: the vision tower comes back too"


def test_special_tokens_are_the_sources(made: Path) -> None:
    loaded = load_model(str(made), device="cpu")
    for config in (loaded.model.config, loaded.model.generation_config):
        assert config.decoder_start_token_id == config.bos_token_id == 257
        assert (config.pad_token_id, config.eos_token_id) == (256, 258)
    assert loaded.kind == "seq2seq"
    assert loaded.tokenizer("a")["input_ids"] == [257, byte_tokenizer().convert_tokens_to_ids("a")]
    answer = loaded.model.generate(input_ids=IDS, max_new_tokens=3, do_sample=False)
    assert answer[:, 0].tolist() == [257, 257]


def test_a_score_is_that_of_the_plain_model(made: Path) -> None:
    """One at a time, no padding, nothing of ours but the ids: the sum of the answer's log-probabilities."""
    loaded = load_model(str(made), device="cpu")
    texts, answers = ["Profit rose by a lot.", "Loss."], ["up", "sideways"]
    scores = TorchEngine(loaded, max_length=64).rank([Prompt.around("", t, "") for t in texts], answers).log_probability
    for i, text in enumerate(texts):
        for k, answer in enumerate(answers):
            ids = [*loaded.tokenizer(answer, add_special_tokens=False)["input_ids"], 258]
            fed = {"input_ids": torch.tensor([loaded.tokenizer(text)["input_ids"]])}
            with torch.no_grad():
                logits = loaded.model(**fed, decoder_input_ids=torch.tensor([[257, *ids[:-1]]])).logits[0]
            plain = logits.log_softmax(-1)[torch.arange(len(ids)), torch.tensor(ids)].sum().item()
            assert scores[i, k] == pytest.approx(plain, abs=1e-4)
