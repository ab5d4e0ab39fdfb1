"""The file of states: right, reused, refilled after a kill, bounded; and why there is none."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fintune
from fintune.errors import ConfigError, ModelError, RunError
from fintune.methods import METHODS
from fintune.methods.lora.lora import LoraOptions
from fintune.models import LoadedModel, load_model
from fintune.models.shortcuts import TrunkCache, find_trunk
from fintune.models.shortcuts.trunk import NoTrunk, Trunk
from fintune.models.shortcuts.trunk_store import trunk_folder
from fintune.runtime.progress import Progress, listening
from tests.families import save
from tests.tiny import config_for

SEQUENCES = [[257, *range(5, 5 + n)] for n in (3, 9, 4, 7, 12, 2)] + [[257, 8, 9]]


def tuned(folder: Path, **options: Any) -> LoadedModel:
    base = load_model(str(folder), device="cpu")
    chosen = LoraOptions(**({"r": 4, "lora_dropout": 0.1, "layers": "top:1"} | options))
    return replace(base, model=METHODS["lora"].attach(base.model, chosen, base.kind))


def cache_of(loaded: LoadedModel, sequences: list[list[int]] = SEQUENCES, **options: Any) -> TrunkCache:
    cache = TrunkCache(find_trunk(loaded.model, loaded.kind), sequences, loaded.sha256, **({"limit": 10**9} | options))
    cache.fill(256)
    return cache


def files() -> list[Path]:
    return sorted(trunk_folder().glob("*/states.bin"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each batch a trunk reads."""
    seen: list[int] = []
    plain = Trunk.read

    def counted(self: Trunk, input_ids: torch.Tensor, attention_mask: torch.Tensor, **more: Any) -> torch.Tensor:
        seen.append(len(input_ids))
        return plain(self, input_ids, attention_mask, **more)

    monkeypatch.setattr(Trunk, "read", counted)
    return seen


def test_states_are_those_of_the_lower_blocks_whatever_the_batch(tiny_model: Path) -> None:
    loaded = tuned(tiny_model)
    cache = cache_of(loaded)
    for ids in SEQUENCES:
        alone = cache.trunk.read(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        torch.testing.assert_close(cache.states([ids]), alone, atol=1e-5, rtol=1e-4)
    padded = cache.states([SEQUENCES[0], SEQUENCES[1]], "left")
    assert padded.shape[:2] == (2, 10)
    assert padded[0, :6].abs().sum() == 0 != padded[0, 6:].abs().min()
    assert not cache.knows([[1, 2, 3]])
    assert cache.knows(SEQUENCES)


def test_a_second_run_reads_the_file_and_another_model_or_depth_does_not(
    tiny_causal: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fintune.models.shortcuts.trunk_cache._TOKENS", 16)
    loaded = tuned(tiny_causal)
    first = cache_of(loaded)
    assert reads == [1, 1, 2, 3]
    again = cache_of(tuned(tiny_causal, r=2), [*reversed(SEQUENCES), SEQUENCES[0]])
    assert reads[4:] == [1], "the first batch alone, to see whether the file is sound"
    assert torch.equal(first.states(SEQUENCES), again.states(SEQUENCES))
    cache_of(replace(loaded, sha256="another"))
    cache_of(loaded, SEQUENCES[:-1])
    cache_of(loaded, precision="bfloat16")
    assert len(files()) == 4
    assert (trunk_folder().stat().st_mode & 0o777) == 0o700


def test_bfloat16_halves_the_file_and_keeps_two_digits(tiny_causal: Path) -> None:
    loaded = tuned(tiny_causal)
    whole, half = cache_of(loaded), cache_of(loaded, precision="bfloat16")
    assert whole.size == 2 * half.size == 4 * 32 * sum(len(ids) for ids in SEQUENCES)
    size = float(whole.states(SEQUENCES).abs().max())
    torch.testing.assert_close(half.states(SEQUENCES), whole.states(SEQUENCES), atol=size * 2**-6, rtol=0)
    assert half.states(SEQUENCES).dtype == torch.float32


def test_a_filling_that_was_killed_goes_on_to_the_same_bytes(
    tiny_causal: Path, monkeypatch: pytest.MonkeyPatch, reads: list[int]
) -> None:
    monkeypatch.setattr("fintune.models.shortcuts.trunk_cache._TOKENS", 16)
    monkeypatch.setattr("fintune.models.shortcuts.trunk_cache._MARK", 1)
    loaded = tuned(tiny_causal)
    whole = cache_of(loaded, precision="float32")
    batches, content = len(reads), files()[0].read_bytes()
    assert batches > 3
    files()[0].unlink()
    reads.clear()
    plain = TrunkCache._read

    def killed(self: TrunkCache, *arguments: Any) -> None:
        if len(reads) == 2:
            raise KeyboardInterrupt
        plain(self, *arguments)

    monkeypatch.setattr(TrunkCache, "_read", killed)
    with pytest.raises(KeyboardInterrupt):
        cache_of(loaded)
    assert files()[0].read_bytes() != content
    monkeypatch.setattr(TrunkCache, "_read", plain)
    again = cache_of(loaded)
    assert len(reads) == batches + 1, (
        "what was filled is not filled again, but for the batch that shows the file is sound"
    )
    assert files()[0].read_bytes() == content
    assert torch.equal(again.states(SEQUENCES), whole.states(SEQUENCES))


def test_a_file_of_other_content_is_made_anew(tiny_causal: Path) -> None:
    loaded = tuned(tiny_causal)
    whole = cache_of(loaded).states(SEQUENCES).clone()
    files()[0].write_bytes(bytes(files()[0].stat().st_size))
    assert torch.equal(cache_of(loaded).states(SEQUENCES), whole)


def test_nobody_elses_folder_is_removed_to_make_room(tiny_causal: Path) -> None:
    loaded = tuned(tiny_causal)
    trunk_folder().mkdir(parents=True)
    (trunk_folder() / "thesis").mkdir()
    (trunk_folder() / "thesis" / "chapter.txt").write_text("x" * 100_000)
    size = cache_of(loaded).size
    cache_of(replace(loaded, sha256="b"), limit=size + 1)
    assert (trunk_folder() / "thesis" / "chapter.txt").exists()
    assert len(files()) == 1


def test_the_limit_refuses_one_file_and_removes_old_ones(tiny_causal: Path) -> None:
    loaded = tuned(tiny_causal)
    size = cache_of(loaded).size
    with pytest.raises(RunError, match=r"train.trunk_cache_gb: the hidden states take 0.0 GB, the limit is"):
        cache_of(replace(loaded, sha256="b"), limit=size - 1)
    assert len(files()) == 1
    before = files()
    cache_of(replace(loaded, sha256="b"), limit=size + size // 2)
    assert len(files()) == 1 != before.count(files()[0])


def test_why_nothing_can_be_cached(tiny_causal: Path, tiny_seq2seq: Path) -> None:
    def refused(folder: Path, **options: Any) -> str:
        loaded = tuned(folder, **options)
        with pytest.raises(NoTrunk) as caught:
            find_trunk(loaded.model, loaded.kind)
        return str(caught.value)

    assert "the lowest block trains" in refused(tiny_causal, layers="all")
    assert "the embeddings train" in refused(tiny_causal, trainable_tokens=[5])
    assert "the encoder trains" in refused(tiny_seq2seq, layers="all")
    loaded = tuned(tiny_causal)
    loaded.model.get_base_model().config.attention_dropout = 0.1
    with pytest.raises(NoTrunk, match="have dropout"):
        find_trunk(loaded.model, loaded.kind)


def test_a_run_uses_it_says_so_and_scores_the_same(
    tiny_model: Path, rows_file: Path, tmp_path: Path, reads: list[int]
) -> None:
    def run(name: str, **train: Any) -> Any:
        config = config_for(tiny_model, rows_file, tmp_path) | {"name": name}
        config["method"] |= {"layers": "top:1"}
        config["train"] |= {"epochs": 2} | train
        return fintune.train(config)

    cached = run("cached")
    assert sum(reads) == (63 if "causal" in str(tiny_model) else 72)
    assert cached.environment()["trunk_depth"] == (1 if "causal" in str(tiny_model) else 2)
    plain = run("plain", trunk_cache=False)
    assert plain.environment()["trunk_depth"] is None
    for a, b in zip(cached.log(), plain.log(), strict=True):
        for name in ("loss", "validation_loss"):
            assert a.get(name) == pytest.approx(b.get(name), abs=1e-4)
    assert cached.scores()["test"]["accuracy"] == plain.scores()["test"]["accuracy"]
    with pytest.raises(ModelError, match=r"train\.trunk_cache: the"):
        fintune.train(config_for(tiny_model, rows_file, tmp_path) | {"train": {"trunk_cache": True}, "name": "all"})


@pytest.mark.parametrize("layers", ["top:0", "bottom:2", [], [-1]])
def test_layers_that_mean_nothing(tiny_causal: Path, layers: Any) -> None:
    with pytest.raises(ConfigError, match=r"method.layers"):
        fintune.train({"model": {"base": str(tiny_causal)}, "method": {"name": "lora", "layers": layers}})


def test_layers_choose_blocks(tiny_causal: Path, tiny_seq2seq: Path, families_of: Callable[..., Any]) -> None:
    assert families_of(tuned(tiny_causal, layers=[0])) == {"layers.0"}
    assert families_of(tuned(tiny_causal, layers="top:1")) == {"layers.1"}
    assert families_of(tuned(tiny_seq2seq, layers="top:1")) == {"decoder.block.1"}
    with pytest.raises(ModelError, match="top:3, and the model has 2 blocks"):
        tuned(tiny_causal, layers="top:3")
    with pytest.raises(ModelError, match="no block 7"):
        tuned(tiny_causal, layers=[7])


@pytest.fixture
def families_of() -> Callable[[LoadedModel], set[str]]:
    import re

    def found(loaded: LoadedModel) -> set[str]:
        names = [name for name, p in loaded.model.named_parameters() if p.requires_grad]
        pattern = r"(?:decoder\.block|encoder\.block|layers)\.\d+"
        return {match.group() for name in names if (match := re.search(pattern, name))}

    return found


def test_the_key_is_written_beside_the_states(tiny_causal: Path) -> None:
    cache_of(tuned(tiny_causal))
    key = json.loads((files()[0].parent / "key.json").read_text())
    assert key["depth"] == 1
    assert key["arithmetic"]["threads"] == torch.get_num_threads()


def test_an_encoder_is_not_run_again_to_judge_an_epoch(
    tiny_seq2seq: Path, rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.mt5.modeling_mt5 import MT5Stack

    rows: list[int] = []
    plain = MT5Stack.forward

    def counted(self: Any, input_ids: Any = None, **more: Any) -> Any:
        if not self.is_decoder:
            rows.append(len(input_ids))
        return plain(self, input_ids, **more)

    monkeypatch.setattr(MT5Stack, "forward", counted)
    config = config_for(tiny_seq2seq, rows_file, tmp_path)
    config["method"] |= {"layers": "top:1"}
    fintune.train(config, ["train.epochs=2", "evaluation.test=false", "evaluation.baselines=[]"])
    looks = 2  # two tokens each, that show what the encoder gives and which layers share an input
    assert sum(rows) == 72 + 9 + looks, "the cache, and the scores at the end"


def test_where_no_file_can_be_kept_a_run_goes_on_without_and_says_so(
    tiny_model: Path, rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Progress] = []
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FINTUNE_TRUNK_CACHE", str(tmp_path / "file" / "trunk"))
    config = config_for(tiny_model, rows_file, tmp_path)
    config["method"] |= {"layers": "top:1"}
    config["train"] |= {"epochs": 1}
    with listening(told.append):
        run = fintune.train(config)
    assert run.environment()["trunk_depth"] is None
    assert any(event.note.startswith("nothing is cached: no file can be kept in") for event in told)
    config["train"] |= {"trunk_cache": True}
    with pytest.raises(ModelError, match=r"train\.trunk_cache: no file can be kept in"):
        fintune.train(config | {"name": "asked"})


def test_with_bf16_states_are_kept_only_in_bf16(tiny_causal: Path, rows_file: Path, tmp_path: Path) -> None:
    def run(name: str, **train: Any) -> Any:
        config = config_for(tiny_causal, rows_file, tmp_path) | {"name": name}
        config["method"] |= {"layers": "top:1"}
        config["train"] |= {"epochs": 1, "bf16": True} | train
        return fintune.train(config)

    assert run("float32").environment()["trunk_depth"] is None
    kept = run("bfloat16", trunk_cache_dtype="bfloat16")
    assert kept.environment()["trunk_depth"] == 1
    plain = run("plain", trunk_cache=False)
    assert kept.log()[0]["loss"] == pytest.approx(plain.log()[0]["loss"], rel=2**-7)  # bfloat16 keeps 8 bits


def test_a_base_in_fewer_bits_has_a_file_of_its_own(tmp_path: Path) -> None:
    folder = save("llama", tmp_path / "model", hidden_size=64, intermediate_size=128, num_key_value_heads=2)
    for quantization in ("none", "nf4", "int8"):
        base = load_model(str(folder), device="cpu", quantization=quantization)
        chosen = LoraOptions(r=4, layers="top:1")
        cache_of(replace(base, model=METHODS["lora"].attach(base.model, chosen, base.kind)))
    assert len(files()) == 3


def test_a_method_may_say_that_there_is_no_trunk(tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "lora", replace(METHODS["lora"], trunk=False))
    chosen = ["method.layers=top:1", "train.epochs=1", "evaluation.baselines=[]", "evaluation.test=false"]
    with pytest.raises(ModelError, match=r"train\.trunk_cache: lora changes what every block reads"):
        fintune.train(tiny_config, [*chosen, "train.trunk_cache=true"])
    assert fintune.train(tiny_config, chosen).environment()["trunk_depth"] is None
    assert files() == []
