"""New texts through a run, and whether they are still like those it was made of; a line of history a call, for cron.

Example:
    monitor(Run.open("runs/phrasebank-fast"), "today.csv").alarm
    # False
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from fintune.data.readers.read import Reading, read
from fintune.errors import DataError
from fintune.evaluation.drift import FEWEST_TEXTS, MOST_TEXTS, Drift, Traits, drift, words_of
from fintune.evaluation.score import prepared_again
from fintune.inference.predictor import Predictor
from fintune.records import Prediction, Row
from fintune.runs.files import DRIFT, OUT_OF_FOLD
from fintune.runs.run import Run
from fintune.runtime.files import sha256
from fintune.runtime.printable import legible, one_line


def texts_to_watch(path: str, reading: Reading, most: int = MOST_TEXTS) -> list[Row]:
    """Return the texts of a file, or as many of them at random, in order. Raises DataError for too few to say anything."""
    rows = [row for row in read(path, reading) if legible(row.text)]
    if len(rows) < FEWEST_TEXTS:
        raise DataError(
            f"{path}: {len(rows)} texts, and drift is told from {FEWEST_TEXTS} on", hint="Collect more before asking."
        )
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
    return [rows[i] for i in chosen.tolist()]


def reference_of(run: Run) -> list[Prediction]:
    """Return answers to texts like the run's own that it has not learned from. Raises DataError for too few."""
    part = OUT_OF_FOLD if run.has_predictions(OUT_OF_FOLD) else "validation"
    known = run.predictions(part)
    if len(known) < FEWEST_TEXTS:
        raise DataError(
            f"{run.folder}: {len(known)} {part} texts to compare with, and {FEWEST_TEXTS} are the least",
            hint=f"Make out-of-fold answers of the training part: fintune calibrate {run.folder} --folds 5",
        )
    return known


def monitor(run: Run, path: str, rows: Sequence[Row], predictor: Predictor, *, level: float = 0.05) -> Drift:
    """Return how new texts differ, and add a line to the run's drift.jsonl."""
    reference = reference_of(run)
    vocabulary = words_of(example.text for example in prepared_again(run).splits["train"])
    answers = predictor([row.fields for row in rows], [row.id for row in rows])
    result = drift(Traits.of(reference, vocabulary), Traits.of(answers, vocabulary), level=level)
    line = {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "file": one_line(path),
        "sha256": sha256(Path(path)) if Path(path).is_file() else None,
        "alarm": result.alarm,
        **asdict(result),
    }
    run.append_line(DRIFT, line)
    return result
