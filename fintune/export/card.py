"""The README.md of an export: the run's, with how it was proved, from its verification.json."""

import shlex

from fintune.data.quality.licenses import license_of
from fintune.export.registry import Format
from fintune.inference.artifacts import OntoBase
from fintune.runs.card_data import card_data
from fintune.runs.export_schema import ExportRecord, VerificationRecord
from fintune.runs.model_card import CardWords, card
from fintune.runs.run import Run
from fintune.runtime.printable import markdown, markdown_code, one_line
from fintune.tasks.lookup import metric_of
from fintune.tasks.metric import Metric

_AGAIN = """    fintune train fintune.yaml --set name=again        # then: fintune export, or merge

Settings are in `fintune.yaml`; what is in it, how it was found equal, and digests, in `verification.json`.
"""


def export_card(run: Run, facts: ExportRecord, form: Format) -> str:
    """Return an export's card; `run` is the first of those in it."""
    sources = facts["sources"]
    names = " + ".join(
        f"{s['weight']:g} x {markdown_code(s['run'])}" if len(sources) > 1 else markdown_code(s["run"]) for s in sources
    )
    alone = isinstance(form.back, OntoBase)
    where = "an adapter alone, to put on the base model" if alone else "in the base model's weights"
    what = f"""{names}: {where} {markdown_code(facts["base"])}, written as {facts["format"]}, {facts["dtype"]} ({form.summary}).

{_proof(facts)}{_confidence(facts)} Digests of the files: `verification.json`.
"""
    adapters = [(s["run"], s["adapter_sha256"]) for s in sources]
    data = [one for source in sources for one in source["data"]]
    tags = [form.name, facts["dtype"]]
    if len(sources) == 1:
        front = card_data(run, run.data()["sources"], library=form.library, tags=tags, scores_of="before export")
        words = CardWords(what=what, row="before export", again=_AGAIN, adapters=adapters, data=front)
        return card(run, words, data)
    others = [
        f"| {markdown(one['name'])} | of {markdown_code(s['run'])} | | {markdown(str(license_of(one)))} |"
        for s in sources[1:]
        for one in s["data"]
    ]
    words = CardWords(
        what=what + _combined(facts),
        row="the first adapter alone",
        again=_again(facts),
        adapters=adapters,
        data=card_data(run, data, library=form.library, tags=[*tags, "merge"], scores_of=None),
        others=others,
    )
    return card(run, words, data)


def _proof(facts: ExportRecord) -> str:
    beside, origin = facts.get("beside_the_run"), "scored"
    if beside is not None:
        origin = "given by the adapter on the base model in full precision"
    elif len(facts["sources"]) > 1:
        origin = "given by the adapters together, before they were merged"
    proof = f"""Read back from these files it gave {_kept(facts)} the answer that was {origin};
probabilities differ by {facts["largest_difference"]:.1g} at most."""
    if beside is None:
        return proof
    metric, was, now = metric_of(beside["metric"]), beside["score_of_run"], beside["score"]
    return f"""{proof} The run was scored on a rounded base model: {_kept(beside)} have the answer of then,
probabilities differ by {beside["largest_difference"]:.1g} at most, and the
{metric.title} is {_figure(metric, now)} where it was {_figure(metric, was)}."""


def _confidence(facts: ExportRecord) -> str:
    """Return what the run's calibration is worth in these files; nothing where it has none."""
    if (kept := facts.get("confidence")) is None:
        return ""
    return f"""
Calibrated as the run is (`calibration.json`), its probabilities have an NLL of {kept["nll"]:.3f} there and an ECE of {kept["ece"]:.3f},
where the run's have {kept["nll_of_run"]:.3f} and {kept["ece_of_run"]:.3f}."""


def _kept(verification: VerificationRecord) -> str:
    ties = verification.get("near_ties", 0)
    texts = verification["texts"]
    kept = f"{texts - verification['changed'] - ties} of the {texts} validation texts"
    return f"{kept} (and of {ties} one of two answers that were as good as equal)" if ties else kept


def _figure(metric: Metric, value: float | None) -> str:
    return "not known" if value is None else metric.figure(value)


def _combined(facts: ExportRecord) -> str:
    name, metric = markdown_code(facts["sources"][0]["run"]), metric_of(facts["metric"])
    return f"""
Combined by {_how(facts)}. On the validation texts of {name} its {metric.title} is {_figure(metric, facts["score"])};
how good it is on the others'
`fintune evaluate` says. Scores below are of {name} alone, and so is what is origin of rows, splits and duplicates.
"""


def _how(facts: ExportRecord) -> str:
    first = facts["sources"][0]
    return f"{first['combined']} --density {first['density']:g}" if "density" in first else first["combined"]


def _again(facts: ExportRecord) -> str:
    runs = " ".join(shlex.quote(one_line(source["run"])) for source in facts["sources"])
    weights = ",".join(f"{source['weight']:g}" for source in facts["sources"])
    return f"""    fintune merge {runs} --weights {weights} --combine {_how(facts)} -o again

in the folder of these runs, with the adapters above. `fintune.yaml` has the settings of the first;
those of the others are in their own folders.
"""
