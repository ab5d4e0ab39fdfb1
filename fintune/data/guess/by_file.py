"""Files of plain lines that are called after their label: positive.txt, negative.txt.

>>> _label_of("reviews/pos.txt"), _label_of("2023-05.txt")
('pos', None)
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from fintune.data.guess.answers import AnswerSet
from fintune.data.guess.reasons import Reason
from fintune.data.guess.scales import are_sentiments, in_order, is_scale
from fintune.data.guess.tasks import task_of
from fintune.data.readers.columns import Broken, lines
from fintune.data.readers.encodings import find_encoding

_SAMPLE = 200


def label_files(paths: Sequence[str]) -> list[str]:
    """Return the plain-text files of a folder, or these; none where they are others, or not called after labels."""
    folder = Path(paths[0]) if len(paths) == 1 else None
    files = sorted(map(str, folder.glob("*.txt"))) if folder is not None and folder.is_dir() else list(paths)
    named = [label for path in files if (label := _label_of(path)) is not None]
    return files if len(set(named)) == len(files) > 1 else []


def settings_by_file(files: Sequence[str], wanted: str | None) -> tuple[dict[str, Mapping[str, object]], list[Reason]]:
    """Return the settings of sections data and task, and why; `wanted`: the task, if it is given."""
    by_label = {str(_label_of(path)): path for path in files}
    labels = in_order(list(by_label))
    answers = AnswerSet(kind="labels", labels=labels, sentiment=are_sentiments(labels))
    ordered = {label: by_label[label] for label in labels}
    sample = [text for path in files for text in _first_lines(path)]
    why = f"a file for each label: {', '.join(ordered)}"
    settings: dict[str, Mapping[str, object]] = {
        "data": {"path": ordered, "format": "lines"},
        "task": task_of(answers, ["text"], sample, wanted),
    }
    return settings, [Reason(setting="data.path", why=why, sure=is_scale(list(ordered)))]


def _label_of(path: str) -> str | None:
    """Return the label that a file of text is called after; None where its name is none."""
    file = Path(path)
    words = file.suffix.lower() == ".txt" and file.stem and not any(letter.isdigit() for letter in file.stem)
    return file.stem if words else None


def _first_lines(path: str) -> list[str]:
    read = lines(Path(path), find_encoding(Path(path), "utf-8"))
    return [content for _, content in islice(read, _SAMPLE) if not isinstance(content, Broken)]
