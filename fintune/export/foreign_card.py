"""The README.md of an export of an adapter that was trained elsewhere: what is known of it, which is not how good it is."""

from typing import TYPE_CHECKING

from fintune.config.run_config import RunConfig
from fintune.export.registry import Format
from fintune.inference.artifacts import OntoBase
from fintune.runs.card_data import base_on_hub, with_front_matter
from fintune.runs.export_schema import ExportRecord

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData


def foreign_card(config: RunConfig, facts: ExportRecord, form: Format) -> str:
    """Return the export's card, from verification.json and the settings; its license and its scores are not known."""
    return with_front_matter(_text(config, facts, form), _data(config, facts, form))


def _data(config: RunConfig, facts: ExportRecord, form: Format) -> "ModelCardData":
    from huggingface_hub import ModelCardData

    tags = ["fintune", config.task.name, form.name, facts["dtype"]]
    return ModelCardData(base_model=base_on_hub(config.model.base), library_name=form.library, tags=tags)


def _text(config: RunConfig, facts: ExportRecord, form: Format) -> str:
    name, reference = facts["sources"][0]["run"], facts.get("reference")
    assert reference is not None
    alone = isinstance(form.back, OntoBase)
    where = "alone, to put on the base model" if alone else "in the weights of the base model"
    labels = ", ".join(getattr(config.task, "labels", ()))
    kept, texts = facts["texts"] - facts["changed"] - facts.get("near_ties", 0), facts["texts"]
    return f"""# {name}

An adapter that was trained elsewhere, {where} `{facts["base"]}`, written as {facts["format"]}, {facts["dtype"]}
({form.summary}).

Read back from these files it gave {kept} of the {texts} texts of `{reference["file"]}` the label that the adapter itself gave
before it was merged; probabilities differ by {facts["largest_difference"]:.1g} at most. That says it is the same model, and
nothing of how good it is: `fintune evaluate FOLDER --data FILE` scores it on labeled texts.

## Use

Asked as in `fintune.yaml`, it says which of {labels} a text is, with a probability for each. What it was trained on,
and under which licenses, is not known here.

## What it is, to the byte

| | sha256 |
|---|---|
| base model `{facts["base"]}` | `{facts["base_sha256"]}` |
| adapter of `{name}` | `{facts["sources"][0]["adapter_sha256"]}` |

Digests of the files: `verification.json`.
"""
