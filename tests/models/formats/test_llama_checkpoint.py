"""Checkpoints written here as Meta wrote them, run here as Meta ran them, give the logits of what they are converted to."""

import base64
import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from fintune.errors import ModelError
from fintune.models import load_model
from fintune.models.formats.llama_checkpoint import convert, is_original

WIDTH, HEADS, INNER, LAYERS = 32, 4, 48, 2
BY = {"wo": 1, "w2": 1}


def weights(vocabulary: int, kv_heads: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    head = WIDTH // HEADS
    shapes = {"attention.wq": (WIDTH, WIDTH), "attention.wk": (kv_heads * head, WIDTH), "attention.wv": (kv_heads * head, WIDTH),
              "attention.wo": (WIDTH, WIDTH), "feed_forward.w1": (INNER, WIDTH), "feed_forward.w2": (WIDTH, INNER),
              "feed_forward.w3": (INNER, WIDTH), "attention_norm": (WIDTH,), "ffn_norm": (WIDTH,)}  # fmt: skip
    found = {
        f"layers.{i}.{name}.weight": torch.randn(shape) * 0.3 for i in range(LAYERS) for name, shape in shapes.items()
    }
    whole = {"tok_embeddings": (vocabulary, WIDTH), "norm": (WIDTH,), "output": (vocabulary, WIDTH)}
    return found | {f"{name}.weight": torch.randn(shape) for name, shape in whole.items()}


def as_meta_runs_it(w: dict[str, torch.Tensor], ids: torch.Tensor, kv_heads: int, theta: float) -> torch.Tensor:
    """model.py of github meta-llama/llama: neighboring numbers of a head are one complex number, turned by the position."""
    head = WIDTH // HEADS
    turn = torch.outer(torch.arange(len(ids)).float(), theta ** (-torch.arange(0, head, 2).float() / head))
    turn = torch.polar(torch.ones_like(turn), turn)[:, None]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w[f"{name}.weight"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * turn).flatten(2)

    x = w["tok_embeddings.weight"][ids]
    for i in range(LAYERS):
        at, ff = (f"layers.{i}.{part}" for part in ("attention", "feed_forward"))
        y = norm(x, f"layers.{i}.attention_norm")
        q, k, v = ((y @ w[f"{at}.{n}.weight"].T).view(len(ids), -1, head) for n in ("wq", "wk", "wv"))
        k, v = (t.repeat_interleave(HEADS // kv_heads, dim=1) for t in (turned(k), v))
        mixed = F.scaled_dot_product_attention(
            turned(q).transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), is_causal=True
        )
        x = x + mixed.transpose(0, 1).flatten(1) @ w[f"{at}.wo.weight"].T
        y = norm(x, f"layers.{i}.ffn_norm")
        x = x + (F.silu(y @ w[f"{ff}.w1.weight"].T) * (y @ w[f"{ff}.w3.weight"].T)) @ w[f"{ff}.w2.weight"].T
    return norm(x, "norm") @ w["output.weight"].T


def written(folder: Path, w: dict[str, torch.Tensor], parts: int, embedding_by: int, **params: Any) -> Path:
    folder.mkdir()
    for number in range(parts):
        part = {}
        for name, tensor in w.items():
            last = name.removesuffix(".weight").rpartition(".")[2]
            by = embedding_by if last == "tok_embeddings" else None if "norm" in last else BY.get(last, 0)
            part[name] = tensor if by is None else tensor.chunk(parts, dim=by)[number].clone()
        torch.save(part | {"rope.freqs": torch.ones(4)}, folder / f"consolidated.{number:02d}.pth")
    settings = {
        "dim": WIDTH,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "norm_eps": 1e-5,
        "vocab_size": -1,
        "multiple_of": 16,
    }
    (folder / "params.json").write_text(json.dumps(settings | params))
    return folder


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import sentencepiece

    folder = tmp_path_factory.mktemp("tokenizer")
    lines = iter([f"profit rose {i} % while sales of unit {i} fell" for i in range(200)])
    with (folder / "tokenizer.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines, model_writer=file, vocab_size=320, model_type="bpe", byte_fallback=True,
            character_coverage=1.0, minloglevel=2,
        )  # fmt: skip
    return folder / "tokenizer.model"


def ranks(folder: Path) -> None:
    tokens = [bytes([i]) for i in range(256)] + [b"pr", b"of", b"prof", b"it", b"profit", b" r"]
    lines = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(tokens)]
    (folder / "tokenizer.model").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("generation", [1, 2, 3])
def test_logits_are_those_of_the_original(generation: int, parts: int, sentencepiece: Path, tmp_path: Path) -> None:
    kv_heads, theta = (2, 500_000.0) if generation == 3 else (HEADS, 10_000.0)
    vocabulary = 262 + 256 if generation == 3 else 320
    more = {} if generation == 1 else {"n_kv_heads": kv_heads, "rope_theta": theta}
    w = weights(vocabulary, kv_heads)
    source = written(tmp_path / "原 original", w, parts, 0 if generation == 3 else 1, **more)
    if generation == 3:
        ranks(source)
    else:
        shutil.copy(sentencepiece, source)
    assert is_original(source)
    convert(source, tmp_path / "made")
    loaded = load_model(str(tmp_path / "made"), device="cpu")
    ids = loaded.tokenizer("profit rose 3 %", return_tensors="pt").input_ids
    assert ids[0, 0] == loaded.tokenizer.bos_token_id
    with torch.inference_mode():
        found = loaded.model(input_ids=ids).logits[0]
    torch.testing.assert_close(found, as_meta_runs_it(w, ids[0], kv_heads, theta), atol=1e-4, rtol=1e-4)


def test_a_tied_head_and_stretched_positions(tmp_path: Path) -> None:
    w = weights(518, 2)
    w["output.weight"] = w["tok_embeddings.weight"]
    source = written(tmp_path / "source", w, 1, 0, n_kv_heads=2, rope_theta=500_000.0, use_scaled_rope=True)
    ranks(source)
    convert(source, tmp_path / "made")
    settings = json.loads((tmp_path / "made" / "config.json").read_text())
    assert settings["tie_word_embeddings"]
    assert settings["rope_parameters"]["rope_type"] == "llama3"
    assert settings["max_position_embeddings"] == 131_072
    model = load_model(str(tmp_path / "made"), device="cpu").model
    assert model.lm_head.weight is model.model.embed_tokens.weight


def saved(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def test_what_is_missing_damaged_or_no_tensors_is_named(tmp_path: Path) -> None:
    source = written(tmp_path / "source", weights(518, 2), 2, 0, n_kv_heads=2)
    ranks(source)
    second = source / "consolidated.01.pth"
    whole = second.read_bytes()
    for content, message in {
        whole[: len(whole) // 2]: "consolidated.01.pth: damaged",
        pickle.dumps(Path("x"), protocol=2): "consolidated.01.pth: holds more than tensors",
        saved(Path("x")): "consolidated.01.pth: holds more than tensors",
        b"": "consolidated.01.pth: damaged",
    }.items():
        second.write_bytes(content)
        with pytest.raises(ModelError, match=message):
            convert(source, tmp_path / "made")
    second.rename(source / "consolidated.02.pth")
    with pytest.raises(ModelError, match=r"no consolidated\.01\.pth"):
        convert(source, tmp_path / "made")
    (source / "consolidated.02.pth").write_bytes(whole)
    (source / "consolidated.02.pth").rename(second)
    (source / "tokenizer.model").write_text("no tokenizer")
    with pytest.raises(ModelError, match="no tokenizer of a LLaMA"):
        convert(source, tmp_path / "made")
    (source / "params.json").write_text("{")
    with pytest.raises(ModelError, match=r"params.json: cannot be read"):
        convert(source, tmp_path / "made")
    assert not (tmp_path / "made").exists()
