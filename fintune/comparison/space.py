"""Where a search looks: for each setting a range, derived from the setting's own type, bounds and present value.

Example:
    space(config, ["r=4:64"])
    # [Range(key='method.r', low=4.0, high=64.0, log=True, whole=True, choices=())]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fintune.config.run_config import RunConfig
from fintune.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from optuna import Trial

Choice = str | float | bool | None
"""A value of a setting: a name, a number, a truth value or nothing."""
AROUND = 10.0
"""Factor by which a float without an upper bound is tried below and above its present value."""
AROUND_WHOLE = 4
"""The same factor for a whole number."""
_NOT_SEARCHED = ("name", "seed", "epochs")
"""Names that would change the budget, or are no settings."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, on a logarithmic scale where `log`, or one of `choices`."""

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[Choice, ...] = ()

    def suggest(self, trial: "Trial") -> Choice:
        """Return a value of an Optuna trial."""
        if self.choices:
            return trial.suggest_categorical(self.key, list(self.choices))
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return float(f"{trial.suggest_float(self.key, self.low, self.high, log=self.log):.4g}")


def space(config: RunConfig, settings: Sequence[str]) -> list[Range]:
    """Return a range for each setting, named as `r`, `train.warmup_ratio`, or with its range as `r=4:64`. Raises UsageError."""
    if not settings:
        raise UsageError("--search: no setting named", hint="Example: --search learning_rate,r --trials 20")
    return [_range(config, setting) for setting in dict.fromkeys(settings)]


def _range(config: RunConfig, setting: str) -> Range:
    name, equals, bounds = setting.partition("=")
    key, section, field = _field(config, name.strip())
    kind = _kind(field)
    if equals:
        low, high = _bounds(setting, bounds)
        lowest, highest = _limits(field)
        if low < lowest or high > highest:
            raise UsageError(f"--search {setting}: beyond what {key} may be", hint="Give a narrower range.")
        return Range(key=key, low=low, high=high, log=low > 0 and high / low >= AROUND, whole=kind is int)
    if choices := _choices(field):
        return Range(key, choices=choices)
    if kind is None:
        raise UsageError(f"--search {name}: {key} is neither a number nor a choice", hint="Search other settings.")
    return _around(key, getattr(section, key.split(".")[1]), kind, *_limits(field))


def _around(key: str, value: object, kind: type, lowest: float, highest: float) -> Range:
    """All that the setting may be, where that is bounded on both sides; otherwise around the present value."""
    whole = kind is int
    if math.isfinite(lowest) and math.isfinite(highest) and highest <= 1:
        return Range(key=key, low=lowest, high=highest, whole=whole)
    if not isinstance(value, int | float) or value <= 0:
        raise UsageError(f"--search {key}: no number to search around ({value})", hint=f"Give a range: {key}=LOW:HIGH")
    factor = AROUND_WHOLE if whole else AROUND
    low, high = max(value / factor, lowest, 1 if whole else 0), min(value * factor, highest)
    return Range(key=key, low=int(low) if whole else low, high=int(high) if whole else high, log=True, whole=whole)


def _field(config: RunConfig, name: str) -> tuple[str, BaseModel, FieldInfo]:
    """Return the whole key, section and field of a setting of the method or of training."""
    sections: dict[str, BaseModel] = {"method": config.method, "train": config.train}
    searchable = {
        f"{s}.{key}"
        for s, section in sections.items()
        for key in type(section).model_fields
        if key not in _NOT_SEARCHED
    }
    for key in (name, f"method.{name}", f"train.{name}"):
        if key in searchable:
            section = sections[key.split(".")[0]]
            return key, section, type(section).model_fields[key.split(".")[1]]
    plain = sorted(key.split(".")[1] for key in searchable)
    raise UsageError(f"--search {name}: no setting of train or of {config.method.name}", hint=did_you_mean(name, plain))


def _kind(field: FieldInfo) -> type | None:
    kinds = {field.annotation, *get_args(field.annotation)}
    return float if float in kinds else int if int in kinds else None


def _choices(field: FieldInfo) -> tuple[Choice, ...]:
    if field.annotation is bool:
        return (False, True)
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def _limits(field: FieldInfo) -> tuple[float, float]:
    """Return the least and the greatest value; infinite where there is none. Open ends are kept off a little."""
    bounds = {"ge": -math.inf, "gt": -math.inf, "le": math.inf, "lt": math.inf}
    for constraint in field.metadata:
        bounds |= {name: getattr(constraint, name) for name in bounds if hasattr(constraint, name)}
    return max(bounds["ge"], bounds["gt"] + 1e-6), min(bounds["le"], bounds["lt"] - 1e-6)


def _bounds(setting: str, text: str) -> tuple[float, float]:
    try:
        low, high = (float(number) for number in text.split(":"))
    except ValueError:
        low, high = 1.0, 0.0
    if low >= high:
        raise UsageError(f"--search {setting}: not a range", hint="Example: --search learning_rate=1e-5:1e-3")
    return low, high
