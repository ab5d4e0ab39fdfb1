"""The README.md of an export: the run's, with how it was proved, from its verification.json."""

import shlex
from collections.abc import Mapping
from typing import Any

from fintune.data.quality.licenses import license_of
from fintune.export.registry import Format
from fintune.inference.artifacts import OntoBase
from fintune.runs.model_card import Words, card
from fintune.runs.run import Run
from fintune.runtime.printable import markdown, markdown_code, one_line

_AGAIN = """    fintune train fintune.yaml --set name=again        # then: fintune export, or merge

Settings are in `fintune.yaml`; what is in it, how it was found equal, and digests, in `verification.json`.
"""


def export_card(run: Run, facts: Mapping[str, Any], form: Format) -> str:
    """Markdown; `run` is the first of those in it."""
    sources = facts["sources"]
    names = " + ".join(
        f"{s['weight']:g} x {markdown_code(s['run'])}" if len(sources) > 1 else markdown_code(s["run"]) for s in sources
    )
    alone = isinstance(form.back, OntoBase)
    where = "an adapter alone, to put on the base model" if alone else "in the base model's weights"
    what = f"""{names}: {where} {markdown_code(facts["base"])}, written as {facts["format"]}, {facts["dtype"]} ({form.summary}).

{_proof(facts)} Digests of the files: `verification.json`.
"""
    words = Words(what, "before export", _AGAIN, sources)
    if len(sources) > 1:
        others = [
            f"| {markdown(one['name'])} | of {markdown_code(s['run'])} | | {markdown(str(license_of(one)))} |"
            for s in sources[1:]
            for one in s["data"]
        ]
        words = Words(what + _combined(facts), "the first adapter alone", _again(facts), sources, others)
    return card(run, words, [one for source in sources for one in source["data"]])


def _proof(facts: Mapping[str, Any]) -> str:
    beside, said = facts["beside_the_run"], "scored"
    if beside is not None:
        said = "given by the adapter on the base model in full precision"
    elif len(facts["sources"]) > 1:
        said = "given by the adapters together, before they were merged"
    proof = f"""Read back from these files it gave {_kept(facts)} the label that was {said};
probabilities differ by {facts["largest_difference"]:.1g} at most."""
    if beside is None:
        return proof
    was, now = 100 * beside["accuracy_of_run"], 100 * beside["accuracy"]
    return f"""{proof} The run was scored on a rounded base model: {_kept(beside)} have the label of then,
probabilities differ by {beside["largest_difference"]:.1g} at most, and the accuracy is {now:.1f} where it was {was:.1f}."""


def _kept(found: Mapping[str, Any]) -> str:
    ties = found["near_ties"]
    kept = f"{found['texts'] - found['changed'] - ties} of the {found['texts']} validation texts"
    return f"{kept} (and of {ties} one of two labels that were as good as equal)" if ties else kept


def _combined(facts: Mapping[str, Any]) -> str:
    name, accuracy = markdown_code(facts["sources"][0]["run"]), 100 * facts["accuracy"]
    return f"""
Combined by {_how(facts)}. On the validation texts of {name} its accuracy is {accuracy:.1f}; how good it is on the others'
`fintune evaluate` says. Scores below are of {name} alone, and so is what is said of rows, splits and duplicates.
"""


def _how(facts: Mapping[str, Any]) -> str:
    first = facts["sources"][0]
    return f"{first['combined']} --density {first['density']:g}" if "density" in first else str(first["combined"])


def _again(facts: Mapping[str, Any]) -> str:
    runs = " ".join(shlex.quote(one_line(source["run"])) for source in facts["sources"])
    weights = ",".join(f"{source['weight']:g}" for source in facts["sources"])
    return f"""    fintune merge {runs} --weights {weights} --combine {_how(facts)} -o again

in the folder of these runs, with the adapters above. `fintune.yaml` has the settings of the first;
those of the others are in their own folders.
"""
