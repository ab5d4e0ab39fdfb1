"""Which encoding a text file has, when nobody says: its mark, UTF-8 where most of it is UTF-8, else what the library finds."""

import codecs
import re
from pathlib import Path

from fintune.data.readers.packed import open_bytes
from fintune.errors import DataError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WESTERN = ["cp1252", "cp1250", "cp1254"]
_SYMBOL_IN_WORD = re.compile("[a-z][\u00a2-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\ufffd]+[a-z]")
_OTHERS = ["gb18030", "big5", "cp932", "euc_kr", "cp1251", "cp1253"]
_DENSE = 0.25
"""Share of bytes beyond ASCII from which a text is not Latin script with a few accents."""
_BEYOND, _IN_A_ROW = re.compile(rb"[\x80-\xff]+"), 2.5
"""Bytes beyond ASCII, and how many stand in a row from which on they are no accents: two make a character, and words are longer."""
_SAMPLE, _PIECE, _EVIDENCE = 8 << 20, 1 << 20, 256 << 10
"""Bytes that are looked at in all, at a time, and handed to the library."""


def find_encoding(path: Path, declared: str) -> str:
    """Return the encoding of a file; `declared` is its format's own where that is not UTF-8 (PhraseBank: latin-1)."""
    with open_bytes(path) as file:
        head = file.read(4)
        for mark, encoding in _MARKS.items():
            if head.startswith(mark):
                return encoding
        file.seek(0)
        good, bad, read = 0, bytearray(), 0
        decoder = codecs.getincrementaldecoder("utf-8")()  # a piece of a long line may end within a character
        while read < _SAMPLE and (piece := file.readline(_PIECE)):
            read += len(piece)
            try:
                decoder.decode(piece, final=piece.endswith(b"\n"))
                good += 0 if piece.isascii() else len(piece)
            except UnicodeDecodeError:
                decoder.reset()
                bad += piece
    if good >= len(bad):  # lines that do not decode are faults of a UTF-8 file
        return "utf-8-sig"
    return declared if declared == "latin-1" else _detect(bytes(bad[:_EVIDENCE]))


def check_encoding(name: str) -> None:
    """Raise DataError when there is no text encoding of that name."""
    try:
        "a".encode(name)
    except (LookupError, ValueError):
        raise DataError(f"data.encoding: unknown encoding '{name}'", hint="Try utf-8, latin-1 or gb18030.") from None


def _detect(evidence: bytes) -> str:
    """Return what the library finds; of Latin scripts Western European, unless that puts symbols into words (`wzros³`).

    The library alone takes Spanish for Polish: both decode to letters, and its coherences differ by chance.
    """
    from charset_normalizer import from_bytes

    runs = _BEYOND.findall(evidence)
    if sum(map(len, runs)) > min(_DENSE * len(evidence), _IN_A_ROW * len(runs)):
        best = from_bytes(evidence, cp_isolation=_OTHERS).best()
        return best.encoding if best is not None else "gb18030"
    best = from_bytes(evidence, cp_isolation=_WESTERN).best()
    western = evidence.decode("cp1252", "replace")
    return best.encoding if best is not None and _SYMBOL_IN_WORD.search(western) else "cp1252"
