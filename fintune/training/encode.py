"""Examples of a part as token ids."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fintune.config.prepare import Prepared
from fintune.data.quality.report import token_lengths as summary
from fintune.errors import ModelError
from fintune.inference.candidates import first_tokens, longest_answer, unknown_answers
from fintune.models import LoadedModel
from fintune.models.prompts import PromptEncoder
from fintune.records import Encoded, Example, TooLong
from fintune.runtime.progress import tell
from fintune.tasks import Task
from fintune.tasks.label_weights import label_weights
from fintune.tasks.protocol import blank


def encode(prepared: Prepared, loaded: LoadedModel) -> list[Encoded]:
    """Return token ids of the training part; says how many texts were cut, refuses what cannot fit."""
    encoder = _encoder(prepared, loaded)
    task, encoded, train = prepared.task, [], prepared.splits["train"]
    _need_known(encoder, task, loaded)
    first_only = first_tokens(prepared.config, task, loaded) is not None
    counts = Counter(example.stratum for example in train)
    numbers = {name: i for i, name in enumerate(counts)}
    weights = label_weights(counts, prepared.config.train.class_weights)
    mean_weight = sum(example.weight for example in train) / len(train)
    soft = [*(task.choices() or {})] if any(example.shares for example in train) else []
    for example in train:
        ids = encoder.encode(task.prompt(example), task.target(example), first_only=first_only)
        if isinstance(ids, TooLong):
            raise ModelError(
                f"{example.id}: model.max_length: {ids.limit} tokens cannot hold template, answer and columns that are never shortened"
                f" ({ids.needed})",
                hint="Raise model.max_length, name a long column in task.shortened, or shorten task.prompt.",
            )
        weight, shares = example.weight / mean_weight * weights[example.stratum], _shares(example, soft)
        encoded.append(replace(ids, weight=weight, shares=shares, stratum=numbers[example.stratum], id=example.id))
    if cut := sum(e.cut > 0 for e in encoded):
        tell("data", f"{cut} of {len(encoded)} training texts exceed {encoder.max_length} tokens and lost their middle")
    return encoded


def _shares(example: Example, labels: Sequence[str]) -> tuple[float, ...]:
    """Return what the loss is to give each label; all to its own where an example has no shares."""
    shares = example.shares or {str(example.target): 1.0}
    return tuple(shares.get(label, 0.0) for label in labels)


def token_lengths(prepared: Prepared, encoded: Sequence[Encoded]) -> dict[str, float]:
    """Return how long the training texts are in tokens, template and answer included, as the report of the data has it."""
    lengths = [len(e.input_ids) + len(e.answer_ids) + e.cut for e in encoded]
    return summary(lengths, prepared.config.model.max_length)


def _need_known(encoder: PromptEncoder, task: Task, loaded: LoadedModel) -> None:
    """Refuse a template's control token that the model has no row for; say where an answer is not known whole."""
    rows, before = loaded.model.get_input_embeddings().num_embeddings, len(encoder.before)
    prompt = encoder.encode_prompts([task.prompt(blank(task))], reserve=0)[0][0][before:]
    if beyond := [i for i in prompt if i >= rows]:
        raise ModelError(
            f"task.prompt: the model's embedding has {rows} rows, and none for '{loaded.tokenizer.decode(beyond[:1])}'",
            hint="Leave that token out of the template.",
        )
    if nothing := unknown_answers(encoder, task, wholly=True):
        raise ModelError(
            f"the tokenizer knows nothing of the answer '{nothing[0]}'",
            hint="Set another in task.answers, or use another model.",
        )
    for answer in unknown_answers(encoder, task):
        tell("data", f"severe: the tokenizer does not know all of the answer '{answer}': set another in task.answers")


def prompts_of(prepared: Prepared, loaded: LoadedModel, part: str) -> list[list[int]]:
    """Return token ids of the prompts of a part, as an engine reads them (those that fit)."""
    encoder = _encoder(prepared, loaded)
    task, first = prepared.task, first_tokens(prepared.config, prepared.task, loaded)
    reserve = 1 if first else longest_answer(encoder, task, prepared.splits[part])
    prompts = [encoder.encode_prompt(task.prompt(e), reserve=reserve) for e in prepared.splits[part]]
    return [ids.input_ids for ids in prompts if not isinstance(ids, TooLong)]


def _encoder(prepared: Prepared, loaded: LoadedModel) -> PromptEncoder:
    """Return the encoder of the run's model, its virtual tokens in front, whether they have been put in yet or not."""
    from fintune.models.virtual_tokens import ids_behind

    count = prepared.config.method.tokens_before()
    before = ids_behind(loaded.model.get_input_embeddings().num_embeddings, count) if count else []
    return PromptEncoder(loaded.tokenizer, loaded.kind, prepared.config.model.max_length, tuple(before))
