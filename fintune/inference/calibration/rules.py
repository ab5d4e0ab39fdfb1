"""Which answer stands and which goes to a person: by how sure it is, or by what each mistake costs.

>>> rule = CostRule.of({"down": {"up": 10, "abstain": 1}, "up": {"down": 2, "abstain": 1}}, ["down", "up"])
>>> answers, abstain = rule(np.array([[0.95, 0.05], [0.3, 0.7], [0.06, 0.94]]), np.array([0, 1, 1]))
>>> answers.tolist(), abstain.tolist()
([0, 0, 1], [False, True, False])
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import JsonValue, TypeAdapter

from fintune.errors import UsageError
from fintune.inference.calibration.abstention import cheapest
from fintune.runtime.untrusted import BrokenYaml, parse_yaml, read_text
from fintune.tasks.arrays import Bools, Floats, Ints

ABSTAIN = "abstain"
"""What the decision is called that leaves an answer to a person."""
CostsByLabel = Mapping[str, Mapping[str, float]]
"""The right label -> a decision -> what it costs."""


@dataclass(frozen=True)
class SureEnough:
    """The answer as it is; below a confidence it abstains."""

    confidence: float

    def __call__(self, probabilities: Floats, answers: Ints) -> tuple[Ints, Bools]:
        """Return places of the answers, and which abstain, `(n,)` each, from probabilities `(n, choices)` and the task's answers."""
        return answers, probabilities[np.arange(len(answers)), answers] < self.confidence

    def record(self) -> JsonValue:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class CostRule:
    """The choice that is expected to cost least; where a person's look costs less, it abstains."""

    costs: tuple[tuple[float, ...], ...]
    """`(choices, choices)`: of each right choice, what each answer costs."""
    looks: tuple[float, ...]
    """What a person's look costs, by right choice; inf where it is not to be had."""

    @classmethod
    def of(cls, costs: CostsByLabel, choices: Sequence[str]) -> "CostRule":
        """Return the rule of costs by label. Raises UsageError for labels or costs that are missing, unknown or below 0."""
        _need_labels("", costs, choices)
        for right, row in costs.items():
            _need_labels(f" of {right}", row, [one for one in choices if one != right], optional=(right, ABSTAIN))
            if wrong := [name for name, cost in row.items() if not 0 <= cost < np.inf]:
                raise UsageError(f"costs of {right}: {wrong[0]} costs {row[wrong[0]]}", hint="Give 0 or more.")
        if 0 < sum(ABSTAIN in row for row in costs.values()) < len(costs):
            raise UsageError(f"costs: {ABSTAIN} is in some rows only", hint="Give it in each, or in none.")
        return cls(
            tuple(tuple(float(costs[right].get(one, 0.0)) for one in choices) for right in choices),
            tuple(float(costs[right].get(ABSTAIN, np.inf)) for right in choices),
        )

    def __call__(self, probabilities: Floats, answers: Ints) -> tuple[Ints, Bools]:
        """Return the same as SureEnough; what the task would answer does not count."""
        decisions, least = cheapest(probabilities, np.array(self.costs))
        if np.isinf(self.looks).any():
            return decisions, np.zeros(len(answers), dtype=bool)
        return decisions, probabilities @ np.array(self.looks) < least

    def record(self) -> JsonValue:
        """Return it as JSON has it."""
        return {"costs": [list(row) for row in self.costs], "looks": [str(one) for one in self.looks]}


Rule = SureEnough | CostRule


def read_costs(path: Path) -> CostsByLabel:
    """Return costs from a YAML or JSON file. Raises UsageError for what holds none."""
    try:
        content = parse_yaml(read_text(path))
        return TypeAdapter(dict[str, dict[str, float]]).validate_python(content)
    except (BrokenYaml, ValueError, OSError):
        raise UsageError(
            f"{path}: no costs", hint="Write them as {right label: {answer: cost, abstain: cost}}, in YAML or JSON."
        ) from None


def _need_labels(
    whose: str, names: Mapping[str, object], needed: Sequence[str], *, optional: Sequence[str] = ()
) -> None:
    allowed = f"Give {', '.join(needed)}" + (f"; you may give {', '.join(optional)}." if optional else ".")
    if lacking := [name for name in needed if name not in names]:
        raise UsageError(f"costs{whose}: none for {lacking[0]}", hint=allowed)
    if unknown := [name for name in names if name not in (*needed, *optional)]:
        raise UsageError(f"costs{whose}: {unknown[0]} is no label here", hint=allowed)
