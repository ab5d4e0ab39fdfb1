"""What a card says to programs: the YAML in front of its text, in the hub's words, so that a hub can list and compare what was made.

Names come from outside: none of them can end the block, or be anything but text where a program shows the block as Markdown. Nothing is
asked of the hub, and what is not known is left out.

Example:
    print(with_front_matter("# run", card_data(run)).partition("# run")[0])
    # ---
    # base_model: google/gemma-3-270m

"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fintune.data.quality.licenses import license_of
from fintune.data.readers.hub_datasets import HUB
from fintune.methods import METHODS
from fintune.models.embedded import EMBEDDED
from fintune.models.references import base_license
from fintune.records import Scores
from fintune.runs.run import Run
from fintune.runtime.printable import one_line
from fintune.tasks.lookup import metric_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

_LICENSES_ON_HUB = {
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
    "BigScience RAIL 1.0": "bigscience-bloom-rail-1.0",
    "Gemma Terms of Use": "gemma",
}
"""The hub's name of a base model's license (models/families.py), where it has one."""
_EMBEDDED_ON_HUB = "google/gemma-3-270m"
_ON_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_TASKS = {
    "labels": "text-classification",
    "numbers": "text-classification",
    "texts": "text-generation",
    "lists": "token-classification",
}
"""The hub's name of what a task of each kind does."""
_SHORT = 80
"""Number of characters of a name."""
_TEXTS = 1000
"""Number of texts whose script is looked at."""


def card_data(
    run: Run,
    sources: Sequence[Mapping[str, object]],
    *,
    library: str | None,
    tags: Sequence[str] = (),
    scores_of: str | None = "",
) -> "ModelCardData":
    """Return what a card says of a run, or of what was made of it, trained on `sources`.

    `scores_of`: what the run's scores are of, in words, where they are not of the very thing; None: they are left out.
    """
    from huggingface_hub import ModelCardData

    config = run.config()
    results = [] if scores_of is None else _results(run, sources, scores_of)
    license, license_name = _license(config.model.base, sources)
    return ModelCardData(
        base_model=base_on_hub(config.model.base),
        datasets=_datasets(sources) or None,
        language=_language(run),
        library_name=library,
        license=license,
        license_name=license_name,
        metrics=[*_on_hub(run).values()] if results else None,
        model_name=_shown(config.name),
        eval_results=results or None,
        tags=["fintune", _shown(config.method.name), _shown(config.task.name), *tags],
    )


def with_front_matter(text: str, data: "ModelCardData") -> str:
    """Return a card: its text behind what it says to programs."""
    from huggingface_hub import ModelCard

    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


def library_of(run: Run) -> str:
    """Return the library that reads a run's adapter."""
    return "peft" if METHODS[run.config().method.name].saved_format == "peft" else "fintune"


def base_on_hub(reference: str) -> str | None:
    """Return the base model as the hub names models: its id, or of a folder or a file its own name."""
    if reference in EMBEDDED:
        return _EMBEDDED_ON_HUB
    if _ON_HUB.fullmatch(reference) and not Path(reference).is_dir():
        return reference
    name = re.sub(r"[^\w.-]+", "-", Path(reference).name.removesuffix(".gguf"), flags=re.ASCII).strip("-.")
    return name[:_SHORT] or None


def _license(base: str, sources: Sequence[Mapping[str, object]]) -> tuple[str | None, str | None]:
    """Return the base model's license where the data adds no limit; both of them by name where it does; both None where it is not known."""
    if (name := base_license(base)) is None:
        return None, None
    kinds = [license_of(source) for source in sources]
    limits = [str(kind) if kind.text else "unknown" for kind in kinds if kind.commerce != "allows"]
    on_hub = next((hub for own, hub in _LICENSES_ON_HUB.items() if name.startswith(own)), None)
    if on_hub is not None and not limits:
        return on_hub, None
    parts = [on_hub or _slug(name), *(f"data-{_slug(limit) or 'unknown'}" for limit in dict.fromkeys(limits))]
    return "other", "-and-".join(parts)[:_SHORT].strip("-.")


def _datasets(sources: Iterable[Mapping[str, object]]) -> list[str]:
    """Return ids of those that lie on the hub."""
    paths = [str(source.get("path", "")) for source in sources]
    ids = [_ON_HUB.match(path.removeprefix(HUB)) for path in paths if path.startswith(HUB)]
    return [*dict.fromkeys(match[0] for match in ids if match is not None)]


def _results(run: Run, sources: Sequence[Mapping[str, object]], scores_of: str) -> "list[EvalResult]":
    """Return the scores of the test part; where rows of it are known to the model, those on the others, if there are any."""
    from huggingface_hub import EvalResult

    claims = run.claims()
    scores: Scores | None = claims.splits.get("test") or run.scores().get("test")
    if scores is None or any(one.kind == "all-leak" for one in claims.of("test")):
        return []
    names = ", ".join(dict.fromkeys(_shown(str(source["name"])) for source in sources)) or "not named"
    return [
        EvalResult(
            task_type=_TASKS[run.config().build_task().kind],
            dataset_type=next(iter(_datasets(sources)), "custom"),
            dataset_name=names,
            dataset_split="test",
            metric_type=on_hub,
            metric_value=round(scores[metric].value, 4),
            metric_name=" ".join(filter(None, (metric_of(metric).title, scores_of))),
        )
        for metric, on_hub in _on_hub(run).items()
        if metric in scores
    ]


def _on_hub(run: Run) -> dict[str, str]:
    """Return the hub's name of each headline metric that has one."""
    return {name: hub for name in run.config().build_task().headline if (hub := metric_of(name).hub)}


def _language(run: Run) -> str | None:
    """Return the language of the texts where their script says it; None where it does not, as of Latin letters."""
    part = next((part for part in ("test", "validation") if run.has_predictions(part)), None)
    predictions = run.predictions(part) if part else []
    letters = [c for p in predictions[:_TEXTS] for c in p.text if c.isalpha()]
    han = sum("\u4e00" <= c <= "\u9fff" for c in letters)
    others = any("\u3040" <= c <= "\u30ff" or "\uac00" <= c <= "\ud7af" for c in letters)
    return "zh" if han > len(letters) / 2 and not others else None


def _shown(name: str) -> str:
    """Return a name without anything that YAML or Markdown could read as more than letters."""
    plain = re.sub(r"[^\w .,()+-]|(?<!\w)_|_(?!\w)", " ", one_line(name))
    return " ".join(plain.split())[:_SHORT].strip() or "unnamed"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
