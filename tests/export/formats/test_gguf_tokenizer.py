"""Each sort of tokenizer, written as llama.cpp's metadata and built from it by transformers, gives the same tokens."""

from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader, GGUFWriter
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from fintune.errors import ModelError
from fintune.export.formats import gguf_tokenizer
from tests.tiny import unigram_tokenizer

TEXTS = ["Profit rose 12 % to EUR 2 mn.", "  two  spaces", "公司扭亏为盈 ü🚀", "2026!! <eos>"]
SPECIAL = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}


def by_score() -> Any:
    """As Gemma's: `▁` for a space, merges in the order of the pieces, bytes for what it does not know."""
    pieces = ["▁p", "ro", "it", "▁pro", "fit", "▁profit", "▁▁", "12", "▁2", "00"]
    merges = [
        ("▁", "p"),
        ("r", "o"),
        ("i", "t"),
        ("▁p", "ro"),
        ("f", "it"),
        ("▁pro", "fit"),
        ("▁", "▁"),
        ("1", "2"),
        ("▁", "2"),
        ("0", "0"),
    ]
    letters = sorted(set("".join(TEXTS[0] + "profit▁0")) - {" "})
    names = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{i:02X}>" for i in range(256)), *pieces, *letters]
    model = models.BPE(
        vocab={name: i for i, name in enumerate(names)},
        merges=merges,
        byte_fallback=True,
        fuse_unk=True,
        unk_token="<unk>",
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<pad>", "<eos>", "<bos>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", **SPECIAL)


def byte_pieces() -> Any:
    """As Qwen's: bytes, split by its regex before they are merged."""
    from tokenizers import Regex

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("r", "o"), ("1", "2"), ("i", "t"), ("!", "!"), ("Ġ", "2")]
    names = [*alphabet, *(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges))
    split = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<pad>", "<eos>", "<bos>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def again(tokenizer: Any, architecture: str, folder: Path, rows: int = 0) -> Any:
    writer = GGUFWriter(folder / "model.gguf", architecture)
    writer.add_name("tiny")
    gguf_tokenizer.write(writer, tokenizer, rows or len(tokenizer))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")


@pytest.mark.parametrize(
    ("make", "architecture", "sort"),
    [(by_score, "gemma3", "llama"), (byte_pieces, "qwen2", "gpt2"), (unigram_tokenizer, "t5", "t5")],
)
def test_tokens_come_back(make: Any, architecture: str, sort: str, tmp_path: Path) -> None:
    tokenizer = make()
    found = again(tokenizer, architecture, tmp_path)
    texts = TEXTS[:1] if sort == "t5" else TEXTS  # T5's has no bytes to fall back on
    assert [found(text).input_ids for text in texts] == [tokenizer(text).input_ids for text in texts]
    fields = GGUFReader(tmp_path / "model.gguf").fields
    assert fields["tokenizer.ggml.model"].contents() == sort
    if sort == "llama":
        types = fields["tokenizer.ggml.token_type"].contents()
        assert types[:5] == [3, 3, 3, 2, 6]
        scores = fields["tokenizer.ggml.scores"].contents()
        where = tokenizer.get_vocab()
        assert scores[where["▁p"]] > scores[where["▁pro"]] > scores[where["▁profit"]] > scores[where["o"]]
    if sort == "gpt2":
        assert fields["tokenizer.ggml.pre"].contents() == "qwen2"


def test_rows_beyond_the_vocabulary_are_filled(tmp_path: Path) -> None:
    again(byte_pieces(), "qwen2", tmp_path, rows=300)
    fields = GGUFReader(tmp_path / "model.gguf").fields
    assert len(fields["tokenizer.ggml.tokens"].contents()) == 300
    assert fields["tokenizer.ggml.token_type"].contents()[-1] == 5


def test_one_of_another_sort_is_refused(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "<eos>": 1}, unk_token="a"))
    with pytest.raises(ModelError, match=r"llama\.cpp has no WordLevel tokenizer"):
        again(PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>"), "llama", tmp_path)


def test_no_more_tokens_than_rows(tmp_path: Path) -> None:
    tokenizer = byte_pieces()
    again(tokenizer, "qwen2", tmp_path, rows=len(tokenizer) - 1)
    fields = GGUFReader(tmp_path / "model.gguf").fields
    assert len(fields["tokenizer.ggml.tokens"].contents()) == len(tokenizer) - 1


def test_splits_that_are_not_llama_cpps_are_refused(tmp_path: Path) -> None:
    for steps in (
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
        [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)],
        [pre_tokenizers.ByteLevel(add_prefix_space=True)],
    ):
        tokenizer = byte_pieces()
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
        with pytest.raises(ModelError, match="splits texts in a way"):
            again(tokenizer, "qwen2", tmp_path)


def test_unigrams_say_how_blanks_are_taken(tmp_path: Path) -> None:
    again(unigram_tokenizer(rules=""), "t5", tmp_path)
    fields = GGUFReader(tmp_path / "model.gguf").fields
    assert fields["tokenizer.ggml.remove_extra_whitespaces"].contents() is True
    assert fields["tokenizer.ggml.add_space_prefix"].contents() is True
    assert len(fields["tokenizer.ggml.precompiled_charsmap"].contents()) > 1000
    bare = unigram_tokenizer()
    bare.backend_tokenizer.normalizer = None
    with pytest.raises(ModelError, match="no SentencePiece normalization"):
        again(bare, "t5", tmp_path)
