"""Prompts and all their answers in one pass: the answers stand side by side behind their prompt, and none sees another.

A second pass over a few tokens per text would cost far more than their share, and this one computes the last block where it is read.
"""

from typing import TYPE_CHECKING

from fintune.inference.engines.shared_prefix import CausalInputs, allowed

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel


def fits(model: "PreTrainedModel | PeftModel", longest: int) -> bool:
    """Return whether the model takes a mask of its own for each token: its positions turn keys, no window is reached."""
    attention = getattr(model.config.get_text_config(), "_attn_implementation", None)
    return attention == "sdpa" and allowed(model, longest)


def appended(inputs: "CausalInputs", answers: "torch.Tensor") -> "CausalInputs":
    """Return what to call a model with: prompts `(n, p)` with their mask, `answers` (k, m) as far as they are fed, for every prompt.

    `logits_to_keep` is `(n, 1 + k m)`: the last token of each prompt, then each token of each answer.
    """
    import torch

    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    (n, p), (k, m), device = ids.shape, answers.shape, ids.device
    sees = torch.zeros((n, p + k * m, p + k * m), dtype=torch.bool, device=device)
    sees[:, :p, :p] = torch.ones((p, p), dtype=torch.bool, device=device).tril() & mask[:, None, :]
    sees[:, p:, :p] = mask[:, None, :]
    sees[:, p:, p:] = torch.eye(k, device=device).kron(torch.ones((m, m), device=device).tril()).bool()
    sees |= torch.eye(p + k * m, dtype=torch.bool, device=device)  # padding sees itself, or its row would be empty
    behind = mask.sum(dim=1, keepdim=True) + torch.arange(m, device=device).repeat(k)
    last = p - 1 - mask.flip(1).int().argmax(dim=1, keepdim=True)
    return {
        "input_ids": torch.cat([ids, answers.reshape(1, -1).expand(n, -1)], dim=1),
        "attention_mask": sees[:, None],
        "position_ids": torch.cat([inputs["position_ids"], behind], dim=1),
        "logits_to_keep": torch.cat([last, torch.arange(p, p + k * m, device=device).expand(n, -1)], dim=1),
    }
