"""tokenizer.model of Meta's checkpoints: SentencePiece for LLaMA 1 and 2, tiktoken's ranks for LLaMA 3.

Example:
    read(Path("Meta-Llama-3-8B/tokenizer.model"))("Profit rose").input_ids
"""

import base64
import binascii
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fintune.errors import BrokenEnvironment, ModelError
from fintune.runtime.install import with_extra

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_3_1 = {
    "<|reserved_special_token_2|>": "<|finetune_right_pad_id|>",
    "<|reserved_special_token_3|>": "<|reserved_special_token_2|>",
    "<|reserved_special_token_4|>": "<|eom_id|>",
    "<|reserved_special_token_5|>": "<|python_tag|>",
} | {f"<|reserved_special_token_{i}|>": f"<|reserved_special_token_{i - 3}|>" for i in range(6, 251)}
"""Names that 3.1 and later give tokens of 3.0 (github meta-llama/llama-models, tokenizer.py)"""
_LLAMA_3_0 = [
    "<|begin_of_text|>", "<|end_of_text|>", *(f"<|reserved_special_token_{i}|>" for i in range(4)), "<|start_header_id|>",
    "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>", *(f"<|reserved_special_token_{i}|>" for i in range(5, 251)),
]  # fmt: skip
"""Special tokens behind the 128,000 of the file, in their order (github meta-llama/llama3, tokenizer.py)"""
_LLAMA_3_1 = [_3_1.get(token, token) for token in _LLAMA_3_0]


def read(path: Path, *, stretched: bool = False) -> "PreTrainedTokenizerBase":
    """Return the file as a Hugging Face tokenizer (`stretched`: of LLaMA 3.1 or later). Raises ModelError when it is neither of the two."""
    if not path.is_file():
        raise ModelError(
            f"{path.parent}: no {path.name}", hint="Copy it too: it lies beside the weights, or one folder up."
        )
    if not path.stat().st_size:
        raise ModelError(f"{path}: is empty", hint="Copy it again.")
    ranks = _ranks(path)
    return _sentencepiece(path) if ranks is None else _tiktoken(ranks, _LLAMA_3_1 if stretched else _LLAMA_3_0)


def _ranks(path: Path) -> dict[bytes, int] | None:
    """Read lines of base64 and a number; None when it is no such file."""
    try:
        pairs = (line.split() for line in path.read_text("ascii").splitlines() if line)
        return {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except (UnicodeDecodeError, ValueError, binascii.Error):
        return None


def _tiktoken(ranks: dict[bytes, int], special: list[str]) -> "PreTrainedTokenizerBase":
    from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import TikTokenConverter

    make: Any = TikTokenConverter
    converter = make(vocab_file="", extra_special_tokens=special)
    converter.load_tiktoken_bpe = lambda _: ranks  # they have been read already
    tokenizer, begin = converter.converted(), special[0]
    first = TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    tokenizer.post_processor = Sequence([ByteLevel(trim_offsets=False), first])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[1],
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _sentencepiece(path: Path) -> "PreTrainedTokenizerBase":
    from transformers import LlamaTokenizer

    if missing := [name for name in ("sentencepiece", "google.protobuf") if not _is_there(name)]:
        raise BrokenEnvironment(f"{path}: needs {missing[0]} to be read", hint=with_extra("llama"))
    try:
        tokenizer: PreTrainedTokenizerBase = LlamaTokenizer.from_pretrained(
            path.parent, local_files_only=True, add_bos_token=True
        )
    except (ValueError, RuntimeError, OSError, TypeError):  # what it says is of tiktoken, which it tries last
        raise ModelError(f"{path}: damaged, or no tokenizer of a LLaMA", hint="Copy it again.") from None
    return tokenizer


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package above it
        return False
