"""Fine-tune a language model on labelled financial text, on the hardware you have, with honest scores.

>>> import fintune
>>> run = fintune.train({"data": {"path": "news.csv"}})
>>> fintune.load(run)(["Operating loss narrowed to EUR 2 mn."])[0].label
'positive'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fintune.environment import settle

if TYPE_CHECKING:
    from fintune.own_code import load_code
    from fintune.pipeline import train
    from fintune.predictor import Predictor, load
    from fintune.records import Prediction
    from fintune.run import Run
    from fintune.sections import RunConfig

_PUBLIC = {
    "Prediction": "records",
    "Predictor": "predictor",
    "Run": "run",
    "RunConfig": "config",
    "load": "predictor",
    "load_code": "own_code",
    "train": "pipeline",
}
settle()  # MKL has to know before torch first computes

__all__ = ["Prediction", "Predictor", "Run", "RunConfig", "load", "load_code", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import fintune` stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fintune' has no attribute '{name}'")
    return getattr(import_module(f"fintune.{_PUBLIC[name]}"), name)
