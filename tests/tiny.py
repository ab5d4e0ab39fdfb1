"""Rows, tokenizer and config small enough for a test of seconds."""

from functools import cache
from pathlib import Path
from typing import Any

LABELS = ("negative", "neutral", "positive")


def tiny_rows(n: int = 90) -> list[dict[str, str]]:
    """Learnable at a glance: the last character gives the label away; every text differs by its name and places."""
    signs = {"negative": "-", "neutral": "=", "positive": "+"}
    names = [
        a + b
        for a in ("Al", "Bor", "Cy", "Dro", "El", "Fi", "Gru", "Ho", "Il")
        for b in ("vex", "tun", "rit", "mas", "kel")
    ]
    places = ("Oslo", "Lima", "Turin", "Accra", "Kyoto", "Perth", "Quito")
    return [
        {"text": f"{names[i % 45]} of {places[i % 7]} and {places[(i // 7) % 7]} {signs[label]}", "label": label}
        for i, label in ((i, LABELS[i % 3]) for i in range(n))
    ]


def byte_tokenizer() -> Any:
    """A token a byte, in the order of the bytes; `<pad>` `<bos>` `<eos>` behind them; every text begins with `<bos>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    alphabet[-1] = (
        "!!"  # in place of a byte that no UTF-8 has, so that there is a merge as in every tokenizer of this sort
    )
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(alphabet)}, merges=[("!", "!")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<pad>", "<bos>", "<eos>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 257)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", padding_side="left"
    )


def gemma_tokenizer() -> Any:
    """Gemma's tokenizer with a vocabulary of bytes, some letters and a merge."""
    from tokenizers import processors
    from transformers import GemmaTokenizer

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [*"▁abcdefghijklmnopqrstuvwxyz", "ro", "se", "rose"]
    merges = [("r", "o"), ("s", "e"), ("ro", "se")]
    made = GemmaTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges)
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 2)]
    )
    made.add_tokens(["[multimodal]", "\n\n"])
    return made


@cache
def charsmap(rules: str = "") -> bytes:
    """SentencePiece's table of its usual normalization (NFKC and blanks), which it writes into every model; or of a few rules."""
    import io
    import tempfile

    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    made = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.write(rules)
        file.flush()
        SentencePieceTrainer.train(
            sentence_iterator=iter(["a b"]), model_writer=made, vocab_size=6, hard_vocab_limit=False, minloglevel=2,
            **({"normalization_rule_tsv": file.name} if rules else {}),
        )  # fmt: skip
    assert SentencePieceProcessor(model_proto=made.getvalue()).get_piece_size()
    return bytes(ModelProto.FromString(made.getvalue()).normalizer_spec.precompiled_charsmap)


def unigram_tokenizer(rules: str = "FF10\t30\nA0\t20\n") -> Any:
    """As T5's: pieces with scores, `▁` for a space, `</s>` behind every text; 259 tokens. `rules`: of its normalization, "" for T5's."""
    import string

    from tokenizers.normalizers import Precompiled
    from transformers import T5TokenizerFast

    letters = [*string.ascii_letters, *string.digits, *"+-=.,%▁", *(f"▁{letter}" for letter in string.ascii_letters)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((p, -4.0 - 0.01 * i) for i, p in enumerate(letters))]
    pieces += [(f"<extra_id_{i}>", 0.0) for i in reversed(range(259 - len(pieces)))]
    tokenizer = T5TokenizerFast(vocab=pieces, extra_ids=0)
    tokenizer.backend_tokenizer.normalizer = Precompiled(charsmap(rules))
    return tokenizer


def config_for(model: Path, rows: Path, folder: Path) -> dict[str, Any]:
    return {
        "name": "tiny",
        "output": str(folder / "runs"),
        "model": {"base": str(model), "device": "cpu", "max_length": 96},
        "data": {"path": str(rows)},
        "task": {"name": "sentiment", "prompt": "{text}{answer}"},
        "method": {"name": "lora", "r": 8, "lora_alpha": 8, "lora_dropout": 0.0},
        "train": {"epochs": 5, "learning_rate": 3e-2, "batch_size": 4},
        "evaluation": {"resamples": 100},
    }
