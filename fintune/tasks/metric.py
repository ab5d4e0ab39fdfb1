"""What a metric is: how it is written, and which way is better; the task that names it computes it.

>>> LOSSES[0].written(0.3214), LOSSES[0].gain(0.3214)
('0.321', -0.3214)
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a metric is written, and which way is better; the task that names it computes it."""

    name: str
    title: str
    """What tables call it."""
    zh: str = ""
    """What the Chinese page calls it."""
    share: bool = True
    """Whether it is written in per cent."""
    digits: int = 1
    greater_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    """Bounds of its values: resampled means are cut off there."""
    of_right_answers: bool = False
    """Whether it is the share of right answers, for which an exact test exists (McNemar)."""
    hub: str = ""
    """Its name on the Hugging Face hub, where model cards are compared."""

    def figure(self, value: float, sign: str = "") -> str:
        """Return a value as tables have it, without a unit."""
        return f"{100 * value if self.share else value:{sign}.{self.digits}f}"

    def written(self, value: float, sign: str = "") -> str:
        """Return a value as sentences have it."""
        return f"{self.figure(value, sign)} %" if self.share else self.figure(value, sign)

    def gain(self, value: float) -> float:
        """Return what is larger the better the value is."""
        return value if self.greater_is_better else -value


LOSSES = (
    Metric(name="answer_loss", title="answer loss", zh="答案损失", share=False, digits=3, greater_is_better=False, high=math.inf),
    Metric(name="perplexity", title="perplexity", zh="困惑度", share=False, digits=3, greater_is_better=False, low=1.0, high=math.inf),
)  # fmt: skip
"""Metrics of every task whose gold answers have a probability."""
