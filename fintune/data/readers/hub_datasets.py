"""Hugging Face data sets: saved on disk by `datasets`, or from the hub at a pinned revision (Parquet; never a script)."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from fintune.data.readers.columns import Broken, Fields, Opening, need_columns
from fintune.errors import DataError, did_you_mean, first_line
from fintune.runtime.hub import from_cache, hub_answers

HUB = "hf:"
"""Prefix of `data.path` for a data set of the hub."""

_REFERENCE = re.compile(r"hf:(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<subset>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?")


def read_saved(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """Yield a folder written by `save_to_disk`; memory-mapped."""
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # a damaged folder makes it raise nearly anything
        raise _unreadable(opening, error) from None
    yield from _rows(_choose(loaded, opening), opening)


def read_hub(path: Path, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    """`hf:owner/name@revision#split`, `hf:owner/name/subset@revision#split`: downloaded once, then from the cache."""
    import datasets

    name, subset, revision = parse_reference(opening.name)
    try:
        with nullcontext() if hub_answers() else from_cache():
            loaded = datasets.load_dataset(name, subset, revision=revision)
    except Exception as error:  # offline, gated, a script: it raises nearly anything
        raise _unreadable(opening, error) from None
    yield from _rows(_choose(loaded, opening), opening)


def parse_reference(reference: str) -> tuple[str, str | None, str]:
    """Name, subset and revision of a hub reference. Raises DataError when it is malformed or not pinned."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise DataError(f"{reference}: not of the form hf:owner/name@revision#split", hint="Mend data.path.")
    if match["revision"] is None:
        raise DataError(
            f"{reference}: the revision is not pinned",
            hint=f"Write {reference}@COMMIT, or @refs/convert/parquet for a set that has a loading script.",
        )
    return match["name"], match["subset"], match["revision"]


def is_saved(folder: Path) -> bool:
    """Whether `datasets` wrote this folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "dataset_info.json"))


def _choose(loaded: Any, opening: Opening) -> Any:
    """Return the split that the reference names; the only one where it names none."""
    if not isinstance(loaded, dict):
        return loaded
    splits = list(loaded)
    if not opening.part and len(splits) == 1:
        return loaded[splits[0]]
    if opening.part not in loaded:
        problem = f"no split '{opening.part}'" if opening.part else f"holds {', '.join(splits)}"
        hint = did_you_mean(opening.part, splits) if opening.part else f"Name one: {opening.name}#{splits[0]}"
        raise DataError(f"{opening.name}: {problem}", hint=hint)
    return loaded[opening.part]


def _rows(chosen: Any, opening: Opening) -> Iterator[tuple[int, Fields | Broken]]:
    need_columns(opening, 1, chosen.column_names)
    names = {column: feature for column, feature in chosen.features.items() if hasattr(feature, "int2str")}
    for line, row in enumerate(chosen, start=1):
        for column, feature in names.items():  # numbers that stand for names
            if isinstance(row[column], int) and row[column] >= 0:
                row[column] = feature.int2str(row[column])
        yield line, row


def _unreadable(opening: Opening, error: BaseException) -> DataError:
    return DataError(
        f"{opening.name}: cannot be loaded: {first_line(error)}",
        hint="Offline? Save it elsewhere with datasets' save_to_disk and name that folder.",
    )
