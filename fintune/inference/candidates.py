"""A task's answers as token ids: told apart, known to the tokenizer, alike in their first token or not."""

from collections.abc import Sequence

from fintune.config.run_config import RunConfig
from fintune.errors import ModelError
from fintune.models import LoadedModel
from fintune.models.prompts import PromptEncoder
from fintune.records import Example
from fintune.tasks import Task
from fintune.tasks.protocol import blank


def answers_of(encoder: PromptEncoder, task: Task) -> dict[str, list[int]]:
    """Return ids of the choices that all examples of a task share, by name; none where there are no such."""
    after = task.prompt(blank(task)).after
    return {name: encoder.answer_ids(answer, after) for name, answer in (task.choices() or {}).items()}


def longest_answer(encoder: PromptEncoder, task: Task, examples: Sequence[Example]) -> int:
    """Return the number of tokens of the longest answer: of the choices, where all share them, else of what the examples teach."""
    if shared := answers_of(encoder, task):
        return max(map(len, shared.values()))
    after = task.prompt(blank(task)).after
    return max((len(encoder.answer_ids(task.target(example), after)) for example in examples), default=1)


def need_distinct(encoder: PromptEncoder, task: Task) -> None:
    """Refuse answers that are the same tokens: no model could tell them apart. Raises ModelError."""
    name_of: dict[tuple[int, ...], str] = {}
    choices = task.choices() or {}
    for name, ids in answers_of(encoder, task).items():
        other = name_of.setdefault(tuple(ids), name)
        if other != name:
            tokens = " ".join(encoder.tokenizer.convert_ids_to_tokens(ids))
            raise ModelError(
                f"task.answers: '{choices[other].strip()}' and '{choices[name].strip()}' are the same tokens to this model: {tokens}",
                hint="Use other words for them in task.answers, or a model whose tokenizer knows them.",
            )


def unknown_answers(encoder: PromptEncoder, task: Task, *, wholly: bool = False) -> list[str]:
    """Return answers that hold characters the tokenizer does not know; `wholly`: those of which it knows nothing."""
    tokenizer, choices = encoder.tokenizer, task.choices() or {}

    def is_unknown(ids: Sequence[int]) -> bool:
        known = tokenizer.decode([i for i in ids if i != tokenizer.unk_token_id], skip_special_tokens=True)
        return tokenizer.unk_token_id in ids and not (wholly and str(known).strip())

    return [choices[name].strip() for name, ids in answers_of(encoder, task).items() if is_unknown(ids)]


def first_tokens(config: RunConfig, task: Task, reader: LoadedModel | PromptEncoder) -> list[int] | None:
    """Return ids of the answers' first tokens where these alone are learned and compared (train.objective), else None.

    Raises ModelError when candidates was asked for and two answers begin alike, or examples share no choices.
    """
    if config.train.objective == "tokens":
        return None
    encoder = PromptEncoder(reader.tokenizer, reader.kind, config.model.max_length)
    name_of: dict[int, str] = {}
    choices = task.choices()
    if choices is None:
        if config.train.objective == "auto":
            return None
        raise ModelError(
            f"train.objective: candidates needs answers that all examples share, and {task.name} has none",
            hint="Use train.objective: tokens.",
        )
    for name, ids in answers_of(encoder, task).items():
        other = name_of.setdefault(ids[0], name)
        if other != name and config.train.objective == "auto":
            return None
        if other != name:
            raise ModelError(
                f"train.objective: candidates needs answers that differ in their first token, and '{choices[other].strip()}' and "
                f"'{choices[name].strip()}' both begin with {reader.tokenizer.convert_ids_to_tokens(ids[0])!r}",
                hint=f"Use train.objective: tokens{', or other words in task.answers' if task.kind == 'labels' else ''}.",
            )
    return list(name_of)
