"""A task's answers as token ids: told apart, known to the tokenizer, alike in their first token or not."""

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.models import LoadedModel
from fintune.models.prompts import PromptEncoder
from fintune.tasks import Task


def answers_of(encoder: PromptEncoder, task: Task) -> list[list[int]]:
    """Return ids of a task's answers, in the order of its labels."""
    return [encoder.answer_ids(answer, task.prompt("").after) for answer in task.candidates()]


def need_distinct(encoder: PromptEncoder, task: Task) -> None:
    """Refuse answers that are the same tokens: no model could tell them apart. Raises ModelError."""
    answer_of: dict[tuple[int, ...], str] = {}
    for answer, ids in zip(task.candidates(), answers_of(encoder, task), strict=True):
        other = answer_of.setdefault(tuple(ids), answer)
        if other != answer:
            tokens = " ".join(encoder.tokenizer.convert_ids_to_tokens(ids))
            raise ModelError(
                f"task.answers: '{other.strip()}' and '{answer.strip()}' are the same tokens to this model: {tokens}",
                hint="Use other words for them in task.answers, or a model whose tokenizer knows them.",
            )


def unknown_answers(encoder: PromptEncoder, task: Task) -> list[str]:
    """Return labels whose answers hold characters the tokenizer does not know."""
    pairs = zip(task.labels, answers_of(encoder, task), strict=True)
    return [label for label, ids in pairs if encoder.tokenizer.unk_token_id in ids]


def first_tokens(config: RunConfig, task: Task, reader: LoadedModel | PromptEncoder) -> list[int] | None:
    """Return ids of the answers' first tokens where these alone are learned and compared (train.objective), else None.

    Raises ModelError when candidates was asked for and two answers begin alike.
    """
    if config.train.objective == "tokens":
        return None
    encoder = PromptEncoder(reader.tokenizer, reader.kind, config.model.max_length)
    answer_of: dict[int, str] = {}
    for answer, ids in zip(task.candidates(), answers_of(encoder, task), strict=True):
        other = answer_of.setdefault(ids[0], answer)
        if other != answer and config.train.objective == "auto":
            return None
        if other != answer:
            raise ModelError(
                f"train.objective: candidates needs answers that differ in their first token, and '{other.strip()}' and "
                f"'{answer.strip()}' both begin with {reader.tokenizer.convert_ids_to_tokens(ids[0])!r}",
                hint="Use train.objective: tokens, or other words in task.answers.",
            )
    return list(answer_of)
