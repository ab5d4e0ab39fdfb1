"""From files of labeled text to a config: what is guessed is told, with its evidence and three rows as the model will read them.

Example:
    look(["complaints.csv"], {}).written["task"]["name"]
    # 'classification'
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

from pydantic import ValidationError

from fintune.config.mistaken import holds_records, is_data
from fintune.data.guess.by_file import label_files
from fintune.data.guess.guess import Guess, SectionSettings, guess_files
from fintune.data.guess.sample import name_of
from fintune.data.load import parsed_row
from fintune.data.readers.hub_datasets import HUB, is_saved
from fintune.data.readers.plain_text import holds_labels
from fintune.data.readers.read import read
from fintune.data.readers.sources import BUILTIN
from fintune.data.reading import reading
from fintune.data.settings import DataSection
from fintune.errors import FintuneError
from fintune.records import Example, Row
from fintune.runtime.printable import one_line
from fintune.runtime.progress import tell
from fintune.tasks import TASKS, Task
from fintune.tasks.contract import built

_SHOWN, _LONGEST = 3, 300
_NO_NAME = re.compile(r"[^\w.-]+")


def are_data(sources: Sequence[str | Path]) -> bool:
    """Whether these are data, by their names, or of .json by what is in it."""
    return all(_is_data(str(source)) for source in sources)


def _is_data(source: str) -> bool:
    if source.startswith((BUILTIN, HUB)):
        return True
    path = Path(source.rpartition("#")[0] if "#" in source and not Path(source).exists() else source).expanduser()
    if path.is_dir():
        return not _is_run(path) and (is_saved(path) or holds_labels(path) or bool(label_files([source])))
    return is_data(path) or holds_records(path)


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file()


@dataclass(frozen=True)
class Looked:
    """What files of data come to."""

    written: dict[str, object]
    """What a config of them would say."""
    reasons: Mapping[str, str]
    """Why, by setting."""


def look(paths: Sequence[str], given: Mapping[str, object]) -> Looked:
    """Look into files; `given` are settings that are not to be guessed. Tells what it took.

    Raises DataError where they hold no labeled text, Undecided where nothing tells which of two readings is meant.
    """
    sections = {name: settings for name, settings in given.items() if isinstance(settings, Mapping)}
    if not _may_be_read(paths, sections.get("data", {})):  # whoever validates the config says what is wrong
        return Looked({"name": run_name(paths[0]), "data": {"path": list(paths)}}, {})
    guess = guess_files(paths, sections)
    reasons = {one.setting: one.why + ("" if one.sure else " (unsure)") for one in guess.reasons}
    for setting, why in reasons.items():
        tell("guess", f"{setting}: {why}")
    for row in rows_shown(guess, sections):
        tell("row", row)
    found = {section: dict(settings) for section, settings in guess.settings.items()}
    return Looked({"name": run_name(paths[0]), **found}, reasons)


def _may_be_read(paths: Sequence[str], settings: SectionSettings) -> bool:
    """Whether no setting of section data that is given is wrong by itself."""
    try:
        DataSection.model_validate({"path": list(paths), **settings})
    except ValidationError as error:
        return not any(one["loc"] and one["loc"][0] in settings for one in error.errors())
    return True


def run_name(path: str) -> str:
    """Return what a run on a file is called: the file's name, as far as folders may be called so."""
    return (
        _NO_NAME.sub("-", name_of(path.removeprefix(BUILTIN).removeprefix(HUB).rpartition("/")[2] or path)).strip("-.")[
            :80
        ]
        or "run"
    )


def rows_shown(guess: Guess, given: Mapping[str, SectionSettings]) -> Iterator[str]:
    """Yield the first rows, prompt and answer, as the model will read them; none where a setting that was given is wrong."""
    sections = {name: {**guess.settings[name], **given.get(name, {})} for name in ("data", "task")}
    try:
        data = DataSection.model_validate(sections["data"])
        task = built(TASKS[str(sections["task"]["name"])].options.model_validate(sections["task"]))
        examples = (
            one for row in _rows(data, task) for one in parsed_row(task, row) if isinstance(one, Example) and one.text
        )
        for example in islice(examples, _SHOWN):
            prompt = str(task.prompt(example))
            cut = prompt if len(prompt) <= _LONGEST else f"{prompt[: _LONGEST // 2]} … {prompt[-_LONGEST // 2 :]}"
            yield one_line(f"{cut}{task.target(example)}")
    except (ValidationError, FintuneError, KeyError):  # whoever reads the config in earnest says it better
        return


def _rows(data: DataSection, task: Task) -> Iterator[Row]:
    """Yield the rows of all sources, in turns where each holds a label's."""
    how = ((source, reading(data.like(source), task, source=source)) for source in data.train_sources())
    streams = [read(source.path, own, faults=lambda fault: None) for source, own in how]
    return (row for turn in zip_longest(*streams) for row in turn if row is not None)
