"""A trimmed model cuts the texts it was made for into the same tokens and gives them the same logits; others still read."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

import fintune
from fintune.compression.prune import prune
from fintune.compression.trim import trim
from fintune.compression.trimmed_folder import read_whole
from fintune.compression.vocabulary import needed, parse
from fintune.errors import DataError, ModelError, RunError
from fintune.models import load_model
from fintune.records import Prompt
from tests.tiny import config_for, tiny_rows

MORE = ["quarterly revenue of the shipyard rose", "dividends fell and guidance was withdrawn", "涨停 跌停 利润 2024"]
SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>"]


def tokenizer(kind: str) -> Any:
    """As Gemma's (BPE over whole texts, byte fallback), GPT-2's (byte-level) or mT5's (Unigram), of a few hundred tokens."""
    texts = [row["text"] for row in tiny_rows()] + MORE * 8 + ["negative neutral positive sentiment 0123456789"] * 9
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    if kind == "unigram":
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.train_from_iterator(
            texts, trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>")
        )
    else:
        level = kind == "byte-level"
        made = Tokenizer(models.BPE() if level else models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        if level:
            made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        else:
            made.normalizer = normalizers.Replace(" ", "▁")
        alphabet = pre_tokenizers.ByteLevel.alphabet() if level else []
        special = SPECIAL if level else [*SPECIAL, *byte_tokens]
        trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special, initial_alphabet=alphabet)
        made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )


@pytest.fixture(params=["bpe", "byte-level", "unigram"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A Gemma 3 with tied weights, or an mT5 with a head of its own for the Unigram tokenizer; two rows stand for padding."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, MT5Config, MT5ForConditionalGeneration

    torch.manual_seed(0)
    read = tokenizer(request.param)
    shape: dict[str, Any] = {"vocab_size": len(read) + 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if request.param == "unigram":
        built: Any = MT5ForConditionalGeneration(
            MT5Config(
                **shape,
                d_model=32,
                d_kv=8,
                d_ff=48,
                num_layers=1,
                num_heads=2,
                dropout_rate=0.0,
                decoder_start_token_id=0,
            )
        )
    else:
        built = Gemma3ForCausalLM(
            Gemma3TextConfig(
                **shape, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, head_dim=16, initializer_range=0.1,
            )
        )  # fmt: skip
    built.save_pretrained(tmp_path / "model")
    read.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_control_tokens_written_in_texts_are_letters_to_a_trimmed_model_too(model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    written = [f"{row['text']} </s> <eos>,{row['label']}" for row in tiny_rows()]
    rows.write_text("\n".join(["text,label", *written]), encoding="utf-8")
    found = trim(config_for(model, rows, tmp_path), output=tmp_path / "small")
    whole, small = load_model(str(model), device="cpu"), load_model(found.folder, device="cpu")
    prompt = Prompt.around("", "Alvex of Oslo </s> <eos>", "")
    (before,), (after,) = read_whole(whole, [prompt]), read_whole(small, [prompt])
    assert whole.tokenizer.convert_ids_to_tokens(before) == small.tokenizer.convert_ids_to_tokens(after)
    assert small.tokenizer.eos_token_id not in after[:-1]


def test_a_trimmed_model_is_the_same_model_for_its_texts(model: Path, rows_file: Path, tmp_path: Path) -> None:
    config = config_for(model, rows_file, tmp_path)
    found = trim(config, output=tmp_path / "small model 小")
    whole, small = load_model(str(model), device="cpu"), load_model(found.folder, device="cpu")
    assert found.tokens[1] < found.tokens[0]
    assert found.parameters[1] < found.parameters[0]
    assert len(small.tokenizer) == found.tokens[1] == small.model.config.vocab_size
    assert small.model.get_input_embeddings().weight.shape[0] == found.tokens[1]
    tied = whole.model.get_output_embeddings().weight is whole.model.get_input_embeddings().weight
    assert (small.model.get_output_embeddings().weight is small.model.get_input_embeddings().weight) == tied
    for row in tiny_rows(12):
        before, after = whole.tokenizer(row["text"])["input_ids"], small.tokenizer(row["text"])["input_ids"]
        assert whole.tokenizer.convert_ids_to_tokens(before) == small.tokenizer.convert_ids_to_tokens(after)
    for name in ("pad", "bos", "eos"):
        assert getattr(small.tokenizer, f"{name}_token_id") == getattr(small.model.config, f"{name}_token_id")
    assert json.loads((Path(found.folder) / "trim.json").read_text())["verified"]["logits"] <= 1e-5
    leftover = small.tokenizer("withdrawn 7 涨", add_special_tokens=False)["input_ids"]
    assert all(i < found.tokens[1] for i in leftover)


def small_text(loaded: Any, text: str) -> list[int]:
    ids: list[int] = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


@pytest.mark.parametrize("model", ["bpe", "byte-level"], indirect=True)  # the answers of the other begin alike
def test_a_run_on_a_trimmed_model_has_the_scores_of_one_on_the_whole(
    model: Path, rows_file: Path, tmp_path: Path
) -> None:
    config = config_for(model, rows_file, tmp_path)
    config["task"]["answers"] = {"negative": "Oslo", "neutral": "Lima", "positive": "Turin"}
    config["train"]["objective"] = "candidates"  # else the words left out would be missing from the loss
    found = trim(config, output=tmp_path / "small")
    whole = fintune.train(config | {"name": "whole"})
    small = fintune.train(config | {"name": "small", "model": config["model"] | {"base": found.folder}})
    for a, b in zip(whole.log(), small.log(), strict=True):
        for name in ("loss", "validation_loss"):
            assert a.get(name) == pytest.approx(b.get(name), abs=1e-4)
    assert whole.scores()["test"]["accuracy"] == small.scores()["test"]["accuracy"]


def test_a_corpus_keeps_its_tokens(model: Path, rows_file: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("\n".join(MORE) + "\n\n", encoding="utf-8")
    config = config_for(model, rows_file, tmp_path)
    few = trim(config, output=tmp_path / "few")
    more = trim(config, output=tmp_path / "more", corpus=[str(tmp_path / "more.txt")])
    assert few.tokens[1] < more.tokens[1] <= more.tokens[0]
    whole, small = load_model(str(model), device="cpu"), load_model(more.folder, device="cpu")
    for text in MORE:
        before, after = small_text(whole, text), small_text(small, text)
        assert whole.tokenizer.convert_ids_to_tokens(before) == small.tokenizer.convert_ids_to_tokens(after)


def test_what_is_kept_is_closed_under_the_merges() -> None:
    rules = parse(tokenizer("bpe").backend_tokenizer.to_str())
    word = max((token for token in rules.ids if token.startswith("shipy") or token.endswith("yard")), key=len)
    kept = needed(rules, {word})
    for left, right in rules.merges:
        if left + right in kept:
            assert {left, right} <= kept
    assert {f"<0x{i:02X}>" for i in range(256)} | set("0123456789") | {"<unk>"} <= kept
    assert "▁dividends" not in kept


def test_nothing_is_written_when_the_proof_fails(
    model: Path, rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fintune.compression import trimmed_folder

    config = config_for(model, rows_file, tmp_path)
    plain = trimmed_folder.cut

    def wrong(loaded: Any, rows: Any, ids: Any) -> None:
        plain(loaded, [*rows[1:], rows[0]], ids)

    monkeypatch.setattr(trimmed_folder, "cut", wrong)
    with pytest.raises(ModelError, match="the trimmed model's answers differ"):
        trim(config, output=tmp_path / "out" / "small")
    assert not (tmp_path / "out").exists()

    def without_one(rules: Any, used: set[str]) -> set[str]:
        word = max(sorted(token for token in used if not token.startswith("<")), key=len)
        return needed(rules, used) - {word}

    monkeypatch.setattr(trimmed_folder, "cut", plain)
    monkeypatch.setattr(trimmed_folder, "needed", without_one)
    with pytest.raises(ModelError, match="is cut into other tokens than before"):
        trim(config, output=tmp_path / "out" / "small")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(model: Path, rows_file: Path, tmp_path: Path) -> None:
    config = config_for(model, rows_file, tmp_path)
    with pytest.raises(RunError, match="is there already"):
        trim(config, output=model, overwrite=True)
    trim(config, output=tmp_path / "small")
    with pytest.raises(RunError, match="is there already"):
        trim(config, output=tmp_path / "small")
    assert trim(config, output=tmp_path / "small", overwrite=True).tokens
    with pytest.raises(DataError, match=r"no\.txt: No such file"):
        trim(config, output=tmp_path / "other", corpus=[str(tmp_path / "no.txt")])


def test_a_pruned_model_gives_what_its_first_blocks_give(tiny_causal: Path, tmp_path: Path) -> None:
    found = prune(str(tiny_causal), layers=1, output=tmp_path / "one")
    whole, small = load_model(str(tiny_causal), device="cpu"), load_model(found.folder, device="cpu")
    ids = torch.tensor([[257, 65, 66, 67]])
    states = whole.model(ids, output_hidden_states=True).hidden_states[1]
    expected = whole.model.lm_head(whole.model.model.norm(states))
    torch.testing.assert_close(small.model(ids).logits, expected)
    assert small.model.config.layer_types == whole.model.config.layer_types[:1]
    assert found.parameters[1] < found.parameters[0]


@pytest.mark.parametrize("layers", [0, 2, 9])
def test_blocks_that_cannot_be_kept(tiny_causal: Path, tmp_path: Path, layers: int) -> None:
    with pytest.raises(ModelError, match="the model has 2 blocks"):
        prune(str(tiny_causal), layers=layers, output=tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_an_encoder_decoder_is_not_pruned(tiny_seq2seq: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="only causal models are pruned"):
        prune(str(tiny_seq2seq), layers=1, output=tmp_path / "one")


def test_the_commands_say_what_they_made(model: Path, rows_file: Path, tmp_path: Path, fin: Any) -> None:
    import yaml

    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config_for(model, rows_file, tmp_path)))
    done = fin("trim", tmp_path / "run.yaml", "-o", tmp_path / "small")
    assert done.code == 0
    assert "next: fintune train" in done.out
    assert fin("trim", tmp_path / "run.yaml", "-o", tmp_path / "small").code == 2
    if "mt5" not in (model / "config.json").read_text():
        made = json.loads(fin("prune", tmp_path / "small", "-n", 1, "-o", tmp_path / "one", "--json").out)
        assert made["parameters"][1] < made["parameters"][0]
