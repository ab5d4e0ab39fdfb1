"""The README.md of a run: what it is for, what it scored, against what, and how to make it again; export/card.py has the export's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintune.config.run_config import RunConfig
from fintune.data.quality.licenses import Commerce, license_of
from fintune.data.quality.scant import scant
from fintune.models.references import base_license
from fintune.records import TEXT, Claims, Scores, Statement
from fintune.runs.card_data import card_data, library_of, with_front_matter
from fintune.runs.run import Run
from fintune.runs.schema import SourceRecord
from fintune.runtime.printable import markdown, markdown_code
from fintune.tasks import Task
from fintune.tasks.lookup import interval, metric_of
from fintune.tasks.protocol import asked_fields

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData


@dataclass(frozen=True, kw_only=True)
class CardWords:
    """What differs between the card of a run, of its export, and of several runs in one."""

    what: str
    """The first paragraph: what it is."""
    row: str
    """What the run's own scores are of."""
    again: str
    """The last paragraph: how to make it again."""
    adapters: Sequence[tuple[str, str]]
    """Each adapter in it: the name of its run, and its digest."""
    data: "ModelCardData"
    """What it says to programs."""
    others: Sequence[str] = ()
    """Rows for data of other runs."""


def model_card(run: Run) -> str:
    """Return a run's card, fed only from what the run folder stores."""
    config, sources = run.config(), run.data()["sources"]
    what = f"A {config.method.name} adapter ({run.data()['task']}) for the base model {markdown_code(config.model.base)}.\n"
    words = CardWords(
        what=what,
        row="this adapter",
        again=_AGAIN,
        adapters=[(config.name, run.adapter_sha256())],
        data=card_data(run, sources, library=library_of(run)),
    )
    return card(run, words, sources)


def card(run: Run, words: CardWords, sources: Sequence[Mapping[str, object]]) -> str:
    """Return the whole of a card; `sources`: all data that what it describes was trained on."""
    return with_front_matter(_text(run, words, sources), words.data)


def _dropped(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} dropped ({markdown(reason)})" for reason, count in reasons.items()) or "none dropped"


def _parts(config: RunConfig) -> str:
    given = [part for part in config.data.paths if part != "train"]
    split = "" if len(given) == 2 else f"split by {config.data.split.by}"
    return ", ".join(filter(None, (split, f"{' and '.join(given)} given" if given else "")))


def _text(run: Run, words: CardWords, sources: Sequence[Mapping[str, object]]) -> str:
    config, data = run.config(), run.data()
    report = data["report"]
    claims = run.claims()
    headline = config.build_task().headline
    rows = [
        _row(name, scores, headline)
        for name, scores in named_scores(words.row, run.scores(), run.baselines(), claims).items()
    ]
    counts = ", ".join(f"{markdown(label)} {count:,}" for label, count in report["labels"].items())
    labels = f" ({counts})" if counts else ""
    percent = f"{100 * config.evaluation.confidence:g}%"
    return f"""# {markdown(config.name)}

{words.what}{_commerce(sources)}
| model, part | {" | ".join(metric_of(name).title for name in headline)} |
|---|{"---|" * len(headline)}
{chr(10).join(rows)}

{_worth(claims, _scant(run))}
Brackets: {percent} bootstrap intervals over examples ({config.evaluation.resamples} resamples). The best epoch was chosen on validation, so
validation figures flatter; the test part was not used for any choice.

## Use

{_use(config.build_task())} It knows nothing but the text, and is no advice:
what hangs on an answer is for a person to check.

## Data

{report["rows"]:,} rows{labels}; {_dropped(report.get("dropped", {}))}; {report["near_duplicate_rows"]} rows in
{report["near_duplicate_clusters"]} near-duplicate clusters; {_parts(config)}. Fingerprint `{data["fingerprint"]}`.

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
{chr(10).join(f"| adapter of {markdown_code(name)} | `{digest}` |" for name, digest in words.adapters)}

## Make it again

{words.again}"""


_AGAIN = """    fintune train config.yaml --set name=again

Settings are in `config.yaml`, versions and hardware in `environment.json`, the ids of every part in `data.json`.
"""


def named_scores(
    own: str, scores: Mapping[str, Scores], baselines: Mapping[str, Mapping[str, Scores]], claims: Claims
) -> dict[str, Scores]:
    """Return rows of a table of scores; where rows of a part are known to the model, the scores on the others stand beside."""
    models = {own: (scores, claims.splits)}
    models |= {name: (parts, claims.baselines.get(name, {})) for name, parts in baselines.items()}
    rows: dict[str, Scores] = {}
    for name, (whole, clean) in models.items():
        for part, of_part in whole.items():
            row = f"{name}, {part}" if name else part
            known = any(one.kind == "all-leak" for one in claims.of(part))
            mark = f" (all {_n(of_part):,} texts)" if part in clean else " (known texts alone)" if known else ""
            rows[row + mark] = of_part
            if part in clean:
                rows[f"{row} ({_n(clean[part]):,} new texts)"] = clean[part]
    return rows


def _n(scores: Scores) -> int:
    return next(iter(scores.values())).n


def _scant(run: Run) -> list[Statement]:
    config, data = run.config(), run.data()
    labels = data["report"].get("parts", {}).get("train", {}) if config.build_task().kind == "labels" else {}
    return scant(labels, validation=len(data["ids"].get("validation", [])), choosing=config.train.epochs != 1)


def _worth(claims: Claims, few: Sequence[Statement]) -> str:
    """Return what the scores are worth, the severe in bold, and what there was too little of."""
    statements = [(markdown(f"{part}: {one.text}"), one.level) for part, one in claims.shown()]
    lines = [f"- **{text}**\n" if level == "severe" else f"- {text}\n" for text, level in statements]
    return "".join([*lines, *(f"- {markdown(one.text)}\n" for one in few)])


def _commerce(sources: Sequence[Mapping[str, object]]) -> str:
    """Return what the data's licenses say of commercial use, where that is no plain yes."""
    warnings: dict[Commerce, str] = {
        "forbids": "**Not for commercial use**: trained on",
        "unknown": "**Not known to be free for commercial use**: trained on",
    }
    lines = []
    for kind, warning in warnings.items():
        named = dict.fromkeys(_named(source) for source in sources if license_of(source).commerce == kind)
        lines += [f"> {warning} {', '.join(named)}.\n"] if named else []
    return "".join(f"\n{line}" for line in lines)


def _named(source: Mapping[str, object]) -> str:
    license = license_of(source)
    return markdown(f"{source['name']} ({license if license.text else f'license {license}'})")


def _source(source: SourceRecord) -> str:
    return (
        f"| {markdown(source['name'])} | {source['part']} | {source['rows']:,} | {markdown(str(license_of(source)))} |"
    )


def _row(name: str, scores: Scores, headline: Sequence[str]) -> str:
    return f"| {markdown(name)} | {' | '.join(interval(metric, scores[metric]) for metric in headline)} |"


def _use(task: Task) -> str:
    """Return what it is for: what it reads, and what it answers."""
    asked = asked_fields(task)
    reads = "a text" if asked == (TEXT,) else f"columns {', '.join(map(markdown, asked))} of a record"
    choices = ", ".join(map(markdown, task.choices() or {}))
    if not choices:
        return f"It reads {reads} and writes its answer."
    if task.kind == "labels":
        return (
            f"It says which of {choices} a text is, with a probability for each."
            if reads == "a text"
            else (f"It reads {reads} and says which of {choices} that is, with a probability for each.")
        )
    return f"It reads {reads} and answers with a {task.noun}, from the probabilities of {choices}."
