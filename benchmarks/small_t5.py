"""What every export of a small T5 and mT5 costs and keeps: made here, taught the task as a whole, then adapted with LoRA and exported.

    python -m benchmarks.small_t5 --data ../shared/data/financial_phrasebank/Sentences_AllAgree.txt --folder /tmp/t5

Nothing is downloaded: SentencePiece learns its pieces from the texts of the train part, weights begin at random. `full` makes a base
model of that (its merged folder), which LoRA goes on with.
"""

import argparse
from pathlib import Path
from typing import Any

import fintune
from fintune.config.load import load
from fintune.data.load import gather
from fintune.data.prepare import divided
from fintune.export.export import export, export_all
from fintune.export.table import exports, markdown

SHAPE = {
    "d_model": 256, "d_kv": 32, "d_ff": 512, "num_layers": 4, "num_decoder_layers": 2, "num_heads": 8, "dropout_rate": 0.1,
    "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0,
}  # fmt: skip
PIECES = 3000


def tokenizer(texts: list[str], folder: Path) -> Any:
    """As T5's: a SentencePiece unigram model with its own normalization."""
    import sentencepiece
    from transformers import T5Tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "spiece"), vocab_size=PIECES, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2,
    )  # fmt: skip
    return T5Tokenizer.from_pretrained(folder, extra_ids=0)


def fresh(family: str, texts: list[str], folder: Path) -> Path:
    """A model folder with weights at random."""
    import torch
    import transformers

    own = tokenizer(texts, folder / "pieces")
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SHAPE, vocab_size=-(-len(own) // 64) * 64)
    getattr(transformers, f"{family}ForConditionalGeneration")(config).save_pretrained(folder / "random")
    own.save_pretrained(folder / "random")
    return folder / "random"


def settings(base: Path, data: str, folder: Path, **more: Any) -> dict[str, Any]:
    """A run's config."""
    return {
        "model": {"base": str(base)}, "data": {"path": data}, "output": str(folder),
        "task": {"name": "sentiment", "prompt": "{text}{answer}"}, "evaluation": {"test": False, "baselines": []}, **more,
    }  # fmt: skip


def main() -> None:
    """A table for each family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    for family in ("T5", "MT5"):
        folder = given.folder / family
        config = load(settings(folder, given.data, folder))
        texts = [row.text for row in divided(config.data, gather(config.data, config.build_task()))[0]["train"]]
        made = fintune.train(settings(
            fresh(family, texts, folder), given.data, folder, name="full", method={"name": "full"},
            train={"epochs": given.epochs, "learning_rate": 1e-3, "batch_size": 16},
        ))  # fmt: skip
        base = export(made, "merged").folder
        run = fintune.train(settings(
            base, given.data, folder, name="lora", method={"name": "lora", "r": 8},
            train={"epochs": 2, "learning_rate": 1e-3, "batch_size": 16, "seed": 1},
        ))  # fmt: skip
        found = export_all(run)
        print(f"{family}\n{markdown(exports(found))}", flush=True)
        print(*(one.record()["refused"] for one in found if "refused" in one.record()), sep="\n", flush=True)


if __name__ == "__main__":
    main()
