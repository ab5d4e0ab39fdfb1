"""Whether a license, as people write its name, allows commercial use: the one place that says so.

`data.commercial`, cards, the page and `inspect` ask here. Names are those of SPDX (spdx.org/licenses), of the hub and of habit. What
is not known is said to be unknown; nothing is taken for allowed that is not a known name or a grant.

>>> License.parse("CC_BY_NC_SA 4.0").commerce, License.parse("Apache License, Version 2.0").commerce, License.parse("ours").commerce
('forbids', 'allows', 'unknown')
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Commerce = Literal["allows", "forbids", "unknown"]

_UNSAID = ("", "unknown", "other", "none", "not said", "n a", "na", "null", "tbd")
_FORBIDS = re.compile(
    r"\bnc\b|\b(cc)?by ?nc|\bbusl|business source|polyform|prosperity public|sspl|server side public"
    r"|research|academ|educat|evaluation|scientific|personal|private|student|teaching|hobby"
    r"|\bnon ?commerc|\bnon ?profit"
    r"|\b(no(?! (restriction|limit))|not|never|without|except|excluding|excludes|forbids?|prohibits?)( \w+){0,5} commerc"
    r"|commerc\w*( \w+){0,5} (not|never|forbidden|prohibited|excluded|disallowed|restricted|requires?|needs?)\b"
    r"|nicht ?kommerz|pas d utilisation commerc|no comercial|sin fines comerc"
    r"|非商|不得商|禁止商|不可商|勿商|不能商|不允许商|研究|学术|教学|教育|个人"
)
_ALLOWS = re.compile(
    r"((mit|x11|expat|apache2?|asl|(0|modified |simplified )?bsd( clause)?( new| revised| simplified)?|isc|zlib|bsl|boost software"
    r"|unlicense|wtfpl|psf|python software foundation|artistic|afl|academic free|epl|eclipse public|ofl|ms (pl|rl)|upl"
    r"|(a|l)?gpl|gnu (affero |lesser )?general public|mpl|mozilla public|eupl|european union public|cecill"
    r"|(cc )?(cc0|zero|publicdomain (zero|mark)|public domain( mark)?)|public domain dedication|pddl|pdm"
    r"|cc by( sa)?|odc by|odbl|open database|open data commons"
    r"|cdla (permissive|sharing)|openmdw|ogl( uk)?|open government|etalab|dl de (by|zero)|nlod)( |$))+"
)
"""A whole name of a license that allows commercial use, often twice, once fillers are gone. CC BY-ND is none of them: whether a model is a
derivative is not settled."""
_FILLERS = re.compile(
    r"\b(the|an?|licen[cs]e[sd]?|under|version|v|v?\d+|international|intl|unported|universal|generic|deed|legalcode|only|later|plus"
    r"|https?|www|org|com|net|html?|txt|php|opensource|spdx|i?go|us|uk|de|fr|au|en)\b"
)
_ONE_WORD = (
    (r"creative ?commons", "cc"), (r"\bcc ?attribution\b", "cc by"), (r"share ?alike", "sa"), (r"no ?deriv\w*", "nd"),
    (r"\bccby", "cc by"), (r"\bby(sa|nd)\b", r"by \1"), (r"\b(a?gpl|lgpl|mpl|epl|afl)v?\d+\b", r"\1"), (r"\bodc ?by\b", "odc by"),
)  # fmt: skip


@dataclass(frozen=True)
class License:
    """What is said of data's license, and what that means for commercial use."""

    text: str | None
    """The license as it was written; None where nothing was said."""
    commerce: Commerce

    @classmethod
    def parse(cls, text: str | None) -> "License":
        """Read a name, an SPDX expression or a sentence; `granted: ...` is the user's word for a permission."""
        plain = _plain(text or "")
        if plain in _UNSAID:
            return cls(None, "unknown")
        if re.match(r"\s*granted:\s*\S", text or "", re.IGNORECASE):
            return cls(text, "allows")
        return cls(text, _commerce(text or ""))

    def __str__(self) -> str:
        return self.text or "not said"


def license_of(source: Mapping[str, object]) -> License:
    """Return the license of a source as data.json and verification.json name it."""
    text = source["license"]
    return License.parse(text if isinstance(text, str) else None)


def commerce(sources: Iterable[Mapping[str, object]]) -> Commerce:
    """Return what all of it together allows: the strictest of them."""
    kinds = {license_of(source).commerce for source in sources}
    return "forbids" if "forbids" in kinds else "unknown" if "unknown" in kinds or not kinds else "allows"


def _commerce(text: str) -> Commerce:
    """Of parts joined by `or` one may be chosen, unless something else is joined to them; of all others each must allow it."""
    alternatives = re.split(r"\bor\b", text, flags=re.IGNORECASE)
    pieces = [piece for one in alternatives for piece in re.split(r"[,;&+]|\band\b", one, flags=re.IGNORECASE)]
    kinds = [kind for piece in pieces if (kind := _of_name(_plain(piece))) is not None]
    a_choice = len(pieces) == len(alternatives)
    if kinds and (all(k == "allows" for k in kinds) or (a_choice and "allows" in kinds)):
        return "allows"
    return "forbids" if "forbids" in kinds or _FORBIDS.search(_plain(text)) else "unknown"


def _of_name(plain: str) -> Commerce | None:
    """None for what says nothing: a version, the word license."""
    bare = " ".join(_FILLERS.sub(" ", re.sub(r"\bwith\b.*\bexception\b", "", plain)).split())
    if not bare:
        return None
    if _ALLOWS.fullmatch(bare):
        return "allows"
    return "forbids" if _FORBIDS.search(plain) else "unknown"


def _plain(text: str) -> str:
    """Words in small letters with single blanks, names of several spellings in one."""
    plain = " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).split())
    for spelling, name in _ONE_WORD:
        plain = re.sub(spelling, name, plain)
    return plain
