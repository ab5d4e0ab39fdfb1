"""Adapters as plain PEFT makes them, of a size that moves answers, and the answers plain PEFT gives with them."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fintune.inference.predictor import Predictor
from fintune.records import Example
from tests.tiny import LABELS

TASK: dict[str, Any] = {"name": "sentiment", "prompt": "{text}{answer}"}
TEXTS = ["Alvex of Oslo +", "Bortun of Lima and Turin -", "Cy =", "涨 🚀 in Quito"]
_CAUSAL, _SEQ2SEQ = ["q_proj", "v_proj", "down_proj"], ["q", "v", "wo"]


def configs(kind: str) -> dict[str, Any]:
    """PEFT's settings of each kind of adapter."""
    import peft

    task = {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}[kind]
    layers = {"task_type": task, "target_modules": _CAUSAL if kind == "causal" else _SEQ2SEQ}
    vectors = {"task_type": task, "num_virtual_tokens": 3}
    ranks = {"rank_pattern": {layers["target_modules"][0]: 2}, "alpha_pattern": {layers["target_modules"][1]: 7.5}}
    inward = {"feedforward_modules": layers["target_modules"][2:]}
    return {
        "lora": peft.LoraConfig(r=4, lora_alpha=8.5, **ranks, **layers),
        "rslora": peft.LoraConfig(r=4, use_rslora=True, **layers),
        "embedding": peft.LoraConfig(r=4, **layers | {"target_modules": ["q_proj", "q", "embed_tokens", "shared"]}),
        "tokens": peft.LoraConfig(r=4, trainable_token_indices=[10, 65], **layers),
        "biases": peft.LoraConfig(r=4, bias="lora_only", **layers),
        "dora": peft.LoraConfig(r=4, use_dora=True, **layers),
        "ia3": peft.IA3Config(**layers, **inward),
        "loha": peft.LoHaConfig(r=2, alpha=4, **layers),
        "hra": peft.HRAConfig(r=2, **layers),
        "oft": peft.OFTConfig(r=2, oft_block_size=0, **layers),
        "prompt": peft.PromptTuningConfig(**vectors),
        "p-tuning": peft.PromptEncoderConfig(encoder_hidden_size=16, **vectors),
        "prefix": peft.PrefixTuningConfig(
            **vectors | ({} if kind == "causal" else {"token_dim": 16, "num_attention_heads": 2})
        ),
    }


def make(base: Path, folder: Path, config: Any, *, seed: int = 1) -> Path:
    """An adapter of a base model with all its numbers moved, as `save_pretrained` writes it."""
    import torch
    from peft import get_peft_model

    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuned = get_peft_model(plain_model(base), config)
        with torch.no_grad():
            for parameter in tuned.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.3 * torch.randn_like(parameter))
        tuned.save_pretrained(folder)
    return folder


def plain_model(base: Path) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    auto: Any = AutoModelForSeq2SeqLM if AutoConfig.from_pretrained(base).is_encoder_decoder else AutoModelForCausalLM
    return auto.from_pretrained(base)


def answers_of_peft(base: Path, folder: Path, *, tokenizer: Path | None = None) -> Any:
    """(texts, labels): log-probabilities by plain PeftModel.from_pretrained, a text and an answer at a time."""
    from peft import PeftModel
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(tokenizer or base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = plain_model(base)
        if tokenizer is not None:
            model.resize_token_embeddings(len(tokens))
        model = PeftModel.from_pretrained(model, folder).eval()
    answers = [[*tokens(label, add_special_tokens=False)["input_ids"], tokens.eos_token_id] for label in LABELS]
    scores = [[_log_probability(model, tokens(text)["input_ids"], answer) for answer in answers] for text in TEXTS]
    return np.array(scores)


def _log_probability(model: Any, ids: list[int], answer: list[int]) -> float:
    import torch

    if model.config.is_encoder_decoder:
        decoder = torch.tensor([[model.config.decoder_start_token_id, *answer[:-1]]])
        inputs = {"input_ids": torch.tensor([ids]), "decoder_input_ids": decoder}
    else:
        inputs = {"input_ids": torch.tensor([[*ids, *answer[:-1]]])}
    with torch.inference_mode():
        logits = model(**inputs, attention_mask=torch.ones_like(inputs["input_ids"])).logits[0, -len(answer) :]
    return float(logits.double().log_softmax(-1)[range(len(answer)), answer].sum())


def log_probabilities(predictor: Predictor, texts: Sequence[str] = TEXTS) -> Any:
    """(texts, labels): what an engine says of whole answers."""
    task = predictor.task
    prompts = [task.prompt(Example("", {"text": text}, None)) for text in texts]
    return predictor.engine.rank(prompts, list(task.choices().values())).log_probability


def rewrite(folder: Path, **settings: Any) -> None:
    """Change lines of adapter_config.json."""
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
