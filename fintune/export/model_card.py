"""The README.md of a run: what the adapter is for, what it scored, against what, and how to make it again."""

from collections.abc import Mapping
from typing import Any

from fintune.records import Score, Scores
from fintune.sections import RunConfig

HEADLINE = ("accuracy", "macro_f1", "mcc")
"""metrics shown first, here and on the screen"""

_SHOWN = {"mcc": (1, 2), "answer_loss": (1, 3), "perplexity": (1, 3)}
"""factor and digits of metrics that are not shares"""


def model_card(
    config: RunConfig,
    data: Mapping[str, Any],
    scores: Mapping[str, Scores],
    baselines: Mapping[str, Mapping[str, Scores]],
) -> str:
    """Markdown, fed only from what the run folder stores."""
    report = data["report"]
    rows = [_row(f"this adapter, {part}", of_part) for part, of_part in scores.items()]
    rows += [_row(f"{name}, {part}", s) for name, parts in baselines.items() for part, s in parts.items()]
    labels = ", ".join(f"{label} {count:,}" for label, count in report["labels"].items())
    percent = f"{100 * config.evaluation.confidence:g}%"
    return f"""# {config.name}

A {config.method.name} adapter ({data["task"]}) for the base model `{config.model.base}`.

| model, part | {" | ".join(HEADLINE)} |
|---|{"---|" * len(HEADLINE)}
{chr(10).join(rows)}

Brackets: {percent} bootstrap intervals over examples ({config.evaluation.resamples} resamples). The best epoch was chosen on validation, so
validation figures flatter; the test part was not used for any choice.

## Data

{report["rows"]:,} rows ({labels}); {report["exact_duplicates"]} exact duplicates dropped; {report["near_duplicate_rows"]} rows in
{report["near_duplicate_clusters"]} near-duplicate clusters; split by {config.data.split.by}. Fingerprint `{data["fingerprint"]}`.

| source | part | rows | licence |
|---|---|---|---|
{chr(10).join(_source(source) for source in data["sources"])}

## Limits

It was measured on texts like those it was trained on; other sources, languages or times can score lower. The licences of
base model and data apply to the adapter too.

## Make it again

    fintune train config.yaml --set name=again

Settings are in `config.yaml`, versions and hardware in `environment.json`, the ids of every part in `data.json`.
"""


def interval(metric: str, score: Score) -> str:
    """`97.4 [95.0, 98.9]` in per cent for shares; MCC, loss and perplexity as they are."""
    factor, digits = _SHOWN.get(metric, (100, 1))
    value, low, high = (f"{factor * number:.{digits}f}" for number in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}]"


def _source(source: Mapping[str, Any]) -> str:
    return f"| {source['name']} | {source['part']} | {source['rows']:,} | {source['licence'] or 'not said'} |"


def _row(name: str, scores: Scores) -> str:
    return f"| {name} | {' | '.join(interval(metric, scores[metric]) for metric in HEADLINE)} |"
