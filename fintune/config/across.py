"""What is wrong between sections of a config that are each right: labels and map, cuts and labels, values that no file holds.

Example:
    unknown_targets(task, data)
    # ["data.label_map.0: 'negatve' is no label of the task. Did you mean 'negative'?"]
"""

import json
from collections.abc import Iterator

from pydantic import BaseModel

from fintune.config.train import TrainSection
from fintune.data.guess.scales import is_sentiment
from fintune.data.settings import DataSection, SourceSection
from fintune.errors import did_you_mean
from fintune.tasks import TaskOptions
from fintune.tasks.classification import SentimentOptions
from fintune.tasks.contract import built
from fintune.tasks.protocol import blank


def unknown_targets(options: TaskOptions, data: DataSection) -> list[str]:
    """Return answers that labels by file or data.label_map lead to and the task does not have."""
    labels = getattr(options, "labels", None)
    if labels is None:
        return _unknown_values(options, data)
    constant = [one.label for one in data.train_sources() if one.label is not None and one.label not in labels]
    if constant:
        return [f"data: '{label}' is no label of the task. {did_you_mean(label, labels)}" for label in constant]
    return [
        f"data.label_map.{old}: '{new}' is no label of the task. {did_you_mean(new, labels)}"
        for old, new in data.label_map.items()
        if new not in labels
    ]


def _unknown_values(options: TaskOptions, data: DataSection) -> list[str]:
    """Return what the map leads to and a scale does not hold; a task whose answers are written takes any."""
    task = built(options)
    scale = [*(task.choices() or {"": ""})]
    return [
        f"data.label_map.{old}: '{new}' is no {task.noun} of the task ({scale[0]} to {scale[-1]})"
        for old, new in data.label_map.items()
        if task.kind == "numbers" and task.parse_answer(new, blank(task)) is None
    ]


def unfit_cuts(options: TaskOptions, data: DataSection) -> list[str]:
    """Return what keeps cuts from making the task's labels of numbers."""
    cuts, labels = data.label_cuts, getattr(options, "labels", [])
    if sorted(set(cuts)) != cuts:
        return [f"data.label_cuts: {cuts} do not rise"]
    if cuts and len(labels) != len(cuts) + 1:
        return [f"data.label_cuts: {len(cuts)} cuts make {len(cuts) + 1} labels, and the task has {len(labels)}"]
    return []


def sentiment_of_none(options: TaskOptions) -> str | None:
    """Return a remark on the sentiment task's own prompt where no label is a sentiment; a prompt of one's own asks what it asks."""
    if (
        not isinstance(options, SentimentOptions)
        or not options.has_own_prompt()
        or any(map(is_sentiment, options.labels))
    ):
        return None
    asked, labels = options.prompt.splitlines()[-1], ", ".join(options.labels[:3])
    return f"the prompt asks '{asked}', and no label is a sentiment ({labels}): --set task.name=classification asks for a label"


def unfit_shares(options: TaskOptions, data: DataSection) -> Iterator[str]:
    """Yield what keeps votes and agreement from being shares of the task's labels."""
    own = built(options)
    labels = list(own.choices() or {}) if own.kind == "labels" else []
    for source in _soft(data):
        votes, where = data.like(source).label_columns, "data.label_columns"
        if not labels:
            yield f"{where if votes else 'data.agreement'}: shares of labels, and task {own.name} has none"
            continue
        yield from (f"{where}.{name}: no label. {did_you_mean(name, labels)}" for name in votes if name not in labels)
        if len(votes) == 1:
            yield f"{where}: votes for one label; name the column of each"
        if votes and (source.label, source.agreement, data.like(source).agreement_column) != (None, None, None):
            yield f"{where}: are the labels already: leave label, agreement, agreement_column out there"
        if source.agreement is not None and not 1 / len(labels) < source.agreement <= 1:
            yield f"data.sources: agreement {source.agreement:g} is no share above {1 / len(labels):.2g} ({len(labels)} labels) and up to 1"


def unlearned_shares(data: DataSection, train: TrainSection) -> list[str]:
    """Return what refuses soft labels that the loss of whole answers has no use for."""
    if train.objective == "candidates" or not any(_soft(data)):
        return []
    return [
        f"train.objective: {train.objective} learns one label a text; soft labels (votes, agreement): --set train.objective=candidates"
    ]


def _soft(data: DataSection) -> Iterator[SourceSection]:
    """Yield sources whose rows have shares of labels."""
    for source in data.train_sources():
        settings = data.like(source)
        if settings.label_columns or settings.agreement_column or source.agreement is not None:
            yield source


def not_to_be_kept(section: str, options: BaseModel) -> Iterator[str]:
    """Yield settings of a user's own class that no config file could hold, defaults among them."""
    for name, value in options.model_dump().items():
        try:
            json.dumps(value)
            kept = not isinstance(value, dict) or all(isinstance(key, str) for key in value)
        except (TypeError, ValueError):
            kept = False
        if not kept:
            what = "cannot be kept in a config; text, numbers and lists of them can"
            yield f"{section}.{name}: {type(value).__name__} {what}"
