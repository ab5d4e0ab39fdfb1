"""What `fintune check` does: says all that is wrong with a run's data and what its model would make of them, before it is trained.

Example:
    examine(load("run.yaml"), against="other.csv").severe  # or the config of the other data
    # False
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fintune.config.across import sentiment_of_none
from fintune.config.load import load
from fintune.config.prepare import balanced_without_labels, scant_in
from fintune.config.run_config import RunConfig
from fintune.data.check import Examination, check
from fintune.data.quality.findings import Finding, by_weight
from fintune.data.quality.report import TokenCounts
from fintune.errors import FintuneError
from fintune.inference.token_counts import count_tokens
from fintune.models import check_reference
from fintune.models.embedding_rows import fit_rows
from fintune.models.references import vocabulary_at_hand
from fintune.models.tokenizer import load_tokenizer
from fintune.records import Example
from fintune.runtime.quiet import quiet
from fintune.tasks import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def examine(
    config: RunConfig,
    *,
    against: str | None = None,
    pii: bool = False,
    near_duplicates: bool = True,
    doubt: bool = True,
) -> Examination:
    """Read and check all data of a config; raises only when there is nothing to read."""
    tokenizer, task = load_tokenizer(config.model.base), config.build_task()
    examination = check(
        config.data,
        task,
        count=None if tokenizer is None else lambda examples: _counted(config, task, examples, tokenizer),
        against=against,
        against_settings=load(against).data if against is not None and against.endswith((".yaml", ".yml")) else None,
        pii=pii,
        near_duplicates=near_duplicates,
        doubt=doubt,
    )
    findings = [*examination.report.findings, *_model_findings(config, tokenizer)]
    if examination.report.rows and not examination.report.labels:
        findings += _unbalanced(config)
    if (remark := sentiment_of_none(config.task)) is not None:
        findings.append(Finding("prompt", "warning", 1, remark))
    quality = replace(examination.report, findings=by_weight(findings))
    return replace(examination, report=quality, scant=scant_in(config, quality))


def _counted(
    config: RunConfig, task: Task, examples: Sequence[Example], tokenizer: "PreTrainedTokenizerBase"
) -> TokenCounts:
    with quiet():  # a tokenizer remarks on every text that is longer than its model reads
        return count_tokens(config, task, examples, tokenizer)


def _unbalanced(config: RunConfig) -> list[Finding]:
    """Return what asks for labels that a task has not."""
    problem = balanced_without_labels(config)
    return [Finding("no-labels", "severe", 1, problem)] if problem else []


def _model_findings(config: RunConfig, tokenizer: "PreTrainedTokenizerBase | None") -> list[Finding]:
    try:
        check_reference(config.model.base, config.model.device)
        if tokenizer is not None:
            fit_rows(config.model.base, tokenizer, vocabulary_at_hand(config.model.base))
    except FintuneError as error:
        return [Finding("model", "severe", 1, f"{error.message}. {error.hint}")]
    return []
