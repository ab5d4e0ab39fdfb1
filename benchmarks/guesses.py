"""How often a look into a file finds what it holds: `python -m benchmarks.guesses tests/data/guess/files`.

The folder's expected.json says for each file what somebody made of it who has not read the guesser: settled, to be asked, or no labeled
text. Right is: the same verdict, columns of text and answer, kind of answer, labels (in order, where they have one), what codes stand for,
the language of the prompt. A wrong guess that was said to be unsure is counted apart, and so are date and group.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fintune.data.guess.guess import Guess, guess_files
from fintune.data.guess.reasons import NotLabeledText, Undecided
from fintune.errors import DataError
from fintune.tasks.template import need_whole

_LEARNED = ("labels", "numbers")
"""Kinds of answers that can be learned so far; others are to be recognized and refused."""


@dataclass(frozen=True)
class Verdict:
    """What became of a file."""

    file: str
    right: bool
    sure: bool
    differs: Sequence[str]
    """What is not as expected, "" for nothing."""
    beside: Sequence[str]
    """Date and group, where they are not as expected."""


def judged(folder: Path) -> list[Verdict]:
    """Return the verdict of each file of a folder."""
    return [
        _judged(folder / expected["file"], expected)
        for expected in json.loads((folder / "expected.json").read_text("utf-8"))
    ]


def _judged(path: Path, expected: Mapping[str, Any]) -> Verdict:
    try:
        guess = guess_files([str(path)])
    except Undecided as error:
        wanted = {reading["label"] for reading in expected["readings"]} | {
            tuple(reading["text"])[-1] for reading in expected["readings"]
        }
        given = {reading.override.partition("=")[2] for reading in error.readings}
        right = expected["verdict"] == "ask" and len(given & wanted) > 1
        differs = [] if right else [f"asks: {', '.join(sorted(given))}"]
        return Verdict(path.name, not differs, False, differs, [])
    except NotLabeledText as error:
        refused = expected["verdict"] == "refused" or expected["kind"] not in _LEARNED
        differs = [] if refused else [f"refused as {error.kind_of_data}"]
        return Verdict(path.name, not differs, False, differs, [])
    except DataError as error:
        return Verdict(path.name, False, False, [f"error: {error.message}"[:200]], [])
    differs = _differences(guess, expected)
    beside = [
        name for name in ("date", "group") if not _is(expected, name, guess.settings["data"].get(f"{name}_column"))
    ]
    return Verdict(path.name, not differs, all(reason.sure for reason in guess.reasons), differs, beside)


def _is(expected: Mapping[str, Any], name: str, value: Any) -> bool:
    return value in [expected.get(name), *expected.get("accept", {}).get(name, [])]


def _differences(guess: Guess, expected: Mapping[str, Any]) -> list[str]:
    data, task = guess.settings["data"], guess.settings["task"]
    if expected["verdict"] != "settled" or expected["kind"] not in _LEARNED:
        return [f"takes {data.get('label_column')} for the answer"]
    names = _placeholders(task.get("prompt", "{text}{answer}"))
    columns = [data.get("text_column", name) if name == "text" else name for name in names]
    kind = "numbers" if task["name"] == "regression" else "labels"
    own = {"text": columns, "label": data["label_column"], "kind": kind}
    differs = [f"{name} {value}" for name, value in own.items() if not _is(expected, name, value)]
    if kind == "labels":
        labels = [_plain(label) for label in task.get("labels", ["negative", "neutral", "positive"])]
        allowed = [
            [_plain(label) for label in one]
            for one in (expected["labels"], *expected.get("accept", {}).get("labels", []))
            if one
        ]
        free = expected.get("label_order") == "free"
        if not any(labels == one or (free and set(labels) == set(one)) for one in allowed):
            differs.append(f"labels {labels}")
    elif not all(_is(expected, end, task[end]) for end in ("low", "high")):
        differs.append(f"scale {task['low']} to {task['high']}")
    chinese = any("\u4e00" <= c <= "\u9fff" for c in task.get("prompt", "")) or task.get("language") == "zh"
    if not _is(expected, "language", "zh" if chinese else "en"):
        differs.append("language")
    return differs


def _placeholders(prompt: str) -> list[str]:
    return need_whole(prompt)


def _plain(label: str) -> str:
    return label.strip().rstrip(".").casefold()


def main(folders: Sequence[str]) -> None:
    """Print a line for each file, and the counts."""
    counts: Counter[str] = Counter()
    for folder in folders:
        for verdict in judged(Path(folder)):
            wrong = "wrong" if verdict.sure else "wrong, and unsure"
            word = "right" if verdict.right else wrong
            counts[word] += 1
            counts.update(f"{name} as expected" for name in ("date", "group") if name not in verdict.beside)
            print(
                f"{verdict.file:40} {word:18} {'; '.join([*verdict.differs, *(f'{name} differs' for name in verdict.beside)])}"
            )
    print(", ".join(f"{count} {word}" for word, count in counts.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
