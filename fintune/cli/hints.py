"""What is wrong with a file that a command was given, in words of that command: its options in place of a config's settings.

A sentence about a setting that the command has no option for gives way to one about the file.

An example: "Set data.text_column to the right one." becomes "Set --text-column to the right one."
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import typer

from fintune.errors import DataError

_SENTENCES = re.compile(r"(?<=[.?!]) (?=[A-Z])")
_COLUMN = "Rename the file's columns to those of training."
_OF_THE_FILE = {
    "data.text_column": _COLUMN,
    "data.label_column": _COLUMN,
    "data.date_column": _COLUMN,
    "data.group_column": _COLUMN,
    "data.format": "Give the file the ending of its format, such as .csv or .jsonl.",
    "data.encoding": "Save the file as UTF-8.",
    "data.label_map": "Mend the row.",
    "task.labels": "Mend the row.",
}

_MAPPED = "Mend the row, or say what it stands for: --set 'data.label_map={NAME: LABEL}'."
_WITH_SET = {
    **_OF_THE_FILE,
    **{name: f"Name it: --set {name}=NAME." for name, said in _OF_THE_FILE.items() if said == _COLUMN},
    **{f"data.{which}_column": f"Name it, or none: --set data.{which}_column=null." for which in ("date", "group")},
    "data.label_map": _MAPPED,
    "task.labels": _MAPPED,
}
"""The same where the command takes settings of how a file is read."""


@cache
def _settings() -> re.Pattern[str]:
    """Return a setting of section data, or of a task's, as sentences name it."""
    from fintune.data.settings import DataSection

    names = [*(f"data.{name}" for name in DataSection.model_fields), "task.labels", "task.answers", "task.prompt"]
    return re.compile(rf"(?<![\w./-])({'|'.join(map(re.escape, names))})\b(?![.#/-]\w)(: )?")


@contextmanager
def in_options_of(context: typer.Context, *, file: str) -> Iterator[None]:
    """Raise what is wrong with a file in the command's words; `file` is the option that names it."""
    try:
        yield
    except DataError as error:
        flags = [flag for parameter in context.command.params for flag in parameter.opts if flag.startswith("--")]
        options = {f"data.{flag[2:].replace('-', '_')}": flag for flag in flags} | {"data.path": file}
        hint = in_options(error.hint, options)
        raise DataError(_named(error.message, options), hint=hint, kind=error.kind) from error


def in_options(hint: str, options: Mapping[str, str]) -> str:
    """Return the hint with options for settings; each sentence about a setting without one gives way."""
    of_the_file = _WITH_SET if "--set" in options.values() else _OF_THE_FILE
    sentences: list[str] = []
    for sentence in _SENTENCES.split(hint):
        without = [match[1] for match in _settings().finditer(sentence) if match[1] not in options]
        replacement = of_the_file.get(without[0], "Mend the file.") if without else _typed(sentence, options)
        sentences += [replacement] if replacement not in sentences else []
    return " ".join(sentences)


def _typed(sentence: str, options: Mapping[str, str]) -> str:
    """As in `--format csv`."""
    return _settings().sub(lambda match: options[match[1]] + (" " if match[2] else ""), sentence)


def _named(message: str, options: Mapping[str, str]) -> str:
    return _settings().sub(lambda match: options.get(match[1], match[1]) + (match[2] or ""), message)
