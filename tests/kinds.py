"""A small tokenizer of each kind that models come with, trained on made-up sentences."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tests.tiny import charsmap

CHAT = ("<|user|>", "<|end|>", "<|assistant|>")
"""control tokens of a chat, which every tokenizer here has"""
_BYTES = [f"<0x{i:02X}>" for i in range(256)]
_SIZE = 700


def _sentences() -> Iterator[str]:
    firms, verbs = ("Alvex", "Bortun", "Cyrit", "Dromas", "Elkel"), ("rose", "fell", "held", "doubled", "halved")
    things, answers = (
        ("Profit", "Sales", "Debt", "Margin"),
        ("negative", "neutral", "positive", "Positive", "up", "upward"),
    )
    chinese = ("公司利润上涨。", "公司利润下跌，亏损扩大。", "公司会议按期举行。")
    for i in range(400):
        text = f"{things[i % 4]} of {firms[i % 5]} {verbs[i % 3]} {i} % in May, and {firms[i % 3]} {verbs[i % 5]}."
        yield f"{text}\nSentiment: {answers[i % 6]}"
        yield f"{chinese[i % 3]}\n情绪：{('负面', '中性', '正面')[i % 3]} <s> </s> <unk> <pad>"


def _wrapped(tokenizer: Any, **names: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", **names)
    made.add_special_tokens({"additional_special_tokens": list(CHAT)})
    return made


@cache
def _pieces() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a SentencePiece BPE: control pieces, bytes, then what was learned."""
    import json

    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Sequence(  # SentencePiece learns no piece of two scripts
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.UnicodeScripts()]
    )
    learner.train_from_iterator(_sentences(), trainers.BpeTrainer(vocab_size=_SIZE, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    names = ["<pad>", "<s>", "</s>", "<unk>", *_BYTES, *sorted(learned["vocab"], key=learned["vocab"].get)]
    return {piece: i for i, piece in enumerate(dict.fromkeys(names))}, [(a, b) for a, b in learned["merges"]]


def _sentencepiece(*, normalizer: Any = None, splitter: Any = None) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors

    vocabulary, merges = _pieces()
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if splitter is not None:
        tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<pad>", "<s>", "</s>", "<unk>"])
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False)])  # a word, as Gemma's line breaks are
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return _wrapped(tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _metaspace(scheme: Any) -> Any:
    from tokenizers import pre_tokenizers

    return _sentencepiece(splitter=pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False))


def _gemma() -> Any:
    from tokenizers import normalizers

    return _sentencepiece(normalizer=normalizers.Replace(" ", "▁"))


def _legacy() -> Any:
    from tokenizers import normalizers

    return _sentencepiece(normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))


def _unigram() -> Any:
    """As T5's: control pieces are pieces of the model, and letters reach them."""
    import json

    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import T5TokenizerFast

    learner = Tokenizer(models.Unigram())
    learner.normalizer = normalizers.Precompiled(charsmap())
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    learner.train_from_iterator(_sentences(), trainer)
    vocabulary = json.loads(learner.to_str())["model"]["vocab"]
    made = T5TokenizerFast(vocab=[(piece, score) for piece, score in vocabulary], extra_ids=0)
    made.backend_tokenizer.normalizer = normalizers.Precompiled(charsmap())
    made.add_special_tokens({"additional_special_tokens": list(CHAT)})
    return made


def _byte_level(*, prefix: bool = False, llama3: bool = False) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=llama3))
    splitter: Any = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    if llama3:
        pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)
        splitter = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), bytes_alone])
    tokenizer.pre_tokenizer = splitter
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=_SIZE, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_sentences(), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>", "<pad>"])
    single, start = ("<s> $A", [("<s>", tokenizer.token_to_id("<s>"))]) if llama3 else ("$A", [])
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=single, special_tokens=start),
        ]
    )
    return _wrapped(tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def _word_piece(*, lowercase: bool) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=names, show_progress=False)
    tokenizer.train_from_iterator(_sentences(), trainer)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return _wrapped(tokenizer, pad_token="[PAD]", unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]")


KINDS: dict[str, Callable[[], Any]] = {
    "llama": lambda: _metaspace("first"),
    "metaspace-always": lambda: _metaspace("always"),
    "metaspace-never": lambda: _metaspace("never"),
    "llama-legacy": _legacy,
    "gemma": _gemma,
    "unigram": _unigram,
    "gpt2": _byte_level,
    "gpt2-prefix": lambda: _byte_level(prefix=True),
    "llama3": lambda: _byte_level(llama3=True),
    "wordpiece-uncased": lambda: _word_piece(lowercase=True),
    "wordpiece-cased": lambda: _word_piece(lowercase=False),
}
"""by the model or the setting they are like"""


@cache
def tokenizer_of(kind: str) -> Any:
    """One for all tests: nothing may change it."""
    return KINDS[kind]()
