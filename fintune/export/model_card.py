"""The README.md of a run or of an export: what it is for, what it scored, against what, and how to make it again."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fintune.data.sources import sha256
from fintune.models.references import licence_of
from fintune.records import Score, Scores
from fintune.run import Run
from fintune.sections import RunConfig

HEADLINE = ("accuracy", "macro_f1", "mcc")
"""metrics shown first, here and on the screen"""

_SHOWN = {"mcc": (1, 2), "answer_loss": (1, 3), "perplexity": (1, 3)}
"""factor and digits of metrics that are not shares"""


def model_card(run: Run, exported: Mapping[str, Any] | None = None) -> str:
    """Markdown, fed only from what the run folder stores, and from an export's verification.json."""
    config, data, scores, baselines = run.config(), run.data(), run.scores(), run.baselines()
    report = data["report"]
    what = "this adapter" if exported is None else "before export"
    rows = [_row(f"{what}, {part}", of_part) for part, of_part in scores.items()]
    rows += [_row(f"{name}, {part}", s) for name, parts in baselines.items() for part, s in parts.items()]
    labels = ", ".join(f"{label} {count:,}" for label, count in report["labels"].items())
    percent = f"{100 * config.evaluation.confidence:g}%"
    return f"""# {config.name}

{_what(config, data["task"], exported)}
{_warning(data["sources"])}
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
base model and data apply to the adapter too. Base model: {licence_of(config.model.base) or "see its own card"}.

## What it is, to the byte

| | sha256 |
|---|---|
| base model `{config.model.base}` | `{run.environment().get("base_sha256")}` |
| adapter | `{_adapter_digest(run)}` |

## Make it again

{_AGAIN if exported is None else _EXPORT_AGAIN}"""


_AGAIN = """    fintune train config.yaml --set name=again

Settings are in `config.yaml`, versions and hardware in `environment.json`, the ids of every part in `data.json`.
"""
_EXPORT_AGAIN = """    fintune train fintune.yaml --set name=again        # then: fintune export

Settings are in `fintune.yaml`; how it was found equal, and digests, in `verification.json`.
"""


def _adapter_digest(run: Run) -> str:
    return sha256(min(run.adapter.glob("*.safetensors")))


def _what(config: RunConfig, task: str, exported: Mapping[str, Any] | None) -> str:
    if exported is None:
        return f"A {config.method.name} adapter ({task}) for the base model `{config.model.base}`.\n"
    kept = exported["texts"] - exported["changed"]
    written = f"{exported['format']}, {exported['dtype']}"
    return f"""The base model `{config.model.base}` with a {config.method.name} adapter ({task}) in its weights; written as {written}.

Read back from these files it gave {kept} of the {exported["texts"]} validation texts the label that was scored; probabilities differ by
{exported["largest_difference"]:.1g} at most. Weights: sha256 `{exported["sha256"]}`, of base model `{exported["base_sha256"]}`.
"""


def _warning(sources: Sequence[Mapping[str, Any]]) -> str:
    """A line where the licence of the data forbids commercial use."""
    bound = [f"{source['name']} ({source['licence']})" for source in sources if forbids_commerce(source["licence"])]
    return f"\n> **Not for commercial use**: trained on {', '.join(bound)}.\n" if bound else ""


def forbids_commerce(licence: str | None) -> bool:
    """Whether a licence's name says so: CC BY-NC-SA, non-commercial, research only."""
    return (
        licence is not None and re.search(r"\bNC\b|non-?commercial|research only", licence, re.IGNORECASE) is not None
    )


def interval(metric: str, score: Score) -> str:
    """`97.4 [95.0, 98.9]` in per cent for shares; MCC, loss and perplexity as they are."""
    factor, digits = _SHOWN.get(metric, (100, 1))
    value, low, high = (f"{factor * number:.{digits}f}" for number in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}]"


def _source(source: Mapping[str, Any]) -> str:
    return f"| {source['name']} | {source['part']} | {source['rows']:,} | {source['licence'] or 'not said'} |"


def _row(name: str, scores: Scores) -> str:
    return f"| {name} | {' | '.join(interval(metric, scores[metric]) for metric in HEADLINE)} |"
