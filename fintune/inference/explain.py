"""What `fintune explain` does: the words that moved a run's answers, for texts given or for those worth a look.

Example:
    explain_run(Run.open("runs/run"))[0].words[2]
    # Word(text='narrowed', effect=0.74)
"""

from collections.abc import Iterable, Mapping

from fintune.errors import RunError
from fintune.inference.attribution import Attribution, attribute, select_interesting
from fintune.inference.open import Trained, choose_engine
from fintune.inference.predictor import examples_of
from fintune.runs.adapter_store import is_kept
from fintune.runs.run import Run
from fintune.runtime.files import need_place


def explain(
    source: Trained, texts: Iterable[str | Mapping[str, str]], ids: Iterable[str] | None = None
) -> list[Attribution]:
    """Return attributions of the answers of a run, an export or an adapter to texts; ids count from 1 when left out."""
    task = source.config().build_task()
    chosen = choose_engine(source)
    return attribute(chosen.open(), task, examples_of(task, texts, ids), chosen.calibration)


def explain_run(run: Run) -> list[Attribution]:
    """Explain the most confident mistakes and most uncertain texts of the part scored last; they go to attributions.json."""
    part = run.predictions(_scored_part(run))
    need_place(run.folder / "attributions.json")
    chosen, task = choose_engine(run), run.config().build_task()
    if chosen.calibration is not None:
        part = chosen.calibration.applied(part, task)
    looked_at = [one.example for one in select_interesting(part)]
    attributions = attribute(chosen.open(), task, looked_at, chosen.calibration)
    run.write_json("attributions.json", [attribution.record() for attribution in attributions])
    return attributions


def _scored_part(run: Run) -> str:
    """Return the test part where it has been scored, else validation; that of a kept adapter, which has no other answers."""
    scored = run.scores()
    for part in ("test", "validation"):
        if part in scored and (run.has_predictions(part) or not is_kept(run.folder)):
            return part
    raise RunError(f"{run.folder}: no part was scored", hint="Score one: fintune evaluate RUN, or give texts.")
