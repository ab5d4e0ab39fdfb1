"""Fine-tune a language model on labeled financial text, on the hardware you have, with honest scores.

Example:
    import fintune
    run = fintune.train({"data": {"path": "news.csv"}})
    fintune.load(run)(["Operating loss narrowed to EUR 2 mn."])[0].answer
    # 'positive'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fintune.runtime.environment import settle

if TYPE_CHECKING:
    from fintune.config.plugins import load_code
    from fintune.config.run_config import RunConfig
    from fintune.inference.predictor import Predictor, load
    from fintune.records import Prediction
    from fintune.runs.run import Run
    from fintune.training.train import train

_PUBLIC = {
    "Prediction": "records",
    "Predictor": "inference.predictor",
    "Run": "runs.run",
    "RunConfig": "config.run_config",
    "load": "inference.predictor",
    "load_code": "config.plugins",
    "train": "training.train",
}
settle()  # MKL has to know before torch first computes

__all__ = ["Prediction", "Predictor", "Run", "RunConfig", "load", "load_code", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import fintune` stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fintune' has no attribute '{name}'")
    return getattr(import_module(f"fintune.{_PUBLIC[name]}"), name)
