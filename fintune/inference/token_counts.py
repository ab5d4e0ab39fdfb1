"""What a base model's tokenizer makes of a config's texts, template and answers: how long they are, and what it does not know.

Example:
    count_tokens(config, task, examples, load_tokenizer(config.model.base)).tokens
    # {'median': 31.0, 'longest': 60.0, 'over_limit': 0.0, 'looked_at': 90.0, 'unknown': 0.0}
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fintune.config.run_config import RunConfig
from fintune.data.quality.findings import Finding, finding
from fintune.data.quality.report import TokenCounts, token_lengths
from fintune.errors import ModelError
from fintune.inference.candidates import longest_answer, need_distinct, unknown_answers
from fintune.models.prompts import PromptEncoder
from fintune.models.references import kind_at_hand
from fintune.records import Example, TooLong
from fintune.tasks import Task
from fintune.tasks.protocol import blank

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SAMPLE = 10_000
"""Number of texts whose tokens are counted."""
_CHARACTERS = 20_000
"""Number of characters that are read of each of them."""


def count_tokens(
    config: RunConfig, task: Task, examples: Sequence[Example], tokenizer: "PreTrainedTokenizerBase"
) -> TokenCounts:
    """Count the tokens of a sample of the texts. Raises ModelError for a tokenizer that is not a fast one with an end token."""
    encoder = PromptEncoder(tokenizer, kind_at_hand(config.model.base) or "causal", sys.maxsize)
    chosen = examples[:: max(1, len(examples) // _SAMPLE)]
    prompts, _ = encoder.encode_prompts([task.prompt(_beginning(e)) for e in chosen], reserve=0)
    longest, names = longest_answer(encoder, task, chosen), [e.id for e in chosen]
    lengths = [len(ids) + longest for ids in prompts]
    share, unknown = _unknown(encoder, task, prompts, names)
    over = [e for e, length in zip(chosen, lengths, strict=True) if length > config.model.max_length]
    cut = replace(encoder, max_length=config.model.max_length)
    whole = [e.id for e in over if isinstance(cut.encode_prompt(task.prompt(e), reserve=longest), TooLong)]
    findings = [*_answers(encoder, task), *_too_long(config, lengths, names), *_too_long_whole(whole), *unknown]
    return TokenCounts(token_lengths(lengths, config.model.max_length) | {"unknown": share}, findings)


def _beginning(example: Example) -> Example:
    return replace(example, fields={name: text[:_CHARACTERS] for name, text in example.fields.items()})


def _too_long(config: RunConfig, lengths: Sequence[int], names: Sequence[str]) -> list[Finding]:
    limit = config.model.max_length
    over = [name for name, length in zip(names, lengths, strict=True) if length > limit]
    message = (
        f"texts over model.max_length ({limit} tokens), which lose their middle: {{n}} of {len(names):,} looked at"
    )
    return finding("too-long", "warning" if len(over) > 0.01 * len(names) else "note", message, over)


def _too_long_whole(names: Sequence[str]) -> list[Finding]:
    """Texts that do not fit even without what may be left out of them: training refuses them."""
    what = "texts whose template, answer and columns that are never shortened exceed model.max_length"
    return finding("too-long-whole", "severe", f"{what}: {{n}}; name the long column in task.shortened", names)


def _answers(encoder: PromptEncoder, task: Task) -> list[Finding]:
    """Return what stands in the way of learning the answers."""
    findings, after = [], task.prompt(blank(task)).after
    try:
        need_distinct(encoder, task)
    except ModelError as error:
        findings.append(Finding("same-answers", "severe", 1, f"{error.message}. {error.hint}"))
    if unknown := unknown_answers(encoder, task):
        answers = ", ".join(f"'{answer}'" for answer in unknown)
        message = (
            f"answers the tokenizer has no tokens for: {answers}; set other words in task.answers, or use another model"
        )
        findings.append(Finding("unknown-answers", "severe", len(unknown), message))
    joined = [answer.strip() for answer in (task.choices() or {}).values() if encoder.answer(answer, after).joined]
    if joined:
        message = (
            f"the tokenizer would join the prompt's end '{after[-1:]}' and the answers {', '.join(joined)}: they are kept "
            "apart; a blank or a line break before {answer} in task.prompt is better"
        )
        findings.append(Finding("joined-answers", "warning", len(joined), message))
    return findings


def _unknown(
    encoder: PromptEncoder, task: Task, prompts: Sequence[Sequence[int]], names: Sequence[str]
) -> tuple[float, list[Finding]]:
    """Return the share of unknown tokens in the prompts, and findings: of the template, of texts."""
    token = encoder.tokenizer.unk_token_id
    template, _ = encoder.encode_prompts([task.prompt(blank(task))], reserve=0)
    own, counts = template[0].count(token), [list(ids).count(token) for ids in prompts]
    share = sum(counts) / max(1, sum(map(len, prompts)))
    findings = []
    if own:
        message = (
            f"task.prompt: {own} of its {len(template[0])} tokens stand for characters the tokenizer does not know"
        )
        findings.append(Finding("unknown-template", "warning", own, message))
    texts = [name for name, count in zip(names, counts, strict=True) if count > own]
    message = f"texts with characters the tokenizer does not know: {{n}} of {len(names):,}; {share:.1%} of all tokens"
    return share, [*findings, *finding("unknown-tokens", "warning" if share > 0.01 else "note", message, texts)]
