"""The text of a config file, however an editor has saved it, and what Windows paths become in it.

Example:
    read_config_text(Path("run.yaml"))
    # 'data:\\n  path: news.csv\\n'
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from fintune.data.readers.encodings import find_encoding
from fintune.errors import ConfigError
from fintune.runtime.untrusted import LARGEST_CONFIG, read_bytes

_UNICODE = ("utf-8-sig", "utf-16", "utf-32")
_PATHS = {"model": ("base",), "data": ("path", "validation", "test"), "": ("output",)}
"""Settings that hold paths, by section."""
_WINDOWS = re.compile(r"(?:[A-Za-z]:|\\).*?([\x07-\x0d\x1b])", re.DOTALL)
QUOTING = "In double quotes YAML reads \\ as the beginning of an escape; write 'C:\\data\\news.csv' in single quotes, or C:/data/news.csv."


def read_config_text(path: Path) -> str:
    """UTF-8, or UTF-16 and UTF-32 by their mark. Raises ConfigError that names any other encoding, ValueError for a file too large."""
    content = read_bytes(path, most=4 * LARGEST_CONFIG)
    encoding = find_encoding(path, "utf-8")
    try:
        if encoding in _UNICODE:
            text = content.decode(encoding)
            if "\0" not in text:
                return text.replace("\r\n", "\n")
            encoding = "UTF-16 without its mark, or no text at all"
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{path}:{line}: not {encoding.removesuffix('-sig')}: byte 0x{content[error.start]:02x}"
        raise ConfigError([problem], hint="Save it as UTF-8 in your editor, or mend that line.") from None
    raise ConfigError([f"{path}: not UTF-8 text; it looks like {encoding}"], hint="Save it as UTF-8 in your editor.")


def escaped_paths(raw: Mapping[str, object]) -> Iterator[str]:
    """Yield a problem for each path in which a backslash and the letter behind it have become a control character."""
    for section, names in _PATHS.items():
        settings = raw.get(section) if section else raw
        if isinstance(settings, Mapping):
            for name in names:
                where = f"{section}.{name}".lstrip(".")
                yield from (f"{where}: {problem}" for problem in _escaped(settings.get(name)))


def _escaped(value: object) -> Iterator[str]:
    for path in value if isinstance(value, list | tuple) else [value]:
        if isinstance(path, str) and (match := _WINDOWS.match(path)):
            yield f"holds {match[1]!r}, a control character. {QUOTING}"
