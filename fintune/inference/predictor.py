"""A run folder, or a plain model folder and a task, as something to call on texts.

>>> predictor = load("runs/phrasebank-lora")
>>> predictor(["Operating loss narrowed to EUR 2 mn."])
[Prediction(id='1', text='Operating loss narrowed ...', answer='positive', label='positive', probabilities={...}, gold=None)]
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from fintune.config.load import load as load_config
from fintune.config.run_config import RunConfig
from fintune.data.readers.read import need_text
from fintune.errors import DataError, RunError
from fintune.inference.answer import predict
from fintune.inference.engines import Engine
from fintune.inference.foreign import Use, is_adapter
from fintune.inference.load import engine
from fintune.records import Prediction
from fintune.runs.adapter_store import place_of
from fintune.runs.exported import EXPORT_SETTINGS
from fintune.runtime.printable import legible
from fintune.runtime.progress import tell
from fintune.tasks import Task

if TYPE_CHECKING:
    from fintune.inference.open import ChosenEngine, Trained


class Predictor:
    """Classifies texts: loaded once, called as often and from as many threads as one likes; answers are those of one thread."""

    def __init__(self, running: Engine, task: Task) -> None:
        self.engine = running
        self.task = task

    def __call__(self, texts: Iterable[str], ids: Iterable[str] | None = None) -> list[Prediction]:
        """Return a Prediction for each text, in order; ids count from 1 when left out.

        Texts are any iterable of str: it is read to its end first.

        Raises TypeError for what holds no texts, ValueError for another number of ids, DataError for a text with nothing to read.
        """
        whole, names = named(texts, ids)
        if not whole:
            return []
        predictions, ranking = predict(self.engine, self.task, whole, names)
        if cut := int((ranking.cut > 0).sum()):
            tell("data", f"{cut} of {len(whole)} texts exceed model.max_length and lost their middle")
        return predictions


def named(texts: Iterable[str], ids: Iterable[str] | None = None) -> tuple[list[str], list[str]]:
    """Return texts and their ids as lists, checked. Raises as Predictor does."""
    if isinstance(texts, (str, bytes, Mapping)) or getattr(texts, "ndim", 1) != 1:
        what = "one text" if isinstance(texts, str) else f"a {type(texts).__name__}"
        raise TypeError(f"takes a list of texts, not {what}")
    whole = list(texts)
    names = [str(i) for i in range(1, len(whole) + 1)] if ids is None else list(ids)
    if len(names) != len(whole):
        raise ValueError(f"{len(names)} ids for {len(whole)} texts")
    for name, text in zip(names, whole, strict=True):
        if not isinstance(text, str):
            raise TypeError(f"text {name} is {type(text).__name__}, not str")
        need_text(text, f"text {name}")
        if not legible(text):
            raise DataError(f"text {name}: is empty, or nothing in it can be read", hint="Leave it out.")
    return whole, names


def load(
    source: "Trained | str | Path",
    *,
    device: str = "auto",
    engine_name: str = "torch",
    **use: Unpack[Use],
) -> Predictor:
    """Return a predictor from a run, an export, an adapter with its base and task, or a model folder with its task.

    `engine_name` is one of ENGINES; of an export or a model folder, torch alone. Raises RunError or ModelError.
    """
    from fintune.inference.open import choose_engine, open_trained
    from fintune.runtime.turns import loading

    with loading():
        if not isinstance(source, (str, Path)):
            return predictor_of(choose_engine(source, engine_name), device=device)
        if _is_model(folder := place_of(source)):
            return _zero_shot(folder, device, use.get("task"))
        return predictor_of(choose_engine(open_trained(source, **use), engine_name), device=device)


def predictor_of(chosen: "ChosenEngine", *, device: str = "auto") -> Predictor:
    """Return a predictor on an engine that has been chosen, its weights loaded. Raises RunError or ModelError."""
    from fintune.runtime.turns import loading

    with loading():
        return _predictor(chosen.source.config(), chosen.open(device=device))


def _is_model(folder: Path) -> bool:
    """Return whether a plain model lies there, and no run, export or adapter."""
    return (folder / "config.json").is_file() and not (
        is_adapter(folder) or any((folder / name).is_file() for name in (EXPORT_SETTINGS, "config.yaml"))
    )


def _zero_shot(folder: Path, device: str, task: object) -> Predictor:
    from fintune.models import load_model

    if not isinstance(task, Mapping):
        raise RunError(f"{folder}: a model folder does not say its task", hint='Pass task={"name": "sentiment"}.')
    config = load_config({"model": {"base": str(folder), "device": device}, "task": dict(task)})
    return _predictor(config, engine(config, load_model(str(folder), device=device)))


def _predictor(config: RunConfig, running: Engine) -> Predictor:
    return Predictor(running, config.build_task())
