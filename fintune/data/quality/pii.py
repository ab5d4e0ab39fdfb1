"""Personal data in a text: where it stands, and the text without it. For corpora before training and before sharing.

Regular expressions that take linear time find the shapes; python-stdnum and phonenumbers judge what fits.
Left out: phone numbers without the international `+`, full-width digits, names, postal addresses.

>>> redact("Write to ann@example.com or call +44 20 7946 0958")
'Write to [EMAIL] or call [PHONE]'
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import takewhile
from typing import Any

from fintune.errors import BrokenEnvironment, ConfigError, did_you_mean
from fintune.runtime.install import with_extra

KINDS: tuple[str, ...] = ("email", "phone", "iban", "card", "national-id")
"""Kinds of personal data that can be looked for; of two overlapping hits of one length the earlier kind stands."""

# No ideographs or kana: they stand around an address without a blank.
_LETTER = "A-Za-z\u00c0-\u1fff"
_EMAIL = re.compile(
    rf"(?<![{_LETTER}0-9_.+%'-])[.+%'-]*+([{_LETTER}0-9_][{_LETTER}0-9_.+%'-]*+"
    rf"@[{_LETTER}0-9-]++(?:\.[{_LETTER}0-9-]++)*\.[{_LETTER}]{{2,}}+)(?![0-9-])"
)
_CURRENCY = "EUR|USD|GBP|CHF|SEK|NOK|DKK|JPY|CNY|RMB|HKD|INR"
_NOT_AFTER_MONEY = rf"(?<![0-9A-Za-z$€£¥])(?<!(?:{_CURRENCY})[ \u00a0])"
_NOT_BEFORE_MONEY = rf"(?![ \u00a0]?(?:[%$€£¥元]|(?:{_CURRENCY}|[mb]n|[mb]illion)\b))"
# No region: with US, CN, FI, DE or IN the matcher takes dates and prices for phones, with GB ratios (0.2079460958).
# Behind the `+` neither a blank (a sum), nor a decimal number (+1.25), nor dotted thousands (+12.345.678.901).
_PHONE = re.compile(
    rf"(?<!\+){_NOT_AFTER_MONEY}(?:\((?=\+[0-9]{{1,3}}\)))?\+(?=[0-9(])"
    r"(?![0-9]+\.[0-9]{1,6}(?![0-9.])|[0-9]{1,3}(?:\.[0-9]{3})+(?![0-9.]))"
    rf"(?:[ \u00a0./()\u2010-\u2015-]{{0,3}}[0-9]){{7,24}}+{_NOT_BEFORE_MONEY}(?:,? ?(?:ext\.?|x) ?[0-9]{{1,6}})?"
)
# A look-ahead, so that what is no IBAN ("FY19 ") does not swallow the one behind it.
_IBAN = re.compile(r"(?ai)(?<![0-9A-Z])(?=([A-Z]{2}[0-9]{2}(?:[ \u00a0-]?[0-9A-Z]){11,30}))")
# In one block or in the groups printed on cards; amid figures and blanks it is a table, unless an expiry date follows.
_PRINTED = r"\d{4}(?:(?:-\d{4}){3}(?:-\d{3})?|-\d{6}-\d{5})"
_CARD = re.compile(
    rf"(?a){_NOT_AFTER_MONEY}(?<!\d[.,-])"
    rf"(?:\d{{13,19}}|{_PRINTED}|(?<!\d ){_PRINTED.replace('-', ' ')}(?! (?!\d\d/)\d))"
    rf"(?![0-9A-Za-z]|[.,-]\d){_NOT_BEFORE_MONEY}"
)
_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|(?:6011|65\d\d|352[89]|35[3-8]\d|62\d\d)\d{12,15}"
)
# Modules of stdnum, each in the ways of writing that do not look like a figure. Left out: bare runs of 8 to 13 digits,
# many of which pass (de.idnr, nl.bsn, gb.nhs, pl.pesel, in_.aadhaar, tr.tckimlik, za.idnr); se.personnummer
# and dk.cpr, which look like ranges (190101-1906); the British NINO, which stdnum does not know.
_NATIONAL = {
    "us.ssn": r"[0-8]\d\d-\d\d-\d{4}",
    "cn.ric": r"[1-9]\d{16}[\dXx]",
    "es.dni": r"\d{8}-?[A-Z]",
    "es.nie": r"[XYZ]-?\d{7}-?[A-Z]",
    "it.codicefiscale": r"[A-Z]{6}[\dL-V]{2}[A-T][\dL-V]{2}[A-Z][\dL-V]{3}[A-Z]",
    "fr.nir": r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d",
    "fi.hetu": r"[0-3]\d{5}[-+A-FU-Y]\d{3}[\dA-Y]",
    "ch.ssn": r"756\.\d{4}\.\d{4}\.\d\d",
    "be.nn": r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d",
    "br.cpf": r"\d{3}\.\d{3}\.\d{3}-\d\d",
    "mx.curp": r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[\dA-Z]\d",
    "in_.pan": r"[A-Z]{3}P[A-Z]\d{4}[A-Z]",  # P: of a person, not of a company
    "kr.rrn": r"\d{6}-\d{7}",
}
_SHAPES = "|".join(f"({shape})" for shape in _NATIONAL.values())
_NATIONAL_ID = re.compile(rf"(?a)(?<![0-9A-Za-z])(?<![0-9][.-])(?:{_SHAPES})(?![0-9A-Za-z]|[.-][0-9])")
_TOKEN = re.compile(r"[0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece of personal data: `text[start:stop]`."""

    kind: str
    start: int
    stop: int


def find(text: str, kinds: Collection[str] = KINDS) -> list[Hit]:
    """Hits in order, none overlapping: the longer stands. Raises BrokenEnvironment without the extra `pii`."""
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ConfigError([f"unknown kind of personal data '{unknown[0]}'"], hint=did_you_mean(unknown[0], KINDS))
    _library("phonenumbers"), _library("stdnum")  # even if nothing here needs them: fail at the first text
    hits = [Hit(kind, *span) for kind in KINDS if kind in kinds for span in _FINDERS[kind](text)]
    taken, kept = bytearray(len(text) if hits else 0), []
    for hit in sorted(hits, key=lambda h: h.start - h.stop):  # stable: KINDS order among equals
        if not any(taken[hit.start : hit.stop]):
            taken[hit.start : hit.stop] = b"\1" * (hit.stop - hit.start)
            kept.append(hit)
    return sorted(kept, key=lambda h: h.start)


def redact(text: str, kinds: Collection[str] = KINDS) -> str:
    """Return the text with `[EMAIL]` and the like for each hit, repeated while there are any: one can hide its neighbor."""
    while hits := find(text, kinds):
        stops = [0, *(hit.stop for hit in hits)]
        kept = [f"{text[stop : hit.start]}[{hit.kind.upper()}]" for stop, hit in zip(stops, hits, strict=False)]
        text = "".join(kept) + text[stops[-1] :]
    return text


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        message = "pii: python-stdnum and phonenumbers are not installed"
        raise BrokenEnvironment(message, hint=with_extra("pii")) from None


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in _EMAIL.finditer(text if "@" in text else ""))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    matcher = _library("phonenumbers").PhoneNumberMatcher
    for match in _PHONE.finditer(text if "+" in text else ""):
        yield from _longest(text, *match.span(), lambda piece: any(m.raw_string == piece for m in matcher(piece, None)))


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        yield from _longest(text, *match.span(1), _library("stdnum.iban").is_valid)


def _longest(text: str, start: int, stop: int, fits: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Yield the longest run of whole tokens that fits: figures and words often follow behind a blank."""
    ends = takewhile(lambda end: end <= stop, (token.end() for token in _TOKEN.finditer(text, start)))
    yield from [(start, end) for end in reversed(list(ends)) if fits(text[start:end])][:1]


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = re.sub("[ -]", "", match[0])
        if _ISSUER.fullmatch(digits) and _library("stdnum.luhn").is_valid(digits):
            yield match.span()


def _national_ids(text: str) -> Iterator[tuple[int, int]]:
    for match in _NATIONAL_ID.finditer(text):
        name = list(_NATIONAL)[(match.lastindex or 1) - 1]
        if _library(f"stdnum.{name}").is_valid(match[0]):
            yield match.span()


_FINDERS = dict(zip(KINDS, (_emails, _phones, _ibans, _cards, _national_ids), strict=True))
