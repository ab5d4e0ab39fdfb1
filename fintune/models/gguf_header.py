"""The header of a .gguf file gone through before any library reads it: its counts and lengths fit the file.

Layout: github.com/ggml-org/ggml, docs/gguf.md.

Example:
    need_whole(Path("model.gguf"))
"""

import struct
from collections.abc import Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path

from fintune.errors import ModelError
from fintune.runtime.untrusted import open_plain

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a number by its type."""
_WORD, _LIST = 8, 9
"""Types of the two other kinds of value."""
_MOST_VALUES = 4_000_000
"""Values of all lists together; tokenizers of 262,144 pieces have some 1,300,000, and libraries go through them one by one"""
_MOST_DIMENSIONS = 8
_ALIGNMENT = 32
_BLOCKS = ("num_hidden_layers", "num_layers", "num_decoder_layers", "n_layer", "encoder_layers", "decoder_layers")


def need_whole(file: Path) -> None:
    """Raise ModelError where the header does not fit the file, or ends before it does."""
    with open_plain(file) as opened:
        try:
            with mmap(opened.fileno(), 0, access=ACCESS_READ) as content:
                _Header(content).check()
        except (ValueError, struct.error, UnicodeDecodeError) as error:
            message = "ends in its header" if isinstance(error, struct.error) else str(error)
            raise ModelError(f"{file}: damaged: {message}", hint="Copy it again.") from None


def need_blocks(file: Path, settings: Mapping[str, object], tensors: int) -> None:
    """Raise ModelError where settings name more blocks than there are tensors: all of them would be made first."""
    parts = [settings, *(part for part in settings.values() if isinstance(part, Mapping))]
    counts = [part.get(name) for part in parts for name in _BLOCKS]
    most = max((count for count in counts if isinstance(count, int)), default=0)
    if most > tensors:
        raise ModelError(
            f"{file}: {most:,} blocks, and {tensors:,} tensors in the weights", hint="Copy the model again."
        )


class _Header:
    def __init__(self, content: mmap) -> None:
        self._content, self._at, self._order = content, 4, "<"
        self._values, self._alignment = 0, _ALIGNMENT

    def check(self) -> None:
        """Raise ValueError or struct.error."""
        if self._content[:4] != b"GGUF":
            raise ValueError("not a .gguf file")
        if self._number("I") & 0xFFFF == 0:
            self._order = ">"
        tensors, fields = self._count(24), self._count(13)
        for _ in range(fields):
            name = self._word()
            self._value(self._number("I"), name)
        ends = [self._tensor() for _ in range(tensors)]
        begin = -(-self._at // self._alignment) * self._alignment
        if len(self._content) < (end := begin + max(ends, default=0)):
            raise ValueError(f"ends at byte {len(self._content):,}, and its tensors at {end:,}")
        if len(self._content) > end + 2 * self._alignment:
            raise ValueError(f"has {len(self._content):,} bytes, and its tensors end at {end:,}")

    def _number(self, form: str) -> int:
        number: int = struct.unpack_from(self._order + form, self._content, self._at)[0]
        self._at += struct.calcsize(self._order + form)
        return number

    def _count(self, least: int) -> int:
        """Read a count of things of at least so many bytes each."""
        count = self._number("Q")
        if count * least > len(self._content) - self._at:
            raise ValueError(f"{count:,} things of {least} bytes or more, in {len(self._content):,} bytes")
        return count

    def _word(self) -> bytes:
        size = self._count(1)
        self._at += size
        return self._content[self._at - size : self._at]

    def _value(self, kind: int, name: bytes = b"") -> None:
        if kind == _WORD:
            self._word()
        elif kind == _LIST:
            self._list()
        elif kind not in _SIZES:
            raise ValueError(f"a value of an unknown type, {kind}")
        elif name == b"general.alignment" and kind == 4:
            self._alignment = self._number("I")
            if self._alignment == 0 or self._alignment & (self._alignment - 1):
                raise ValueError(f"general.alignment is {self._alignment}, and no power of two")
        else:
            self._skip(_SIZES[kind])

    def _list(self) -> None:
        kind = self._number("I")
        if kind not in (*_SIZES, _WORD):
            raise ValueError(f"a list of values of type {kind}")
        count = self._count(_SIZES.get(kind, 8))
        self._values += count
        if self._values > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES:,} values in its lists")
        if kind == _WORD:
            for _ in range(count):
                self._word()
        else:
            self._skip(count * _SIZES[kind])

    def _skip(self, size: int) -> None:
        if size > len(self._content) - self._at:
            raise ValueError("ends in its header")
        self._at += size

    def _tensor(self) -> int:
        """Return the end of a tensor's data, counted from where all data begin."""
        from gguf import GGML_QUANT_SIZES

        self._word()
        if (dimensions := self._number("I")) > _MOST_DIMENSIONS:
            raise ValueError(f"a tensor of {dimensions:,} dimensions")
        elements = 1
        for _ in range(dimensions):
            elements *= self._number("Q")
        kind, offset = self._number("I"), self._number("Q")
        sizes = {int(known): size for known, size in GGML_QUANT_SIZES.items()}
        if kind not in sizes:
            raise ValueError(f"a tensor of an unknown type, {kind}")
        block, size = sizes[kind]
        return offset + elements * size // block
