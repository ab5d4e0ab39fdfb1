"""A run folder, or a plain model folder and a task, as something to call on texts.

Example:
    predictor = load("runs/phrasebank-lora")
    predictor(["Operating loss narrowed to EUR 2 mn."])
    # [Prediction(id='1', fields={'text': 'Operating ...'}, answer='positive', written='positive', probabilities={...}, gold=None)]
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from fintune.config.load import load as load_config
from fintune.data.readers.read import need_text
from fintune.errors import DataError, RunError, UsageError
from fintune.inference.answer import predict
from fintune.inference.engines import Engine
from fintune.inference.foreign import Use, is_adapter
from fintune.inference.load import engine
from fintune.records import Example, Prediction
from fintune.runs.adapter_store import place_of
from fintune.runs.exported import EXPORT_SETTINGS
from fintune.runtime.printable import legible
from fintune.runtime.progress import tell
from fintune.tasks import Task
from fintune.tasks.protocol import asked_fields

if TYPE_CHECKING:
    from fintune.inference.calibration.record import Calibration
    from fintune.inference.calibration.rules import CostsByLabel, Rule
    from fintune.inference.open import ChosenEngine, Trained


class Predictor:
    """Answers texts: loaded once, called as often and from as many threads as one likes; answers are those of one thread.

    With a calibration probabilities are corrected and sets of labels given; with a rule too, it decides which answers stand.
    """

    def __init__(
        self, running: Engine, task: Task, calibration: "Calibration | None" = None, rule: "Rule | None" = None
    ) -> None:
        self.engine = running
        self.task = task
        self.calibration, self.rule = calibration, rule

    def __call__(self, texts: Iterable[str | Mapping[str, str]], ids: Iterable[str] | None = None) -> list[Prediction]:
        """Return a Prediction for each text, in order; ids count from 1 when left out.

        Texts are any iterable of str, or where the prompt reads several columns, of mappings that have these; it is read to its
        end first.

        Raises TypeError for what holds no texts, ValueError for another number of ids, DataError for a text with nothing to read.
        """
        examples = examples_of(self.task, texts, ids)
        if not examples:
            return []
        answered = predict(self.engine, self.task, examples)
        if cut := int((answered.cut > 0).sum()):
            tell("data", f"{cut} of {len(examples)} texts exceed model.max_length and lost their middle")
        if self.calibration is None:
            return answered.predictions
        return self.calibration.applied(answered.predictions, self.task, self.rule)


def examples_of(
    task: Task, texts: Iterable[str | Mapping[str, str]], ids: Iterable[str] | None = None
) -> list[Example]:
    """Return texts as examples to be answered, checked. Raises as Predictor does."""
    if isinstance(texts, (str, bytes, Mapping)) or getattr(texts, "ndim", 1) != 1:
        what = "one text" if isinstance(texts, str) else f"a {type(texts).__name__}"
        raise TypeError(f"takes a list of texts, not {what}")
    whole = list(texts)
    names = [str(i) for i in range(1, len(whole) + 1)] if ids is None else list(ids)
    if len(names) != len(whole):
        raise ValueError(f"{len(names)} ids for {len(whole)} texts")
    return [Example(name, _fields(task, text, name), None) for name, text in zip(names, whole, strict=True)]


def _fields(task: Task, text: object, name: str) -> dict[str, str]:
    """Return what the prompt reads of a text."""
    asked = asked_fields(task)
    given = {asked[0]: text} if isinstance(text, str) and len(asked) == 1 else text
    if not isinstance(given, Mapping):
        wanted = "str" if len(asked) == 1 else f"a mapping with {', '.join(asked)}"
        raise TypeError(f"text {name} is {type(text).__name__}, not {wanted}")
    if lacking := [field for field in asked if not isinstance(given.get(field), str)]:
        missing = lacking[0] not in given
        what = f"no '{lacking[0]}'" if missing else f"'{lacking[0]}' is {type(given[lacking[0]]).__name__}, not str"
        raise DataError(f"text {name}: {what}, which the prompt reads", hint=f"Give it {', '.join(asked)}.")
    fields = {field: given[field] for field in asked}
    for value in fields.values():
        need_text(value, f"text {name}")
    if not any(map(legible, fields.values())):
        raise DataError(f"text {name}: is empty, or nothing in it can be read", hint="Leave it out.")
    return fields


def load(
    source: "Trained | str | Path",
    *,
    device: str = "auto",
    engine_name: str = "torch",
    max_error: float | None = None,
    costs: "CostsByLabel | None" = None,
    **use: Unpack[Use],
) -> Predictor:
    """Return a predictor from a run, an export, an adapter with its base and task, or a model folder with its task.

    `engine_name` is one of ENGINES; of an export or a model folder, torch alone. `max_error`: answers abstain below the confidence
    from which on a calibrated run is known to be wrong at most so often, such as 0.01. `costs`, {right label: {answer: cost}}, also of
    `abstain`: the answer is what is expected to cost least. Raises RunError, ModelError or UsageError.
    """
    from fintune.inference.open import choose_engine, open_trained
    from fintune.runtime.turns import loading

    with loading():
        if not isinstance(source, (str, Path)):
            chosen = choose_engine(source, engine_name)
            return predictor_of(chosen, chosen.rule(max_error, costs), device=device)
        if _is_model(folder := place_of(source)):
            if max_error is not None or costs is not None:
                raise UsageError(f"{folder}: is a model without a calibration", hint="Name a run.")
            return _zero_shot(folder, device, use.get("task"))
        chosen = choose_engine(open_trained(source, **use), engine_name)
        return predictor_of(chosen, chosen.rule(max_error, costs), device=device)


def predictor_of(chosen: "ChosenEngine", rule: "Rule | None" = None, *, device: str = "auto") -> Predictor:
    """Return a predictor on an engine that has been chosen, its weights loaded. Raises RunError, ModelError or UsageError."""
    from fintune.runtime.turns import loading

    with loading():
        task = chosen.source.config().build_task()
        return Predictor(chosen.open(device=device), task, chosen.calibration, rule)


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
    return Predictor(engine(config, load_model(str(folder), device=device)), config.build_task())
