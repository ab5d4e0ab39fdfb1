"""The states of a run's texts below its first trained block: computed once, then handed out as padded batches.

Example:
    cache = TrunkCache(trunk, [e.input_ids for e in encoded], base_sha256, limit=20 * 10**9)
    cache.fill(pad_id=0)
    cache.states([[2, 17, 5], [2, 9]]).shape
    # torch.Size([2, 3, 640])
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from fintune.models.batches import Side, pad, positions
from fintune.models.blocks import unwrap
from fintune.models.quantization import is_quantized
from fintune.models.shortcuts.trunk import Trunk
from fintune.models.shortcuts.trunk_store import Precision, Store, sequences_sha256
from fintune.runtime.environment import arithmetic
from fintune.runtime.progress import advance, tell

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOKENS = 2048
"""Padded tokens of a batch that fills the file"""
_MARK = 16
"""Batches between two marks of how far the file is filled"""


class TrunkCache:
    """States of the distinct token sequences of a run. Raises RunError when they pass `limit` bytes."""

    def __init__(
        self,
        trunk: Trunk,
        sequences: Sequence[Sequence[int]],
        base: str | None,
        *,
        limit: int,
        precision: Precision = "float32",
        root: Path | None = None,
    ) -> None:
        """Put the file under `root`: the user's cache, unless told."""
        self.trunk, self._limit = trunk, limit
        distinct = sorted({tuple(ids) for ids in sequences}, key=lambda ids: (-len(ids), ids))
        self._where = {ids: i for i, ids in enumerate(distinct)}
        self._starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum([len(ids) for ids in distinct])])
        self._sequences = distinct
        facts = {
            "base": base,
            "depth": trunk.depth,
            "kind": trunk.kind,
            "sequences": sequences_sha256(distinct),
            "arithmetic": arithmetic()
            | {"model": str(unwrap(trunk.model).dtype), "device": str(unwrap(trunk.model).device)},
            **_fewer_bits(unwrap(trunk.model)),
        }
        self._store = Store(facts, (int(self._starts[-1]), trunk.width), precision, root)
        self._states: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        size: int = self._store.size
        return size

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self._store.folder

    def fill(self, pad_id: int) -> None:
        """Compute what the file lacks; the model is left in the mode it was in. Another process at it is waited for."""
        what = f"below block {self.trunk.depth}" if self.trunk.kind == "causal" else "of the encoder"
        tell(
            "trunk",
            f"states {what} of {len(self._sequences):,} texts: {self.size / 1e6:,.0f} MB in {self._store.folder}",
        )
        self._store.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self._store.folder.with_suffix(".lock")):
            states = self._store.open(limit=self._limit)
            groups, done = self._groups(), self._store.done()
            if done and not self._is_sound(states, groups[0], pad_id):
                tell("trunk", "the file does not hold what the model gives: computing it anew")
                done = 0
            if done < len(groups):
                self._compute(states, groups, done, pad_id)
        self._states = states

    def knows(self, rows: Sequence[Sequence[int]]) -> bool:
        """Whether all of these are in the file."""
        return self._states is not None and all(tuple(ids) in self._where for ids in rows)

    def states(self, rows: Sequence[Sequence[int]], side: Side = "left") -> torch.Tensor:
        """Return states `(rows, longest, width)` in the model's precision, zeros where there is padding."""
        assert self._states is not None, "fill the cache first"
        longest = max(map(len, rows))
        padded = torch.zeros((len(rows), longest, self.trunk.width), dtype=unwrap(self.trunk.model).dtype)
        for i, ids in enumerate(rows):
            where = slice(longest - len(ids), longest) if side == "left" else slice(len(ids))
            padded[i, where] = self._states[self._slice(self._where[tuple(ids)])].to(padded.dtype)
        return padded

    def _slice(self, index: int) -> slice:
        return slice(int(self._starts[index]), int(self._starts[index + 1]))

    def _groups(self) -> list[range]:
        """Sequences of like length that are read together: always the same ones."""
        groups, start = [], 0
        while start < len(self._sequences):
            size = max(1, _TOKENS // max(1, len(self._sequences[start])))
            groups.append(range(start, min(start + size, len(self._sequences))))
            start = groups[-1].stop
        return groups

    def _is_sound(self, states: torch.Tensor, group: range, pad_id: int) -> bool:
        """Whether the first batch in the file is what the model gives now, to the bit."""
        where = slice(self._slice(group[0]).start, self._slice(group[-1]).stop)
        kept = states[where].clone()
        self._compute(states, [group], 0, pad_id, mark=False)
        return torch.equal(kept, states[where])

    def _compute(
        self, states: torch.Tensor, groups: Sequence[range], done: int, pad_id: int, *, mark: bool = True
    ) -> None:
        model = unwrap(self.trunk.model)
        training = model.training
        model.eval()
        try:
            with torch.inference_mode():
                for number in range(done, len(groups)):
                    self._read(states, groups[number], pad_id)
                    if mark and ((number + 1) % _MARK == 0 or number + 1 == len(groups)):
                        self._store.mark(number + 1)
                    advance("trunk", groups[number].stop, len(self._sequences))
        finally:
            model.train(training)

    def _read(self, states: torch.Tensor, group: range, pad_id: int) -> None:
        device = unwrap(self.trunk.model).device
        ids, mask = (t.to(device) for t in pad([self._sequences[i] for i in group], pad_id, "right"))
        more = {"position_ids": positions(mask)} if self.trunk.kind == "causal" else {}
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=states.dtype == torch.bfloat16):
            batch = self.trunk.read(ids, mask, **more).to("cpu", states.dtype)
        for row, index in zip(batch, group, strict=True):
            where = self._slice(index)
            states[where] = row[: where.stop - where.start]


def _fewer_bits(model: "PreTrainedModel") -> dict[str, object]:
    """Say how a quantized base is held: its states are not those of the same weights in full."""
    return {"quantization": str(model.config.quantization_config.to_dict())} if is_quantized(model) else {}
