"""One interface to run a model, whatever runs it."""

from fintune.inference.engines.protocol import Engine, Ranking

__all__ = ["Engine", "Ranking"]
