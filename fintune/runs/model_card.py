"""The README.md of a run: what it is for, what it scored, against what, and how to make it again; export/card.py has the export's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fintune.data.quality.licenses import Commerce, license_of
from fintune.models.references import base_license
from fintune.records import Claims, Scores
from fintune.runs.run import Run
from fintune.runtime.printable import markdown, markdown_code
from fintune.tasks.metrics import HEADLINE, interval


@dataclass(frozen=True)
class Words:
    """What differs between the card of a run, of its export, and of several runs in one."""

    what: str
    row: str
    """what the run's own scores are of"""
    again: str
    adapters: Sequence[Mapping[str, Any]]
    """name and digest of each"""
    others: Sequence[str] = ()
    """rows for data of other runs"""


def model_card(run: Run) -> str:
    """Markdown, fed only from what the run folder stores."""
    config = run.config()
    what = f"A {config.method.name} adapter ({run.data()['task']}) for the base model {markdown_code(config.model.base)}.\n"
    own = {"run": config.name, "adapter_sha256": run.adapter_sha256()}
    return card(run, Words(what, "this adapter", _AGAIN, [own]), run.data()["sources"])


def card(run: Run, words: Words, sources: Sequence[Mapping[str, Any]]) -> str:
    """Return the whole of it; `sources`: all data that what it describes was trained on."""
    config, data = run.config(), run.data()
    report = data["report"]
    claims = run.claims()
    rows = [
        _row(name, scores) for name, scores in named_scores(words.row, run.scores(), run.baselines(), claims).items()
    ]
    labels = ", ".join(f"{markdown(label)} {count:,}" for label, count in report["labels"].items())
    names = ", ".join(map(markdown, report["labels"]))
    percent = f"{100 * config.evaluation.confidence:g}%"
    return f"""# {markdown(config.name)}

{words.what}{_commerce(sources)}
| model, part | {" | ".join(HEADLINE)} |
|---|{"---|" * len(HEADLINE)}
{chr(10).join(rows)}

{_worth(claims)}
Brackets: {percent} bootstrap intervals over examples ({config.evaluation.resamples} resamples). The best epoch was chosen on validation, so
validation figures flatter; the test part was not used for any choice.

## Use

It says which of {names} a text is, with a probability for each. It knows nothing but the text, and is no advice:
what hangs on an answer is for a person to check.

## Data

{report["rows"]:,} rows ({labels}); {report["exact_duplicates"]} exact duplicates dropped; {report["near_duplicate_rows"]} rows in
{report["near_duplicate_clusters"]} near-duplicate clusters; split by {config.data.split.by}. Fingerprint `{data["fingerprint"]}`.

| source | part | rows | license |
|---|---|---|---|
{chr(10).join([*(_source(source) for source in data["sources"]), *words.others])}

## Limits

It was measured on texts like those it was trained on; other sources, languages or times can score lower. The licenses of
base model and data apply to the adapter too. Base model: {base_license(config.model.base) or "see its own card"}.

## What it is, to the byte

| | sha256 |
|---|---|
| base model {markdown_code(config.model.base)} | `{run.environment().get("base_sha256")}` |
{chr(10).join(f"| adapter of {markdown_code(one['run'])} | `{one['adapter_sha256']}` |" for one in words.adapters)}

## Make it again

{words.again}"""


_AGAIN = """    fintune train config.yaml --set name=again

Settings are in `config.yaml`, versions and hardware in `environment.json`, the ids of every part in `data.json`.
"""


def named_scores(
    own: str, scores: Mapping[str, Scores], baselines: Mapping[str, Mapping[str, Scores]], claims: Claims
) -> dict[str, Scores]:
    """Rows of a table of scores; where rows of a part are known to the model, the scores on the others stand beside."""
    models = {own: (scores, claims.splits)}
    models |= {name: (parts, claims.baselines.get(name, {})) for name, parts in baselines.items()}
    found: dict[str, Scores] = {}
    for name, (whole, clean) in models.items():
        for part, of_part in whole.items():
            row = f"{name}, {part}" if name else part
            known = any(one.kind == "all-leak" for one in claims.of(part))
            mark = f" (all {_n(of_part):,} texts)" if part in clean else " (known texts alone)" if known else ""
            found[row + mark] = of_part
            if part in clean:
                found[f"{row} ({_n(clean[part]):,} new texts)"] = clean[part]
    return found


def _n(scores: Scores) -> int:
    return next(iter(scores.values())).n


def _worth(claims: Claims) -> str:
    """Return what the scores are worth, the severe in bold."""
    said = [(markdown(f"{part}: {one.text}"), one.level) for part, one in claims.shown()]
    lines = [f"- **{text}**\n" if level == "severe" else f"- {text}\n" for text, level in said]
    return "".join(lines)


def _commerce(sources: Sequence[Mapping[str, Any]]) -> str:
    """Return what the data's licenses say of commercial use, where that is no plain yes."""
    said: dict[Commerce, str] = {
        "forbids": "**Not for commercial use**: trained on",
        "unknown": "**Not known to be free for commercial use**: trained on",
    }
    lines = []
    for kind, warning in said.items():
        named = dict.fromkeys(_named(source) for source in sources if license_of(source).commerce == kind)
        lines += [f"> {warning} {', '.join(named)}.\n"] if named else []
    return "".join(f"\n{line}" for line in lines)


def _named(source: Mapping[str, Any]) -> str:
    found = license_of(source)
    return markdown(f"{source['name']} ({found if found.text else f'license {found}'})")


def _source(source: Mapping[str, Any]) -> str:
    return (
        f"| {markdown(source['name'])} | {source['part']} | {source['rows']:,} | {markdown(str(license_of(source)))} |"
    )


def _row(name: str, scores: Scores) -> str:
    return f"| {markdown(name)} | {' | '.join(interval(metric, scores[metric]) for metric in HEADLINE)} |"
