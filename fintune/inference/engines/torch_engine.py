"""The engine that runs transformers models in this process.

A prompt is read once: all candidates are read with it, or after it from its keys and values (or encoder states).

Example:
    engine = TorchEngine(load_model("embedded"), max_length=256)
    engine.rank([Prompt.around("", "Profit rose.", "\\nSentiment:")], [" positive", " negative"]).probabilities()
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fintune.inference.engines.joint_candidates import AnswerTree, appended, fits, followed
from fintune.inference.engines.protocol import Ranking, encode_request
from fintune.inference.engines.shared_prefix import CausalInputs, Prefix, allowed, read, shared
from fintune.models import LoadedModel
from fintune.models.batches import Side, pad, positions
from fintune.models.blocks import unwrap
from fintune.models.prompts import PromptEncoder
from fintune.models.shortcuts.head import of_rows
from fintune.models.shortcuts.shortcuts import STATES, Shortcuts
from fintune.models.virtual_tokens import virtual_ids
from fintune.records import Prompt
from fintune.runtime.progress import advance
from fintune.runtime.turns import turn

if TYPE_CHECKING:
    import torch

_LOGITS_BUDGET = 64_000_000
"""Number of logits held at a time (floats): 256 MB in fp32, whatever the vocabulary."""


class TorchEngine:
    """See Engine. Threads that share one encode, pad and count side by side; passes through the model take turns, a batch each."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        max_length: int,
        max_new_tokens: int = 128,
        batch_size: int = 32,
        side: Side = "left",
        shortcuts: Shortcuts | None = None,
    ) -> None:
        """With `shortcuts.rows` the first tokens of the answers are compared and nothing else of them is read."""
        self._loaded = loaded
        self._shortcuts = shortcuts or Shortcuts()
        before = tuple(virtual_ids(unwrap(loaded.model)))
        self._encoder = PromptEncoder(loaded.tokenizer, loaded.kind, max_length, before)
        self._batch_size, self._most = batch_size, max_new_tokens
        self._side = side

    def rank(self, prompts: Sequence[Prompt], candidates: Sequence[str], *, stage: str = "score") -> Ranking:
        """See Engine. Prompts are read in batches of like length; the order of the result is the order given."""
        import torch

        first = self._shortcuts.rows is not None
        request = encode_request(self._encoder, prompts, candidates, first=first)
        ids, answers = request.prompts, request.answers
        scores = np.zeros((len(ids), len(answers)))
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        score = self._first_tokens if first else self._batch
        with torch.inference_mode():
            prefix = self._shared(ids, max(map(len, answers)))
            size = self._rows(ids, answers, prefix)
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                with turn(unwrap(self._loaded.model)):
                    scores[rows] = score([ids[i] for i in rows], answers, prefix).double().cpu().numpy()
                advance(stage, min(start + size, len(order)), len(order))
        return request.ranking(scores)

    def write(self, prompts: Sequence[Prompt], *, stage: str = "write") -> tuple[list[str], NDArray[np.int64]]:
        """See Engine. Prompts are read in batches of like length; max_new_tokens come on top of max_length."""
        import torch

        with turn(self._encoder.tokenizer):
            ids, cut = self._encoder.encode_prompts(prompts, reserve=0)
        order, written = sorted(range(len(ids)), key=lambda i: -len(ids[i])), [""] * len(ids)
        with torch.inference_mode():
            for start in range(0, len(order), self._batch_size):
                rows = order[start : start + self._batch_size]
                with turn(unwrap(self._loaded.model)):
                    answers = self._generate([ids[i] for i in rows])
                for i, answer in zip(rows, answers, strict=True):
                    written[i] = str(self._loaded.tokenizer.decode(answer, skip_special_tokens=True)).strip()
                advance(stage, min(start + len(rows), len(order)), len(order))
        return written, np.array(cut, dtype=np.int64)

    def _generate(self, ids: list[list[int]]) -> list[list[int]]:
        """Return the tokens written behind each of these prompts."""
        from transformers import GenerationConfig

        pad_id, causal = self._loaded.tokenizer.pad_token_id, self._loaded.kind == "causal"
        tokens, mask = (t.to(self._loaded.device) for t in pad(ids, pad_id, "left" if causal else "right"))
        ends = self._loaded.tokenizer.eos_token_id
        start = None if causal else self._loaded.model.config.decoder_start_token_id
        how: Any = GenerationConfig  # transformers leaves it without types
        settings = how(
            max_new_tokens=self._most,
            do_sample=False,
            pad_token_id=pad_id,
            eos_token_id=ends,
            decoder_start_token_id=start,
        )
        model: Any = self._loaded.model
        written: list[list[int]] = model.generate(
            input_ids=tokens, attention_mask=mask, generation_config=settings
        ).tolist()
        return [row[tokens.shape[1] if causal else 1 :] for row in written]

    def _shared(self, ids: Sequence[list[int]], longest: int) -> Prefix | None:
        trunk = self._shortcuts.trunk
        if self._loaded.kind != "causal" or (trunk is not None and trunk.knows(ids)):
            return None
        if not allowed(self._loaded.model, max(map(len, ids), default=0) + longest):
            return None
        if not (common := shared(ids)):
            return None
        with turn(unwrap(self._loaded.model)):
            return read(self._loaded.model, common, self._loaded.device)

    def _prompts(self, ids: list[list[int]], prefix: Prefix | None) -> "tuple[CausalInputs, torch.Tensor]":
        """Return what a causal model is called with for these prompts, and the mask of the tokens it reads itself."""
        pad_id, device = self._loaded.tokenizer.pad_token_id, self._loaded.device
        skip = len(prefix.ids) if prefix else 0
        tokens, mask = (t.to(device) for t in pad([row[skip:] for row in ids], pad_id, self._side))
        if prefix:
            return prefix.continued(tokens, mask), mask
        return {"input_ids": tokens, "attention_mask": mask, "position_ids": positions(mask)}, mask

    def _rows(self, ids: list[list[int]], answers: list[list[int]], prefix: Prefix | None) -> int:
        """Return the number of prompts in a batch: at most batch_size, fewer when the logits that are kept would not fit the budget."""
        if self._shortcuts.rows is not None:
            return self._batch_size
        kept = len(answers) * max(map(len, answers))
        if self._loaded.kind == "causal" and self._are_joint(ids, answers, prefix):
            kept = 1 + len(AnswerTree.of(answers).tokens)
        each = kept * int(self._loaded.model.get_output_embeddings().weight.shape[0])
        return max(1, min(self._batch_size, _LOGITS_BUDGET // each))

    def _are_joint(self, ids: list[list[int]], answers: list[list[int]], prefix: Prefix | None) -> bool:
        """Return whether answers are read in one pass with these prompts."""
        longest = max(map(len, answers))
        return longest > 1 and prefix is None and fits(self._loaded.model, max(map(len, ids), default=0) + longest)

    def _batch(self, ids: list[list[int]], answers: list[list[int]], prefix: Prefix | None) -> "torch.Tensor":
        if self._loaded.kind != "causal":
            return self._seq2seq(ids, answers)
        if self._are_joint(ids, answers, prefix):
            return self._together(ids, answers)
        return self._causal(ids, answers, prefix)

    def _first_tokens(self, ids: list[list[int]], answers: list[list[int]], prefix: Prefix | None) -> "torch.Tensor":
        """Return log-probabilities among the candidates, from one pass over the prompts."""
        import torch

        device, pad_id, kind = self._loaded.device, self._loaded.tokenizer.pad_token_id, self._loaded.kind
        side: Side = self._side if kind == "causal" else "right"
        batch: dict[str, Any]
        if kind == "causal":
            inputs, mask = self._prompts(ids, prefix)
            batch = {**inputs, "logits_to_keep": _last(mask)[:, None]}
        else:
            tokens, mask = (t.to(device) for t in pad(ids, pad_id, side))
            start = torch.full((len(ids), 1), self._loaded.model.config.decoder_start_token_id, device=device)
            batch = {"input_ids": tokens, "attention_mask": mask, "decoder_input_ids": start}
        cache = self._shortcuts.trunk
        if cache is not None and cache.knows(ids):
            batch[STATES] = cache.states(ids, side).to(device)
        rows = torch.tensor([answer[0] for answer in answers], device=device)
        with replace(self._shortcuts, rows=rows).taken(self._loaded.model, batch) as arguments:
            logits = self._loaded.model(**arguments, use_cache="cache" in arguments).logits
        return of_rows(logits, rows)[:, 0].float().log_softmax(dim=-1)

    def _together(self, ids: list[list[int]], answers: list[list[int]]) -> "torch.Tensor":
        import torch

        prompts, _ = self._prompts(ids, None)
        tree = AnswerTree.of(answers)
        joint: dict[str, Any] = {**appended(prompts, tree)}
        with replace(self._shortcuts, rows=None).taken(self._loaded.model, joint) as arguments:
            logits = self._loaded.model(**arguments, use_cache=False).logits
        first = torch.tensor([answer[0] for answer in answers], device=self._loaded.device)
        return _log_probability(logits[:, 0], first) + followed(logits[:, 1:], tree, len(answers))

    def _causal(self, ids: list[list[int]], answers: list[list[int]], prefix: Prefix | None) -> "torch.Tensor":
        import torch

        device, pad_id = self._loaded.device, self._loaded.tokenizer.pad_token_id
        model, n, k = self._loaded.model, len(ids), len(answers)
        inputs, own = self._prompts(ids, prefix)
        mask = inputs["attention_mask"]
        read = model(**inputs, logits_to_keep=_last(own)[:, None], use_cache=True)
        targets, known = (t.to(device) for t in pad(answers, pad_id, "right"))
        first = _log_probability(read.logits[:, 0], targets[:, 0])
        if targets.shape[1] == 1:
            return first
        cache = read.cache
        cache.batch_repeat_interleave(k)
        fed = targets[:, :-1].repeat(n, 1)
        after = torch.cat([mask.repeat_interleave(k, 0), known[:, :-1].repeat(n, 1)], dim=1)
        logits = model(
            input_ids=fed,
            attention_mask=after,
            position_ids=positions(after)[:, -fed.shape[1] :],
            cache=cache,
            use_cache=True,
        ).logits
        rest = _gather(logits, targets[:, 1:].repeat(n, 1)) * known[:, 1:].repeat(n, 1)
        return first + rest.sum(dim=1).view(n, k)

    def _seq2seq(self, ids: list[list[int]], answers: list[list[int]]) -> "torch.Tensor":
        import torch
        from transformers.modeling_outputs import BaseModelOutput

        device, pad_id = self._loaded.device, self._loaded.tokenizer.pad_token_id
        model, n, k = self._loaded.model, len(ids), len(answers)
        tokens, mask = (t.to(device) for t in pad(ids, pad_id, "right"))
        cache = self._shortcuts.trunk
        if cache is not None and cache.knows(ids):
            states = cache.states(ids, "right").to(device)
        else:
            states = model.get_encoder()(input_ids=tokens, attention_mask=mask).last_hidden_state
        targets, known = (t.to(device) for t in pad(answers, pad_id, "right"))
        start = torch.full((k, 1), model.config.decoder_start_token_id, device=device)
        fed = torch.cat([start, targets[:, :-1]], dim=1)
        outputs: Any = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states.repeat_interleave(k, 0)),
            attention_mask=mask.repeat_interleave(k, 0),
            decoder_input_ids=fed.repeat(n, 1),
            use_cache=False,
        )
        scores = _gather(outputs.logits, targets.repeat(n, 1)) * known.repeat(n, 1)
        return scores.sum(dim=1).view(n, k)


def _last(mask: "torch.Tensor") -> "torch.Tensor":
    """Return the position of each row's last real token, (n,)."""
    return mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)


def _log_probability(logits: "torch.Tensor", tokens: "torch.Tensor") -> "torch.Tensor":
    """Return log-probabilities of tokens: (n, vocabulary), (k,) -> (n, k)."""
    wide = logits.float()
    return wide[:, tokens] - wide.logsumexp(dim=-1, keepdim=True)


def _gather(logits: "torch.Tensor", tokens: "torch.Tensor") -> "torch.Tensor":
    """Return the log-probability of one token at each place: (n, m, vocabulary), (n, m) -> (n, m)."""
    wide = logits.float()
    return wide.gather(-1, tokens[..., None]).squeeze(-1) - wide.logsumexp(dim=-1)
