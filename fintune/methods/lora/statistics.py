"""What the layers of a model are fed while it reads examples: its moments, or its covariance.

Example:
    inputs({"model.layers.0.mlp.up_proj": layer}, losses, Moments)["model.layers.0.mlp.up_proj"].directions(8)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from fintune.runtime.progress import track

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fintune.models.annotations import Loss


class Moments:
    """Mean and scatter of a layer's inputs, summed text by text, about the first text's mean to lose no digits."""

    def __init__(self) -> None:
        self._count = 0
        self._center: torch.Tensor
        self._sum: torch.Tensor
        self._scatter: torch.Tensor

    def add(self, inputs: "torch.Tensor") -> None:
        """Count in the inputs of a text, `(tokens, features)`."""
        import torch

        if not self._count:
            self._center = inputs.mean(dim=0)
            self._sum = torch.zeros_like(self._center)
            self._scatter = self._sum.new_zeros((len(self._sum), len(self._sum)))
        off = inputs - self._center
        self._count += len(off)
        self._sum = self._sum + off.sum(dim=0)
        self._scatter = self._scatter + off.T @ off

    def directions(self, most: int) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return shares of the variance, falling, and the at most so many directions that bear them, `(n, features)`."""
        import torch
        from scipy.linalg import eigh

        mean = self._sum.double() / self._count
        scatter = (self._scatter.double() - self._count * torch.outer(mean, mean)).cpu().numpy()
        size = len(scatter)
        wanted = (size - min(most, self._count - 1, size), size - 1)
        values, vectors = eigh(scatter, subset_by_index=wanted)  # the leading ones alone: four times as fast as all
        rows = torch.from_numpy(vectors.T[::-1].copy())
        largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
        return torch.from_numpy(values[::-1].copy()) / scatter.trace(), rows * largest.sign()


class Covariance:
    """Inputs of a layer squared, each text scaled to its largest value; the mean over texts."""

    def __init__(self) -> None:
        self._count = 0
        self._total: torch.Tensor

    def add(self, inputs: "torch.Tensor") -> None:
        """Count in the inputs of a text, `(tokens, features)`."""
        scaled = inputs / inputs.abs().max().clamp(min=1e-12)
        square = scaled.T @ scaled
        self._total = self._total + square if self._count else square
        self._count += 1

    def mean(self) -> "torch.Tensor":
        """Return the mean over texts, `(features, features)`."""
        return self._total / self._count


S = TypeVar("S", Moments, Covariance)


def inputs(layers: "Mapping[str, nn.Module]", losses: "Sequence[Loss]", kind: type[S]) -> dict[str, S]:
    """Return a `kind` for each layer, of its inputs over all examples; layers that are fed the same share one.

    Layers that the examples do not reach (those of a vision tower) are left out.
    """
    import torch

    with torch.no_grad():
        same = _fed_alike(layers, losses[0])
        statistics = {first: kind() for first in same.values()}
        with _watched(
            {name: layers[name] for name in statistics},
            lambda name, fed: statistics[name].add(fed.flatten(0, -2).float()),
        ):
            for loss in track(losses, "start"):
                loss()
    return {name: statistics[first] for name, first in same.items()}


def _fed_alike(layers: "Mapping[str, nn.Module]", loss: "Loss") -> dict[str, str]:
    """Return the first layer that is fed the very same tensor, for each layer: query, key and value share theirs."""
    fed: list[tuple[str, torch.Tensor]] = []
    with _watched(layers, lambda name, tensor: fed.append((name, tensor))):
        loss()
    first: dict[int, str] = {}
    for name, tensor in fed:
        first.setdefault(tensor.data_ptr(), name)
    return {name: first[tensor.data_ptr()] for name, tensor in fed}


@contextmanager
def _watched(layers: "Mapping[str, nn.Module]", see: "Callable[[str, torch.Tensor], None]") -> Iterator[None]:
    """Have `see` called with a layer's name and its input, `(1, tokens, features)`, whenever it is called."""

    def hook(name: str) -> "Callable[[nn.Module, tuple[torch.Tensor, ...]], None]":
        return lambda _, arguments: see(name, arguments[0].detach())

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
