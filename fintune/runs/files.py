"""Names of the files in a run's folder: a new one is added here, and whoever keeps, checks or removes runs knows it.

>>> bool(OWN.fullmatch("predictions.test.tfidf.jsonl")), bool(OWN.fullmatch("thesis.docx"))
(True, False)
"""

import re
from pathlib import Path

from fintune.errors import RunError
from fintune.methods import fintune_format

MARK = "INCOMPLETE"
"""Stands in a run's folder while the run is being made."""
MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
DRIFT = "drift.jsonl"
OUT_OF_FOLD = "oof"
"""The part of predictions.oof.jsonl: what train and validation hold, each answered by a model that has learned from the others."""
FILES = (
    "config.yaml",
    "data.json",
    "environment.json",
    "scores.json",
    "forgetting.json",
    CALIBRATION,
    DRIFT,
    "attributions.json",
    MANIFEST,
    "log.jsonl",
    "dropped.jsonl",
    "README.md",
    "report.html",
)
"""Every file of a run with a name of its own; the patterns of the others are in `OWN`."""
KEPT_WITH_ADAPTER = (
    "config.yaml",
    MANIFEST,
    "data.json",
    "environment.json",
    "scores.json",
    "log.jsonl",
    "README.md",
    "predictions.validation.jsonl",
    CALIBRATION,
)
"""Files of a run that go with its adapter into the store: what it takes to use it and to prove it."""
OWN = re.compile(
    "|".join(map(re.escape, (MARK, *FILES)))
    + r"|engine\.\w+\.json|predictions\.\w+(\.[\w-]+)?\.jsonl"
    + r"|(adapter|\.adapter\.(new|old))(/((fintune_adapter|adapter_config)\.json|(fintune_adapter|adapter_model)\.safetensors|README\.md))?"
    + r"|(checkpoints|tensorboard|exports|folds|\.folds\.lock)(/.*)?|\..+\.tmp"
)
"""Paths that a run's folder holds; a folder that holds others is somebody else's and never removed."""


def need_no_run_file(path: Path) -> None:
    """Refuse to write over what a run's folder holds. Raises RunError."""
    for folder in path.absolute().parents:
        if (folder / MANIFEST).is_file() and OWN.fullmatch(path.absolute().relative_to(folder).as_posix()):
            raise RunError(f"{path}: is a file of the run in {folder}", hint="Name another output.")


def weights_of(adapter: Path) -> Path:
    """Return the file of an adapter's weights, in FinTune's own format or in PEFT's."""
    own = (adapter / fintune_format.SETTINGS).is_file()
    return adapter / (fintune_format.WEIGHTS if own else "adapter_model.safetensors")
