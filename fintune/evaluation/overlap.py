"""Whether the rows of a file that is scored stand in what a run was trained on: its own files are read again, and compared.

Example:
    leaks_into(run, examples)
    # Leaks(train=['other.csv:7'], validation=[], conflicts=[])
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fintune.data.load import gather
from fintune.data.quality.cleanup import conflicts
from fintune.data.quality.leaks import Leaks, stands_in
from fintune.data.quality.text import normalized
from fintune.errors import DataError, FintuneError
from fintune.evaluation.claims import claims_of_part, train_answers, with_slices
from fintune.evaluation.verdict import TrainAnswers
from fintune.inference.foreign import ForeignAdapter
from fintune.records import Claims, Example, Prediction, Statement, strata
from fintune.runs.exported import Export
from fintune.runs.run import Run


def claims_of_file(
    source: Run | Export | ForeignAdapter, path: str, examples: Sequence[Example], answered: Sequence[Prediction]
) -> Claims:
    """Return what the answers of a run, an export or an adapter to a file are worth, as far as can be told."""
    name, config, unchecked = Path(path).name, source.config(), []
    try:
        leaks, train = leaks_into(run := _need_run(source), examples), train_answers(run)
    except DataError as error:
        text = f"Whether its texts stand in train could not be checked: {error.message}."
        unchecked = [Statement(kind="unchecked", level="note", text=text)]
        leaks, train = Leaks(), TrainAnswers(strata(examples))
    said = claims_of_part(name, answered, {}, leaks, config, train)
    whole = with_slices(said, name, answered, leaks, config, examples)
    return replace(whole, verdicts={name: [*unchecked, *whole.of(name)]})


def _need_run(source: Run | Export | ForeignAdapter) -> Run:
    if not isinstance(source, Run):
        raise DataError("only a run knows its training data")
    return source


def leaks_into(run: Run, examples: Sequence[Example]) -> Leaks:
    """Return the rows that the run's model knows. Raises DataError, with the reason, where what it was trained on can no longer be read."""
    parts = trained_on(run)
    keys = [normalized(e.text) for e in examples]
    several = conflicts(examples, keys)
    return Leaks(
        train=stands_in(examples, parts["train"]),
        validation=stands_in(examples, parts["validation"]),
        conflicts=[e.id for e, key in zip(examples, keys, strict=True) if key in several],
    )


def trained_on(run: Run) -> Mapping[str, Sequence[Example]]:
    """Return the rows of train and validation, by the ids in data.json, from files that are the same as they were."""
    data = run.data()
    if gone := [s["name"] for s in data["sources"] if s.get("sha256") is None]:
        raise DataError(f"{gone[0]} has no digest")
    try:
        gathered = gather(run.config().data, run.config().build_task(), tolerant=True)
    except FintuneError as error:
        raise DataError(error.message, hint=error.hint) from None
    now = {source["path"]: source["sha256"] for source in gathered.sources}
    for source in data["sources"]:
        if now.get(source["path"]) != source["sha256"]:
            raise DataError(f"{source['name']} is not the file it was")
    rows = {e.id: e for part in gathered.parts.values() for e in part}
    return {part: [rows[i] for i in data["ids"].get(part, []) if i in rows] for part in ("train", "validation")}
