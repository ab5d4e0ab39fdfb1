"""Out-of-fold answers: each text that a run learned from, or chose by, answered by a model that has learned from the others.

The models are the run's settings trained again on folds of what its test part leaves, each kept at the epoch the run kept; they
lie in `folds/` while they are made, and a killed command goes on with the fold it was at.

Example:
    predictions = out_of_fold(Run.open("runs/phrasebank-fast"), 5)
    # then runs/phrasebank-fast/predictions.oof.jsonl
"""

import shutil

from fintune.config.prepare import Prepared
from fintune.config.run_config import RunConfig
from fintune.errors import UsageError
from fintune.evaluation.score import prepared_again
from fintune.records import Example, Prediction
from fintune.runs import manifest
from fintune.runs.files import OUT_OF_FOLD
from fintune.runs.run import Run
from fintune.runtime.files import locked
from fintune.runtime.progress import tell
from fintune.training.train import train

_FOLDER = "folds"


def out_of_fold(run: Run, folds: int) -> list[Prediction]:
    """Return the answers, in the order of the run's data, and write them. Raises UsageError where there is nothing to fold."""
    manifest.need_unchanged(run)
    prepared = prepared_again(run)
    _need_foldable(prepared, folds)
    folder = run.folder / _FOLDER
    with locked(folder, hint="Wait until it ends."):
        answers: dict[str, Prediction] = {}
        for fold in range(folds):
            tell("folds", f"fold {fold + 1} of {folds}")
            trained = train(_fold_config(run, prepared, folds, fold), resume=True)
            _need_fold(prepared, trained)
            answers |= {one.id: one for one in trained.predictions("validation")}
        predictions = [answers[e.id] for e in _learned(prepared) if e.id in answers]
        run.write_predictions(OUT_OF_FOLD, predictions)
        shutil.rmtree(folder, ignore_errors=True)
    return predictions


def _learned(prepared: Prepared) -> list[Example]:
    return [*prepared.splits["train"], *prepared.splits["validation"]]


def _need_foldable(prepared: Prepared, folds: int) -> None:
    data = prepared.config.data
    if data.validation is not None:
        raise UsageError(
            "--folds: the run's validation part is a file of its own, so there is nothing to fold",
            hint="Leave --folds out: it is calibrated on that part.",
        )
    if data.split.folds:
        raise UsageError(
            f"--folds: the run is fold {data.split.fold} of {data.split.folds} itself",
            hint="Calibrate a run that is trained without data.split.folds.",
        )
    if (most := len(_learned(prepared)) // 2) < folds:
        raise UsageError(f"--folds {folds}: {2 * most} texts to fold", hint=f"Give 2 to {most}.")


def _fold_config(run: Run, prepared: Prepared, folds: int, fold: int) -> RunConfig:
    """Return the run's settings for one fold: at the epoch the run kept, scored on what it has not seen, and on nothing else."""
    return prepared.config.with_(
        name=f"{folds}-{fold}",
        output=str(run.folder / _FOLDER),
        data__split__folds=folds,
        data__split__fold=fold,
        train__keep=run.kept_epoch(),
        evaluation__test=False,
        evaluation__baselines=[],
        evaluation__forgetting=False,
    )


def _need_fold(prepared: Prepared, trained: Run) -> None:
    """Refuse a fold that holds what the run is tested on."""
    held = {e.id for part, examples in prepared.splits.parts.items() if part == "test" for e in examples}
    judged = trained.data()["ids"]["validation"]
    if inside := [one for one in judged if one in held]:
        raise UsageError(
            f"--folds: {len(inside)} texts of the run's test part would be calibrated on, first {inside[0]}",
            hint="Leave --folds out: it is calibrated on the validation part.",
        )
