"""Text from outside as a screen, a page or a document may show it: what would steer it, or hide in it, stands there in letters.

>>> printable("paid \\x1b[2J\\u202e")
'paid \\\\x1b[2J\\\\u202e'
"""

import re
import unicodedata
from collections.abc import Mapping

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1: they move the cursor, set titles, ring
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi controls: they turn the order of what follows
    "\u2028\u2029"  # line ends to some programs only
    "\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # seen by nobody; joiners, which scripts need, stay
    "\ud800-\udfff]"  # half characters: no stream takes them
)
_UNREAD = {"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"}
"""Categories of characters that say nothing by themselves."""
_FILLING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks to Unicode that show nothing: fillers, an empty braille cell, variation selectors."""
BESIDE = " ~ "
"""What stands between the ids of two records that are shown as a pair."""
_BREAKS = {"\n": r"\n", "\t": r"\t"}
_ACTIVE = re.compile(r"[\\`*\[\]<>&|!#~$]|(?<!\w)_|_(?!\w)|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
"""What Markdown reads as more than a letter, a bare address among it."""
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def legible(text: str) -> bool:
    """Whether anything in a text can be read: not blanks, control, invisible and filling characters alone."""
    return any(unicodedata.category(c) not in _UNREAD and not _FILLING.match(c) for c in text)


def printable(text: str) -> str:
    """Return the text with escapes for control, bidi and invisible characters; line breaks and tabs stay."""
    return _STEERING.sub(_escape, text)


def one_line(text: str) -> str:
    """Return the same, line breaks and tabs as escapes too: for names, labels and cells."""
    return re.sub("[\n\t]", lambda match: _BREAKS[match[0]], printable(text))


def printable_content(content: object) -> object:
    """Return the same for every text in what JSON can hold, keys among them."""
    if isinstance(content, Mapping):
        return {printable(str(key)): printable_content(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [printable_content(value) for value in content]
    return printable(content) if isinstance(content, str) else content


def json_text(content: object, indent: int | None = None) -> str:
    """JSON that reads back as it was and steers no screen: such characters as JSON's own escapes, letters as they are."""
    import json

    written = json.dumps(content, ensure_ascii=False, indent=indent)
    return _STEERING.sub(_json_escape, written)


def markdown(text: str) -> str:
    """Text for a Markdown document, or a cell of its tables, in which nothing is a link, HTML, or a border."""
    return _ACTIVE.sub(r"\\\g<0>", one_line(text))


def markdown_code(text: str) -> str:
    """Text as code in a Markdown document; HTML with entities where backticks would not hold it."""
    shown = one_line(text)
    if shown and shown == shown.strip() and not {"`", "|"} & set(shown):
        return f"`{shown}`"
    return f"<code>{_PUNCTUATION.sub(lambda match: f'&#{ord(match[0])};', shown)}</code>"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
