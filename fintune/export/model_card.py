"""The README.md of a run or of an export: what it is for, what it scored, against what, and how to make it again."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fintune.data.sources import sha256
from fintune.export.registry import Format
from fintune.models.references import licence_of
from fintune.records import Score, Scores
from fintune.run import Run

HEADLINE = ("accuracy", "macro_f1", "mcc")
"""metrics shown first, here and on the screen"""

_SHOWN = {"mcc": (1, 2), "answer_loss": (1, 3), "perplexity": (1, 3)}
"""factor and digits of metrics that are not shares"""


def model_card(run: Run) -> str:
    """Markdown, fed only from what the run folder stores."""
    config = run.config()
    what = f"A {config.method.name} adapter ({run.data()['task']}) for the base model `{config.model.base}`.\n"
    adapter = {"run": config.name, "adapter_sha256": sha256(min(run.adapter.glob("*.safetensors")))}
    return _card(run, what, _licences(run.data()["sources"]), "this adapter", _AGAIN, _adapters([adapter]))


def export_card(run: Run, facts: Mapping[str, Any], form: Format) -> str:
    """The same of an export, with how it was proved, from its verification.json."""
    names = " + ".join(_source_name(source, len(facts["sources"])) for source in facts["sources"])
    where = "an adapter alone, to put on the base model" if form.onto is not None else "in the base model's weights"
    texts, kept = facts["texts"], facts["texts"] - facts["changed"]
    said = "scored"
    if facts["beside_the_run"] is not None:
        said = "the adapter gives on the base model in full precision"
    elif len(facts["sources"]) > 1:
        said = "given by the adapters together, before they were merged"
    what = f"""{names}: {where} `{facts["base"]}`, written as {facts["format"]}, {facts["dtype"]} ({form.summary}).

Read back from these files it gave {kept} of the {texts} validation texts the label that was {said}; probabilities differ by
{facts["largest_difference"]:.1g} at most. {_beside(facts["beside_the_run"])}Digests of the files: `verification.json`.
"""
    sources = [one for source in facts["sources"] for one in source["data"]]
    before = "before export" if len(facts["sources"]) == 1 else "the first adapter alone"
    return _card(run, what, _licences(sources), before, _EXPORT_AGAIN, _adapters(facts["sources"]))


def _beside(facts: Mapping[str, Any] | None) -> str:
    """How far the full base model is from the rounded one on which the run was scored."""
    if facts is None:
        return ""
    return (
        f"The run was scored on a rounded base model: {facts['texts'] - facts['changed']} of {facts['texts']} labels are those, and the "
        f"accuracy is {100 * facts['accuracy']:.1f} where it was {100 * facts['accuracy_of_run']:.1f}. "
    )


def _adapters(sources: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"| adapter of `{source['run']}` | `{source['adapter_sha256']}` |" for source in sources)


def _card(run: Run, what: str, bound: Sequence[str], row: str, again: str, adapters: str) -> str:
    config, data = run.config(), run.data()
    report = data["report"]
    rows = [_row(f"{row}, {part}", of_part) for part, of_part in run.scores().items()]
    rows += [_row(f"{name}, {part}", s) for name, parts in run.baselines().items() for part, s in parts.items()]
    labels = ", ".join(f"{label} {count:,}" for label, count in report["labels"].items())
    percent = f"{100 * config.evaluation.confidence:g}%"
    warning = f"\n> **Not for commercial use**: trained on {', '.join(bound)}.\n" if bound else ""
    return f"""# {config.name}

{what}{warning}
| model, part | {" | ".join(HEADLINE)} |
|---|{"---|" * len(HEADLINE)}
{chr(10).join(rows)}

Brackets: {percent} bootstrap intervals over examples ({config.evaluation.resamples} resamples). The best epoch was chosen on validation, so
validation figures flatter; the test part was not used for any choice.

## Use

It says which of {", ".join(report["labels"])} a text is, with a probability for each. It knows nothing but the text, and is no advice:
what hangs on an answer is for a person to check.

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
{adapters}

## Make it again

{again}"""


_AGAIN = """    fintune train config.yaml --set name=again

Settings are in `config.yaml`, versions and hardware in `environment.json`, the ids of every part in `data.json`.
"""
_EXPORT_AGAIN = """    fintune train fintune.yaml --set name=again        # then: fintune export, or merge

Settings are in `fintune.yaml`; what is in it, how it was found equal, and digests, in `verification.json`.
"""


def _source_name(source: Mapping[str, Any], of: int) -> str:
    return f"`{source['run']}`" if of == 1 else f"{source['weight']:g} x `{source['run']}`"


def _licences(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Data whose licence forbids commercial use."""
    return [f"{source['name']} ({source['licence']})" for source in sources if forbids_commerce(source["licence"])]


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
