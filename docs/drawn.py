"""Pages drawn from other files: tables of benchmarks/results, the index of the log, the list of decisions.

python docs/generate.py writes them.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

GROUPS = (
    "Accuracy",
    "Time to an accuracy",
    "Training speed",
    "Scoring speed and 8-bit integers",
    "Size and scale",
    "Correctness",
    "The code",
)
"""Headings of the results page; each measurement names one of them."""
VERDICTS = ("kept", "refused", "open")
"""What may be said of a question of the log."""


class Entry(NamedTuple):
    """One entry of the log."""

    month: str
    """Name of its file, without the ending."""
    date: str
    title: str
    verdict: str
    question: str
    body: str


def slug(heading: str) -> str:
    """The anchor that GitHub and the site give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def entries(folder: Path) -> list[Entry]:
    """All entries of the log, newest first.

    Raises ValueError for one that does not begin with its verdict and question.
    """
    read = []
    for page in sorted(folder.glob("20*.md"), reverse=True):
        for part in re.split(r"(?m)^## ", page.read_text(encoding="utf-8"))[1:]:
            heading, _, body = part.partition("\n")
            date, _, title = heading.partition(": ")
            match = re.match(r"\s*\*\*(\w+)\*\* · (.+)\n", body)
            if match is None or match[1] not in VERDICTS:
                raise ValueError(f"{page.name}: {heading}: begins with none of {VERDICTS} and a question")
            read.append(Entry(page.stem, date, title, match[1], match[2], body))
    return read


def log_table(folder: Path) -> str:
    """A line for every entry of the log."""
    rows = [
        f"| {e.date} | [{e.title}]({e.month}.md#{slug(f'{e.date}: {e.title}')}) | {e.verdict} | {e.question} |"
        for e in entries(folder)
    ]
    return "| date | entry | verdict | question |\n|---|---|---|---|\n" + "\n".join(rows)


def decision_list(folder: Path) -> str:
    """A line for every decision record, in the order of their numbers."""
    pages = sorted(folder.glob("[0-9]*.md"))
    titles = [page.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ") for page in pages]
    return "\n".join(f"- [{title}]({page.name})" for title, page in zip(titles, pages, strict=True))


def result_tables(folder: Path) -> str:
    """Every measurement of benchmarks/results as a table, under its group."""
    measured = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    parts = []
    for group in GROUPS:
        parts.append(f"## {group}\n")
        parts += [_measurement(one) for one in measured if one["group"] == group]
    return "\n".join(parts)


def _measurement(one: dict) -> str:
    place = f"../log/{one['date'][:7]}.md#{one['log']}"
    command = "".join(f"    {line}\n" for line in one["command"])
    head = f"| {' | '.join(one['columns'])} |\n|{'---|' * len(one['columns'])}\n"
    rows = "".join(f"| {' | '.join(str(cell) for cell in row)} |\n" for row in one["rows"])
    return (
        f"### {one['title']}\n\n{one['date']}, [the entry of the log]({place}).\n\n"
        f"{command}{chr(10) if command else ''}{head}{rows}"
    )
