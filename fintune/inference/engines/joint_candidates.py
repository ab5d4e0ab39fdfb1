"""Prompts and all their answers in one pass: the answers stand behind their prompt as a tree, and no branch sees another.

What several answers begin with is read once: "-0.2" and "-0.4" share three tokens of four. A second pass over a few tokens per text
would cost far more than their share, and this one computes the last block where it is read.

>>> tree = AnswerTree.of([[5, 1, 9], [5, 2, 9], [6, 9]])
>>> tree.tokens, tree.depths
([5, 1, 2, 6], [0, 1, 1, 0])
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class AnswerTree:
    """Every beginning of some answers, each once; an answer's last token is predicted, and never read."""

    tokens: list[int]
    """The last token of each beginning."""
    depths: list[int]
    """Number of tokens before that one."""
    paths: list[list[int]]
    """Places of all beginnings that lead to each, itself the last."""
    steps: list[tuple[int, int, int]]
    """Answer, place of the beginning, token that follows there: all but the first tokens of the answers."""

    @classmethod
    def of(cls, answers: Sequence[Sequence[int]]) -> "AnswerTree":
        """Return the tree of answers."""
        places: dict[tuple[int, ...], int] = {}
        tree = cls([], [], [], [])
        for number, answer in enumerate(answers):
            for length in range(1, len(answer)):
                beginning = tuple(answer[:length])
                if beginning not in places:
                    before = tree.paths[places[beginning[:-1]]] if length > 1 else []
                    places[beginning] = len(tree.tokens)
                    tree.tokens.append(beginning[-1])
                    tree.depths.append(length - 1)
                    tree.paths.append([*before, places[beginning]])
                tree.steps.append((number, places[beginning], answer[length]))
        return tree


def appended(inputs: "CausalInputs", tree: AnswerTree) -> "CausalInputs":
    """Return what to call a model with: prompts `(n, p)` with their mask, and behind each of them the tree's `t` tokens.

    `logits_to_keep` is `(n, 1 + t)`: the last token of each prompt, then each token of the tree.
    """
    import torch

    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    (n, p), t, device = ids.shape, len(tree.tokens), ids.device
    within = torch.zeros((t, t), dtype=torch.bool)
    for place, path in enumerate(tree.paths):
        within[place, path] = True
    sees = torch.zeros((n, p + t, p + t), dtype=torch.bool, device=device)
    sees[:, :p, :p] = torch.ones((p, p), dtype=torch.bool, device=device).tril() & mask[:, None, :]
    sees[:, p:, :p] = mask[:, None, :]
    sees[:, p:, p:] = within.to(device)
    sees |= torch.eye(p + t, dtype=torch.bool, device=device)  # padding sees itself, or its row would be empty
    behind = mask.sum(dim=1, keepdim=True) + torch.tensor(tree.depths, device=device)
    last = p - 1 - mask.flip(1).int().argmax(dim=1, keepdim=True)
    return {
        "input_ids": torch.cat([ids, torch.tensor(tree.tokens, device=device).expand(n, -1)], dim=1),
        "attention_mask": sees[:, None],
        "position_ids": torch.cat([inputs["position_ids"], behind], dim=1),
        "logits_to_keep": torch.cat([last, torch.arange(p, p + t, device=device).expand(n, -1)], dim=1),
    }


def followed(logits: "torch.Tensor", tree: AnswerTree, answers: int) -> "torch.Tensor":
    """Return summed log-probabilities of all but the answers' first tokens, `(n, answers)`, of logits `(n, t, vocabulary)` of the tree."""
    import torch

    number, place, token = (torch.tensor(column, device=logits.device) for column in zip(*tree.steps, strict=True))
    wide = logits.float()
    each = wide[:, place, token] - wide.logsumexp(dim=-1)[:, place]
    return torch.zeros((len(logits), answers), device=logits.device).index_add_(1, number, each)
