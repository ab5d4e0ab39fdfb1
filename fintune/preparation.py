"""From a config to examples ready for a model: read, checked, split, and (with a tokenizer) encoded.

Nothing here loads weights, so a mistake in config or data costs seconds, not minutes.

>>> prepared = prepare(load("run.yaml"))
>>> prepared.report.exact_duplicates
5
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fintune.baselines import BASELINES
from fintune.data.cleanup import Dropped
from fintune.data.duplicates import clusters
from fintune.data.labels import LabelMap
from fintune.data.leaks import Leaks
from fintune.data.material import Material
from fintune.data.reaching import cause, divide_all_labels
from fintune.data.report import DataReport, label_samples, report, token_lengths
from fintune.data.sources import expand
from fintune.data.splits import Parts, Plan, Splits, fingerprint, learning_subset
from fintune.errors import BrokenEnvironment, DataError, ModelError
from fintune.gathering import Gathered, address, gather
from fintune.installing import with_extra
from fintune.methods import METHODS
from fintune.models import LoadedModel, check_reference
from fintune.models.references import kind_at_hand, local_path, positions_at_hand
from fintune.progress import tell
from fintune.prompts import Kind, PromptEncoder
from fintune.records import Encoded, Example, TooLong
from fintune.sections import RunConfig
from fintune.tasks import Task

_FEWEST = 10


@dataclass(frozen=True)
class Prepared:
    """A config whose task and data have been found sound."""

    config: RunConfig
    task: Task
    splits: Splits
    report: DataReport
    sources: Sequence[Mapping[str, Any]]
    dropped: Sequence[Dropped]
    leaks: Mapping[str, Leaks]
    """of each part that is scored"""


def prepare(config: RunConfig) -> Prepared:
    """Check the model's reference, read, check and split the data. Raises ModelError, DataError; loads no weights."""
    _need_packages(config)
    check_reference(config.model.base, config.model.device)
    need_fit(config, kind_at_hand(config.model.base))
    need_positions(config, positions_at_hand(config.model.base))
    gathered = gather(config)
    if (found := sum(map(len, gathered.parts.values()))) < _FEWEST:
        names = ", ".join(str(source["path"]) for source in gathered.sources)
        raise DataError(
            f"{names}: {found} distinct examples, too few to split", hint="Ten are the least, hundreds are useful."
        )
    parts, groups = divided(config, gathered)
    _need_labels(gathered, parts, config.data.split.by)
    looked_at = material(config, gathered, parts, groups)
    return Prepared(
        config=absolute(config),
        task=gathered.task,
        splits=Splits(parts, fingerprint(parts)),
        report=report(looked_at),
        sources=gathered.sources,
        dropped=gathered.dropped,
        leaks=looked_at.leaks,
    )


def need_fit(config: RunConfig, kind: Kind | None) -> None:
    """Refuse a method that does not go with the base model, of the kind as far as that is known. Raises ModelError."""
    checkpointing = config.train.gradient_checkpointing
    METHODS[config.method.name].need_fit(config.method, kind, config.model.quantization, checkpointing=checkpointing)


def need_positions(config: RunConfig, positions: int | None) -> None:
    """Refuse texts longer than the base model can read, its number of positions as far as that is known. Raises ModelError."""
    length, virtual = config.model.max_length, config.method.tokens_before()
    if positions is not None and length + virtual > positions:
        more = f" and {virtual} virtual tokens" if virtual else ""
        raise ModelError(
            f"model.max_length: {length}{more}, and the model reads {positions} tokens at most",
            hint=f"Use --set model.max_length={max(8, positions - virtual)}{', or fewer virtual tokens' if virtual else ''}.",
        )


def divided(config: RunConfig, gathered: Gathered, *, near_duplicates: bool = True) -> tuple[Parts, NDArray[np.int64]]:
    """Parts in the order train, validation, test (those that are given as they are), and the clusters of all examples."""
    split, given = config.data.split, {name: part for name, part in gathered.parts.items() if name != "train"}
    everything = [e for part in gathered.parts.values() for e in part]
    groups = clusters([e.text for e in everything]) if near_duplicates else np.arange(len(everything))
    shares = {name: share for name, share in split.fractions.items() if name not in given}
    parts: Parts = {"train": gathered.parts["train"]}
    if len(shares) > 1:
        whole = {name: share / sum(shares.values()) for name, share in shares.items()}
        plan = Plan(split.by, whole, split.seed, split.folds, split.fold, config.data.date_format)
        parts = divide_all_labels(gathered.parts["train"], plan, groups[: len(gathered.parts["train"])])
    if split.train_examples is not None:
        parts["train"] = learning_subset(parts["train"], split.train_examples, split.seed)
    return {name: (parts | given)[name] for name in split.fractions}, groups


def material(
    config: RunConfig,
    gathered: Gathered,
    parts: Mapping[str, Sequence[Example]],
    groups: NDArray[np.int64],
    *,
    near_duplicates: bool = True,
) -> Material:
    """What the checks look at."""
    return Material(
        rows=gathered.rows,
        kept=[e for part in gathered.parts.values() for e in part],
        parts=parts,
        groups=groups,
        labels=gathered.task.labels,
        given=[name for name in gathered.parts if name != "train"],
        faults=gathered.faults,
        dropped=gathered.dropped,
        date_format=config.data.date_format,
        by=config.data.split.by,
        near_duplicates=near_duplicates,
        sources=gathered.sources,
        label_map=LabelMap(config.data.label_map).applied(gathered.labels),
        samples=label_samples(
            [e for part in gathered.parts.values() for e in part], config.data.label_map, gathered.task.labels
        ),
    )


def encode(prepared: Prepared, loaded: LoadedModel) -> list[Encoded]:
    """Token ids of the training part; says how many texts were cut, refuses what cannot fit."""
    encoder = _encoder(prepared, loaded)
    task, encoded, train = prepared.task, [], prepared.splits["train"]
    _need_known(encoder, task, loaded)
    first_only = first_tokens(prepared.config, task, loaded) is not None
    counts = Counter(example.label for example in train)
    balanced = prepared.config.train.class_weights == "balanced"
    for example in train:
        ids = encoder.encode(task.prompt(example.text), task.answer(example.label), first_only=first_only)
        if isinstance(ids, TooLong):
            raise ModelError(
                f"model.max_length: {ids.limit} tokens cannot hold template and answer ({ids.needed})",
                hint="Raise model.max_length or shorten task.prompt.",
            )
        weight = len(train) / len(counts) / counts[example.label] if balanced else 1.0
        encoded.append(replace(ids, weight=weight, stratum=list(counts).index(example.label), id=example.id))
    if cut := sum(e.cut > 0 for e in encoded):
        tell("data", f"{cut} of {len(encoded)} training texts exceed {encoder.max_length} tokens and lost their middle")
    return encoded


def _need_known(encoder: PromptEncoder, task: Task, loaded: LoadedModel) -> None:
    """Refuse a template's control token that the model has no row for; say where an answer is not known whole."""
    rows, before = loaded.model.get_input_embeddings().num_embeddings, len(encoder.before)
    prompt = encoder.encode_prompts([task.prompt("")], reserve=0)[0][0][before:]
    if beyond := [i for i in prompt if i >= rows]:
        raise ModelError(
            f"task.prompt: the model's embedding has {rows} rows, and none for '{loaded.tokenizer.decode(beyond[:1])}'",
            hint="Leave that token out of the template.",
        )
    for label in unknown_answers(encoder, task):
        answer = task.answer(label).strip()
        tell("data", f"severe: the tokenizer does not know all of the answer '{answer}': set another in task.answers")


def prompts_of(prepared: Prepared, loaded: LoadedModel, part: str) -> list[list[int]]:
    """Token ids of the prompts of a part, as an engine reads them (those that fit)."""
    encoder = _encoder(prepared, loaded)
    task, first = prepared.task, first_tokens(prepared.config, prepared.task, loaded)
    reserve = 1 if first else max(map(len, answers_of(encoder, task)))
    found = [encoder.encode_prompt(task.prompt(e.text), reserve=reserve) for e in prepared.splits[part]]
    return [ids.input_ids for ids in found if not isinstance(ids, TooLong)]


def _encoder(prepared: Prepared, loaded: LoadedModel) -> PromptEncoder:
    """Of the run's model, its virtual tokens in front, whether they have been put in yet or not."""
    from fintune.models.virtual_tokens import ids_behind

    count = prepared.config.method.tokens_before()
    before = ids_behind(loaded.model.get_input_embeddings().num_embeddings, count) if count else []
    return PromptEncoder(loaded.tokenizer, loaded.kind, prepared.config.model.max_length, tuple(before))


def answers_of(encoder: PromptEncoder, task: Task) -> list[list[int]]:
    """Ids of a task's answers, in the order of its labels."""
    return [encoder.answer_ids(answer, task.prompt("").after) for answer in task.candidates()]


def need_distinct(encoder: PromptEncoder, task: Task) -> None:
    """Refuse answers that are the same tokens: no model could tell them apart. Raises ModelError."""
    said: dict[tuple[int, ...], str] = {}
    for answer, ids in zip(task.candidates(), answers_of(encoder, task), strict=True):
        other = said.setdefault(tuple(ids), answer)
        if other != answer:
            tokens = " ".join(encoder.tokenizer.convert_ids_to_tokens(ids))
            raise ModelError(
                f"task.answers: '{other.strip()}' and '{answer.strip()}' are the same tokens to this model: {tokens}",
                hint="Use other words for them in task.answers, or a model whose tokenizer knows them.",
            )


def unknown_answers(encoder: PromptEncoder, task: Task) -> list[str]:
    """Labels whose answers hold characters the tokenizer does not know."""
    pairs = zip(task.labels, answers_of(encoder, task), strict=True)
    return [label for label, ids in pairs if encoder.tokenizer.unk_token_id in ids]


def first_tokens(config: RunConfig, task: Task, reader: LoadedModel | PromptEncoder) -> list[int] | None:
    """Ids of the answers' first tokens where these alone are learned and compared (train.objective), else None.

    Raises ModelError when candidates was asked for and two answers begin alike.
    """
    if config.train.objective == "tokens":
        return None
    encoder = PromptEncoder(reader.tokenizer, reader.kind, config.model.max_length)
    found: dict[int, str] = {}
    for answer, ids in zip(task.candidates(), answers_of(encoder, task), strict=True):
        other = found.setdefault(ids[0], answer)
        if other != answer and config.train.objective == "auto":
            return None
        if other != answer:
            raise ModelError(
                f"train.objective: candidates needs answers that differ in their first token, and '{other.strip()}' and "
                f"'{answer.strip()}' both begin with {reader.tokenizer.convert_ids_to_tokens(ids[0])!r}",
                hint="Use train.objective: tokens, or other words in task.answers.",
            )
    return list(found)


def data_record(prepared: Prepared, encoded: Sequence[Encoded] = ()) -> dict[str, Any]:
    """The content of data.json; with `encoded`, lengths in tokens too (of the training part)."""
    lengths = [len(e.input_ids) + len(e.labels) + e.cut for e in encoded]
    counted = replace(prepared.report, tokens=token_lengths(lengths, prepared.config.model.max_length))
    return {
        "task": prepared.task.name,
        "sources": list(prepared.sources),
        "fingerprint": prepared.splits.fingerprint,
        "report": asdict(counted),
        "ids": {part: [example.id for example in examples] for part, examples in prepared.splits.parts.items()},
        "leaks": {part: found.record() for part, found in prepared.leaks.items()},
    }


def announce(prepared: Prepared) -> None:
    """Tell whoever listens what the data hold."""
    found, sizes = prepared.report, {part: len(examples) for part, examples in prepared.splits.parts.items()}
    labels = " · ".join(f"{label} {count:,}" for label, count in found.labels.items())
    dropped = " · ".join(f"{count:,} dropped: {reason}" for reason, count in found.dropped.items()) or "none dropped"
    tell("data", f"{found.rows:,} rows · {labels} · {dropped}")
    tell(
        "data",
        f"{found.near_duplicate_rows:,} rows in near-duplicate clusters · split by {prepared.config.data.split.by} · "
        + " · ".join(f"{part} {size:,}" for part, size in sizes.items()),
    )
    for finding in found.findings:
        if finding.level != "note":
            tell("data", f"{finding.level}: {finding.message}")
    for name in prepared.config.evaluation.baselines:
        if reason := BASELINES[name].left_out(prepared.task.labels):
            tell("baselines", f"left out: {reason}")


def absolute(config: RunConfig) -> RunConfig:
    """The config with whole paths, so that a run can be read from any folder."""
    data, model = config.data, config.model
    paths: dict[str, Any] = {}
    for setting in ("path", "validation", "test"):
        given = getattr(data, setting)
        if given is not None:
            found = [address(source) for source in expand(given)]
            paths[setting] = found[0] if isinstance(given, str) and len(found) == 1 else found
    place = local_path(model.base)
    base = model.base if place is None else str(place.resolve())
    output = str(Path(config.output).expanduser().resolve())
    changed = {
        "output": output,
        "data": data.model_copy(update=paths),
        "model": model.model_copy(update={"base": base}),
    }
    return config.model_copy(update=changed)


def _need_packages(config: RunConfig) -> None:
    """Find a missing extra now, not after the weights have loaded."""
    for package in config.train.report_to:
        if find_spec(package) is None:
            raise BrokenEnvironment(
                f"train.report_to: {package} is not installed",
                hint=f"{with_extra(package)}, or leave it out.",
            )
    if config.model.quantized and find_spec("bitsandbytes") is None:
        raise BrokenEnvironment(
            "model.quantization: bitsandbytes is not installed",
            hint=f"{with_extra('quantization')}, or leave it out.",
        )
    for entry in (BASELINES[name] for name in config.evaluation.baselines):
        if entry.package is not None and find_spec(entry.package) is None:
            raise BrokenEnvironment(
                f"evaluation.baselines: {entry.name} needs {entry.package}, which is not installed",
                hint=f"{with_extra(entry.extra or '')}, or leave it out.",
            )


def _need_labels(gathered: Gathered, parts: Mapping[str, Sequence[Example]], by: str) -> None:
    """Refuse a part that lacks a label: it could neither be learned nor judged."""
    for part, examples in parts.items():
        present = {example.label for example in examples}
        if missing := [label for label in gathered.task.labels if label not in present]:
            split_off = {
                name: members for name, members in parts.items() if name == "train" or name not in gathered.parts
            }
            why, way_out = cause(missing[0], split_off, by) if part in split_off else ("", "")
            raise DataError(
                f"data.path: no example of label '{missing[0]}' in the {part} part{f': {why}' if why else ''}",
                hint=way_out or "Add examples of it, or take it out of task.labels.",
            )
