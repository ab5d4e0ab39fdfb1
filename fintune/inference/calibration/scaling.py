"""Maps from the probabilities a model gives to those it should: one entry each in SCALINGS.

>>> Temperature(temperature=2.0)(np.array([[0.9, 0.1]])).round(2).tolist()
[[0.75, 0.25]]
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fintune.tasks.arrays import Floats, Ints

_LEAST = 1e-12
"""Of a probability, where a logarithm is taken of it."""
_PRIOR = 1.0
"""Strength of the normal prior about leaving all as it is that keeps vector scaling finite on few rows."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Map(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Identity(_Map):
    """The probabilities as they are."""

    name: Literal["none"] = "none"

    def __call__(self, probabilities: Floats) -> Floats:
        """Return them, `(n, choices)`."""
        return probabilities


class Temperature(_Map):
    """p^(1/T), normalized: the order of choices stays (Guo et al. 2017, arXiv 1706.04599)."""

    name: Literal["temperature"] = "temperature"
    temperature: Positive

    def __call__(self, probabilities: Floats) -> Floats:
        """Return them scaled, `(n, choices)`."""
        return _softmax(_logs(probabilities) / self.temperature)


class VectorScaling(_Map):
    """A factor and an offset for the log-probability of each choice (Guo et al. 2017)."""

    name: Literal["vector"] = "vector"
    factors: tuple[Finite, ...]
    offsets: tuple[Finite, ...]

    def __call__(self, probabilities: Floats) -> Floats:
        """Return them scaled, `(n, choices)`."""
        return _softmax(_logs(probabilities) * np.array(self.factors) + np.array(self.offsets))


class Isotonic(_Map):
    """A rising step function for each choice against the others, normalized (Zadrozny & Elkan 2002)."""

    name: Literal["isotonic"] = "isotonic"
    probabilities: tuple[tuple[Finite, ...], ...]
    """Of each choice, the probabilities between which is interpolated."""
    shares: tuple[tuple[Finite, ...], ...]
    """What each of them stands for."""

    def __call__(self, probabilities: Floats) -> Floats:
        """Return them mapped, `(n, choices)`."""
        columns = [
            np.interp(column, at, share)
            for column, at, share in zip(probabilities.T, self.probabilities, self.shares, strict=True)
        ]
        return _normalized(np.column_stack(columns))


class PriorShift(_Map):
    """Other shares of the labels than those it was trained on (Saerens et al. 2002, equation 2.4)."""

    name: Literal["prior-shift"] = "prior-shift"
    ratios: tuple[Positive, ...]
    """Share of each choice where it is used, over that where it was trained."""

    def __call__(self, probabilities: Floats) -> Floats:
        """Return them as they are with these shares, `(n, choices)`."""
        return _normalized(probabilities * np.array(self.ratios))


Scaling = Annotated[Identity | Temperature | VectorScaling | Isotonic, Field(discriminator="name")]


@dataclass(frozen=True, kw_only=True)
class ScalingEntry:
    """A registry entry, the simpler first."""

    name: str
    summary: str
    fit: Callable[[Floats, Ints], Identity | Temperature | VectorScaling | Isotonic]
    """From probabilities `(n, choices)` and places of the right choices `(n,)`."""
    keeps_order: bool
    """Whether the most probable choice stays so."""


def fit_temperature(probabilities: Floats, gold: Ints) -> Temperature:
    """Return the temperature of least negative log-likelihood, between 0.05 and 20."""
    from scipy.optimize import minimize_scalar

    logs = _logs(probabilities)

    def loss(log_temperature: float) -> float:
        return nll_of(_softmax(logs / np.exp(log_temperature)), gold)

    optimum = minimize_scalar(loss, bounds=np.log([0.05, 20]), method="bounded")
    return Temperature(temperature=float(np.exp(optimum.x)))


def fit_vector(probabilities: Floats, gold: Ints) -> VectorScaling:
    """Return factors and offsets of least negative log-likelihood, drawn towards 1 and 0 as by one observation."""
    from scipy.optimize import minimize

    logs, (n, k) = _logs(probabilities), probabilities.shape
    right = np.eye(k)[gold]

    def loss(values: Floats) -> tuple[float, Floats]:
        factors, offsets = values[:k], values[k:]
        shares = _softmax(logs * factors + offsets)
        apart = (shares - right) / n
        strength = _PRIOR / n
        value = nll_of(shares, gold) + strength / 2 * (((factors - 1) ** 2).sum() + (offsets**2).sum())
        slope = np.concatenate([(apart * logs).sum(axis=0) + strength * (factors - 1), apart.sum(axis=0) + strength * offsets])  # fmt: skip
        return float(value), slope

    optimum = minimize(loss, np.concatenate([np.ones(k), np.zeros(k)]), jac=True, method="L-BFGS-B").x
    return VectorScaling(factors=tuple(map(float, optimum[:k])), offsets=tuple(map(float, optimum[k:])))


def fit_isotonic(probabilities: Floats, gold: Ints) -> Isotonic:
    """Return the step functions of least squares, kept from 0 and 1 by one observation in all."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(gold) + 2)
    at, shares = [], []
    for choice, column in enumerate(probabilities.T):
        fitted = IsotonicRegression(y_min=least, y_max=1 - least).fit(column, gold == choice)
        at.append(tuple(map(float, fitted.X_thresholds_)))
        shares.append(tuple(map(float, fitted.y_thresholds_)))
    return Isotonic(probabilities=tuple(at), shares=tuple(shares))


SCALINGS: Mapping[str, ScalingEntry] = {
    entry.name: entry
    for entry in (
        ScalingEntry(name="none", summary="as the model gives them", fit=lambda p, gold: Identity(), keeps_order=True),
        ScalingEntry(
            name="temperature", summary="one temperature for all choices", fit=fit_temperature, keeps_order=True
        ),
        ScalingEntry(
            name="vector", summary="a factor and an offset for each choice", fit=fit_vector, keeps_order=False
        ),
        ScalingEntry(
            name="isotonic", summary="a rising step function for each choice", fit=fit_isotonic, keeps_order=False
        ),
    )
}


def shift_of(trained: Floats, used: Floats) -> PriorShift:
    """Return the map from shares of labels in training to those where the model is used, `(choices,)` each."""
    return PriorShift(ratios=tuple(map(float, used / trained)))


def estimated_shares(probabilities: Floats, trained: Floats, *, rounds: int = 1000, tolerance: float = 1e-8) -> Floats:
    """Return the shares of the choices among unlabeled texts, `(choices,)`, by expectation maximization (Saerens et al. 2002)."""
    shares = trained.copy()
    for _ in range(rounds):
        former, shares = shares, _normalized(probabilities * shares / trained).mean(axis=0)
        if float(np.abs(shares - former).max()) < tolerance:
            break
    return shares


def nll_of(probabilities: Floats, gold: Ints) -> float:
    """Return the mean negative log-likelihood of the right choices, in nats."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(gold)), gold], _LEAST)).mean())


def _logs(probabilities: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(probabilities, _LEAST))
    return logs


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return _normalized(powers)


def _normalized(weights: Floats) -> Floats:
    shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return shares
