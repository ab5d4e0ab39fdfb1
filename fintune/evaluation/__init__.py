"""How good a model is, and against what: scoring with intervals, and the baselines beside it."""

from fintune.evaluation.evaluate import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
