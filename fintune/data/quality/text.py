"""Texts that are not what was written: wrongly decoded characters, header lines among the rows, label cells that hold more."""

import ast
import json
import re
import unicodedata

_HEADERS = frozenset(
    "text sentence headline headlines title news content review message body tweet input context".split()  # noqa: SIM905
)
_NO_WORD = re.compile(r"\W+")
_BOX_DRAWING = re.compile(r"[a-zA-Z]\+[\u00c0-\u00ff]")
"""UTF-8 read as code page 437 or 850, its box-drawing characters turned into `+`, as in PhraseBank's Finnish names."""
_DICTIONARY = re.compile(r"\s*[{\[].*[}\]]\s*", re.DOTALL)


def normalized(text: str) -> str:
    """Words after NFKC and case folding, one blank between them; of a text without words its symbols (emoji), no punctuation."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    words = _NO_WORD.sub(" ", plain.casefold()).strip()
    return words or "".join(c for c in plain if unicodedata.category(c).startswith("S"))


def is_mojibake(text: str) -> bool:
    """Whether there are replacement characters, or sequences that UTF-8 read as another encoding leaves (ftfy's judgment of badness)."""
    if text.isascii():
        return False
    if "\ufffd" in text or _BOX_DRAWING.search(text):
        return True
    from ftfy.badness import is_bad

    return bool(is_bad(text))


def is_header(text: str) -> bool:
    """Whether a text is nothing but the name that a text column usually has."""
    return text.strip().casefold() in _HEADERS


def is_dictionary(label: str) -> bool:
    """Whether a label is written as a dictionary or list."""
    return bool(_DICTIONARY.fullmatch(label))


def parses(label: str) -> bool:
    """Whether a dictionary or list in a label reads as JSON or as a Python literal."""
    try:
        json.loads(label)
    except ValueError:
        try:
            ast.literal_eval(label)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return False
    return True
